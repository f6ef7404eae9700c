/** `npm run demo`, both ways: it shows what it promises and leaves nothing behind. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { pidsMentioning } from "#test/support/test-node.ts";

const DEMO = join(import.meta.dirname, "../../scripts/demo.ts");

interface DemoRun {
  readonly exitCode: number | null;
  readonly output: string;
}

/** Runs the demo; when `interruptAt` is printed it gets what Ctrl-C sends. */
async function runDemo(args: readonly string[], interruptAt?: string): Promise<DemoRun> {
  const demo = spawn(process.execPath, [DEMO, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let interrupted = false;
  const collect = (chunk: Buffer): void => {
    output += chunk.toString();
    if (interruptAt === undefined || interrupted || !output.includes(interruptAt)) return;
    interrupted = true;
    demo.kill("SIGINT");
  };
  demo.stdout.on("data", collect);
  demo.stderr.on("data", collect);
  await once(demo, "close");
  return { exitCode: demo.exitCode, output };
}

async function leavesNothing(output: string): Promise<void> {
  const directory = dirname(/--data-dir (\S+)/.exec(output)?.[1] ?? "");
  assert.match(directory, /blixard-demo-/);
  assert.equal(existsSync(directory), false, "its directory is gone");
  const socket = /unix:(\S+)/.exec(output)?.[1] ?? "";
  assert.deepEqual(await pidsMentioning(directory, dirname(socket)), [], "nothing of it runs");
}

test("the demo shows the VM, its trace, live metrics and the addresses, then ends by itself", async () => {
  const { exitCode, output } = await runDemo(["--once"]);
  assert.equal(exitCode, 0, output);
  assert.match(output, /^hello +running/m);
  for (const span of ["blixard vm create", "vm.admit", "vm.place", "qemu.spawn", "guest.kernel", "guest.ready"]) {
    assert.ok(output.includes(span), span);
  }
  assert.equal(output.match(/^blixard_\w+(\{.*\})? \S+$/gm)?.length, 12, output);
  assert.match(output, /^ {2}API +http:/m);
  await leavesNothing(output);
});

test("Ctrl-C ends all of the demo", async () => {
  const { exitCode, output } = await runDemo([], "Ctrl-C ends all of it.");
  assert.equal(exitCode, 0, output);
  await leavesNothing(output);
});
