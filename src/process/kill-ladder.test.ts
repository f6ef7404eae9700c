import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { waitFor } from "#test/support/wait-for.ts";
import { isAlive, readProcessStat } from "./identity.ts";
import { endProcess, signalProcess } from "./kill-ladder.ts";
import { type ChildHandle, spawnProcess } from "./spawn.ts";

async function startShell(script: string): Promise<ChildHandle> {
  const child = await spawnProcess({
    command: "/bin/sh",
    args: ["-c", `${script}; echo up; while :; do sleep 0.01; done`],
    stdout: "pipe",
  });
  await once(child.stdout ?? new PassThrough(), "data");
  return child;
}

describe("endProcess", () => {
  it("asks first, and is content with a process that obeys", async () => {
    const child = await startShell("trap 'exit 5' TERM");
    assert.equal(await endProcess(child.identity, { graceMs: 30_000, exited: child.exited }), "obeyed");
    assert.equal((await child.exited).code, 5);
  });

  it("kills a process that does not obey", async () => {
    const child = await startShell("trap '' TERM");
    assert.equal(await endProcess(child.identity, { graceMs: 50 }), "forced");
    assert.equal((await child.exited).signal, "SIGKILL");
  });

  it("does not ask when there is no time", async () => {
    const child = await startShell("trap 'exit 5' TERM");
    assert.equal(await endProcess(child.identity, { graceMs: 0 }), "forced");
    assert.equal((await child.exited).signal, "SIGKILL");
  });

  it("ends a stopped process", async () => {
    const child = await startShell(":");
    child.kill("SIGSTOP");
    // A SIGTERM that comes before it has stopped would still end it.
    await waitFor("the process to stop", () => readProcessStat(child.identity.pid)?.state === "T");
    assert.equal(await endProcess(child.identity, { graceMs: 50 }), "forced");
    await child.exited;
  });

  it("never touches another process that got the same number", async () => {
    const child = await startShell(":");
    const earlier = { ...child.identity, startTicks: child.identity.startTicks - 1 };
    assert.equal(await endProcess(earlier, { graceMs: 100 }), "gone_before");
    assert.equal(signalProcess(earlier, "SIGKILL"), false);
    assert.equal(isAlive(child.identity), true);
    child.kill("SIGKILL");
    await child.exited;
  });
});
