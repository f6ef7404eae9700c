import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runCommand, runCommandOrThrow } from "./run.ts";

const shell = (script: string): { command: string; args: string[]; timeoutMs: number } => ({
  command: "/bin/sh",
  args: ["-c", script],
  timeoutMs: 30_000,
});

describe("runCommand", () => {
  it("gives output, errors and the exit code", async () => {
    const result = await runCommand({ ...shell("cat; echo oops >&2; exit 3"), input: "in" });
    const { code, stdout, stderr, timedOut } = result;
    assert.deepEqual(
      { code, stdout, stderr, timedOut },
      {
        code: 3,
        stdout: "in",
        stderr: "oops\n",
        timedOut: false,
      },
    );
  });

  it("kills a command that takes too long, and says so", async () => {
    const result = await runCommand({ ...shell("exec sleep 600"), timeoutMs: 50 });
    assert.equal(result.timedOut, true);
    assert.equal(result.signal, "SIGKILL");
  });

  it("kills a command that never stops writing", async () => {
    await assert.rejects(runCommand({ ...shell("exec yes"), maximumOutputBytes: 1000 }), {
      code: "INTERNAL",
      message: /wrote more than 1000 bytes/,
    });
  });

  it("ends with its caller's signal", async () => {
    const controller = new AbortController();
    const running = runCommand({ ...shell("exec sleep 600"), signal: controller.signal });
    controller.abort(new Error("no longer wanted"));
    await assert.rejects(running, { message: "no longer wanted" });
  });

  it("survives a command that does not read its input", async () => {
    const result = await runCommand({ ...shell("exit 0"), input: "x".repeat(500_000) });
    assert.equal(result.code, 0);
  });
});

describe("runCommandOrThrow", () => {
  it("throws what the command complained about", async () => {
    await assert.rejects(runCommandOrThrow(shell("echo no such thing >&2; exit 1")), {
      code: "INTERNAL",
      message: "/bin/sh failed (exit code 1): no such thing",
    });
  });
});
