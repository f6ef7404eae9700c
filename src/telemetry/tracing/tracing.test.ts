import assert from "node:assert/strict";
import { test } from "node:test";
import { otelSdkSpanLive, otelSdkSpanStarted } from "#gen/telemetry/metrics.ts";
import { BlixardError } from "#model/errors.ts";
import type { RecordedSpan } from "#model/recorded-span.ts";
import { Secret } from "#model/secret.ts";
import { UNDECIDED_TRACE_STATE, type TraceContext } from "#model/trace-context.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { createInertMetrics } from "../metrics/inert-metrics.ts";
import type { AttributesOf, SpanDescriptor } from "../port.ts";
import { createInertTracing } from "./inert-tracing.ts";
import { createRandomIds } from "./random-ids.ts";
import { createContextPolicy } from "./context-policy.ts";
import { createTracing, type TracingRuntime, type TracingRuntimeOptions } from "./tracing.ts";
import { createScope } from "../resource/scope.ts";

const descriptor = {
  name: "blixard.test",
  kind: "client",
  brief: "",
  attributes: { "blixard.test.name": { type: "string", requirement: "recommended" } },
} as const satisfies SpanDescriptor;
const none: AttributesOf<typeof descriptor> = {};

interface Recorded {
  readonly span: RecordedSpan;
  readonly sampled: boolean;
}

function start(overrides: Partial<TracingRuntimeOptions> = {}): { tracing: TracingRuntime; recorded: Recorded[] } {
  const recorded: Recorded[] = [];
  const tracing = createTracing({
    resource: { attributes: { "service.name": "blixard" } },
    scope: createScope("0.1.0"),
    samplingRatio: 1,
    isPromoted: () => false,
    applyRules: () => undefined,
    policy: createContextPolicy({}, createInertMetrics()),
    record: (span, sampled) => recorded.push({ span, sampled }),
    metrics: createInertMetrics(),
    now: () => performance.timeOrigin + performance.now(),
    ...overrides,
  });
  return { tracing, recorded };
}

const remote: TraceContext = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", sampled: true };

test("a span opened inside another is its child, across awaits, and parallel work does not mix", async () => {
  const { tracing, recorded } = start();
  await tracing.span(descriptor, { attributes: none, name: "root" }, async (root) => {
    await Promise.all(
      ["one", "two"].map((name) =>
        tracing.span(descriptor, { attributes: none, name }, async (span) => {
          await new Promise(setImmediate);
          assert.deepEqual(tracing.active(), span.context);
          await tracing.span(descriptor, { attributes: none, name: `${name}.inner` }, async () => undefined);
        }),
      ),
    );
    assert.deepEqual(tracing.active(), root.context);
  });
  assert.equal(tracing.active(), undefined);
  const spans = new Map(recorded.map(({ span }) => [span.name, span]));
  assert.equal(spans.get("root")?.parentSpanId, undefined);
  for (const name of ["one", "two"]) {
    assert.equal(spans.get(name)?.parentSpanId, spans.get("root")?.spanId);
    assert.equal(spans.get(`${name}.inner`)?.parentSpanId, spans.get(name)?.spanId);
    assert.equal(spans.get(name)?.parentIsRemote, false);
  }
  assert.equal(new Set(recorded.map(({ span }) => span.traceId)).size, 1);
});

test("a failure marks the span with the error's code and chain, and goes on to the caller", async () => {
  const { tracing, recorded } = start();
  const error = new BlixardError("HYPERVISOR_FAILED", "cannot start vm-1", { cause: new Error("exit code 1") });
  await assert.rejects(
    tracing.span(descriptor, { attributes: none }, async () => {
      throw error;
    }),
    error,
  );
  assert.deepEqual(recorded[0]?.span.status, { code: "error", message: "cannot start vm-1: exit code 1" });
  assert.equal(recorded[0].span.attributes["error.type"], "HYPERVISOR_FAILED");
});

test("a remote context is continued with its decision, and the root of a new trace ignores it", () => {
  const { tracing, recorded } = start({ samplingRatio: 0 });
  tracing.run(remote, () => {
    tracing.startSpan(descriptor, { attributes: none, name: "continued" }).end();
    tracing.startSpan(descriptor, { attributes: none, name: "fresh", parent: null }).end();
  });
  tracing.startSpan(descriptor, { attributes: none, name: "named", parent: { ...remote, sampled: false } }).end();
  const [continued, fresh, named] = recorded;
  assert.equal(continued?.span.traceId, remote.traceId);
  assert.equal(continued.span.parentSpanId, remote.spanId);
  assert.equal(continued.span.parentIsRemote, true);
  assert.equal(continued.sampled, true);
  assert.notEqual(fresh?.span.traceId, remote.traceId);
  assert.equal(fresh?.span.parentSpanId, undefined);
  assert.equal(fresh?.sampled, false);
  assert.equal(named?.sampled, false, "recorded, not exported");
});

test("a context of a span that is open here is that span, so its children are not called remote", () => {
  const { tracing, recorded } = start();
  const stream = tracing.startSpan(descriptor, { attributes: none, name: "stream" });
  tracing.run(stream.context, () => tracing.startSpan(descriptor, { attributes: none, name: "message" }).end());
  stream.end();
  assert.equal(recorded[0]?.span.parentSpanId, stream.context.spanId);
  assert.equal(recorded[0].span.parentIsRemote, false);
});

test("a trace that its sender leaves to us is decided by the ratio, once", () => {
  for (const [samplingRatio, expected] of [
    [1, true],
    [0, false],
  ] as const) {
    const { tracing, recorded } = start({ samplingRatio });
    const undecided = { ...remote, sampled: false, traceState: `${UNDECIDED_TRACE_STATE},other=1` };
    const span = tracing.startSpan(descriptor, { attributes: none, parent: undecided });
    assert.equal(span.context.sampled, expected);
    assert.equal(span.context.traceState, "other=1");
    span.end();
    assert.equal(recorded[0]?.sampled, expected);
  }
});

test("work that begins after its trace was promoted carries the decision onwards", () => {
  const { tracing } = start({ samplingRatio: 0, isPromoted: (traceId) => traceId === remote.traceId });
  const parent = { ...remote, sampled: false };
  assert.equal(tracing.startSpan(descriptor, { attributes: none, parent }).context.sampled, true);
});

test("marks from outside become a span at their own times, with a link and an error", () => {
  const { tracing, recorded } = start();
  const context = tracing.recordSpan(descriptor, {
    attributes: { "blixard.test.name": "boot" },
    parent: remote,
    startTimeMs: 1_700_000_000_000.25,
    endTimeMs: 1_700_000_000_750.5,
    links: [{ context: { ...remote, spanId: "00000000000000aa" }, relation: "origin" }],
    error: new BlixardError("GUEST_BOOT_TIMEOUT", "too slow"),
  });
  const span = recorded[0]?.span;
  assert.equal(span?.spanId, context.spanId);
  assert.equal(span.startUnixNano, 1_700_000_000_000_250_000n);
  assert.equal(span.endUnixNano, 1_700_000_000_750_500_000n);
  assert.deepEqual(span.links, [
    { traceId: remote.traceId, spanId: "00000000000000aa", attributes: { "blixard.link.relation": "origin" } },
  ]);
  assert.equal(span.status.code, "error");
  assert.equal(span.kind, "client");
});

test("a guest's spans carry the guest's resource, and share it for the export", () => {
  const { tracing, recorded } = start();
  const guest = { vmId: "vm-1", vmName: "web" };
  const options = { attributes: none, startTimeMs: 1_700_000_000_000, endTimeMs: 1_700_000_000_750 };
  const attempt = tracing.startSpan(descriptor, { attributes: none });
  const boot = tracing.recordSpan(descriptor, { ...options, parent: attempt.context, guest });
  tracing.recordSpan(descriptor, { ...options, parent: boot, guest });
  tracing.recordSpan(descriptor, { ...options, parent: attempt.context });
  const [first, second, own] = recorded.map(({ span }) => span.resource);
  assert.deepEqual(
    recorded.map(({ span }) => span.parentIsRemote),
    [true, true, false],
  );
  assert.equal(first?.attributes["service.name"], "blixard-guest");
  assert.equal(first.attributes["host.name"], "web");
  assert.equal(second, first);
  assert.equal(own?.attributes["service.name"], "blixard");
});

test("a span never ends before it starts, and ending or writing to it again changes nothing", () => {
  const { tracing, recorded } = start();
  const span = tracing.startSpan(descriptor, { attributes: none, startTimeMs: 2_000_000_000_000 });
  span.end(1_000_000_000_000);
  span.setError(new Error("late"));
  span.setAttributes({ late: true });
  span.end();
  assert.equal(recorded.length, 1);
  assert.equal(recorded[0]?.span.endUnixNano, recorded[0]?.span.startUnixNano);
  assert.equal(recorded[0]?.span.status.code, "unset");
});

test("a secret that slips into an attribute is not shown, and an absent value is no attribute", () => {
  const { tracing, recorded } = start();
  const attributes = { "blixard.test.name": new Secret("hunter2") as unknown as string };
  const span = tracing.startSpan(descriptor, { attributes });
  span.setAttributes({ "blixard.vm.name": undefined, "blixard.vm.id": "x" });
  span.end();
  assert.deepEqual(recorded[0]?.span.attributes, { "blixard.test.name": "[redacted]", "blixard.vm.id": "x" });
});

test("the exporter's own work makes no spans", async () => {
  const { tracing, recorded } = start();
  await tracing.untraced(() => tracing.span(descriptor, { attributes: none }, async () => undefined));
  assert.equal(recorded.length, 0);
});

test("tracing that is switched off still passes a caller's context on", async () => {
  const tracing = createInertTracing(createContextPolicy({}, createInertMetrics()));
  await tracing.run(remote, () =>
    tracing.span(descriptor, { attributes: none }, async (span) => assert.deepEqual(span.context, remote)),
  );
  assert.match(tracing.startSpan(descriptor, { attributes: none }).context.traceId, /^[0-9a-f]{32}$/);
});

test("ids are never all zero, even from a generator that stutters", () => {
  let fills = 0;
  const ids = createRandomIds({ fill: (buffer) => buffer.fill(fills++ === 0 ? 0 : 7) });
  assert.equal(ids.generateTraceId(), "07".repeat(16));
  assert.equal(ids.generateSpanId(), "07".repeat(8));
});

test("trace ids for X-Ray begin with the second they are made in, and are random after it", () => {
  let now = 1_480_615_200_999;
  const ids = createRandomIds({ traceTime: () => now });
  const [first, second] = [ids.generateTraceId(), ids.generateTraceId()];
  for (const id of [first, second]) assert.match(id, /^58406520[0-9a-f]{24}$/);
  assert.notEqual(first, second);
  now += 1_000;
  assert.match(ids.generateTraceId(), /^58406521/);
  assert.match(ids.generateSpanId(), /^(?!58406521)[0-9a-f]{16}$/);
});

test("spans are counted by what becomes of them and where they come from", () => {
  const telemetry = createMemoryTelemetry();
  const { tracing } = start({ samplingRatio: 0, metrics: telemetry.metrics });
  const root = tracing.startSpan(descriptor, { attributes: none });
  tracing.startSpan(descriptor, { attributes: none, parent: root.context }).end();
  tracing.startSpan(descriptor, { attributes: none, parent: remote }).end();
  const started = (result: "RECORD_ONLY" | "RECORD_AND_SAMPLE", origin: "none" | "local" | "remote"): unknown =>
    telemetry.value(otelSdkSpanStarted, { "otel.span.sampling_result": result, "otel.span.parent.origin": origin });
  assert.equal(started("RECORD_ONLY", "none"), 1);
  assert.equal(started("RECORD_ONLY", "local"), 1);
  assert.equal(started("RECORD_AND_SAMPLE", "remote"), 1);
  assert.equal(telemetry.value(otelSdkSpanLive, { "otel.span.sampling_result": "RECORD_ONLY" }), 1);
  root.end();
  assert.equal(telemetry.value(otelSdkSpanLive, { "otel.span.sampling_result": "RECORD_ONLY" }), 0);
});
