/** Families of metrics made by hand, for tests of what is made of them. */
import type {
  Exemplar,
  ExponentialBuckets,
  HistogramSeries,
  MetricFamily,
  NumberSeries,
  SeriesAttribute,
} from "#telemetry/metrics/snapshot.ts";
import { prometheusMetricName } from "#telemetry/exposition/prometheus-names.ts";
import type { MetricDescriptor } from "#telemetry/port.ts";

export const START_TIME_MS = 1_700_000_000_500;

const base = {
  startTimeMs: START_TIME_MS,
  removed: false,
  encodedAttributes: undefined,
  prefix: undefined,
};

export function familyOf(
  metric: Pick<MetricDescriptor, "name" | "instrument"> & Partial<MetricDescriptor>,
  series: MetricFamily["series"],
  scope?: MetricFamily["scope"],
): MetricFamily {
  const named = { unit: "{thing}", brief: "What it says.", attributes: {}, ...metric };
  const descriptor = { ...named, prometheusName: metric.prometheusName ?? prometheusMetricName(named) };
  return { descriptor, series, ...(scope === undefined ? {} : { scope }) };
}

export function numberOf(
  value: number,
  attributes: readonly SeriesAttribute[] = [],
  exemplar?: Exemplar,
): NumberSeries {
  return { ...base, kind: "number", value, attributes, exemplar };
}

/** What is left out is empty; the count is that of the buckets. */
export function histogramOf(
  bounds: readonly number[],
  bucketCounts: readonly number[],
  more: {
    readonly sum?: number;
    readonly attributes?: readonly SeriesAttribute[];
    readonly exemplars?: readonly (Exemplar | undefined)[];
    readonly exponential?: ExponentialBuckets;
  } = {},
): HistogramSeries {
  return {
    ...base,
    kind: "histogram",
    bounds: Float64Array.from(bounds),
    bucketCounts: Float64Array.from(bucketCounts),
    sum: more.sum ?? 0,
    count: bucketCounts.reduce((sum, count) => sum + count, 0),
    attributes: more.attributes ?? [],
    exemplars: more.exemplars ?? [],
    exponential: more.exponential,
  };
}

export function exemplarOf(value: number, timeMs = START_TIME_MS): Exemplar {
  return { value, timeMs, traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
}
