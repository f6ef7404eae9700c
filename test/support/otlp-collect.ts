/** What arrived by OTLP, flat, for tests to ask questions of. */
import type { ExportLogsServiceRequest } from "#gen/otlp/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import type { ExportMetricsServiceRequest } from "#gen/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import type { ExportTraceServiceRequest } from "#gen/otlp/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import type { Metric } from "#gen/otlp/opentelemetry/proto/metrics/v1/metrics_pb.ts";
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
  readonly kind: "gauge" | "sum" | "histogram";
  readonly monotonic: boolean;
  /** `name{key=value,…}` with sorted keys. */
  readonly series: string;
  readonly attributes: Readonly<Record<string, PlainValue>>;
  /** The value; a histogram's count. */
  readonly value: number;
  readonly sum: number | undefined;
  readonly bucketCounts: readonly number[];
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
    return group.scopeMetrics.flatMap(({ metrics }) => metrics.flatMap((metric) => pointsOf(metric, resource)));
  });
}

function pointsOf(metric: Metric, resource: ReceivedPoint["resource"]): ReceivedPoint[] {
  const { case: kind, value: data } = metric.data;
  if (kind === undefined) return [];
  return data.dataPoints.map((point) => {
    const isHistogram = point.$typeName === "opentelemetry.proto.metrics.v1.HistogramDataPoint";
    return {
      name: metric.name,
      unit: metric.unit,
      kind,
      monotonic: kind === "histogram" || (kind === "sum" && data.isMonotonic),
      series: seriesKey(metric.name, point.attributes),
      attributes: plainAttributes(point.attributes),
      value: Number(isHistogram ? point.count : (point.value.value ?? 0)),
      sum: isHistogram ? point.sum : undefined,
      bucketCounts: isHistogram ? point.bucketCounts.map(Number) : [],
      noRecordedValue: hasNoRecordedValue(point),
      startUnixNano: point.startTimeUnixNano,
      timeUnixNano: point.timeUnixNano,
      exemplars: point.exemplars.map((exemplar) => ({
        traceId: hex(exemplar.traceId),
        value: Number(exemplar.value.value ?? 0),
      })),
      resource,
    };
  });
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
