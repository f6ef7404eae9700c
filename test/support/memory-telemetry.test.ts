import assert from "node:assert/strict";
import { test } from "node:test";
import { BlixardError } from "#model/errors.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";

const outer = { name: "outer", kind: "internal", brief: "", attributes: {} } as const;
const inner = { name: "inner", kind: "client", brief: "", attributes: {} } as const;
const counter = {
  name: "blixard.test.calls",
  prometheusName: "blixard_test_calls_total",
  instrument: "counter",
  unit: "{call}",
  brief: "",
  attributes: { "blixard.test.kind": { type: "string", requirement: "required" } },
} as const;
const gauge = { ...counter, name: "blixard.test.level", instrument: "gauge" } as const;

test("a span opened inside another is its child, across awaits", async () => {
  const telemetry = createMemoryTelemetry();
  await telemetry.tracing.span(outer, { attributes: {} }, async () => {
    await Promise.resolve();
    await telemetry.tracing.span(inner, { attributes: {} }, async () => telemetry.logger.info("here"));
  });
  const [child, parent] = telemetry.spans;
  assert.equal(child?.name, "inner");
  assert.equal(child.parentSpanId, parent?.spanId);
  assert.equal(child.traceId, parent?.traceId);
  assert.equal(parent?.parentSpanId, undefined);
  assert.equal(telemetry.logs[0]?.context?.spanId, child.spanId);
  assert.equal(telemetry.tracing.active(), undefined);
});

test("a failed span says which error it was, and the error goes on", async () => {
  const telemetry = createMemoryTelemetry();
  const failure = telemetry.tracing.span(outer, { attributes: {} }, async () => {
    throw new BlixardError("VM_NOT_FOUND", "no such VM");
  });
  await assert.rejects(failure, { code: "VM_NOT_FOUND" });
  assert.deepEqual(telemetry.spans[0]?.status, { code: "error", message: "no such VM" });
  assert.equal(telemetry.spans[0].attributes["error.type"], "VM_NOT_FOUND");
});

test("a remote context becomes the parent, and null starts a new trace", () => {
  const telemetry = createMemoryTelemetry();
  const remote = { traceId: "a".repeat(32), spanId: "b".repeat(16), sampled: false };
  telemetry.tracing.run(remote, () => {
    telemetry.tracing.startSpan(outer, { attributes: {} }).end();
    telemetry.tracing.startSpan(outer, { attributes: {}, parent: null }).end();
  });
  assert.equal(telemetry.spans[0]?.parentSpanId, remote.spanId);
  assert.notEqual(telemetry.spans[1]?.traceId, remote.traceId);
});

test("cells count, removed series are gone, observed series live from one collection to the next", async () => {
  const telemetry = createMemoryTelemetry();
  const cell = telemetry.metrics.bind(counter, { "blixard.test.kind": "a" });
  cell.add(2);
  telemetry.metrics.bind(counter, { "blixard.test.kind": "a" }).add(1);
  assert.equal(telemetry.value(counter, { "blixard.test.kind": "a" }), 3);
  cell.remove();
  assert.equal(telemetry.value(counter, { "blixard.test.kind": "a" }), undefined);

  let names = ["x", "y"];
  using _group = telemetry.metrics.observeGroup({
    name: "test",
    metrics: [gauge],
    intervalMs: 1000,
    timeoutMs: 1000,
    collect: async (observer) => {
      for (const name of names) observer.observe(gauge, 1, { "blixard.test.kind": name });
    },
  });
  await telemetry.collect();
  assert.equal(telemetry.series(gauge).length, 2);
  names = ["y"];
  await telemetry.collect();
  assert.deepEqual(
    telemetry.series(gauge).map((series) => series.attributes["blixard.test.kind"]),
    ["y"],
  );
});
