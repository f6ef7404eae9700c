/**
 * All series of one metric: finds the series of a set of attributes, keeps the
 * metric within its limit, and tells the engine of those that come and go.
 */
import type { Attributes, AttributeValue, MetricDescriptor } from "../port.ts";
import {
  type AnySeries,
  BucketSeries,
  CounterSeries,
  type DropReason,
  GaugeSeries,
  type SeriesFields,
  type SeriesOwner,
  UpDownCounterSeries,
} from "./series.ts";
import type { MetricFamily, SeriesAttribute } from "./snapshot.ts";

/** What the engine lends to its families. */
export interface FamilyContext {
  readonly nowMs: () => number;
  readonly nextSequence: () => number;
  readonly onAdded: (family: Family) => void;
  readonly onRemoved: (family: Family, series: AnySeries) => void;
  /** A series was refused and merged into the overflow series. */
  readonly onOverflow: (family: Family) => void;
  readonly onDropped: (reason: DropReason) => void;
}

const OVERFLOW_KEY = "overflow";
const overflowAttributes: readonly SeriesAttribute[] = [["otel.metric.overflow", true]];

export class Family implements MetricFamily, SeriesOwner {
  readonly descriptor: MetricDescriptor;
  readonly series: AnySeries[] = [];
  readonly limit: number;
  readonly #context: FamilyContext;
  readonly #keys: readonly string[];
  readonly #byKey = new Map<string, AnySeries>();
  readonly #bounds: Float64Array;

  constructor(descriptor: MetricDescriptor, limit: number, context: FamilyContext) {
    this.descriptor = descriptor;
    this.limit = limit;
    this.#context = context;
    this.#keys = Object.keys(descriptor.attributes);
    this.#bounds = Float64Array.from(descriptor.buckets ?? []);
  }

  /** The series of these attributes, made if need be; over the limit the overflow series. */
  ensure(attributes: Attributes): AnySeries {
    const key = identityOf(this.#keys, attributes);
    const present = this.#byKey.get(key);
    if (present !== undefined) return present;
    const named = this.#byKey.size - (this.#byKey.has(OVERFLOW_KEY) ? 1 : 0);
    // One place is kept for the overflow series.
    if (named < this.limit - 1) return this.#add(key, attributesOf(this.#keys, attributes));
    this.#context.onOverflow(this);
    return this.#byKey.get(OVERFLOW_KEY) ?? this.#add(OVERFLOW_KEY, overflowAttributes);
  }

  /** The live series of the same identity as `series`, which may have ended. */
  successorOf(series: { readonly key: string }): AnySeries | undefined {
    return this.#byKey.get(series.key);
  }

  remove(series: AnySeries): void {
    // The overflow series belongs to nobody: one who was refused must not end it for the others.
    if (series.key !== OVERFLOW_KEY) this.end(series);
  }

  /** Ends a series, the overflow series too. */
  end(series: AnySeries): void {
    if (series.removed) return;
    series.removed = true;
    this.#byKey.delete(series.key);
    const last = this.series.pop();
    if (last !== undefined && last !== series) {
      this.series[series.position] = last;
      last.position = series.position;
    }
    this.#context.onRemoved(this, series);
  }

  countDropped(reason: DropReason): void {
    this.#context.onDropped(reason);
  }

  #add(key: string, attributes: readonly SeriesAttribute[]): AnySeries {
    const series = this.#create({
      owner: this,
      key,
      attributes,
      startTimeMs: this.#context.nowMs(),
      sequence: this.#context.nextSequence(),
    });
    series.position = this.series.length;
    this.series.push(series);
    this.#byKey.set(key, series);
    this.#context.onAdded(this);
    return series;
  }

  #create(fields: SeriesFields): AnySeries {
    switch (this.descriptor.instrument) {
      case "counter":
        return new CounterSeries(fields);
      case "updowncounter":
        return new UpDownCounterSeries(fields);
      case "gauge":
        return new GaugeSeries(fields);
      case "histogram":
        return new BucketSeries(fields, this.#bounds);
    }
  }
}

/** Attributes in the descriptor's order as one text; values of different types or lengths stay apart. */
function identityOf(keys: readonly string[], attributes: Attributes): string {
  let identity = "";
  for (const key of keys) {
    const value = attributes[key];
    if (typeof value === "string") identity += `s${value.length}:${value}`;
    else identity += value === undefined ? "u" : `${typeof value === "number" ? "n" : "b"}${value};`;
  }
  return identity;
}

function attributesOf(keys: readonly string[], attributes: Attributes): SeriesAttribute[] {
  const present: SeriesAttribute[] = [];
  for (const key of keys) {
    const value: AttributeValue | undefined = attributes[key];
    if (value !== undefined) present.push([key, value]);
  }
  return present;
}
