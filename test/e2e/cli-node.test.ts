/** The CLI against a real node with simulated machines: what a user does on a first day. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { runCli, TestNode } from "#test/support/test-node.ts";

const TOML = `
[node]
id = "node-1"
bind = "127.0.0.1:0"
[runtime]
driver = "simulated"
[observability.metrics.http_server]
bind = "127.0.0.1:0"
[observability.tracing]
sampling_ratio = 0.0
`;

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly service: string;
}

let node: TestNode;

before(async () => {
  node = await TestNode.start({ toml: TOML });
  await node.importDisk("demo");
});

after(async () => {
  await node[Symbol.asyncDispose]();
});

test("vm create --wait is one trace, from the CLI's root through the node, at sampling ratio 0", async () => {
  const created = await node.cli(["vm", "create", "traced", "--image", "demo", "--publish", "0:80", "--wait"]);
  assert.equal(created.exitCode, 0, created.stderr);
  assert.match(created.stdout, /^traced is running on node-1/);
  const { spans } = await node.json<{ readonly spans: readonly Span[] }>(["vm", "trace", "traced"]);
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1);
  const roots = spans.filter(({ parentSpanId }) => parentSpanId === undefined);
  assert.deepEqual(
    roots.map(({ name, service }) => [name, service]),
    [["blixard vm create", "blixard-cli"]],
  );
  const ids = new Set(spans.map(({ spanId }) => spanId));
  assert.deepEqual(
    spans.filter(({ parentSpanId }) => parentSpanId !== undefined && !ids.has(parentSpanId)),
    [],
    "no span has lost its parent",
  );
  assert.deepEqual([...new Set(spans.map(({ service }) => service))].toSorted(), [
    "blixard",
    "blixard-cli",
    "blixard-guest",
  ]);
  for (const name of ["blixard.v1.VmService/CreateVm", "vm.start"])
    assert.ok(
      spans.some((span) => span.name === name),
      name,
    );
});

test("a VM goes through its life: stop, start, restart, pause, resume, delete", async () => {
  const steps = [
    [["create", "life", "--image", "demo", "--stopped"], /^life is stopped/],
    [["start", "life"], /^life is running/],
    [["pause", "life"], /^life is paused/],
    [["resume", "life"], /^life is running/],
    [["restart", "life"], /^life is running/],
    [["stop", "life"], /^life is stopped/],
    [["delete", "life"], /^life is deleted$/m],
  ] as const;
  for (const [words, expected] of steps) {
    const result = await node.cli(["vm", ...words, "--wait", "--timeout", "30s"]);
    assert.equal(result.exitCode, 0, result.stderr);
    assert.match(result.stdout, expected);
  }
  const gone = await node.cli(["vm", "get", "life"]);
  assert.equal(gone.exitCode, 1);
  assert.match(gone.stderr, /VM_NOT_FOUND/);
});

test("a VM that fits nowhere is pending, says why, and --wait ends with 4", async () => {
  const waited = await node.cli([
    "vm",
    "create",
    "huge",
    "--image",
    "demo",
    "--memory",
    "4TiB",
    "--wait",
    "--timeout",
    "500ms",
  ]);
  assert.equal(waited.exitCode, 4, waited.stderr);
  assert.match(waited.stderr, /huge is not running after 500ms: it is pending \(.*memory/);
  const { stdout } = await node.cli(["vm", "get", "huge"]);
  assert.match(stdout, /No node takes it:\n.*\nnode-1 +insufficient_memory/);
  assert.equal((await node.cli(["vm", "delete", "huge", "--wait"])).exitCode, 0);
});

test("the TCP listener answers with the token and refuses without", async () => {
  const { api, tokenFile = "" } = await node.endpoints();
  const endpoint = `http://${api.tcp.replace(/^http:\/\//, "")}`;
  const without = await runCli(["vm", "list", "--endpoint", endpoint]);
  assert.equal(without.exitCode, 1);
  assert.match(without.stderr, /UNAUTHENTICATED/);
  const withToken = await runCli(["vm", "list", "--endpoint", endpoint, "--token-file", tokenFile]);
  assert.equal(withToken.exitCode, 0, withToken.stderr);
});

test("--wait outlives kill -9 of the daemon", async () => {
  const waiting = node.cli([
    "vm",
    "create",
    "patient",
    "--image",
    "demo",
    "--memory",
    "4TiB",
    "--wait",
    "--timeout",
    "60s",
  ]);
  const isThere = async (): Promise<boolean> => (await node.cli(["vm", "get", "patient"])).exitCode === 0;
  while (!(await isThere()));
  await node.endDaemon("SIGKILL");
  await node.startDaemon();
  assert.equal((await node.cli(["vm", "delete", "patient", "--wait"])).exitCode, 0);
  const { exitCode, stderr } = await waiting;
  assert.equal(exitCode, 1);
  assert.match(stderr, /VM_STATE_CONFLICT|VM_NOT_FOUND/);
});

test("a node that has stopped is said to be gone, with what to do", async () => {
  await node.endDaemon("SIGTERM");
  const { exitCode, stderr } = await node.cli(["vm", "list"]);
  assert.equal(exitCode, 3);
  assert.match(stderr, /no node is running with the data directory .*\(NODE_UNREACHABLE\)\n {2}next: Start one with/);
  await node.startDaemon();
});
