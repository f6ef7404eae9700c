/** A real guest on a real node, through the real CLI. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { importDemoImage } from "#test/support/demo-image.ts";
import { pidsMentioning, TestNode } from "#test/support/test-node.ts";
import { scrapePage } from "#test/support/scrape-page.ts";
import { waitFor } from "#test/support/wait-for.ts";

interface VmJson {
  readonly id: string;
  readonly name: string;
  readonly status: {
    readonly state: string;
    readonly reason?: string;
    readonly readiness?: string;
    readonly restarts?: number;
    readonly lastExit?: { readonly cause: string };
    readonly publishedPorts?: readonly { readonly hostPort: number }[];
  };
  readonly origin: { readonly traceId: string };
}
interface SpanJson {
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly service: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
}

let node: TestNode;
before(async () => {
  node = await TestNode.start();
  await importDemoImage(node);
});
after(async () => {
  await node?.[Symbol.asyncDispose]();
});

const getVm = async (name: string): Promise<VmJson> => (await node.json<{ vm: VmJson }>(["vm", "get", name])).vm;
const createVm = async (name: string, ...args: string[]): Promise<VmJson> =>
  (await node.json<{ vm: VmJson }>(["vm", "create", name, "--image", "demo", "--wait", ...args], 120_000)).vm;

test("a created VM boots a real guest, and its creation is one trace from the command into the guest", async () => {
  const vm = await createVm("traced", "--publish", "0:80");
  assert.equal(vm.status.state, "VM_STATE_RUNNING");
  assert.equal(vm.status.readiness, "READINESS_SOURCE_GUEST");

  const trace = await waitFor("the CLI's own spans", async () => {
    const answer = await node.json<{ traceId: string; spans: SpanJson[] }>(["vm", "trace", "traced"]);
    return answer.spans.some((span) => span.service === "blixard-cli" && span.parentSpanId === undefined) && answer;
  });
  assert.equal(trace.traceId, vm.origin.traceId);
  const names = trace.spans.map((span) => span.name);
  for (const expected of [
    "blixard.v1.VmService/CreateVm",
    "vm.admit",
    "vm.place",
    "vm.start",
    "vm.image",
    "guardian.spawn",
    "qemu.spawn",
    "guest.boot",
    "guest.kernel",
    "guest.ready",
  ]) {
    assert.ok(names.includes(expected), `${expected} is missing among ${names.join(", ")}`);
  }
  for (const { name, service } of trace.spans)
    assert.equal(service === "blixard-guest", name.startsWith("guest."), `${name} is of ${service}`);
  const ids = new Set(trace.spans.map((span) => span.spanId));
  const orphans = trace.spans.filter((span) => span.parentSpanId !== undefined && !ids.has(span.parentSpanId));
  assert.deepEqual(
    orphans.map((span) => span.name),
    [],
    "every span's parent is in the trace",
  );
  assert.equal(trace.spans.filter((span) => span.parentSpanId === undefined).length, 1, "the trace has one root");
  const port = vm.status.publishedPorts?.[0]?.hostPort;
  assert.ok(port !== undefined && port > 0);
  const page = await waitFor("the guest's web server", () =>
    fetch(`http://127.0.0.1:${port}/`).then(
      (answer) => answer.text(),
      () => undefined,
    ),
  );
  assert.match(page, /up/i);
});

test("the guest runs on when the daemon is killed, and is the same guest when it returns", async () => {
  await createVm("survivor");
  const before_ = await guestUptimeSeconds("survivor");
  await node.endDaemon("SIGKILL");
  await node.startDaemon();
  const vm = await waitFor("the guest to be adopted", async () => {
    const current = await getVm("survivor");
    return current.status.state === "VM_STATE_RUNNING" && current;
  });
  assert.equal(vm.status.restarts ?? 0, 0);
  assert.ok((await guestUptimeSeconds("survivor")) > before_);
});

test("stop asks the guest, start brings it back, pause and resume hold it, restart counts", async () => {
  await createVm("lifecycle");
  const act = async (verb: string): Promise<VmJson> =>
    (await node.json<{ vm: VmJson }>(["vm", verb, "lifecycle", "--wait"], 120_000)).vm;
  assert.equal((await act("pause")).status.state, "VM_STATE_PAUSED");
  assert.equal((await act("resume")).status.state, "VM_STATE_RUNNING");
  const stopped = await act("stop");
  assert.equal(stopped.status.state, "VM_STATE_STOPPED");
  assert.equal(stopped.status.lastExit?.cause, "shutdown");
  assert.equal((await act("start")).status.state, "VM_STATE_RUNNING");
  assert.equal((await act("restart")).status.state, "VM_STATE_RUNNING");
});

test("a VM that does not fit stays pending and says why", async () => {
  await node.json(["vm", "create", "giant", "--image", "demo", "--memory", "900GiB"]);
  const vm = await waitFor("the scheduler's refusal", async () => {
    const current = await getVm("giant");
    return current.status.reason === "insufficient_memory" && current;
  });
  assert.equal(vm.status.state, "VM_STATE_PENDING");
  const text = (await node.cli(["vm", "get", "giant"])).stdout;
  assert.match(text, /memory/);
});

test("an image in use cannot be deleted, and the refusal says by whom", async () => {
  const result = await node.cli(["image", "delete", "demo"]);
  assert.equal(result.exitCode, 1);
  assert.match(result.stderr, /IMAGE_IN_USE/);
});

test("the serial log shows the guest's console", async () => {
  const result = await node.cli(["vm", "logs", "traced"]);
  assert.equal(result.exitCode, 0);
  assert.ok(result.stdout.length > 0);
});

test("a deleted VM leaves no process, no directory and no series behind", async () => {
  await createVm("brief");
  const { id } = await getVm("brief");
  const deleted = await node.cli(["vm", "delete", "brief", "--wait"], { timeoutMs: 60_000 });
  assert.equal(deleted.exitCode, 0, deleted.stderr);
  assert.deepEqual(await pidsMentioning(id), []);
  assert.equal((await node.cli(["vm", "get", "brief"])).exitCode, 1);
  const { metrics } = await node.endpoints();
  await waitFor("its series to be gone", async () => !(await scrapePage(metrics)).includes(id));
});

async function guestUptimeSeconds(name: string): Promise<number> {
  const { id } = await getVm(name);
  const { metrics } = await node.endpoints();
  return waitFor("the guest's uptime on the metrics page", async () => {
    const page = await scrapePage(metrics);
    const line = page.split("\n").find((one) => one.startsWith("blixard_vm_uptime_seconds{") && one.includes(id));
    const value = Number(line?.split(" ").at(-1));
    return Number.isFinite(value) && value > 0 && value;
  });
}
