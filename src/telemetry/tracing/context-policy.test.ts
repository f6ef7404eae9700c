import assert from "node:assert/strict";
import { test } from "node:test";
import { context as otelContext, propagation, trace } from "@opentelemetry/api";
import { telemetryBaggageDropped } from "#gen/telemetry/metrics.ts";
import type { RecordedSpan } from "#model/recorded-span.ts";
import type { TraceContext } from "#model/trace-context.ts";
import { createMemoryTelemetry, type MemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { createRecorder, type RecordingPipeline } from "../recorder/recorder.ts";
import type { ContextOptions } from "../telemetry-options.ts";
import { createContextPolicy } from "./context-policy.ts";
import { createInertTracing } from "./inert-tracing.ts";
import { createTracing, type TracingRuntime } from "./tracing.ts";
import { createScope } from "../resource/scope.ts";

const descriptor = { name: "test", kind: "internal", brief: "", attributes: {} } as const;
const vmSpan = {
  ...descriptor,
  attributes: { "blixard.vm.id": { type: "string", requirement: "recommended" } },
} as const;
const remote: TraceContext = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  sampled: false,
};
const options: ContextOptions = { baggageAllowed: ["user", "team.*"], baggageAttributes: ["user"] };

interface Scene {
  readonly tracing: TracingRuntime;
  readonly recorder: RecordingPipeline;
  readonly recorded: RecordedSpan[];
  readonly exported: RecordedSpan[];
  readonly telemetry: MemoryTelemetry;
}

function start(context: ContextOptions = options, now: () => number = Date.now): Scene {
  const telemetry = createMemoryTelemetry();
  const [recorded, exported]: [RecordedSpan[], RecordedSpan[]] = [[], []];
  const recorder = createRecorder({
    resource: { attributes: { "service.name": "blixard" } },
    samplingRatio: 0,
    exportSpan: (span) => exported.push(span),
    now,
  });
  const tracing = createTracing({
    resource: { attributes: { "service.name": "blixard" } },
    scope: createScope("0.1.0"),
    samplingRatio: 0,
    isPromoted: (traceId) => recorder.isPromoted(traceId),
    applyRules: (traceId, attributes) => recorder.applyRules(traceId, attributes),
    policy: createContextPolicy(context, telemetry.metrics),
    record(span, sampled) {
      recorded.push(span);
      recorder.record(span, sampled);
    },
    metrics: telemetry.metrics,
    now,
  });
  return { tracing, recorder, recorded, exported, telemetry };
}

const headersOf = (headers: Readonly<Record<string, string>>) => ({
  get: (name: string) => headers[name],
  names: () => Object.keys(headers),
});

const traceparent = `00-${remote.traceId}-${remote.spanId}-00`;

function droppedFor(telemetry: MemoryTelemetry, reason: "untrusted" | "malformed" | "not_allowed" | "limit") {
  return telemetry.value(telemetryBaggageDropped, { "blixard.telemetry.baggage_drop_reason": reason });
}

test("etcd of the node's own is told the trace as it understands it, whatever outsiders speak", async () => {
  const { tracing } = start({ propagators: ["b3"] });
  await tracing.span(descriptor, { attributes: {} }, async () => {
    assert.deepEqual(Object.keys(tracing.inject("ours")), ["b3", "traceparent"]);
    assert.deepEqual(Object.keys(tracing.inject("stranger")), ["b3"]);
  });
});

test("allowed baggage of a known caller is carried into every span below, and out again to those who are ours", async () => {
  const { tracing, recorded } = start();
  const headers = headersOf({ traceparent, baggage: "user=al%20ice;p=1,secret=x,team.name=core" });
  const { context } = tracing.extract(headers, "known");
  assert.equal(context?.baggage, "user=al%20ice;p=1,team.name=core");
  await tracing.span(descriptor, { attributes: {}, parent: context }, async (span) => {
    assert.equal(span.context.baggage, context.baggage);
    await tracing.span(descriptor, { attributes: {} }, async () => {
      assert.deepEqual(
        [...tracing.baggage()],
        [
          ["user", "al ice"],
          ["team.name", "core"],
        ],
      );
      assert.equal(tracing.active()?.baggage, context.baggage);
      assert.equal(tracing.inject("ours")["baggage"], context.baggage);
      assert.equal(tracing.inject("stranger")["baggage"], undefined);
      assert.match(tracing.inject("stranger")["traceparent"] ?? "", /^00-0af765/);
    });
    // Work that begins a trace of its own has nothing to do with the caller.
    await tracing.span(descriptor, { attributes: {}, parent: null }, async () =>
      assert.equal(tracing.baggage().size, 0),
    );
  });
  assert.deepEqual(
    recorded.map((span) => span.attributes),
    [{ "baggage.user": "al ice" }, {}, { "baggage.user": "al ice" }],
  );
});

test("a context that waited in the store brings its baggage back, with or without the span it came from", async () => {
  const { tracing, recorded } = start();
  const span = tracing.startSpan(descriptor, { attributes: {}, parent: null, baggage: "user=bob" });
  const stored: TraceContext = JSON.parse(JSON.stringify(span.context)) as TraceContext;
  tracing.startSpan(descriptor, { attributes: {}, parent: stored }).end();
  span.end();
  await tracing.run(stored, async () => {
    await new Promise(setImmediate);
    assert.equal(tracing.baggage().get("user"), "bob");
  });
  tracing.recordSpan(descriptor, { attributes: {}, parent: stored, startTimeMs: 1, endTimeMs: 2 });
  assert.deepEqual(
    recorded.map((one) => one.attributes["baggage.user"]),
    ["bob", "bob", "bob"],
  );
});

test("what is dropped is counted by its reason; a stranger's baggage is dropped whole", () => {
  const { tracing, telemetry } = start();
  const extract = (baggage: string, caller: "known" | "stranger") =>
    tracing.extract(headersOf({ traceparent, baggage }), caller);
  assert.equal(extract("user=a,team.x=b,=", "stranger").context?.baggage, undefined);
  assert.equal(extract("user=a", "stranger").baggage, undefined);
  assert.equal(droppedFor(telemetry, "untrusted"), 4);
  extract("user=a,other=b,no value", "known");
  assert.equal(droppedFor(telemetry, "not_allowed"), 1);
  assert.equal(droppedFor(telemetry, "malformed"), 1);
  const many = Array.from({ length: 100 }, (_, index) => `team.${index}=v`).join(",");
  assert.equal(extract(many, "known").baggage?.split(",").length, 64);
  assert.equal(droppedFor(telemetry, "limit"), 36);
});

test("ten megabytes of baggage are one look at their beginning", () => {
  const { tracing, telemetry } = start();
  const { context } = tracing.extract(
    headersOf({ traceparent, baggage: `user=a,${"x=1,".repeat(2_500_000)}` }),
    "known",
  );
  assert.equal(context?.baggage, "user=a");
  assert.equal(droppedFor(telemetry, "limit"), 1);
});

test("by default no baggage is taken in at all", () => {
  const { tracing } = start({});
  assert.deepEqual(tracing.extract(headersOf({ baggage: "user=a" }), "known"), {
    context: undefined,
    baggage: undefined,
  });
});

test("tracing that is switched off still carries baggage", () => {
  const tracing = createInertTracing(createContextPolicy(options, createMemoryTelemetry().metrics));
  const { context } = tracing.extract(headersOf({ traceparent, baggage: "user=a" }), "known");
  tracing.run(context, () => {
    assert.equal(tracing.baggage().get("user"), "a");
    assert.equal(tracing.inject("ours")["baggage"], "user=a");
  });
});

test("third-party code sees the baggage and the chosen formats, sends none to strangers, and cannot widen the allow-list", async () => {
  const { tracing } = start({ ...options, propagators: ["b3", "baggage"] });
  tracing.registerGlobally();
  const carrier: Record<string, string> = {};
  await tracing.span(descriptor, { attributes: {}, parent: { ...remote, baggage: "user=a" } }, async () => {
    const seen = propagation.getActiveBaggage();
    assert.equal(seen?.getEntry("user")?.value, "a");
    propagation.inject(otelContext.active(), carrier);
    const wider = seen?.setEntry("card", { value: "4111" }).setEntry("team.x", { value: "é" });
    assert.ok(wider);
    otelContext.with(propagation.setBaggage(otelContext.active(), wider), () =>
      assert.equal(tracing.inject("ours")["baggage"], "user=a,team.x=%C3%A9"),
    );
  });
  assert.deepEqual(Object.keys(carrier), ["b3"]);
  const extracted = propagation.extract(otelContext.active(), {
    b3: `${remote.traceId}-${remote.spanId}-1`,
    baggage: "user=a",
  });
  assert.equal(trace.getSpanContext(extracted)?.traceId, remote.traceId);
  assert.equal(propagation.getBaggage(extracted), undefined);
  propagation.disable();
  otelContext.disable();
  trace.disable();
});

test("a rule promotes a trace as soon as a span names the VM: everybody told afterwards knows that it is sampled", async () => {
  let nowMs = 1_000;
  const { tracing, recorder, exported } = start(options, () => nowMs);
  recorder.setRules([{ vmId: "vm-1", vmName: "web", expireTimeMs: 5_000 }]);
  const call = tracing.startSpan(descriptor, { attributes: {}, name: "call", parent: remote });
  tracing.startSpan(descriptor, { attributes: {}, name: "before", parent: call.context }).end();
  assert.equal(call.context.sampled, false);
  call.setAttributes({ "blixard.vm.name": "web" });
  assert.equal(call.context.sampled, true);
  await tracing.run(call.context, async () => {
    assert.equal(tracing.active()?.sampled, true);
    assert.match(tracing.inject("ours")["traceparent"] ?? "", /-01$/);
  });
  tracing.startSpan(vmSpan, { attributes: { "blixard.vm.id": "vm-2" }, name: "after", parent: call.context }).end();
  call.end();
  assert.deepEqual(
    exported.map((span) => span.name),
    ["before", "after", "call"],
  );

  // Another VM's trace, the same name for another id, and ours when the rule is over.
  for (const name of ["other", "web"]) {
    const span = tracing.startSpan(vmSpan, { attributes: { "blixard.vm.id": "vm-2" }, parent: null });
    span.setAttributes({ "blixard.vm.id": "vm-2", "blixard.vm.name": name });
    span.end();
  }
  nowMs = 5_000;
  const late = tracing.startSpan(vmSpan, { attributes: { "blixard.vm.id": "vm-1" }, parent: null });
  late.end();
  assert.equal(late.context.sampled, false);
  assert.equal(exported.length, 3);
});
