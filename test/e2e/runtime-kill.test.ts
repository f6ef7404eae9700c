/** A daemon's runtime killed at random moments of launch and stop: never two copies, never an orphan. */
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import { connectGuardian } from "#guardian/guardian-client.ts";
import { createLineSplitter } from "#process/line-splitter.ts";
import { type ChildHandle, spawnProcess } from "#process/spawn.ts";
import { createSeededRandom, testSeed } from "#test/support/seeded-random.ts";
import { buildTestImage, createQemuScene, launchRequest, type QemuScene } from "#test/support/qemu-scene.ts";

const ROUNDS = 12;
const SUPPORT = import.meta.resolve("../support/qemu-scene.ts");

describe("a runtime that is killed at any moment", () => {
  let images: string;
  let scene: QemuScene;

  before(async () => {
    images = await mkdtemp(join(tmpdir(), "blixard-images-"));
    scene = await createQemuScene();
  });
  after(async () => {
    await scene.end();
    await rm(images, { recursive: true, force: true });
  });

  it("leaves at most one guest of a VM, and what it leaves is taken over by the next", async (context) => {
    const seed = testSeed();
    context.diagnostic(`seed ${seed}`);
    const random = createSeededRandom(seed);
    const request = launchRequest(await buildTestImage(images), { guestAgent: false });
    // The daemon of a round: takes over what is there, ends it, and launches the VM anew, again and again.
    const script = `
      import { createQemuScene, never } from ${JSON.stringify(SUPPORT)};
      const scene = await createQemuScene(${JSON.stringify(scene.root)});
      const { runtime } = await scene.startRuntime();
      console.log("started");
      const recovered = await runtime.recover();
      if (recovered.length > 1) throw new Error("two copies: " + JSON.stringify(recovered));
      for (const found of recovered) {
        console.log(found.kind);
        if (found.kind === "running") await found.machine.shutdown({ timeoutMs: 0, force: true });
      }
      for (;;) {
        const request = { ...${JSON.stringify(request)}, instanceId: crypto.randomUUID() };
        const machine = await runtime.launch(request, never);
        console.log("launched");
        await machine.shutdown({ timeoutMs: 0, force: true });
        console.log("ended");
      }`;
    for (let round = 0; round < ROUNDS; round++) {
      const { daemon, lines } = await startDaemon(script);
      await lines.started;
      // Half of the kills are somewhere around a launch, however slow the machine is.
      if (round % 2 === 1) await lines.launched;
      await delay(random.below(250));
      daemon.kill("SIGKILL");
      const { code } = await daemon.exited;
      assert.equal(code, undefined, daemon.stderrTail());
      const state = await scene.guardianState();
      assert.ok(state, "the guardian stays");
      const client = await connectGuardian({ state, onExited: () => {} });
      const running = (await client.list()).filter((report) => report.exit === undefined);
      client.close();
      assert.ok(running.length <= 1, `${running.length} copies`);
      const processes = await guestProcessesOf(join(scene.root, "data", "guardian"));
      assert.ok(processes.length <= 1, `${processes.length} guest processes: ${processes.join(" ")}`);
    }
    const { runtime } = await scene.startRuntime();
    for (const found of await runtime.recover()) {
      if (found.kind === "running") await found.machine.shutdown({ timeoutMs: 0, force: true });
    }
    await runtime.remove(request.vmId);
    assert.deepEqual(await runtime.recover(), []);
    assert.deepEqual(await guestProcessesOf(join(scene.root, "data", "guardian")), []);
  });
});

async function startDaemon(
  script: string,
): Promise<{ daemon: ChildHandle; lines: Record<"started" | "launched", Promise<void>> }> {
  const daemon = await spawnProcess({
    command: process.execPath,
    args: ["--input-type=module", "-e", script],
    environment: process.env,
    stdout: "pipe",
    parentDeathSignal: "KILL",
  });
  const started = Promise.withResolvers<void>();
  const launched = Promise.withResolvers<void>();
  const splitter = createLineSplitter({
    maximumBytes: 10_000,
    onLine: (line) => {
      if (line === "started") started.resolve();
      if (line === "launched") launched.resolve();
    },
  });
  daemon.stdout?.on("data", (chunk: Buffer) => splitter.push(chunk));
  // Killed before it launched anything is no failure of those who do not wait for it.
  launched.promise.catch(() => undefined);
  void daemon.exited.finally(() => {
    const ended = new Error(`the daemon ended: ${daemon.stderrTail()}`);
    started.reject(ended);
    launched.reject(ended);
  });
  return { daemon, lines: { started: started.promise, launched: launched.promise } };
}

async function guestProcessesOf(stateDir: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    if (environment.split("\0").includes(`BLIXARD_GUARDIAN_STATE=${stateDir}`)) found.push(pid);
  }
  return found;
}
