// What was kept comes back: in order, at a pace, and never at the cost of what is fresh.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createManualClock, type ManualClock } from "#test/support/manual-clock.ts";
import { waitFor } from "#test/support/wait-for.ts";
import type { EncodedRequest } from "../otlp/encoded-request.ts";
import type { Replay } from "../otlp/signal-sender.ts";
import { startReplay } from "./replay.ts";
import { systemDisk } from "./spool-disk.ts";
import { createSpoolFolder, type SpoolFolder } from "./spool-folder.ts";

interface Scene {
  readonly clock: ManualClock;
  readonly folder: SpoolFolder;
  /** Text and time (ms since the beginning) of each attempt. */
  readonly attempts: { readonly text: string; readonly atMs: number }[];
  readonly replayed: string[];
  readonly givenUp: [items: number, errorType: string][];
  abandoned: number;
  takenRequests: number;
  patienceMs: number;
  answer: (text: string) => Replay;
  keep(text: string): Promise<void>;
  turnUntil(what: string, condition: () => boolean): Promise<void>;
}

async function start(t: TestContext, maximumBytesPerSecond?: number): Promise<Scene> {
  const directory = await mkdtemp(join(tmpdir(), "blixard-spool-"));
  const clock = createManualClock();
  const folder = createSpoolFolder({
    directory,
    limitBytes: () => 1 << 20,
    disk: systemDisk,
    now: () => clock.now(),
    onLost: () => assert.fail("nothing is lost on disk here"),
    onProblem: (error) => assert.fail(String(error)),
  });
  const scene: Scene = {
    clock,
    folder,
    attempts: [],
    replayed: [],
    givenUp: [],
    abandoned: 0,
    takenRequests: 0,
    patienceMs: 0,
    answer: () => ({ kind: "delivered" }),
    async keep(text) {
      await folder.append({ bytes: Buffer.from(text), items: 1 });
    },
    async turnUntil(what, condition) {
      await waitFor(what, async () => {
        if (!condition()) await clock.advance(1_000);
        return condition();
      });
    },
  };
  const replay = startReplay({
    folder,
    clock,
    random: () => 1,
    sender: {
      replay: async (request: EncodedRequest) => {
        const text = Buffer.from(request.bytes).toString();
        scene.attempts.push({ text: text.slice(0, 20), atMs: clock.monotonicMs() });
        const answer = scene.answer(text);
        if (answer.kind === "delivered") scene.replayed.push(text.slice(0, 20));
        return answer;
      },
      patienceMs: () => scene.patienceMs,
      get takenRequests() {
        return scene.takenRequests;
      },
      abandon: (items) => void (scene.abandoned += items),
    },
    onReplayed: () => {},
    onGivenUp: (items, errorType) => scene.givenUp.push([items, errorType]),
    ...(maximumBytesPerSecond === undefined ? {} : { maximumBytesPerSecond }),
  });
  t.after(async () => {
    await replay.stop();
    await folder.close();
    await rm(directory, { recursive: true, force: true });
  });
  return scene;
}

test("what was kept is replayed oldest first, and no faster than the pace", async (t) => {
  const scene = await start(t, 1_000);
  scene.patienceMs = 1_000;
  for (const name of ["a", "b", "c"]) await scene.keep(`${name}${" ".repeat(1_999)}`);
  await scene.clock.advance(500);
  assert.equal(scene.attempts.length, 0, "not before the sender's own patience ends");
  scene.patienceMs = 0;
  await scene.turnUntil("all three", () => scene.replayed.length === 3);
  assert.deepEqual(
    scene.attempts.map(({ text }) => text.trim()),
    ["a", "b", "c"],
  );
  const [first, second, third] = scene.attempts;
  assert.ok((second?.atMs ?? 0) - (first?.atMs ?? 0) >= 2_000);
  assert.ok((third?.atMs ?? 0) - (second?.atMs ?? 0) >= 2_000);
  await scene.turnUntil("an empty spool", () => scene.folder.usage().items === 0);
});

test("while the destination is down it is asked less and less often, and when it asks for time it gets it", async (t) => {
  const scene = await start(t);
  scene.answer = () => ({ kind: "later", errorType: "UNAVAILABLE" });
  await scene.keep("a");
  await scene.turnUntil("some attempts", () => scene.attempts.length === 7);
  const waits = scene.attempts.slice(1).map(({ atMs }, index) => atMs - (scene.attempts[index]?.atMs ?? 0));
  assert.deepEqual(
    waits,
    waits.toSorted((left, right) => left - right),
  );
  assert.ok((waits[0] ?? 0) >= 1_000 && (waits.at(-1) ?? 0) >= 30_000);
  scene.answer = () => ({ kind: "later", errorType: "RESOURCE_EXHAUSTED", afterMs: 120_000 });
  await scene.turnUntil("one more", () => scene.attempts.length === 8);
  await scene.turnUntil("the next", () => scene.attempts.length === 9);
  assert.ok((scene.attempts[8]?.atMs ?? 0) - (scene.attempts[7]?.atMs ?? 0) >= 120_000);
  assert.equal(scene.folder.usage().items, 1, "it is not lost");
});

test("a request that fails while all others are taken is given up and counted, and the rest follows", async (t) => {
  const scene = await start(t);
  scene.answer = (text) => {
    // Something fresh is taken between any two attempts.
    scene.takenRequests++;
    return text === "poison" ? { kind: "later", errorType: "503" } : { kind: "delivered" };
  };
  await scene.keep("poison");
  await scene.keep("good");
  await scene.turnUntil("the good one", () => scene.replayed.includes("good"));
  assert.deepEqual(scene.givenUp, [[1, "503"]]);
  assert.equal(scene.abandoned, 1);
  assert.equal(scene.attempts.filter(({ text }) => text === "poison").length, 6);
});

test("what the destination refuses for good is counted, and the rest follows", async (t) => {
  const scene = await start(t);
  scene.answer = (text) => (text === "bad" ? { kind: "refused", errorType: "400" } : { kind: "delivered" });
  await scene.keep("bad");
  await scene.keep("good");
  await scene.turnUntil("the good one", () => scene.replayed.includes("good"));
  assert.deepEqual(scene.givenUp, [[1, "400"]]);
  assert.equal(scene.abandoned, 0, "the sender has counted it");
});
