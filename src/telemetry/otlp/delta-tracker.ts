/**
 * What one destination with delta temporality has been told of each series, so that
 * what it is told next is the difference. The engine counts from the start of each
 * series; this is the only place that knows of deltas.
 *
 * A difference counts as told when its request was delivered (`commit`); until then it
 * stays in the next one, so that a failed export delays counts and loses none. Its
 * interval begins where the last delivered one ended. Where a request was taken and its
 * answer lost, the difference is told twice: OTLP cannot tell that case apart.
 *
 * The end of a series: its last difference, if it has not been told, and then nothing.
 * A delta stream that ends needs no point without a value: nothing more is silence. When
 * the same attributes live again, the new series tells what the old one left.
 *
 * Series that began and ended between two exports were never seen and are not told.
 */
import type { SpanScope } from "#model/recorded-span.ts";
import type { MetricDescriptor } from "../port.ts";
import type { HistogramAggregation, MetricTemporality } from "../telemetry-options.ts";
import type { HistogramSeries, MetricFamily, NumberSeries, Series } from "../metrics/snapshot.ts";
import { addBuckets, emptyBuckets, subtractBuckets, type BucketDifference } from "./exponential-difference.ts";

/** Source: OTLP metrics exporter specification, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE. */
export function isDelta(temporality: MetricTemporality, descriptor: MetricDescriptor, series: Series): boolean {
  if (temporality === "cumulative") return false;
  if (descriptor.instrument !== "counter" && descriptor.instrument !== "histogram") return false;
  // `lowmemory`: what an observable group sets is an asynchronous instrument's; it stays cumulative.
  // Histograms have no asynchronous kind.
  return temporality === "delta" || descriptor.instrument === "histogram" || series.group === undefined;
}

/** Whether a histogram's points are exponential: asked for, and the engine has the buckets. */
export function isExponential(aggregation: HistogramAggregation, series: HistogramSeries): boolean {
  return aggregation === "base2_exponential_bucket_histogram" && series.exponential !== undefined;
}

type FamilyOf = Pick<MetricFamily, "descriptor" | "scope">;

/** One series as its destination knows it. */
interface DeltaBase {
  readonly descriptor: MetricDescriptor;
  /** The family's. */
  readonly scope: SpanScope | undefined;
  /** Unix ms: the end of what was told, or the start of the series. */
  readonly sinceMs: number;
  /** What was read last has been delivered, in a request of that time. */
  commit(timeMs: number): void;
}

export class NumberDelta implements DeltaBase {
  readonly kind = "number";
  readonly descriptor: MetricDescriptor;
  readonly scope: SpanScope | undefined;
  readonly series: NumberSeries;
  sinceMs: number;
  #startTimeMs: number;
  #told = 0;
  #seen = 0;

  constructor({ descriptor, scope }: FamilyOf, series: NumberSeries) {
    this.descriptor = descriptor;
    this.scope = scope;
    this.series = series;
    this.sinceMs = series.startTimeMs;
    this.#startTimeMs = series.startTimeMs;
  }

  /** The difference to what was told, now. */
  read(): number {
    const { value, startTimeMs } = this.series;
    if (startTimeMs !== this.#startTimeMs || value < this.#seen) {
      // A foreign total began anew: what was seen of the old one and not told is still owed.
      this.#told -= this.#seen;
      this.#startTimeMs = startTimeMs;
    }
    this.#seen = value;
    return value - this.#told;
  }

  /** Takes over what a series of the same attributes left untold. */
  inherit(predecessor: NumberDelta): void {
    this.#told -= predecessor.read();
    this.sinceMs = predecessor.sinceMs;
  }

  isSettled(): boolean {
    return this.read() === 0;
  }

  commit(timeMs: number): void {
    this.#told = this.#seen;
    this.sinceMs = timeMs;
  }
}

/** What was counted, or the difference of two such. */
interface HistogramTotals {
  readonly count: number;
  readonly sum: number;
  readonly bucketCounts: Float64Array;
  readonly exponential: BucketDifference | undefined;
}

export class HistogramDelta implements DeltaBase {
  readonly kind = "histogram";
  readonly descriptor: MetricDescriptor;
  readonly scope: SpanScope | undefined;
  readonly series: HistogramSeries;
  sinceMs: number;
  readonly #exponential: boolean;
  #startTimeMs: number;
  #told: HistogramTotals;
  #seen: HistogramTotals;

  constructor({ descriptor, scope }: FamilyOf, series: HistogramSeries, aggregation: HistogramAggregation) {
    this.descriptor = descriptor;
    this.scope = scope;
    this.series = series;
    this.sinceMs = series.startTimeMs;
    this.#startTimeMs = series.startTimeMs;
    this.#exponential = isExponential(aggregation, series);
    this.#told = this.#nothing();
    this.#seen = this.#told;
  }

  read(): HistogramTotals {
    const { series } = this;
    if (series.bucketCounts.length !== this.#told.bucketCounts.length) {
      // Other bounds: what was not told of the old ones cannot be told in the new ones.
      this.#told = this.#nothing();
    } else if (series.startTimeMs !== this.#startTimeMs || series.count < this.#seen.count) {
      this.#told = difference(this.#told, this.#seen);
    }
    this.#startTimeMs = series.startTimeMs;
    this.#seen = {
      count: series.count,
      sum: series.sum,
      bucketCounts: series.bucketCounts.slice(),
      exponential:
        this.#exponential && series.exponential !== undefined
          ? addBuckets(emptyBuckets, series.exponential)
          : undefined,
    };
    return difference(this.#seen, this.#told);
  }

  inherit(predecessor: HistogramDelta): void {
    const left = predecessor.read();
    if (left.bucketCounts.length !== this.#told.bucketCounts.length) return;
    this.#told = difference(this.#told, left);
    this.sinceMs = predecessor.sinceMs;
  }

  isSettled(): boolean {
    return this.read().count === 0;
  }

  commit(timeMs: number): void {
    this.#told = this.#seen;
    this.sinceMs = timeMs;
  }

  #nothing(): HistogramTotals {
    const bucketCounts = new Float64Array(this.series.bucketCounts.length);
    return { count: 0, sum: 0, bucketCounts, exponential: this.#exponential ? emptyBuckets : undefined };
  }
}

function difference(left: HistogramTotals, right: HistogramTotals): HistogramTotals {
  return {
    count: left.count - right.count,
    sum: left.sum - right.sum,
    bucketCounts: left.bucketCounts.map((count, index) => count - (right.bucketCounts[index] ?? 0)),
    exponential:
      left.exponential === undefined || right.exponential === undefined
        ? undefined
        : subtractBuckets(left.exponential, right.exponential),
  };
}

export type SeriesDelta = NumberDelta | HistogramDelta;

export interface DeltaTrackerOptions {
  readonly temporality: MetricTemporality;
  readonly histogramAggregation: HistogramAggregation;
  /** Identity of a series within its metric. */
  readonly identityOf: (series: Series) => string;
  /** Ended series whose rest waits for the destination; more are forgotten, the oldest first. */
  readonly maximumEnded: number;
  readonly onForgotten: (count: number) => void;
}

export class DeltaTracker {
  readonly #options: DeltaTrackerOptions;
  readonly #deltas = new Map<Series, SeriesDelta>();

  constructor(options: DeltaTrackerOptions) {
    this.#options = options;
  }

  /** Series that are kept: those that live and those that still owe a difference. */
  get size(): number {
    return this.#deltas.size;
  }

  isDelta(descriptor: MetricDescriptor, series: Series): boolean {
    return isDelta(this.#options.temporality, descriptor, series);
  }

  /** What is known of a series with delta temporality; from now on it is known. */
  of(family: FamilyOf, series: Series): SeriesDelta {
    const present = this.#deltas.get(series);
    if (present !== undefined) return present;
    const delta =
      series.kind === "number"
        ? new NumberDelta(family, series)
        : new HistogramDelta(family, series, this.#options.histogramAggregation);
    this.#deltas.set(series, delta);
    return delta;
  }

  /** Knows all series of delta temporality there are, so that their end is not missed when an export fails before them. */
  enroll(families: readonly MetricFamily[]): void {
    if (this.#options.temporality === "cumulative") return;
    for (const family of families) {
      for (const one of family.series) if (this.isDelta(family.descriptor, one)) this.of(family, one);
    }
  }

  /** Ended series that owe a last difference. What their successors can tell is theirs from now on. */
  takeEnded(families: readonly MetricFamily[]): readonly SeriesDelta[] {
    const ended: SeriesDelta[] = [];
    for (const delta of this.#deltas.values()) if (delta.series.removed) ended.push(delta);
    const owing: SeriesDelta[] = [];
    const successors = ended.length === 0 ? undefined : this.#liveByIdentity(ended, families);
    for (const delta of ended) {
      const successor = successors?.get(this.#identityOf(delta));
      if (delta.isSettled()) this.#deltas.delete(delta.series);
      else if (successor === undefined) owing.push(delta);
      else this.#handOver(delta, successor);
    }
    return this.#withinLimit(owing);
  }

  /** The request that told these has been delivered. */
  commit(told: readonly SeriesDelta[], timeMs: number): void {
    for (const delta of told) delta.commit(timeMs);
  }

  /** While the destination takes no metrics: ended series are not kept for it. */
  forgetEnded(): void {
    for (const series of this.#deltas.keys()) if (series.removed) this.#deltas.delete(series);
  }

  #handOver(delta: SeriesDelta, heir: SeriesDelta): void {
    if (delta.kind === "number" && heir.kind === "number") heir.inherit(delta);
    if (delta.kind === "histogram" && heir.kind === "histogram") heir.inherit(delta);
    this.#deltas.delete(delta.series);
  }

  #withinLimit(owing: readonly SeriesDelta[]): readonly SeriesDelta[] {
    const excess = owing.length - this.#options.maximumEnded;
    if (excess <= 0) return owing;
    for (const { series } of owing.slice(0, excess)) this.#deltas.delete(series);
    this.#options.onForgotten(excess);
    return owing.slice(excess);
  }

  #identityOf({ descriptor, series }: SeriesDelta): string {
    return `${descriptor.name}/${this.#options.identityOf(series)}`;
  }

  #liveByIdentity(ended: readonly SeriesDelta[], families: readonly MetricFamily[]): Map<string, SeriesDelta> {
    const names = new Set(ended.map(({ descriptor }) => descriptor.name));
    const live = new Map<string, SeriesDelta>();
    for (const family of families) {
      if (!names.has(family.descriptor.name)) continue;
      for (const one of family.series) {
        if (one.removed || !this.isDelta(family.descriptor, one)) continue;
        const delta = this.of(family, one);
        live.set(this.#identityOf(delta), delta);
      }
    }
    return live;
  }
}
