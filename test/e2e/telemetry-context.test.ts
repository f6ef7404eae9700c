/** At a sampling ratio of 0: what is exported all the same, what travels along, and who is told of it. */
import assert from "node:assert/strict";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startOtlpReceiver, type OtlpReceiver, type ReceivedSpan } from "#test/support/otlp-receiver.ts";
import { scrapePage } from "#test/support/scrape-page.ts";
import { TestNode, type CliResult } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";

interface Span {
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly error?: boolean;
}

interface Trace {
  readonly traceId: string;
  readonly spans: readonly Span[];
}

let receiver: OtlpReceiver;
let node: TestNode;

before(async () => {
  receiver = await startOtlpReceiver();
  node = await TestNode.start({
    toml: `
[node]
id = "node-1"
bind = "127.0.0.1:0"
[runtime]
driver = "simulated"
[observability.metrics.http_server]
bind = "127.0.0.1:0"
[observability.metrics]
otlp_enabled = false
[observability.tracing]
sampling_ratio = 0.0
otlp_endpoint = "${receiver.grpcEndpoint}"
batch = { schedule_delay = "100ms" }
[observability.logging]
format = "json"
batch = { schedule_delay = "100ms" }
[observability.context]
baggage_allowed = ["user", "team.*"]
baggage_attributes = ["user"]
`,
  });
  await node.importDisk("demo");
  for (const name of ["web", "other"]) await run("vm", "create", name, "--image", "demo", "--wait");
});

after(async () => {
  await node?.[Symbol.asyncDispose]();
  await receiver?.[Symbol.asyncDispose]();
});

async function run(...args: readonly string[]): Promise<CliResult> {
  const result = await node.cli(args);
  assert.equal(result.exitCode, 0, `${args.join(" ")}\n${result.stderr}`);
  return result;
}

const traceOf = (vm: string): Promise<Trace> => node.json<Trace>(["vm", "trace", vm, "--operation", "latest"]);

function exportedOf({ traceId }: Trace): readonly ReceivedSpan[] {
  return receiver.spans.filter((span) => span.traceId === traceId);
}

/** All that the node records of the trace arrives, each span once. */
async function assertExportedWhole({ traceId }: Trace, vm: string): Promise<void> {
  const idsOf = (spans: readonly { readonly spanId: string }[]): string =>
    spans
      .map((span) => span.spanId)
      .toSorted()
      .join(" ");
  await waitFor("the whole trace at the collector", async () => {
    const recorded = await traceOf(vm);
    assert.equal(recorded.traceId, traceId);
    return idsOf(exportedOf(recorded)) === idsOf(recorded.spans);
  });
}

/** From the command to the machine. */
async function settledTrace(vm: string): Promise<Trace> {
  return await waitFor(`the whole trace of ${vm}`, async () => {
    const trace = await traceOf(vm);
    const names = trace.spans.map((span) => span.name);
    const isWhole = names.some((name) => name.startsWith("blixard vm")) && names.includes("vm.start");
    return isWhole && trace;
  });
}

test("a VM's states on its way up are told in the trace of its creation, and the node's start in its own", async () => {
  const { traceId } = await settledTrace("web");
  const told = await waitFor("the events of the start", () => {
    const states = receiver.logs.filter((log) => log.attributes["blixard.vm.name"] === "web");
    const running = states.find((log) => log.attributes["blixard.vm.state"] === "running");
    const ready = receiver.logs.find((log) => log.eventName === "blixard.node.ready");
    return running !== undefined && ready !== undefined && { states, ready };
  });
  const events = told.states.filter((log) => log.eventName === "blixard.vm.state_changed");
  assert.deepEqual(
    events.map((log) => [log.attributes["blixard.vm.state"], log.traceId]),
    [
      ["preparing", traceId],
      ["starting", traceId],
      ["running", traceId],
    ],
  );
  assert.notEqual(told.ready.traceId, "");
});

test("a trace is complete on the node although none of it is exported", async () => {
  const trace = await settledTrace("web");
  const ids = new Set(trace.spans.map((span) => span.spanId));
  const roots = trace.spans.filter((span) => span.parentSpanId === undefined || !ids.has(span.parentSpanId));
  assert.deepEqual(
    roots.map((span) => span.name),
    ["blixard vm create"],
  );
  for (const name of ["blixard.v1.VmService/CreateVm", "vm.admit", "vm.place", "guest.boot"])
    assert.ok(ids.size > 5 && trace.spans.some((span) => span.name === name), name);
  assert.deepEqual(exportedOf(trace), []);
});

test("a ruled VM's operations are exported whole, another's are not, and neither is once the rule has ended", async () => {
  await run("telemetry", "trace", "--vm", "web", "--for", "10m");
  const { rules } = await node.json<{ rules: { ruleId: string; vmName: string; traceId: string }[] }>([
    "telemetry",
    "trace",
    "--list",
  ]);
  assert.equal(rules[0]?.vmName, "web");
  assert.match(rules[0].traceId, /^[0-9a-f]{32}$/);
  for (const name of ["web", "other"]) await run("vm", "restart", name, "--wait");
  const ruled = await settledTrace("web");
  await assertExportedWhole(ruled, "web");
  assert.ok(exportedOf(ruled).some((span) => span.name === "blixard vm restart"));

  // It survives a restart of the daemon, as the guests do.
  await node.endDaemon();
  await node.startDaemon();
  await run("vm", "restart", "web", "--wait");
  await assertExportedWhole(await settledTrace("web"), "web");

  await run("telemetry", "trace", "--stop", rules[0].ruleId);
  assert.match((await run("telemetry", "trace", "--list")).stdout, /There are no rules/);
  await run("vm", "restart", "web", "--wait");
  await run("vm", "restart", "other", "--wait");
  const [after, other] = [await settledTrace("web"), await settledTrace("other")];
  // What is sent later than these would have been has arrived.
  await exportSomething();
  assert.deepEqual([exportedOf(after), exportedOf(other)], [[], []]);
  const again = await node.cli(["telemetry", "trace", "--stop", rules[0].ruleId]);
  assert.equal(again.exitCode, 1);
  assert.match(again.stderr, /TRACE_RULE_NOT_FOUND/);
});

/** A sampled caller's trace is exported at any ratio. */
async function exportSomething(): Promise<void> {
  const traceId = Buffer.from(String(Math.random()).padEnd(16, "7").slice(-16)).toString("hex");
  const environment = { TRACEPARENT: `00-${traceId}-b7ad6b7169203331-01` };
  assert.equal((await node.cli(["vm", "list"], { environment })).exitCode, 0);
  await receiver.waitFor(({ spans }) => spans.some((span) => span.traceId === traceId), 20_000);
}

test("a rule ends by itself", async () => {
  const created = await node.json<{ rule: { ruleId: string } }>(["telemetry", "trace", "--vm", "other", "--for", "1s"]);
  const list = (): Promise<{ rules?: readonly { ruleId: string }[] }> => node.json(["telemetry", "trace", "--list"]);
  await waitFor("the rule's end", async () => ((await list()).rules ?? []).length === 0, 30_000);
  assert.match(created.rule.ruleId, /^[0-9a-f-]{36}$/);
  await run("vm", "restart", "other", "--wait");
  const trace = await settledTrace("other");
  await exportSomething();
  assert.deepEqual(exportedOf(trace), []);
});

test("an error's trace is exported whole, with what came before the error", async () => {
  const images = join(node.dataDirectory, "images");
  const filesBefore = new Set(await readdir(images, { recursive: true }));
  const disk = join(node.directory, "broken.raw");
  await writeFile(disk, Buffer.alloc(1024 * 1024, "broken"));
  await run("image", "import", "broken", "--disk", disk);
  for (const file of await readdir(images, { recursive: true })) {
    if (!filesBefore.has(file)) await rm(join(images, file), { recursive: true, force: true });
  }
  await run("vm", "create", "fails", "--image", "broken");
  const trace = await waitFor("the failure in the trace", async () => {
    const found = await node.json<Trace>(["vm", "trace", "fails"]);
    return found.spans.some((span) => span.error === true && span.name === "vm.start") && found;
  });
  for (const name of ["vm.admit", "vm.place"])
    assert.ok(
      trace.spans.some((span) => span.name === name),
      name,
    );
  await assertExportedWhole(trace, "fails");
  await run("vm", "delete", "fails", "--force");
});

test("allowed baggage goes with the trace to every span and log record, the rest stays outside", async () => {
  const environment = {
    BAGGAGE: "user=alice,secret=x,team.name=core",
    TRACEPARENT: `00-${"ab".repeat(16)}-b7ad6b7169203331-01`,
  };
  const result = await node.cli(["vm", "restart", "web", "--wait"], { environment });
  assert.equal(result.exitCode, 0, result.stderr);
  await receiver.waitFor(
    ({ spans }) => spans.some((span) => span.traceId === "ab".repeat(16) && span.name === "guest.boot"),
    20_000,
  );
  const spans = receiver.spans.filter(
    (span) => span.traceId === "ab".repeat(16) && !span.name.startsWith("blixard vm"),
  );
  for (const name of ["blixard.v1.VmService/RestartVm", "vm.admit", "vm.start", "guest.boot"]) {
    const span = spans.find((one) => one.name === name);
    assert.equal(span?.attributes["baggage.user"], "alice", name);
    assert.deepEqual(
      Object.keys(span?.attributes ?? {}).filter((key) => key.startsWith("baggage.")),
      ["baggage.user"],
    );
  }
  await receiver.waitFor(
    ({ logs }) => logs.some((log) => log.eventName === "blixard.audit" && log.attributes["baggage.user"] === "alice"),
    20_000,
  );
  const { metrics } = await node.endpoints();
  const page = await scrapePage(metrics);
  const dropped = page.split("\n").find((line) => /^blixard_telemetry_baggage_dropped_total.*"not_allowed"/.test(line));
  assert.match(dropped ?? "", /\} [1-9]/);
  assert.ok(!/alice|baggage_user/.test(page), "baggage never becomes a label");
});

test("no log record has lost an attribute because the registry does not know it", async () => {
  const { metrics } = await node.endpoints();
  const page = await scrapePage(metrics);
  assert.match(page, /^blixard_telemetry_log_attributes_dropped_total 0$/m);
});

test("changes are on record whatever the level, and the level can be changed while the node runs", async () => {
  await run("telemetry", "log-level", "error");
  await run("vm", "restart", "web", "--wait");
  const change = await waitFor("the audit record", () =>
    receiver.logs.findLast((log) => log.attributes["blixard.audit.action"] === "blixard.v1.VmService/RestartVm"),
  );
  assert.equal(change.attributes["blixard.audit.subject"], "web");
  assert.equal(change.attributes["blixard.grpc.listener"], "unix");
  assert.match(change.traceId, /^[0-9a-f]{32}$/);
  assert.equal((await run("telemetry", "log-level")).stdout, "error\n");
  const quiet = node.output.length;
  await run("vm", "restart", "other", "--wait");
  const lines = node.output
    .slice(quiet)
    .split("\n")
    .filter((line) => line.startsWith("{"));
  assert.ok(
    lines.every((line) => line.includes("blixard.audit") || line.includes('"level":"error"')),
    lines.join("\n"),
  );
  const reset = await run("telemetry", "log-level", "info");
  assert.match(reset.stdout, /was error/);
  const levels = receiver.logs.filter(
    (log) => log.attributes["blixard.audit.action"] === "blixard.v1.TelemetryService/SetLogLevel",
  );
  assert.deepEqual(levels.map((log) => log.attributes["blixard.audit.detail"]).slice(0, 1), ["error"]);
});
