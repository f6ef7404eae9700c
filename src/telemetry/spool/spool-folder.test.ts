// A folder of requests on disk, in good days and bad ones.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createBreakingDisk } from "#test/support/breaking-disk.ts";
import { systemDisk, type SpoolDisk } from "./spool-disk.ts";
import { createSpoolFolder, type SpoolFolder, type SpoolFolderOptions } from "./spool-folder.ts";

const DAY_MS = 24 * 60 * 60_000;

interface Scene {
  readonly directory: string;
  readonly lost: [items: number, reason: string][];
  readonly problems: unknown[];
  nowMs: number;
  folder(overrides?: Partial<SpoolFolderOptions>): SpoolFolder;
}

async function prepare(t: TestContext, disk: SpoolDisk = systemDisk): Promise<Scene> {
  const parent = await mkdtemp(join(tmpdir(), "blixard-spool-"));
  const folders: SpoolFolder[] = [];
  t.after(async () => {
    for (const folder of folders) await folder.close();
    await rm(parent, { recursive: true, force: true });
  });
  const scene: Scene = {
    directory: join(parent, "telemetry-spool", "traces", "somewhere"),
    lost: [],
    problems: [],
    nowMs: 1_700_000_000_000,
    folder(overrides = {}) {
      const folder = createSpoolFolder({
        directory: scene.directory,
        limitBytes: () => 1 << 20,
        disk,
        now: () => scene.nowMs,
        onLost: (items, reason) => scene.lost.push([items, reason]),
        onProblem: (error) => scene.problems.push(error),
        ...overrides,
      });
      folders.push(folder);
      return folder;
    },
  };
  return scene;
}

function request(text: string, items = 1): { readonly bytes: Buffer; readonly items: number } {
  return { bytes: Buffer.from(text), items };
}

async function drain(folder: SpoolFolder): Promise<string[]> {
  const texts: string[] = [];
  for (let next = await folder.next(); next !== undefined; next = await folder.next()) {
    texts.push(Buffer.from(next.bytes).toString());
    await folder.settle();
  }
  return texts;
}

test("what was kept comes back oldest first, in the same process or the next one, and then takes no room", async (t) => {
  const scene = await prepare(t);
  const first = scene.folder();
  for (const text of ["a", "b", "c"]) assert.equal(await first.append(request(text, 2)), true);
  assert.equal(Buffer.from((await first.next())?.bytes ?? []).toString(), "a");
  await first.settle();
  assert.equal(first.usage().items, 4);
  assert.equal(first.usage().oldestMs, scene.nowMs);
  await first.close();
  const second = scene.folder();
  await second.append(request("d"));
  assert.deepEqual(await drain(second), ["b", "c", "d"]);
  assert.deepEqual(second.usage(), { bytes: 0, limitBytes: 1 << 20, items: 0 });
  assert.deepEqual(await readdir(scene.directory), []);
  assert.deepEqual(scene.lost, []);
});

test("a request that nobody settled comes again at the next start", async (t) => {
  const scene = await prepare(t);
  const first = scene.folder();
  await first.append(request("a"));
  await first.next();
  await first.close();
  assert.deepEqual(await drain(scene.folder()), ["a"]);
});

test("only the node's user may look inside", async (t) => {
  const scene = await prepare(t);
  await scene.folder().append(request("a"));
  assert.equal((await stat(scene.directory)).mode & 0o777, 0o700);
  const [name] = await readdir(scene.directory);
  assert.equal((await stat(join(scene.directory, name ?? ""))).mode & 0o777, 0o600);
});

test("over the limit the oldest make room for the newest, and are counted", async (t) => {
  const scene = await prepare(t);
  const folder = scene.folder({ limitBytes: () => 4_000, segmentBytes: 1_000 });
  for (let number = 0; number < 20; number++) await folder.append(request(`${number} ${"x".repeat(400)}`, 3));
  assert.ok(folder.usage().bytes <= 4_000);
  const kept = (await drain(folder)).map((text) => Number(text.split(" ")[0]));
  const lost = scene.lost.reduce((sum, [items]) => sum + items, 0);
  assert.equal(kept.length * 3 + lost, 60);
  assert.ok(kept.length >= 4);
  assert.deepEqual(
    kept,
    Array.from({ length: kept.length }, (_, index) => 20 - kept.length + index),
  );
  assert.ok(scene.lost.every(([, reason]) => reason === "spool_full"));
});

test("what is on its way while its room is needed is not counted as lost", async (t) => {
  const scene = await prepare(t);
  const folder = scene.folder({ limitBytes: () => 2_000, segmentBytes: 500 });
  await folder.append(request("under way", 7));
  await folder.next();
  for (let number = 0; number < 10; number++) await folder.append(request("x".repeat(400)));
  await folder.settle();
  const kept = (await drain(folder)).length;
  assert.equal(
    scene.lost.reduce((sum, [items]) => sum + items, 0),
    10 - kept,
  );
});

test("a request larger than all of the room stays with the caller", async (t) => {
  const scene = await prepare(t);
  assert.equal(await scene.folder({ limitBytes: () => 1_000 }).append(request("x".repeat(2_000))), false);
  assert.deepEqual(scene.lost, []);
});

test("after a week nobody wants it any more", async (t) => {
  const scene = await prepare(t);
  const folder = scene.folder();
  await folder.append(request("old", 5));
  scene.nowMs += 6 * DAY_MS;
  await folder.append(request("younger"));
  scene.nowMs += 2 * DAY_MS;
  assert.deepEqual(await drain(folder), ["younger"]);
  assert.deepEqual(scene.lost, [[5, "expired"]]);
});

test("files of others, and rubbish under our names, are passed by", async (t) => {
  const scene = await prepare(t);
  await mkdir(join(scene.directory, "0000000000000003.segment"), { recursive: true });
  await writeFile(join(scene.directory, "notes.txt"), "mine");
  await writeFile(join(scene.directory, "0000000000000000.segment"), Buffer.alloc(500, 7));
  const folder = scene.folder();
  assert.equal(await folder.append(request("a")), true);
  assert.deepEqual(await drain(folder), ["a"]);
  assert.deepEqual((await readdir(scene.directory)).toSorted(), ["0000000000000003.segment", "notes.txt"]);
  assert.ok(scene.problems.length > 0);
});

test("a full disk costs the oldest, then leaves the rest with the caller; when there is room again it goes on", async (t) => {
  const disk = createBreakingDisk();
  const scene = await prepare(t, disk);
  const folder = scene.folder({ segmentBytes: 500 });
  await folder.append(request("x".repeat(450), 1));
  await folder.append(request("y".repeat(450), 1));
  disk.capacityBytes = 1_100;
  assert.equal(await folder.append(request("z".repeat(450), 1)), true);
  assert.deepEqual(scene.lost, [[1, "spool_full"]]);
  disk.capacityBytes = 10;
  assert.equal(await folder.append(request("w".repeat(450), 1)), false);
  assert.equal(scene.problems.length, 1);
  assert.equal(await folder.append(request("w".repeat(450), 1)), false);
  assert.equal(scene.problems.length, 1, "said once");
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  assert.equal(await folder.append(request("v", 1)), true);
  const texts = (await drain(folder)).map((text) => text[0]);
  const lost = scene.lost.reduce((sum, [items]) => sum + items, 0);
  assert.equal(texts.length + lost, 4, "each of the four that were kept came back or was counted");
  assert.equal(texts.at(-1), "v");
});

test("a directory that cannot be written leaves everything with the caller, and is tried again", async (t) => {
  const scene = await prepare(t);
  const parent = join(scene.directory, "..", "..");
  await mkdir(join(parent, ".."), { recursive: true });
  await writeFile(parent, "a file in the way");
  const folder = scene.folder();
  assert.equal(await folder.append(request("a")), false);
  assert.equal(await folder.append(request("a")), false);
  assert.equal(scene.problems.length, 1);
  assert.equal(await folder.next(), undefined);
  await rm(parent);
  assert.equal(await folder.append(request("b")), true);
  assert.deepEqual(await drain(folder), ["b"]);
});

test("whoever waits for something to replay is woken by the first, and let go at the end", async (t) => {
  const scene = await prepare(t);
  const folder = scene.folder();
  const filled = folder.filled(AbortSignal.timeout(30_000));
  await folder.append(request("a"));
  await filled;
  await drain(folder);
  const end = new AbortController();
  const waiting = folder.filled(end.signal);
  end.abort(new Error("the end"));
  await assert.rejects(waiting, /the end/);
});

test("a folder that somebody removes costs what was in it, counted, and is made again", async (t) => {
  const scene = await prepare(t);
  const folder = scene.folder({ segmentBytes: 200 });
  for (const text of ["a", "b"]) await folder.append(request(text.repeat(150), 2));
  await rm(scene.directory, { recursive: true });
  assert.equal(await folder.append(request("c")), true);
  const texts: string[] = [];
  for (let attempt = 0; attempt < 10 && folder.usage().items > 0; attempt++) texts.push(...(await drain(folder)));
  assert.deepEqual(texts, ["c"]);
  assert.equal(
    scene.lost.reduce((sum, [items]) => sum + items, 0),
    4,
  );
});
