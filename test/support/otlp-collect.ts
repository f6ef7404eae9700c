/** What arrived by OTLP, flat, for tests to ask questions of. */
import type { ExportLogsServiceRequest } from "#gen/otlp/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import type { ExportMetricsServiceRequest } from "#gen/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import type { ExportTraceServiceRequest } from "#gen/otlp/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import { AggregationTemporality, type Metric } from "#gen/otlp/opentelemetry/proto/metrics/v1/metrics_pb.ts";
import type { Span } from "#gen/otlp/opentelemetry/proto/trace/v1/trace_pb.ts";
import { hasNoRecordedValue, plainAttributes, plainValue, seriesKey, type PlainValue } from "./otlp-checks.ts";

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for roots. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly attributes: Readonly<Record<string, PlainValue>>;
  readonly resource: Readonly<Record<string, PlainValue>>;
  readonly scopeName: string;
  readonly message: Span;
}

export interface ReceivedPoint {
  readonly name: string;
  readonly unit: string;
  readonly kind: "gauge" | "sum" | "histogram" | "exponentialHistogram";
  readonly monotonic: boolean;
  readonly temporality: "cumulative" | "delta" | undefined;
  readonly scopeName: string;
  /** `name{key=value,…}` with sorted keys. */
  readonly series: string;
  readonly attributes: Readonly<Record<string, PlainValue>>;
  /** The value; a histogram's count. */
  readonly value: number;
  readonly sum: number | undefined;
  /** Of an exponential histogram: the positive ones. */
  readonly bucketCounts: readonly number[];
  /** Of an exponential histogram only. */
  readonly exponential: { readonly scale: number; readonly offset: number; readonly zeroCount: number } | undefined;
  readonly minimum: number | undefined;
  readonly maximum: number | undefined;
  readonly noRecordedValue: boolean;
  readonly startUnixNano: bigint;
  readonly timeUnixNano: bigint;
  readonly exemplars: readonly { readonly traceId: string; readonly value: number }[];
  readonly resource: Readonly<Record<string, PlainValue>>;
}

export interface ReceivedLog {
  readonly body: PlainValue;
  readonly severityText: string;
  readonly eventName: string;
  readonly traceId: string;
  readonly attributes: Readonly<Record<string, PlainValue>>;
  readonly resource: Readonly<Record<string, PlainValue>>;
}

export function collectSpans(request: ExportTraceServiceRequest): ReceivedSpan[] {
  return request.resourceSpans.flatMap((group) =>
    group.scopeSpans.flatMap(({ scope, spans }) =>
      spans.map((message) => ({
        traceId: hex(message.traceId),
        spanId: hex(message.spanId),
        parentSpanId: hex(message.parentSpanId),
        name: message.name,
        attributes: plainAttributes(message.attributes),
        resource: plainAttributes(group.resource?.attributes ?? []),
        scopeName: scope?.name ?? "",
        message,
      })),
    ),
  );
}

export function collectPoints(request: ExportMetricsServiceRequest): ReceivedPoint[] {
  return request.resourceMetrics.flatMap((group) => {
    const resource = plainAttributes(group.resource?.attributes ?? []);
    return group.scopeMetrics.flatMap(({ scope, metrics }) =>
      metrics.flatMap((metric) => pointsOf(metric, scope?.name ?? "", resource)),
    );
  });
}

function pointsOf(metric: Metric, scopeName: string, resource: ReceivedPoint["resource"]): ReceivedPoint[] {
  const { case: kind, value: data } = metric.data;
  if (kind === undefined) return [];
  const isHistogram = kind === "histogram" || kind === "exponentialHistogram";
  return data.dataPoints.map((point) => ({
    name: metric.name,
    unit: metric.unit,
    kind,
    monotonic: isHistogram || (kind === "sum" && data.isMonotonic),
    temporality: kind === "gauge" ? undefined : temporalityOf(data.aggregationTemporality),
    scopeName,
    series: seriesKey(metric.name, point.attributes),
    attributes: plainAttributes(point.attributes),
    ...valuesOf(point),
    noRecordedValue: hasNoRecordedValue(point),
    startUnixNano: point.startTimeUnixNano,
    timeUnixNano: point.timeUnixNano,
    exemplars: point.exemplars.map((exemplar) => ({
      traceId: hex(exemplar.traceId),
      value: Number(exemplar.value.value ?? 0),
    })),
    resource,
  }));
}

type Point = NonNullable<Metric["data"]["value"]>["dataPoints"][number];
type Values = Pick<ReceivedPoint, "value" | "sum" | "bucketCounts" | "exponential" | "minimum" | "maximum">;

function valuesOf(point: Point): Values {
  switch (point.$typeName) {
    case "opentelemetry.proto.metrics.v1.NumberDataPoint": {
      const none = { sum: undefined, exponential: undefined, minimum: undefined, maximum: undefined };
      return { ...none, value: Number(point.value.value ?? 0), bucketCounts: [] };
    }
    case "opentelemetry.proto.metrics.v1.HistogramDataPoint": {
      const { sum, min: minimum, max: maximum } = point;
      const bucketCounts = point.bucketCounts.map(Number);
      return { value: Number(point.count), sum, bucketCounts, exponential: undefined, minimum, maximum };
    }
    case "opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint": {
      const { sum, min: minimum, max: maximum, scale, positive } = point;
      const bucketCounts = (positive?.bucketCounts ?? []).map(Number);
      const exponential = { scale, offset: positive?.offset ?? 0, zeroCount: Number(point.zeroCount) };
      return { value: Number(point.count), sum, bucketCounts, exponential, minimum, maximum };
    }
  }
}

function temporalityOf(temporality: AggregationTemporality): ReceivedPoint["temporality"] {
  return temporality === AggregationTemporality.DELTA ? "delta" : "cumulative";
}

export function collectLogs(request: ExportLogsServiceRequest): ReceivedLog[] {
  return request.resourceLogs.flatMap((group) =>
    group.scopeLogs.flatMap(({ logRecords }) =>
      logRecords.map((record) => ({
        body: plainValue(record.body),
        severityText: record.severityText,
        eventName: record.eventName,
        traceId: hex(record.traceId),
        attributes: plainAttributes(record.attributes),
        resource: plainAttributes(group.resource?.attributes ?? []),
      })),
    ),
  );
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
