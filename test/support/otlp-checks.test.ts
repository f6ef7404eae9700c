import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { ExportMetricsServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { ExportTraceServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import type { MetricSchema } from "#gen/otlp/opentelemetry/proto/metrics/v1/metrics_pb.ts";
import type { SpanSchema } from "#gen/otlp/opentelemetry/proto/trace/v1/trace_pb.ts";
import { checkMetrics, checkTraces } from "./otlp-checks.ts";

const text = (key: string, stringValue: string) =>
  ({ key, value: { value: { case: "stringValue", value: stringValue } } }) as const;
const resource = { attributes: [text("service.name", "blixard")] };
const scope = { name: "blixard" };
const id = (length: number): Uint8Array => new Uint8Array(length).fill(7);

const goodSpan = {
  traceId: id(16),
  spanId: id(8),
  name: "a",
  kind: 1,
  startTimeUnixNano: 1n,
  endTimeUnixNano: 2n,
} as const satisfies MessageInitShape<typeof SpanSchema>;

function problemsOfSpan(overrides: MessageInitShape<typeof SpanSchema>): string[] {
  const spans = [{ ...goodSpan, ...overrides } as MessageInitShape<typeof SpanSchema>];
  return checkTraces(
    create(ExportTraceServiceRequestSchema, { resourceSpans: [{ resource, scopeSpans: [{ scope, spans }] }] }),
  );
}

test("a right span passes, and each thing wrong with one is found", () => {
  assert.deepEqual(problemsOfSpan({}), []);
  const wrong: readonly MessageInitShape<typeof SpanSchema>[] = [
    { traceId: new Uint8Array(16) },
    { traceId: id(8) },
    { spanId: new Uint8Array() },
    { parentSpanId: id(8) },
    { parentSpanId: id(4) },
    { name: "" },
    { kind: 0 },
    { startTimeUnixNano: 0n },
    { endTimeUnixNano: 0n },
    { attributes: [text("a", "1"), text("a", "2")] },
    { attributes: [{ key: "a" }] },
    { links: [{ traceId: id(16), spanId: new Uint8Array(8) }] },
    { events: [{ name: "e" }] },
  ];
  for (const overrides of wrong)
    assert.notDeepEqual(problemsOfSpan(overrides), [], JSON.stringify(Object.keys(overrides)));
});

const point = { timeUnixNano: 2n, startTimeUnixNano: 1n, value: { case: "asInt", value: 1n } } as const;
const histogramPoint = {
  timeUnixNano: 2n,
  startTimeUnixNano: 1n,
  count: 3n,
  sum: 1.5,
  bucketCounts: [1n, 2n],
  explicitBounds: [1],
};

function problemsOfMetric(overrides: MessageInitShape<typeof MetricSchema>): string[] {
  const metric = { name: "blixard.a.b", unit: "s", description: "x", ...overrides } as MessageInitShape<
    typeof MetricSchema
  >;
  const resourceMetrics = [{ resource, scopeMetrics: [{ scope, metrics: [metric] }] }];
  return checkMetrics(create(ExportMetricsServiceRequestSchema, { resourceMetrics }));
}

function sum(...dataPoints: readonly object[]): MessageInitShape<typeof MetricSchema> {
  return {
    data: { case: "sum", value: { aggregationTemporality: 2, isMonotonic: true, dataPoints: dataPoints as [] } },
  };
}

function histogram(overrides: object): MessageInitShape<typeof MetricSchema> {
  const dataPoints = [{ ...histogramPoint, ...overrides }];
  return { data: { case: "histogram", value: { aggregationTemporality: 2, dataPoints } } };
}

function exponential(overrides: object): MessageInitShape<typeof MetricSchema> {
  const positive = { offset: -3, bucketCounts: [1n, 1n] };
  const point = { timeUnixNano: 2n, startTimeUnixNano: 1n, count: 3n, sum: 1.5, scale: 2, zeroCount: 1n, positive };
  const dataPoints = [{ ...point, ...overrides }];
  return { data: { case: "exponentialHistogram", value: { aggregationTemporality: 2, dataPoints } } };
}

test("right metrics pass, and each thing wrong with one is found", () => {
  assert.deepEqual(problemsOfMetric(sum(point)), []);
  assert.deepEqual(problemsOfMetric(histogram({})), []);
  assert.deepEqual(problemsOfMetric(histogram({ min: 0.1, max: 2 })), []);
  assert.deepEqual(problemsOfMetric(exponential({})), []);
  assert.deepEqual(
    problemsOfMetric({
      data: { case: "sum", value: { aggregationTemporality: 1, isMonotonic: true, dataPoints: [point] } },
    }),
    [],
  );
  assert.deepEqual(problemsOfMetric(sum({ ...point, value: undefined, flags: 1 })), []);
  const wrong: readonly MessageInitShape<typeof MetricSchema>[] = [
    {},
    { ...sum(point), name: "Blixard" },
    { ...sum(point), unit: "" },
    { ...sum(point), description: "" },
    sum(),
    sum(point, point),
    sum({ ...point, timeUnixNano: 0n }),
    sum({ ...point, startTimeUnixNano: 0n }),
    sum({ ...point, startTimeUnixNano: 3n }),
    sum({ ...point, value: undefined }),
    sum({ ...point, flags: 1 }),
    sum({ ...point, value: { case: "asInt", value: -1n } }),
    { data: { case: "sum", value: { aggregationTemporality: 0, isMonotonic: true, dataPoints: [point] } } },
    { data: { case: "sum", value: { aggregationTemporality: 1, isMonotonic: false, dataPoints: [point] } } },
    histogram({ bucketCounts: [3n] }),
    histogram({ bucketCounts: [1n, 1n] }),
    histogram({ explicitBounds: [2, 1], bucketCounts: [1n, 1n, 1n] }),
    histogram({ sum: undefined }),
    histogram({ min: 1 }),
    histogram({ min: 2, max: 1 }),
    exponential({ zeroCount: 2n }),
    exponential({ sum: undefined }),
    exponential({ scale: 21 }),
    exponential({ flags: 1 }),
  ];
  for (const overrides of wrong)
    assert.notDeepEqual(problemsOfMetric(overrides), [], JSON.stringify(Object.keys(overrides)));
});

test("a resource without a service name and a field that OTLP does not have are found", () => {
  const scopeSpans = [{ scope, spans: [goodSpan] }];
  assert.notDeepEqual(checkTraces(create(ExportTraceServiceRequestSchema, { resourceSpans: [{ scopeSpans }] })), []);
  const right = create(ExportTraceServiceRequestSchema, { resourceSpans: [{ resource, scopeSpans }] });
  // Field 99, a varint, after the message.
  const bytes = Buffer.concat([toBinary(ExportTraceServiceRequestSchema, right), Buffer.from([0x98, 0x06, 0x01])]);
  assert.match(checkTraces(fromBinary(ExportTraceServiceRequestSchema, bytes)).join(), /unknown field/);
});
