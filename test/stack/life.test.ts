/**
 * The life of real guests, asked for where it is told: traces in Jaeger, exemplars in Prometheus, logs in Loki, all
 * by way of the shipped Collector's configuration.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { missingBackends } from "#test/stack/support/backends.ts";
import type { VmView } from "#test/stack/support/cluster.ts";
import { assertSameTrace, assertWhole, linksOf } from "#test/stack/support/compare-traces.ts";
import type { LokiLine } from "#test/stack/support/loki-api.ts";
import { Scenario } from "#test/stack/support/scenario.ts";
import { Stack } from "#test/stack/support/stack.ts";
import type { ReceivedSpan } from "#test/support/otlp-collect.ts";
import { waitFor } from "#test/support/wait-for.ts";

const TIMEOUT_MS = 120_000;

const skip = missingBackends(["collector", "jaeger", "loki", "prometheus"]);
let stack: Stack;
let scenario: Scenario;
let creationTraceId: string;

before(async () => {
  if (skip !== false) return;
  stack = await Stack.start();
  scenario = new Scenario(stack.cluster);
});

after(() => stack?.[Symbol.asyncDispose]());

async function sameInJaeger(vm: string, operation: string): Promise<readonly ReceivedSpan[]> {
  return assertSameTrace(await stack.cluster.trace(vm, operation), stack.jaeger);
}

test("`vm create`, as it was typed, is in Jaeger: from the command to the guest that is ready", { skip }, async () => {
  const web = await scenario.create();
  const spans = await sameInJaeger("web", "create");
  creationTraceId = spans[0]?.traceId ?? "";
  const services = (name: string): Set<unknown> =>
    new Set(spans.filter((span) => span.name === name).map(({ resource }) => resource["service.name"]));
  for (const [name, ...expected] of [
    ["blixard vm create", "blixard-cli"],
    ["blixard.v1.VmService/CreateVm", "blixard-cli", "blixard"], // from both of its ends
    ["vm.admit", "blixard"],
    ["txn vms", "blixard"],
    ["vm.place", "blixard"],
    ["vm.start", "blixard"],
    ["image.materialize", "blixard"],
    ["guardian.spawn", "blixard"],
    ["qemu.spawn", "blixard"],
    ["guest.boot", "blixard-guest"],
    ["guest.kernel", "blixard-guest"],
    ["guest.init", "blixard-guest"],
    ["guest.ready", "blixard-guest"],
  ] as const) {
    assert.deepEqual(services(name), new Set(expected), name);
  }
  const guest = spans.find(({ name }) => name === "guest.boot");
  assert.equal(guest?.resource["host.id"], web.id, "a guest is a host of its own");
  assert.deepEqual(failuresOf(spans), []);
});

test("what is done to a VM is in Jaeger too, each a trace of its own", { skip }, async () => {
  const traceIds = new Set([creationTraceId]);
  for (const verb of ["stop", "start", "restart"] as const) {
    await scenario.operate(verb);
    const spans = await sameInJaeger("web", "latest");
    const root = spans.find(({ parentSpanId }) => parentSpanId === "");
    assert.equal(root?.name, `blixard vm ${verb}`);
    traceIds.add(root.traceId);
  }
  assert.equal(traceIds.size, 4);
});

test("a creation that fails is in Jaeger with what failed, and why", { skip }, async () => {
  const { exitCode } = await scenario.fail();
  assert.notEqual(exitCode, 0);
  const spans = await sameInJaeger("late", "create");
  const failures = new Map(failuresOf(spans));
  assert.deepEqual(new Set(failures.keys()), new Set(["blixard vm create", "vm.start"]));
  assert.match(failures.get("vm.start") ?? "", /boot_timeout/);
});

/** Name and message of the spans whose status is an error. */
function failuresOf(spans: readonly ReceivedSpan[]): readonly (readonly [string, string])[] {
  return spans.flatMap(({ name, message: { status } }) =>
    status?.code === 2 ? [[name, status.message] as const] : [],
  );
}

test("Jaeger's search offers every service that has a part in it", { skip }, async () => {
  const services = new Set(await stack.jaeger.services());
  for (const service of ["blixard", "blixard-cli", "blixard-guest"]) assert.ok(services.has(service), service);
});

test("every exemplar in Prometheus leads to a trace that Jaeger has", { skip }, async () => {
  const traceIds = await waitFor(
    "an exemplar of the creation",
    async () => {
      const found = await stack.prometheus.exemplars('{__name__=~"blixard_.+"}');
      const ids = new Set(found.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels["trace_id"] ?? "")));
      return ids.has(creationTraceId) ? ids : undefined;
    },
    TIMEOUT_MS,
  );
  for (const traceId of traceIds) {
    await waitFor(`trace ${traceId} of an exemplar`, () => stack.jaeger.trace(traceId), TIMEOUT_MS);
  }
});

test(
  "Loki has every line that the node wrote, once, with the ids that lead to its span in Jaeger",
  { skip },
  async () => {
    const { any: node } = stack.cluster;
    const received = await waitFor(
      "all lines",
      async () => {
        const lines = (await stack.loki.lines('{service_name="blixard"}')).map(lineOfLoki);
        return lines.length >= linesOf(node.output).length ? lines : undefined;
      },
      TIMEOUT_MS,
    );
    assert.deepEqual(inOrder(received), inOrder(linesOf(node.output)));
    const ofCreation = received.filter(({ traceId }) => traceId === creationTraceId);
    assert.ok(ofCreation.some(({ message }) => message.startsWith("VM web is running")));
    const spanIds = new Set((await stack.jaeger.trace(creationTraceId))?.map(({ spanId }) => spanId));
    for (const { spanId = "", message } of ofCreation) assert.ok(spanIds.has(spanId), message);
  },
);

interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly message: string;
  readonly traceId: string | undefined;
  readonly spanId: string | undefined;
}

/** Of a node that writes JSON. What the export says of itself is not exported: it would go round in a circle. */
function linesOf(output: string): readonly LogLine[] {
  return output
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Omit<LogLine, "traceId" | "spanId"> & { trace_id?: string; span_id?: string })
    .filter(({ message }) => !/^(traces|metrics|logs) are exported to /.test(message))
    .map(({ time, level, message, trace_id: traceId, span_id: spanId }) => ({ time, level, message, traceId, spanId }));
}

function lineOfLoki({ timeUnixNano, line, labels }: LokiLine): LogLine {
  return {
    time: new Date(Number(timeUnixNano / 1_000_000n)).toISOString(),
    level: labels["severity_text"]?.toLowerCase() ?? "",
    message: line,
    traceId: labels["trace_id"],
    spanId: labels["span_id"],
  };
}

function inOrder(lines: readonly LogLine[]): readonly LogLine[] {
  return lines.toSorted((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1));
}

test("a restart by policy is a trace of its own, linked to the creation of its VM", { skip }, async () => {
  const web = await scenario.crash();
  const spans = await recoveryOf(web, (root) => root.attributes["blixard.vm.state_reason"] !== "adopted");
  const names = new Set(spans.map(({ name }) => name));
  for (const name of ["vm.start", "qemu.spawn", "guest.boot", "guest.ready"]) assert.ok(names.has(name), name);
});

test("a guest that the next daemon adopts has a trace that is linked to the creation of its VM", { skip }, async () => {
  const web = await scenario.loseDaemon();
  await recoveryOf(web, (root) => root.attributes["blixard.vm.state_reason"] === "adopted");
});

/** A trace that nobody asked for, of this VM; its root has a link to the VM's creation. */
async function recoveryOf(vm: VmView, isIt: (root: ReceivedSpan) => boolean): Promise<readonly ReceivedSpan[]> {
  const root = await waitFor(
    "the trace of a recovery",
    async () => {
      const spans = await stack.jaeger.find({ service: "blixard", operation: "vm.recover" });
      return spans.find((span) => {
        return span.name === "vm.recover" && span.attributes["blixard.vm.id"] === vm.id && isIt(span);
      });
    },
    TIMEOUT_MS,
  );
  assert.equal(root.parentSpanId, "");
  assert.deepEqual(
    linksOf(root.message).map(({ traceId, relation }) => ({ traceId, relation })),
    [{ traceId: creationTraceId, relation: "origin" }],
  );
  const spans = (await stack.jaeger.trace(root.traceId)) ?? [];
  assertWhole(spans);
  return spans;
}

test("a command in a trace of the caller's goes on with it", { skip }, async () => {
  const { traceId, parentSpanId } = await scenario.delete();
  const spans = await waitFor(
    "the whole deletion",
    async () => {
      const spans = await stack.jaeger.trace(traceId);
      return spans?.some(({ name }) => name === "vm.delete") === true &&
        spans.some(({ name }) => name === "blixard vm delete")
        ? spans
        : undefined;
    },
    TIMEOUT_MS,
  );
  assertWhole(spans, parentSpanId);
  assert.equal(spans.find((span) => span.parentSpanId === parentSpanId)?.name, "blixard vm delete");
});
