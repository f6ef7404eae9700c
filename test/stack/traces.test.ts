/** Traces of real guests' lives, asked for where they end up: Jaeger has what `blixard vm trace` shows, all of it. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { useBackend } from "#test/stack/support/backends.ts";
import { fromBackend, fromNode, inOrder } from "#test/stack/support/compared-span.ts";
import type { VmView } from "#test/stack/support/cluster.ts";
import { Scenario } from "#test/stack/support/scenario.ts";
import { Stack } from "#test/stack/support/stack.ts";
import type { ReceivedSpan } from "#test/support/otlp-collect.ts";
import { waitFor } from "#test/support/wait-for.ts";

const TIMEOUT_MS = 120_000;

let stack: Stack;
let scenario: Scenario;
let creationTraceId: string;

before(async () => {
  stack = await Stack.start();
  scenario = new Scenario(stack.cluster);
});

after(() => stack?.[Symbol.asyncDispose]());

/** Jaeger's trace, once it is what the node's own memory has: span for span, with parents, links and statuses. */
async function sameInJaeger(vm: string, operation: string): Promise<readonly ReceivedSpan[]> {
  const told = await stack.cluster.trace(vm, operation);
  const received = await waitFor(
    `Jaeger to have the ${told.spans.length} spans of trace ${told.traceId}`,
    async () => {
      const spans = await stack.jaeger.trace(told.traceId);
      return spans !== undefined && spans.length >= told.spans.length ? spans : undefined;
    },
    TIMEOUT_MS,
  );
  assert.equal(told.droppedSpans, 0n);
  assert.deepEqual(inOrder(received.map(fromBackend)), inOrder(told.spans.map(fromNode)));
  assertWhole(received);
  return received;
}

/** One root, and every other span's parent is there. */
function assertWhole(spans: readonly ReceivedSpan[]): void {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  assert.equal(ids.size, spans.length, "no span is there twice");
  const withoutParent = spans.filter(({ parentSpanId }) => !ids.has(parentSpanId));
  assert.deepEqual(
    withoutParent.map(({ parentSpanId }) => parentSpanId),
    [""],
  );
}

test("`vm create`, as it was typed, is in Jaeger: from the command to the guest that is ready", async () => {
  const web = await scenario.create();
  const spans = await sameInJaeger("web", "create");
  creationTraceId = spans[0]?.traceId ?? "";
  const calls = spans.filter(({ name }) => name === "blixard.v1.VmService/CreateVm");
  assert.deepEqual(
    new Set(calls.map(({ resource }) => resource["service.name"])),
    new Set(["blixard-cli", "blixard"]),
    "the call is there from both of its ends",
  );
  const named = new Map(spans.map((span) => [span.name, span]));
  for (const [name, service] of [
    ["blixard vm create", "blixard-cli"],
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
    assert.equal(named.get(name)?.resource["service.name"], service, name);
  }
  assert.equal(named.get("vm.start")?.attributes["blixard.vm.id"], web.id);
  assert.equal(named.get("guest.boot")?.resource["host.id"], web.id, "a guest is a host of its own");
  assert.deepEqual(
    spans.filter(({ message }) => message.status?.message !== undefined && message.status.message !== ""),
    [],
  );
});

test("what is done to a VM is in Jaeger too, each a trace of its own", async () => {
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

test("a creation that fails is in Jaeger with its failure", async () => {
  const { exitCode } = await scenario.fail();
  assert.notEqual(exitCode, 0);
  const spans = await sameInJaeger("late", "create");
  console.log(
    spans
      .filter((s) => s.message.status?.code === 2)
      .map((s) => [s.name, s.message.status?.message, s.attributes["error.type"]]),
  );
});

test("Jaeger's search offers every service that has a part in it", async () => {
  const services = await stack.jaeger.services();
  for (const service of ["blixard", "blixard-cli", "blixard-guest"]) assert.ok(services.includes(service), service);
});

test("every exemplar in Prometheus leads to a trace that Jaeger has", async () => {
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

test("a restart by policy is a trace of its own, linked to the creation of its VM", async () => {
  const web = await scenario.crash();
  const spans = await linkedToCreation("vm.start", web);
  console.log(spans.map((s) => s.name));
});

test("a guest that was adopted by the next daemon is linked to its creation", async () => {
  const web = await scenario.loseDaemon();
  const spans = await linkedToCreation("vm.recover", web);
  console.log(spans.map((s) => s.name));
});

/** The trace that begins with a span of this name, for this VM, and has a link to the VM's creation. */
async function linkedToCreation(name: string, vm: VmView): Promise<readonly ReceivedSpan[]> {
  const root = await waitFor(
    `a trace that begins with ${name}`,
    async () => {
      const spans = await stack.jaeger.find({ service: "blixard", operation: name });
      return spans.find(
        (span) => span.name === name && span.parentSpanId === "" && span.attributes["blixard.vm.id"] === vm.id,
      );
    },
    TIMEOUT_MS,
  );
  assert.deepEqual(
    fromBackend(root).links.map(({ traceId, relation }) => ({ traceId, relation })),
    [{ traceId: creationTraceId, relation: "origin" }],
  );
  const spans = (await stack.jaeger.trace(root.traceId)) ?? [];
  assertWhole(spans);
  return spans;
}

test("a command within a trace of the caller's goes on with it", async () => {
  const { traceId, parentSpanId } = await scenario.delete();
  const spans = await waitFor(`trace ${traceId}`, () => stack.jaeger.trace(traceId), TIMEOUT_MS);
  console.log(spans.map((s) => [s.parentSpanId === parentSpanId, s.name]));
});
