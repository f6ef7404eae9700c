/**
 * One series: the cell that domain code records on is the series itself, so that a
 * bound counter is one addition. All classes keep their fields in the same order.
 */
import type { TraceContext } from "#model/trace-context.ts";
import type { CounterCell, GaugeCell, HistogramCell, InfoCell, UpDownCounterCell } from "../port.ts";
import { type ExemplarKeeper, SeriesExemplars } from "./exemplars.ts";
import { ExponentialHistogram, type ExponentialIndex } from "./exponential-histogram.ts";
import type { Exemplar, ExponentialBuckets, HistogramSeries, NumberSeries, SeriesAttribute } from "./snapshot.ts";

export type DropReason = "negative" | "not_finite" | "type";

/** The family, as its series see it. */
export interface SeriesOwner {
  remove(series: AnySeries): void;
  countDropped(reason: DropReason): void;
}

export type AnySeries = CounterSeries | UpDownCounterSeries | GaugeSeries | BucketSeries | InfoSeries;

export interface SeriesByInstrument {
  counter: CounterSeries;
  updowncounter: UpDownCounterSeries;
  gauge: GaugeSeries;
  histogram: BucketSeries;
  info: InfoSeries;
  /** One of its states. */
  stateset: GaugeSeries;
}

export interface SeriesFields {
  readonly owner: SeriesOwner;
  /** Identity within the family. */
  readonly key: string;
  readonly attributes: readonly SeriesAttribute[];
  readonly startTimeMs: number;
  /** Grows with every series of the engine. */
  readonly sequence: number;
}

const none: readonly never[] = Object.freeze([]);

abstract class NumberSeriesBase implements NumberSeries {
  readonly kind = "number";
  value: number;
  readonly key: string;
  readonly attributes: readonly SeriesAttribute[];
  startTimeMs: number;
  readonly sequence: number;
  removed = false;
  /** Place in the family's list; kept by the family. */
  position = 0;
  /** The observable group that keeps it, and its last collection that did; see observable-group.ts. */
  group: object | undefined = undefined;
  collection = 0;
  encodedAttributes: string | undefined = undefined;
  prefix: string | undefined = undefined;
  protected readonly owner: SeriesOwner;

  constructor(fields: SeriesFields, value: number) {
    this.value = value;
    this.key = fields.key;
    this.attributes = fields.attributes;
    this.startTimeMs = fields.startTimeMs;
    this.sequence = fields.sequence;
    this.owner = fields.owner;
  }

  get exemplar(): Exemplar | undefined {
    return undefined;
  }
}

export class CounterSeries extends NumberSeriesBase implements CounterCell {
  readonly #keeper: ExemplarKeeper;
  #exemplars: SeriesExemplars | undefined = undefined;
  #lookedEpoch = 0;

  constructor(fields: SeriesFields, keeper: ExemplarKeeper) {
    super(fields, 0);
    this.#keeper = keeper;
  }

  override get exemplar(): Exemplar | undefined {
    return this.#exemplars?.kept[0];
  }

  add(value: number, exemplar?: TraceContext): void {
    if (value >= 0 && value < Infinity) this.value += value;
    else return this.owner.countDropped(value < 0 ? "negative" : "not_finite");
    if (this.#lookedEpoch !== this.#keeper.epoch) this.#look(value, exemplar ?? this.#keeper.active());
    else if (exemplar !== undefined) this.#exemplars?.offerPromoted(0, value, exemplar);
  }

  remove(): void {
    this.owner.remove(this);
  }

  #look(value: number, context: TraceContext | undefined): void {
    this.#lookedEpoch = this.#keeper.epoch;
    if (context === undefined) return;
    this.#exemplars ??= new SeriesExemplars(this.#keeper);
    this.#exemplars.offer(0, value, context);
  }
}

export class UpDownCounterSeries extends NumberSeriesBase implements UpDownCounterCell {
  constructor(fields: SeriesFields) {
    super(fields, 0);
  }

  add(value: number): void {
    if (Number.isFinite(value)) this.value += value;
    else this.owner.countDropped("not_finite");
  }

  remove(): void {
    this.owner.remove(this);
  }
}

export class GaugeSeries extends NumberSeriesBase implements GaugeCell {
  constructor(fields: SeriesFields) {
    super(fields, Number.NaN);
  }

  set(value: number): void {
    if (Number.isNaN(value)) this.owner.countDropped("not_finite");
    else this.value = value;
  }

  remove(): void {
    this.owner.remove(this);
  }
}

export class InfoSeries extends NumberSeriesBase implements InfoCell {
  constructor(fields: SeriesFields) {
    super(fields, 1);
  }

  remove(): void {
    this.owner.remove(this);
  }
}

/** What a histogram's series are made with, the same for all of the engine. */
export interface BucketTools {
  readonly keeper: ExemplarKeeper;
  /** Absent: no exponential buckets are kept. */
  readonly exponentialIndex: ExponentialIndex | undefined;
}

/** What the series of one histogram share. */
export interface BucketLayout {
  readonly bounds: Float64Array;
  /** Where the search for a bucket begins; see `searchStarts`. */
  readonly starts: Uint8Array;
  readonly tools: BucketTools;
}

export class BucketSeries implements HistogramSeries, HistogramCell {
  readonly kind = "histogram";
  bounds: Float64Array;
  bucketCounts: Float64Array;
  sum = 0;
  count = 0;
  readonly key: string;
  readonly attributes: readonly SeriesAttribute[];
  startTimeMs: number;
  readonly sequence: number;
  removed = false;
  position = 0;
  group: object | undefined = undefined;
  collection = 0;
  encodedAttributes: string | undefined = undefined;
  prefix: string | undefined = undefined;
  /** Buckets of another program's histogram; see observed-values.ts. */
  foreignExponential: ExponentialBuckets | undefined = undefined;
  readonly #owner: SeriesOwner;
  readonly #tools: BucketTools;
  readonly #starts: Uint8Array;
  #exponential: ExponentialHistogram | undefined = undefined;
  #exemplars: SeriesExemplars | undefined = undefined;
  #lookedEpoch = 0;
  /** A bit for each bucket that was looked at in this epoch; buckets 32 apart share one. */
  #looked = 0;

  constructor(fields: SeriesFields, { bounds, starts, tools }: BucketLayout) {
    this.bounds = bounds;
    this.#starts = starts;
    this.bucketCounts = new Float64Array(bounds.length + 1);
    this.key = fields.key;
    this.attributes = fields.attributes;
    this.startTimeMs = fields.startTimeMs;
    this.sequence = fields.sequence;
    this.#owner = fields.owner;
    this.#tools = tools;
  }

  get exemplars(): readonly (Exemplar | undefined)[] {
    return this.#exemplars?.kept ?? none;
  }

  get exponential(): ExponentialBuckets | undefined {
    return this.#exponential ?? this.foreignExponential;
  }

  record(value: number, exemplar?: TraceContext): void {
    if (!(value >= 0 && value < Infinity)) {
      this.#owner.countDropped(value < 0 ? "negative" : "not_finite");
      return;
    }
    const { bounds, bucketCounts } = this;
    const exponential = this.#exponential;
    let bucket =
      exponential === undefined ? this.#beginExponential(value) : (this.#starts[exponential.record(value)] ?? 0);
    // Few bounds: a linear search beats a binary one.
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket++;
    bucketCounts[bucket] = (bucketCounts[bucket] ?? 0) + 1;
    this.sum += value;
    this.count++;
    if (this.#lookedEpoch !== this.#tools.keeper.epoch || (this.#looked & (1 << bucket)) === 0) {
      this.#look(bucket, value, exemplar);
    } else if (exemplar !== undefined) {
      this.#exemplars?.offerPromoted(bucket, value, exemplar);
    }
  }

  remove(): void {
    this.#owner.remove(this);
  }

  /** Their 1.3 KB are not spent on series that never measure. */
  #beginExponential(value: number): number {
    const { exponentialIndex } = this.#tools;
    if (exponentialIndex === undefined) return 0;
    this.#exponential = new ExponentialHistogram(exponentialIndex);
    return this.#starts[this.#exponential.record(value)] ?? 0;
  }

  #look(bucket: number, value: number, exemplar: TraceContext | undefined): void {
    const { keeper } = this.#tools;
    if (keeper.epoch === 0) {
      this.#looked = -1;
      return;
    }
    if (this.#lookedEpoch !== keeper.epoch) this.#looked = 0;
    this.#lookedEpoch = keeper.epoch;
    this.#looked |= 1 << bucket;
    const context = exemplar ?? keeper.active();
    if (context === undefined) return;
    this.#exemplars ??= new SeriesExemplars(keeper);
    this.#exemplars.offer(bucket, value, context);
  }
}
