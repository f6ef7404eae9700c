/**
 * What a strict OTLP receiver holds against a message. Each check returns sentences;
 * none means that the message is right. Sources: the OTLP specification and the
 * comments of its protocol files.
 */
import type { ExportLogsServiceRequest } from "#gen/otlp/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import type { ExportMetricsServiceRequest } from "#gen/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import type { ExportTraceServiceRequest } from "#gen/otlp/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import type { AnyValue, InstrumentationScope, KeyValue } from "#gen/otlp/opentelemetry/proto/common/v1/common_pb.ts";
import type { LogRecord } from "#gen/otlp/opentelemetry/proto/logs/v1/logs_pb.ts";
import {
  AggregationTemporality,
  DataPointFlags,
  type Exemplar,
  type ExponentialHistogramDataPoint,
  type HistogramDataPoint,
  type Metric,
  type NumberDataPoint,
} from "#gen/otlp/opentelemetry/proto/metrics/v1/metrics_pb.ts";
import type { Resource } from "#gen/otlp/opentelemetry/proto/resource/v1/resource_pb.ts";
import { Span_SpanKind, type Span } from "#gen/otlp/opentelemetry/proto/trace/v1/trace_pb.ts";

export type PlainValue = string | number | boolean | readonly PlainValue[] | undefined;

export function plainAttributes(pairs: readonly KeyValue[]): Record<string, PlainValue> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, plainValue(value)]));
}

export function plainValue(any: AnyValue | undefined): PlainValue {
  switch (any?.value.case) {
    case "stringValue":
    case "boolValue":
    case "doubleValue":
      return any.value.value;
    case "intValue":
      return Number(any.value.value);
    case "arrayValue":
      return any.value.value.values.map(plainValue);
    case "kvlistValue":
    case "bytesValue":
    case undefined:
      return undefined;
  }
}

export function checkTraces(request: ExportTraceServiceRequest): string[] {
  return [
    ...checkUnknownFields(request),
    ...notEmpty("resource_spans", request.resourceSpans.length),
    ...request.resourceSpans.flatMap((group) => [
      ...checkResource(group.resource),
      ...notEmpty("scope_spans", group.scopeSpans.length),
      ...group.scopeSpans.flatMap(({ scope, spans }) => [
        ...checkScope(scope),
        ...notEmpty("spans", spans.length),
        ...spans.flatMap(checkSpan),
      ]),
    ]),
  ];
}

function checkSpan(span: Span): string[] {
  const found: string[] = [];
  const say = (text: string): void => void found.push(`span ${span.name}: ${text}`);
  if (!isId(span.traceId, 16)) say("bad trace id");
  if (!isId(span.spanId, 8)) say("bad span id");
  if (span.parentSpanId.length > 0 && !isId(span.parentSpanId, 8)) say("bad parent span id");
  if (Buffer.from(span.parentSpanId).equals(Buffer.from(span.spanId))) say("is its own parent");
  if (span.name === "") say("no name");
  if (span.kind === Span_SpanKind.UNSPECIFIED) say("no kind");
  if (span.startTimeUnixNano === 0n) say("no start time");
  if (span.endTimeUnixNano < span.startTimeUnixNano) say("ends before it starts");
  found.push(...checkAttributes(`span ${span.name}`, span.attributes));
  for (const link of span.links) {
    if (!isId(link.traceId, 16) || !isId(link.spanId, 8)) say("bad link");
    found.push(...checkAttributes("link", link.attributes));
  }
  for (const event of span.events) {
    if (event.name === "" || event.timeUnixNano === 0n) say("bad event");
    found.push(...checkAttributes("event", event.attributes));
  }
  return found;
}

export function checkMetrics(request: ExportMetricsServiceRequest): string[] {
  const series = new Set<string>();
  return [
    ...checkUnknownFields(request),
    ...notEmpty("resource_metrics", request.resourceMetrics.length),
    ...request.resourceMetrics.flatMap((group) => [
      ...checkResource(group.resource),
      ...notEmpty("scope_metrics", group.scopeMetrics.length),
      ...group.scopeMetrics.flatMap(({ scope, metrics }) => [
        ...checkScope(scope),
        ...notEmpty("metrics", metrics.length),
        ...metrics.flatMap((metric) => checkMetric(metric, `${scope?.name}`, series)),
      ]),
    ]),
  ];
}

const METRIC_NAME = /^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$/;

function checkMetric(metric: Metric, scopeName: string, series: Set<string>): string[] {
  const found: string[] = [];
  const say = (text: string): void => void found.push(`metric ${metric.name}: ${text}`);
  if (!METRIC_NAME.test(metric.name)) say("bad name");
  if (metric.unit === "") say("no unit");
  if (metric.description === "") say("no description");
  const { case: kind, value: data } = metric.data;
  if (kind === undefined) return [...found, `metric ${metric.name}: no data`];
  if (kind !== "gauge") checkTemporality(metric, data.aggregationTemporality, say);
  if (data.dataPoints.length === 0) say("no points");
  for (const point of data.dataPoints) {
    const key = `${scopeName}/${seriesKey(metric.name, point.attributes)}`;
    if (series.has(key)) say(`twice in one message: ${key}`);
    series.add(key);
    if (point.timeUnixNano === 0n) say("point without a time");
    if (kind !== "gauge" && point.startTimeUnixNano === 0n) say("point without a start time");
    if (point.startTimeUnixNano > point.timeUnixNano) say("point from before its start");
    found.push(...checkAttributes(`metric ${metric.name}`, point.attributes));
    found.push(...point.exemplars.flatMap(checkExemplar));
    if (point.$typeName === "opentelemetry.proto.metrics.v1.HistogramDataPoint") checkHistogramPoint(point, say);
    else if (point.$typeName === "opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint") {
      checkExponentialPoint(point, say);
    } else checkNumberPoint(point, kind === "sum" && metric.data.value.isMonotonic, say);
  }
  return found;
}

function checkTemporality(metric: Metric, temporality: AggregationTemporality, say: (text: string) => void): void {
  if (temporality === AggregationTemporality.CUMULATIVE) return;
  if (temporality !== AggregationTemporality.DELTA) say("no temporality");
  else if (metric.data.case === "sum" && !metric.data.value.isMonotonic) say("an up-down counter as differences");
}

export function seriesKey(name: string, attributes: readonly KeyValue[]): string {
  const pairs = attributes.map(({ key, value }) => `${key}=${String(plainValue(value))}`);
  return `${name}{${pairs.toSorted().join(",")}}`;
}

export function hasNoRecordedValue(point: { readonly flags: number }): boolean {
  return (point.flags & DataPointFlags.NO_RECORDED_VALUE_MASK) !== 0;
}

function checkNumberPoint(point: NumberDataPoint, monotonic: boolean, say: (text: string) => void): void {
  if (hasNoRecordedValue(point)) {
    if (point.value.case !== undefined) say("a value that was not recorded");
    return;
  }
  if (point.value.case === undefined) say("point without a value");
  else if (monotonic && point.value.value < 0) say("a negative counter");
}

function checkHistogramPoint(point: HistogramDataPoint, say: (text: string) => void): void {
  if (hasNoRecordedValue(point)) {
    if (point.count !== 0n) say("a count that was not recorded");
    return;
  }
  if (point.bucketCounts.length !== point.explicitBounds.length + 1) say("bucket counts do not fit the bounds");
  if (point.explicitBounds.some((bound, index) => index > 0 && !(bound > (point.explicitBounds[index - 1] ?? 0)))) {
    say("bounds do not ascend");
  }
  if (point.bucketCounts.reduce((sum, count) => sum + count, 0n) !== point.count) say("bucket counts do not add up");
  if (point.sum === undefined || Number.isNaN(point.sum)) say("no sum");
  checkExtremes(point, say);
}

function checkExponentialPoint(point: ExponentialHistogramDataPoint, say: (text: string) => void): void {
  if (hasNoRecordedValue(point)) {
    if (point.count !== 0n) say("a count that was not recorded");
    return;
  }
  const counts = [...(point.positive?.bucketCounts ?? []), ...(point.negative?.bucketCounts ?? [])];
  if (counts.reduce((sum, count) => sum + count, point.zeroCount) !== point.count) say("bucket counts do not add up");
  if (point.scale < -10 || point.scale > 20) say("no such scale");
  if (point.sum === undefined || Number.isNaN(point.sum)) say("no sum");
  checkExtremes(point, say);
}

function checkExtremes({ min, max }: Pick<HistogramDataPoint, "min" | "max">, say: (text: string) => void): void {
  if ((min === undefined) !== (max === undefined)) say("one extreme without the other");
  if (min !== undefined && max !== undefined && !(min <= max)) say("minimum over maximum");
}

function checkExemplar(exemplar: Exemplar): string[] {
  const good = isId(exemplar.traceId, 16) && isId(exemplar.spanId, 8) && exemplar.timeUnixNano > 0n;
  return good && exemplar.value.case !== undefined ? [] : ["bad exemplar"];
}

export function checkLogs(request: ExportLogsServiceRequest): string[] {
  return [
    ...checkUnknownFields(request),
    ...notEmpty("resource_logs", request.resourceLogs.length),
    ...request.resourceLogs.flatMap((group) => [
      ...checkResource(group.resource),
      ...group.scopeLogs.flatMap(({ scope, logRecords }) => [
        ...checkScope(scope),
        ...notEmpty("log_records", logRecords.length),
        ...logRecords.flatMap(checkLogRecord),
      ]),
    ]),
  ];
}

function checkLogRecord(record: LogRecord): string[] {
  const found: string[] = [];
  if (record.timeUnixNano === 0n || record.observedTimeUnixNano === 0n) found.push("log record without a time");
  if (record.severityNumber === 0 || record.severityText === "") found.push("log record without a severity");
  if (record.body === undefined) found.push("log record without a body");
  if (record.traceId.length + record.spanId.length > 0 && !(isId(record.traceId, 16) && isId(record.spanId, 8))) {
    found.push("log record with a bad context");
  }
  return [...found, ...checkAttributes("log record", record.attributes)];
}

function checkResource(resource: Resource | undefined): string[] {
  const attributes = resource?.attributes ?? [];
  const serviceName = plainAttributes(attributes)["service.name"];
  const named = typeof serviceName === "string" && serviceName !== "";
  return [...(named ? [] : ["resource without service.name"]), ...checkAttributes("resource", attributes)];
}

function checkScope(scope: InstrumentationScope | undefined): string[] {
  return scope === undefined || scope.name === "" ? ["no scope"] : [];
}

function checkAttributes(where: string, attributes: readonly KeyValue[]): string[] {
  const keys = new Set<string>();
  return attributes.flatMap(({ key, value }) => {
    const found: string[] = [];
    if (key === "") found.push(`${where}: attribute without a key`);
    if (keys.has(key)) found.push(`${where}: attribute ${key} twice`);
    if (value?.value.case === undefined) found.push(`${where}: attribute ${key} without a value`);
    keys.add(key);
    return found;
  });
}

/** Everything we send is in our subset: an unknown field is a wrong number. */
function checkUnknownFields(message: object): string[] {
  const found: string[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
    if ("$unknown" in value && Array.isArray(value.$unknown) && value.$unknown.length > 0) {
      found.push(`unknown field in ${"$typeName" in value ? String(value.$typeName) : "a message"}`);
    }
    for (const [key, part] of Object.entries(value)) if (!key.startsWith("$")) visit(part);
  };
  visit(message);
  return found;
}

function notEmpty(what: string, length: number): string[] {
  return length === 0 ? [`no ${what}`] : [];
}

function isId(bytes: Uint8Array, length: number): boolean {
  return bytes.length === length && bytes.some((byte) => byte !== 0);
}
