/**
 * What the metrics engine shows to those who send its series away: the page
 * (`exposition/`) and the OTLP encoder (`otlp/`). They read live objects, nothing is
 * copied; a reader that yields between series takes `series.slice()` first and
 * skips those that were `removed` meanwhile.
 *
 *   const reader = engine.createReader();      one for each OTLP destination
 *   const { families, ended } = reader.read(); at every export
 *   for (const family of families) for (const series of family.series) …
 *
 * An info's series has the value 1. A stateset is a family of numbers, 1 for the state
 * that holds and 0 for each of the others; the state is the attribute with the metric's name.
 *
 * Two slots on a series belong to its readers: `encodedAttributes` to the OTLP
 * encoder, `prefix` to the page. Both live and die with the series.
 */
import type { SpanScope } from "#model/recorded-span.ts";
import type { AttributeValue, MetricDescriptor } from "../port.ts";

/** Key and value. */
export type SeriesAttribute = readonly [key: string, value: AttributeValue];

/** One measurement with the span it was made in. That span is exported. */
export interface Exemplar {
  readonly value: number;
  /** Unix time in ms. */
  readonly timeMs: number;
  /** 32 and 16 lower-case hex digits. */
  readonly traceId: string;
  readonly spanId: string;
}

interface SeriesBase {
  /** In the descriptor's order, without absent ones. Frozen for the life of the series. */
  readonly attributes: readonly SeriesAttribute[];
  /** Unix ms: since when its counts count. Changes when a foreign total starts anew. */
  readonly startTimeMs: number;
  readonly removed: boolean;
  /** Set while an observable group gives the value: the instrument is an asynchronous one. */
  readonly group?: object | undefined;
  /** The OTLP encoder's: the attributes as encoded, one character for each byte, kept from one export to the next. */
  encodedAttributes: string | undefined;
  /** The page's: the name and labels of its line, one character for each UTF-8 byte. */
  prefix: string | undefined;
}

export interface NumberSeries extends SeriesBase {
  readonly kind: "number";
  /** NaN: a gauge that was never set; there is nothing to send. */
  readonly value: number;
  /** Counters only: the newest. */
  readonly exemplar: Exemplar | undefined;
}

export interface HistogramSeries extends SeriesBase {
  readonly kind: "histogram";
  /** Upper bounds of the buckets but the last, which has none. */
  readonly bounds: Float64Array;
  /** Not cumulative; one more than bounds. */
  readonly bucketCounts: Float64Array;
  readonly sum: number;
  readonly count: number;
  /** The newest of each bucket, at the bucket's place; shorter than `bucketCounts` while the rest has none. */
  readonly exemplars: readonly (Exemplar | undefined)[];
  /** The same measurements in exponential buckets; absent where only classic ones are kept. */
  readonly exponential: ExponentialBuckets | undefined;
}

/**
 * Base-2 exponential buckets. Source: OpenTelemetry metrics data model,
 * "ExponentialHistogram". Bucket i of `positiveCounts` holds (base^(offset+i), base^(offset+i+1)],
 * base = 2^(2^-scale). Prometheus's native histograms are the same up to the offset (by one) and
 * scales -4 to 8.
 */
export interface ExponentialBuckets {
  readonly scale: number;
  /** Measurements that are exactly 0. */
  readonly zeroCount: number;
  readonly positiveOffset: number;
  /** At most 160. */
  readonly positiveCounts: ArrayLike<number>;
  /** NaN while nothing was recorded. */
  readonly minimum: number;
  readonly maximum: number;
}

export type Series = NumberSeries | HistogramSeries;

export interface MetricFamily {
  readonly descriptor: MetricDescriptor;
  /** The library that measures; absent: Blixard itself. */
  readonly scope?: SpanScope | undefined;
  /** Live: it changes when series come and go, in any order. */
  readonly series: readonly Series[];
}

/** A series that is gone: OTLP sends one point without a value (NO_RECORDED_VALUE) for it. */
export interface EndedSeries {
  readonly descriptor: MetricDescriptor;
  /** The family's. */
  readonly scope?: SpanScope | undefined;
  readonly series: Series;
}

export interface MetricsSnapshot {
  /** Families that have series. */
  readonly families: readonly MetricFamily[];
  /** Series that an earlier read showed and that have ended since; each is told once. */
  readonly ended: readonly EndedSeries[];
}

/** A consumer's own view: it knows which ended series this consumer has not been told of. */
export interface MetricsReader extends Disposable {
  read(): MetricsSnapshot;
}

export interface MetricsSource {
  /** Families that have series, in the order in which they began to exist. */
  families(): readonly MetricFamily[];
  createReader(): MetricsReader;
}
