/** What OpenTelemetry's SDK collects, as the engine's foreign metrics. */
import type { Attributes as OtelAttributes, HrTime } from "@opentelemetry/api";
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type ExponentialHistogram,
  type Histogram,
  type MetricData,
  type ScopeMetrics,
} from "@opentelemetry/sdk-metrics";
import type { SpanScope } from "#model/recorded-span.ts";
import { prometheusMetricName } from "../exposition/prometheus-names.ts";
import type { ForeignMetric, ForeignPoint } from "../metrics/foreign-metrics.ts";
import type { SeriesAttribute } from "../metrics/snapshot.ts";
import type { AttributeValue, MetricDescriptor } from "../port.ts";

const MAXIMUM_VALUE_LENGTH = 1_024;

export function toScope({ name, version, schemaUrl }: ScopeMetrics["scope"]): SpanScope {
  return {
    name,
    ...(version === undefined || version === "" ? {} : { version }),
    ...(schemaUrl === undefined || schemaUrl === "" ? {} : { schemaUrl }),
  };
}

export function toForeignMetric(data: MetricData, scope: SpanScope): ForeignMetric {
  const { name, unit, description } = data.descriptor;
  const instrument = instrumentOf(data);
  const prometheusName = prometheusMetricName({ name, unit, instrument });
  const descriptor: MetricDescriptor = { name, prometheusName, instrument, unit, brief: description, attributes: {} };
  return { descriptor, scope };
}

function instrumentOf(data: MetricData): MetricDescriptor["instrument"] {
  switch (data.dataPointType) {
    case DataPointType.GAUGE:
      return "gauge";
    case DataPointType.SUM:
      return data.isMonotonic ? "counter" : "updowncounter";
    case DataPointType.HISTOGRAM:
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      return "histogram";
  }
}

/** The points, deltas not added up. */
export function toForeignPoints(data: MetricData): ForeignPoint[] {
  switch (data.dataPointType) {
    case DataPointType.GAUGE:
    case DataPointType.SUM:
      return data.dataPoints.map((point) => ({ ...commonsOf(point), value: point.value }));
    case DataPointType.HISTOGRAM:
      return data.dataPoints.map((point) => ({ ...commonsOf(point), value: toExplicit(point.value) }));
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      return data.dataPoints.map((point) => ({ ...commonsOf(point), value: toExponential(point.value) }));
  }
}

export function isDelta(data: MetricData): boolean {
  return data.dataPointType === DataPointType.SUM && data.aggregationTemporality === AggregationTemporality.DELTA;
}

function commonsOf({ attributes, startTime }: DataPoint<unknown>): Omit<ForeignPoint, "value"> {
  return { attributes: toSeriesAttributes(attributes), startTimeMs: toUnixMs(startTime) };
}

function toExplicit({ sum, count, buckets }: Histogram): ForeignPoint["value"] {
  let upTo = 0;
  return {
    sum: sum ?? 0,
    count,
    bounds: buckets.boundaries,
    cumulativeCounts: buckets.counts.map((own) => (upTo += own)),
  };
}

/** Without explicit buckets but the last one: their bounds nobody has chosen. */
function toExponential(histogram: ExponentialHistogram): ForeignPoint["value"] {
  const { sum, count, scale, zeroCount, positive, min, max } = histogram;
  return {
    sum: sum ?? 0,
    count,
    bounds: [],
    cumulativeCounts: [count],
    exponential: {
      scale,
      zeroCount,
      positiveOffset: positive.offset,
      positiveCounts: positive.bucketCounts,
      minimum: min ?? Number.NaN,
      maximum: max ?? Number.NaN,
    },
  };
}

/** By key, so that the same ones always are in the same order. */
function toSeriesAttributes(attributes: OtelAttributes): SeriesAttribute[] {
  return Object.entries(attributes)
    .flatMap(([key, value]): SeriesAttribute[] => (value === undefined ? [] : [[key, toAttributeValue(value)]]))
    .toSorted(([left], [right]) => (left < right ? -1 : 1));
}

function toAttributeValue(value: unknown): AttributeValue {
  if (typeof value === "number" || typeof value === "boolean") return value;
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return text.slice(0, MAXIMUM_VALUE_LENGTH);
}

function toUnixMs([seconds, nanos]: HrTime): number {
  return seconds * 1_000 + nanos / 1e6;
}
