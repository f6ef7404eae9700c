import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, before, describe, it } from "node:test";
import { waitFor } from "#test/support/wait-for.ts";
import { isAlive, readIdentity } from "./identity.ts";
import { type ChildHandle, spawnProcess } from "./spawn.ts";

async function firstLine(child: ChildHandle): Promise<string> {
  const [chunk] = (await once(child.stdout ?? new PassThrough(), "data")) as [Buffer];
  return chunk.toString().trim();
}

describe("spawnProcess", () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "blixard-spawn-"));
  });
  after(() => rm(dir, { recursive: true }));

  const shell = (script: string): { command: string; args: string[] } => ({
    command: "/bin/sh",
    args: ["-c", script],
  });

  it("reports exit codes and signals", async () => {
    const failed = await spawnProcess(shell("exit 7"));
    assert.deepEqual(await failed.exited, { code: 7, signal: undefined });
    const killed = await spawnProcess(shell("kill -TERM $$; sleep 600"));
    assert.deepEqual(await killed.exited, { code: undefined, signal: "SIGTERM" });
  });

  it("keeps the last 4 KiB of stderr and no more", async () => {
    const child = await spawnProcess(shell("yes 0123456789abcde | head -c 200000 >&2; echo last words >&2"));
    await child.exited;
    assert.equal(child.stderrTail().length, 4096);
    assert.match(child.stderrTail(), /last words\n$/);
  });

  it("does not wait for a grandchild that keeps the pipes open", async () => {
    const child = await spawnProcess({ ...shell("sleep 600 & echo $!"), stdout: "pipe" });
    const pid = Number(await firstLine(child));
    assert.equal((await child.exited).code, 0);
    process.kill(pid, "SIGKILL");
  });

  it("hands over descriptors that can be read and written", async () => {
    const child = await spawnProcess({ ...shell("read line <&4; echo got $line >&4"), extra: ["ignore", "pipe"] });
    assert.equal(child.extra[0], undefined);
    const channel = child.extra[1] ?? new PassThrough();
    channel.write("hello\n");
    const [reply] = (await once(channel, "data")) as [Buffer];
    assert.equal(reply.toString(), "got hello\n");
    await child.exited;
  });

  it("passes nothing of our environment but what it is told", async () => {
    const child = await spawnProcess({
      command: "/usr/bin/env",
      args: [],
      environment: { ANSWER: "42", NOTHING: undefined },
      stdout: "pipe",
    });
    assert.equal(await firstLine(child), "ANSWER=42");
    await child.exited;
  });

  it("narrows the umask for the child only", async () => {
    const before = process.umask();
    const child = await spawnProcess({ ...shell("echo > made"), cwd: dir, umask: 0o077 });
    await child.exited;
    assert.equal((await stat(join(dir, "made"))).mode & 0o777, 0o600);
    assert.equal(process.umask(), before);
  });

  it("lowers the priority before the program starts", async () => {
    const child = await spawnProcess({ ...shell("echo up; exec sleep 600"), stdout: "pipe", niceness: 7 });
    await firstLine(child);
    // `nice` adds to the priority that this process has itself.
    assert.equal(getPriority(child.pid), Math.min(getPriority() + 7, 19));
    child.kill("SIGKILL");
    await child.exited;
  });

  it("keeps the program's own pid behind all wrappers", async () => {
    const child = await spawnProcess({
      ...shell("echo $$"),
      stdout: "pipe",
      niceness: 1,
      parentDeathSignal: "KILL",
    });
    assert.equal(await firstLine(child), String(child.pid));
    await child.exited;
  });

  it("says that a program is missing, behind a wrapper too", async () => {
    for (const options of [{}, { parentDeathSignal: "KILL" as const }]) {
      await assert.rejects(spawnProcess({ command: join(dir, "none"), args: [], ...options }), {
        code: "TOOL_MISSING",
      });
    }
  });

  it("lets the kernel kill the child when its parent is killed", async () => {
    const script = `
      import { spawnProcess } from ${JSON.stringify(import.meta.resolve("./spawn.ts"))};
      const child = await spawnProcess({ command: "/bin/sleep", args: ["600"], parentDeathSignal: "KILL" });
      console.log(child.pid);`;
    const parent = await spawnProcess({
      command: process.execPath,
      args: ["--input-type=module", "-e", script],
      stdout: "pipe",
    });
    const child = readIdentity(Number(await firstLine(parent)));
    assert.ok(child);
    // The wrapper sets the signal and then becomes the program.
    await waitFor("the program to take the place of its wrapper", () => isNamed(child.pid, "sleep"));
    parent.kill("SIGKILL");
    await parent.exited;
    await waitFor("the end of the child", () => !isAlive(child));
  });
});

async function isNamed(pid: number, name: string): Promise<boolean> {
  return (await readFile(`/proc/${pid}/comm`, "utf8")).trim() === name;
}
