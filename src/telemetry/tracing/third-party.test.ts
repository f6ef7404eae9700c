// In a file of its own: the OpenTelemetry API is global to the process.
import assert from "node:assert/strict";
import { test } from "node:test";
import { context, propagation, trace } from "@opentelemetry/api";
import type { RecordedSpan } from "#model/recorded-span.ts";
import { createInertMetrics } from "../metrics/inert-metrics.ts";
import { createContextPolicy } from "./context-policy.ts";
import { createTracing } from "./tracing.ts";
import { createScope } from "../resource/scope.ts";

const descriptor = { name: "ours", kind: "internal", brief: "", attributes: {} } as const;

test("spans of instrumentation that knows only OpenTelemetry join our traces, and ours join theirs", async () => {
  const recorded: RecordedSpan[] = [];
  const tracing = createTracing({
    resource: { attributes: { "service.name": "blixard" } },
    scope: createScope("0.1.0"),
    samplingRatio: 1,
    isPromoted: () => false,
    applyRules: () => undefined,
    policy: createContextPolicy({}, createInertMetrics()),
    record: (span) => recorded.push(span),
    metrics: createInertMetrics(),
    now: () => performance.timeOrigin + performance.now(),
  });
  tracing.registerGlobally();
  const carrier: Record<string, string> = {};
  await tracing.span(descriptor, { attributes: {} }, async () => {
    await trace.getTracer("a-library", "2.0").startActiveSpan("theirs", async (span) => {
      propagation.inject(context.active(), carrier);
      tracing.startSpan(descriptor, { attributes: {}, name: "inner" }).end();
      span.setAttribute("deep", { nested: [1, "two"] } as unknown as string);
      span.end();
    });
  });
  const [inner, theirs, ours] = recorded;
  assert.equal(theirs?.parentSpanId, ours?.spanId);
  assert.equal(inner?.parentSpanId, theirs?.spanId);
  assert.deepEqual(theirs?.scope, { name: "a-library", version: "2.0" });
  assert.equal(theirs.attributes["deep"], '{"nested":[1,"two"]}');
  assert.equal(carrier["traceparent"], `00-${theirs.traceId}-${theirs.spanId}-01`);
});
