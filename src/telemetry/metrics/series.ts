/**
 * One series: the cell that domain code records on is the series itself, so that a
 * bound counter is one addition. All classes keep their fields in the same order.
 */
import type { CounterCell, GaugeCell, HistogramCell, UpDownCounterCell } from "../port.ts";
import type { Exemplar, ExponentialBuckets, HistogramSeries, NumberSeries, SeriesAttribute } from "./snapshot.ts";

export type DropReason = "negative" | "not_finite" | "type";

/** The family, as its series see it. */
export interface SeriesOwner {
  remove(series: AnySeries): void;
  countDropped(reason: DropReason): void;
}

export type AnySeries = CounterSeries | UpDownCounterSeries | GaugeSeries | BucketSeries;

export interface SeriesByInstrument {
  counter: CounterSeries;
  updowncounter: UpDownCounterSeries;
  gauge: GaugeSeries;
  histogram: BucketSeries;
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
  encodedAttributes: Uint8Array | undefined = undefined;
  prefix: string | undefined = undefined;
  exemplar: Exemplar | undefined = undefined;
  protected readonly owner: SeriesOwner;

  constructor(fields: SeriesFields, value: number) {
    this.value = value;
    this.key = fields.key;
    this.attributes = fields.attributes;
    this.startTimeMs = fields.startTimeMs;
    this.sequence = fields.sequence;
    this.owner = fields.owner;
  }

  protected drop(value: number): void {
    this.owner.countDropped(value < 0 ? "negative" : "not_finite");
  }
}

export class CounterSeries extends NumberSeriesBase implements CounterCell {
  constructor(fields: SeriesFields) {
    super(fields, 0);
  }

  add(value: number): void {
    if (value >= 0 && value < Infinity) this.value += value;
    else this.drop(value);
  }

  remove(): void {
    this.owner.remove(this);
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
  encodedAttributes: Uint8Array | undefined = undefined;
  prefix: string | undefined = undefined;
  readonly exemplars: (Exemplar | undefined)[] = [];
  readonly exponential: ExponentialBuckets | undefined = undefined;
  readonly #owner: SeriesOwner;

  constructor(fields: SeriesFields, bounds: Float64Array) {
    this.bounds = bounds;
    this.bucketCounts = new Float64Array(bounds.length + 1);
    this.key = fields.key;
    this.attributes = fields.attributes;
    this.startTimeMs = fields.startTimeMs;
    this.sequence = fields.sequence;
    this.#owner = fields.owner;
  }

  record(value: number): void {
    if (!(value >= 0 && value < Infinity)) {
      this.#owner.countDropped(value < 0 ? "negative" : "not_finite");
      return;
    }
    const { bounds, bucketCounts } = this;
    let bucket = 0;
    // Few bounds: a linear search beats a binary one.
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket++;
    bucketCounts[bucket] = (bucketCounts[bucket] ?? 0) + 1;
    this.sum += value;
    this.count++;
  }

  remove(): void {
    this.#owner.remove(this);
  }
}
