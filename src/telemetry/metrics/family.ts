/**
 * All series of one metric: finds the series of a set of attributes, keeps the
 * metric within its limit, and tells the engine of those that come and go.
 */
import type { SpanScope } from "#model/recorded-span.ts";
import type { Attributes, AttributeValue, MetricDescriptor, StatesetCell } from "../port.ts";
import type { BudgetedFamily } from "./cardinality.ts";
import { searchStarts } from "./exponential-histogram.ts";
import { inertCell } from "./inert-metrics.ts";
import {
  type AnySeries,
  BucketSeries,
  type BucketLayout,
  type BucketTools,
  CounterSeries,
  type DropReason,
  GaugeSeries,
  InfoSeries,
  type SeriesFields,
  type SeriesOwner,
  UpDownCounterSeries,
} from "./series.ts";
import type { MetricFamily, SeriesAttribute } from "./snapshot.ts";
import { StatesetSeries } from "./stateset-cell.ts";

/** What the engine lends to its families. */
export interface FamilyContext {
  readonly nowMs: () => number;
  readonly nextSequence: () => number;
  readonly onAdded: (family: Family) => void;
  readonly onRemoved: (family: Family, series: AnySeries) => void;
  /** A series was refused and merged into the overflow series. */
  readonly onOverflow: (family: Family) => void;
  readonly onDropped: (reason: DropReason) => void;
  readonly tools: BucketTools;
}

const OVERFLOW_KEY = "overflow";
const overflowAttributes: readonly SeriesAttribute[] = [["otel.metric.overflow", true]];

export class Family implements MetricFamily, BudgetedFamily, SeriesOwner {
  readonly descriptor: MetricDescriptor;
  readonly scope: SpanScope | undefined;
  readonly series: AnySeries[] = [];
  readonly limit: number;
  overflows = 0;
  readonly #context: FamilyContext;
  readonly #keys: readonly string[];
  readonly #byKey = new Map<string, AnySeries>();
  readonly #layout: BucketLayout;

  constructor(descriptor: MetricDescriptor, limit: number, context: FamilyContext, scope?: SpanScope) {
    this.descriptor = descriptor;
    this.scope = scope;
    this.limit = limit;
    this.#context = context;
    this.#keys = Object.keys(descriptor.attributes);
    this.#layout = createLayout(descriptor, context.tools);
  }

  /** The series of these attributes, made if need be; over the limit the overflow series. */
  ensure(attributes: Attributes): AnySeries {
    return (
      this.#byKey.get(identityOf(this.#keys, attributes)) ??
      this.#addWithinLimit(identityOf(this.#keys, attributes), attributesOf(this.#keys, attributes))
    );
  }

  /** The same for attributes that no descriptor lists, in an order that is always the same for the same ones. */
  ensureForeign(attributes: readonly SeriesAttribute[]): AnySeries {
    const key = JSON.stringify(attributes);
    return this.#byKey.get(key) ?? this.#addWithinLimit(key, attributes);
  }

  /** All states of a stateset at once, or none when not all of them fit. */
  ensureStateset(attributes: Attributes): StatesetCell {
    const stateKey = this.descriptor.name;
    const states = this.descriptor.attributes[stateKey]?.values ?? [];
    const identities = states.map((state) => ({ ...attributes, [stateKey]: state }));
    const missing = identities.filter((identity) => !this.#byKey.has(identityOf(this.#keys, identity)));
    if (this.#named + missing.length >= this.limit) {
      this.#countOverflow();
      return inertCell;
    }
    const series = new Map<string, GaugeSeries>();
    for (const [index, state] of states.entries()) {
      const one = this.ensure(identities[index] ?? {});
      if (one instanceof GaugeSeries) series.set(state, one);
    }
    return new StatesetSeries(series, (reason) => this.countDropped(reason));
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

  /** Without the overflow series. */
  get #named(): number {
    return this.#byKey.size - (this.#byKey.has(OVERFLOW_KEY) ? 1 : 0);
  }

  #addWithinLimit(key: string, attributes: readonly SeriesAttribute[]): AnySeries {
    // One place is kept for the overflow series.
    if (this.#named < this.limit - 1) return this.#add(key, attributes);
    this.#countOverflow();
    return this.#byKey.get(OVERFLOW_KEY) ?? this.#add(OVERFLOW_KEY, overflowAttributes);
  }

  #countOverflow(): void {
    this.overflows++;
    this.#context.onOverflow(this);
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
        return new CounterSeries(fields, this.#context.tools.keeper);
      case "updowncounter":
        return new UpDownCounterSeries(fields);
      case "gauge":
      case "stateset":
        return new GaugeSeries(fields);
      case "info":
        return new InfoSeries(fields);
      case "histogram":
        return new BucketSeries(fields, this.#layout);
    }
  }
}

function createLayout(descriptor: MetricDescriptor, tools: BucketTools): BucketLayout {
  const bounds = Float64Array.from(descriptor.buckets ?? []);
  const starts = descriptor.instrument === "histogram" ? searchStarts(bounds) : new Uint8Array(0);
  return { bounds, starts, tools };
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
