/** The CLI as a process of its own, by its launcher: pipes, signals, terminals, shells. */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http2";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { completionScripts, shells } from "#cli/completion/scripts.ts";
import { FakeNode } from "#test/support/fake-node.ts";
import { VmState } from "#gen/api/blixard/v1/vm_pb.ts";
import { fakeVm, runningVm } from "#test/support/fake-vm.ts";
import { waitFor } from "#test/support/wait-for.ts";

const LAUNCHER = resolve(import.meta.dirname, "../../bin/blixard");
const exec = promisify(execFile);

interface Running {
  readonly child: ChildProcess;
  output(): string;
  errors(): string;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

function start(node: FakeNode, command: string, args: readonly string[], input: "ignore" | "pipe" = "ignore"): Running {
  const child = spawn(command, args, { env: { ...process.env, ...node.environment }, stdio: [input, "pipe", "pipe"] });
  let [output, errors] = ["", ""];
  child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const ended = once(child, "close").then(() => child.exitCode ?? child.signalCode ?? "?");
  return { child, output: () => output, errors: () => errors, ended };
}

test("a reader that goes away ends a command quietly", async () => {
  await using node = await FakeNode.start({
    vms: {
      async *readVmLog(_request, { signal }) {
        while (!signal.aborted) yield { data: Buffer.from("line\n".repeat(1000)) };
      },
    },
  });
  const { ended, output, errors } = start(node, "bash", [
    "-c",
    `"${LAUNCHER}" vm logs web -f | head -n 2; echo "\${PIPESTATUS[0]}"`,
  ]);
  assert.equal(await ended, 0);
  assert.equal(output(), "line\nline\n0\n");
  assert.equal(errors(), "");
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  test(`${signal} ends a command that waits, with 130 and without a word`, async () => {
    await using node = await FakeNode.start({
      vms: {
        async *watchVms(_request, context) {
          yield { event: { case: "changed", value: runningVm } };
          await new Promise((ended) => context.signal.addEventListener("abort", ended, { once: true }));
        },
      },
    });
    const { child, ended, output, errors } = start(node, LAUNCHER, ["vm", "watch"]);
    await waitFor("the first line", () => output().includes("web is running"));
    child.kill(signal);
    assert.equal(await ended, 130);
    assert.equal(errors(), "");
  });
}

test("a node that takes calls and never answers does not hold Ctrl-C", async () => {
  await using node = await FakeNode.start({
    vms: {
      listVms: (_request, { signal }) =>
        new Promise((answer) => signal.addEventListener("abort", () => answer({}), { once: true })),
    },
  });
  const { child, ended } = start(node, LAUNCHER, ["vm", "list"]);
  await waitFor("the call", () => node.calls.length > 0);
  child.kill("SIGINT");
  assert.equal(await ended, 130);
});

test("something else at the node's address is an error, not a crash", async () => {
  await using node = await FakeNode.start({});
  const server = createServer((_request, response) => response.end("hello"));
  const socket = join(node.directory, "other.sock");
  server.listen(socket);
  await once(server, "listening");
  const { ended, errors } = start(node, LAUNCHER, ["vm", "list", "--endpoint", `unix:${socket}`]);
  assert.equal(await ended, 3);
  server.close();
  assert.match(errors(), /^error: /);
  assert.doesNotMatch(errors(), /\n\s+at .*:\d+:\d+/);
});

test("on a terminal a table fits it, with colours", async () => {
  const longName = fakeVm({ name: "x".repeat(63), status: { state: VmState.RUNNING } });
  await using node = await FakeNode.start({ vms: { listVms: () => ({ vms: [longName] }) } });
  const { ended, output } = start(node, "script", ["-qec", `stty cols 60; "${LAUNCHER}" vm list`, "/dev/null"]);
  assert.equal(await ended, 0);
  assert.match(output(), /\u001B\[32mrunning/);
  for (const line of output()
    .replaceAll(/\u001B\[\d+m/g, "")
    .split(/\r?\n/))
    assert.ok(line.length <= 60, line);
});

test("the console passes keys on as they are typed, Ctrl-C too, and Ctrl-] gives the terminal back", async () => {
  const typed: number[] = [];
  await using node = await FakeNode.start({
    vms: {
      async *attachVmConsole(requests, { signal }) {
        yield { output: Buffer.from("login: ") };
        for await (const { message } of requests) {
          if (message.case === "input") typed.push(...message.value);
          if (typed.at(-1) === 3) yield { output: Buffer.from("^C seen") };
        }
        await new Promise((ended) => signal.addEventListener("abort", ended, { once: true }));
      },
    },
  });
  const { child, ended, output } = start(
    node,
    "script",
    ["-qec", `"${LAUNCHER}" vm console web; stty -a`, "/dev/null"],
    "pipe",
  );
  await waitFor("the prompt", () => output().includes("login: "));
  child.stdin?.write("a\u0003");
  await waitFor("Ctrl-C in the guest", () => output().includes("^C seen"));
  child.stdin?.write("\u001D");
  await ended;
  assert.deepEqual(typed, [0x61, 3]);
  assert.match(output(), /Detached\./);
  assert.match(output(), /(?<!-)icanon/, "the terminal is as it was");
});

test("bash completes nouns, verbs, options, values and names of VMs", async () => {
  await using node = await FakeNode.start({ vms: { listVms: () => ({ vms: [{ name: "web" }, { name: "worker" }] }) } });
  // Runs the registered function as bash does, and prints what it offers.
  const harness = `
    blixard() { "${LAUNCHER}" "$@"; }
    eval "$(blixard completion bash)"
    try() {
      COMP_LINE="$1"; COMP_POINT=\${#COMP_LINE}
      # As readline splits it: "=" is a word of its own.
      read -r -a COMP_WORDS <<<"\${1//=/ = }"
      [[ "$1" == *[[:space:]=] ]] && COMP_WORDS+=("")
      COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
      _blixard
      echo "\${COMPREPLY[*]}"
    }
    try "blixard v"
    try "blixard vm re"
    try "blixard vm create --mem"
    try "blixard vm get w"
    try "blixard vm create x --restart on"
    try "blixard vm create x --restart=al"
    try "blixard vm nonsense "
    try "blixard config check ${node.directory}/r"
  `;
  const { stdout } = await exec("bash", ["-c", harness], { env: { ...process.env, ...node.environment } });
  const run = join(node.directory, "run");
  assert.deepEqual(stdout.trimEnd().split("\n"), [
    "vm",
    "restart resume",
    "--memory",
    "web worker",
    "on-failure",
    "always",
    "",
    run,
  ]);
});

test("every completion script parses in its shell, where the machine has it", async (t) => {
  for (const shell of shells) {
    const isThere = await exec("sh", ["-c", `command -v ${shell}`]).then(
      () => true,
      () => false,
    );
    if (!isThere) {
      assert.notEqual(shell, "bash");
      t.diagnostic(`${shell} is not on this machine`);
      continue;
    }
    await exec(shell, ["-n", "-c", completionScripts[shell]]);
  }
});

test("the CLI works from any directory and through a link", async () => {
  await using node = await FakeNode.start({ vms: { listVms: () => ({ vms: [runningVm] }) } });
  const link = join(node.directory, "blx");
  await exec("ln", ["-s", LAUNCHER, link]);
  const { stdout } = await exec(link, ["vm", "list", "-o", "json"], {
    cwd: "/",
    env: { ...process.env, ...node.environment },
  });
  assert.equal(JSON.parse(stdout).vms[0].name, "web");
});
