/**
 * A group of metrics that are asked for in the background, never during a scrape.
 *
 *   waiting ──interval──► collecting ──done──► waiting     unobserved series end
 *                             │ deadline
 *                             ▼
 *                         abandoned ──settled at last──► waiting
 *
 * An abandoned or failed collection keeps the last values; their age says so. There
 * is never more than one collection under way, so a hung one cannot pile up.
 */
import { telemetryCollectionAge, telemetryCollectionDuration } from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import type { Attributes, AttributesOf, MetricDescriptor, ObservableGroupOptions, Observer } from "../port.ts";
import { errorTypeOf } from "../tracing/span-error.ts";
import type { Family } from "./family.ts";
import { setForeignHistogram, setObservedValue } from "./observed-values.ts";
import type { DropReason, GaugeSeries, SeriesByInstrument } from "./series.ts";

export interface ObservableGroupContext {
  readonly clock: Clock;
  readonly familyOf: (descriptor: MetricDescriptor) => Family;
  readonly bind: <D extends MetricDescriptor>(
    descriptor: D,
    attributes: AttributesOf<D>,
  ) => SeriesByInstrument[D["instrument"]];
  readonly countDropped: (reason: DropReason) => void;
  readonly onError: (group: string, error: unknown) => void;
}

type Outcome =
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly error: unknown }
  | { readonly kind: "timeout" };

export class ObservableGroup {
  readonly #options: ObservableGroupOptions;
  readonly #context: ObservableGroupContext;
  readonly #age: GaugeSeries;
  readonly #stopped = new AbortController();
  readonly #names: ReadonlySet<string>;
  #freshSinceMs: number;
  #collection = 0;

  constructor(options: ObservableGroupOptions, context: ObservableGroupContext) {
    this.#options = options;
    this.#context = context;
    this.#names = new Set(options.metrics.map(({ name }) => name));
    this.#age = context.bind(telemetryCollectionAge, { "blixard.telemetry.group": options.name });
    this.#freshSinceMs = context.clock.monotonicMs();
  }

  start(): void {
    void this.#run();
  }

  /** No further collections; one under way is aborted. The series stay. */
  stop(): void {
    this.#stopped.abort(new Error("the metrics engine has stopped"));
  }

  /** Stops and ends the group's series. */
  dispose(): void {
    this.stop();
    this.#endSeries(() => true);
    this.#age.remove();
  }

  /** Brings the age up to date; called before the series are read. */
  refreshAge(): void {
    this.#age.set((this.#context.clock.monotonicMs() - this.#freshSinceMs) / 1000);
  }

  async #run(): Promise<void> {
    const { clock } = this.#context;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs();
      await this.#collect(startedMs);
      try {
        await clock.delay(this.#options.intervalMs - (clock.monotonicMs() - startedMs), signal);
      } catch {
        return;
      }
    }
  }

  async #collect(startedMs: number): Promise<void> {
    const collection = ++this.#collection;
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, this.#stopped.signal]);
    const collected = this.#ask(this.#observer(collection, signal), signal);
    const outcome = await Promise.race([collected, this.#deadline(abort.signal)]);
    if (this.#stopped.signal.aborted) return;
    const { clock } = this.#context;
    this.#record(outcome, clock.monotonicMs() - startedMs);
    if (outcome.kind === "done") {
      this.#endSeries((seen) => seen !== collection);
      this.#freshSinceMs = startedMs;
    }
    abort.abort(new Error(`collecting ${this.#options.name} took longer than ${this.#options.timeoutMs} ms`));
    if (outcome.kind === "timeout") await Promise.race([collected, aborted(this.#stopped.signal)]);
  }

  async #ask(observer: Observer, signal: AbortSignal): Promise<Outcome> {
    try {
      await this.#options.collect(observer, signal);
      return { kind: "done" };
    } catch (error) {
      return { kind: "failed", error };
    }
  }

  async #deadline(signal: AbortSignal): Promise<Outcome> {
    try {
      await this.#context.clock.delay(this.#options.timeoutMs, AbortSignal.any([signal, this.#stopped.signal]));
    } catch {
      // The collection ended first, or the engine has stopped.
    }
    return { kind: "timeout" };
  }

  #record(outcome: Outcome, durationMs: number): void {
    const { name } = this.#options;
    const errorType =
      outcome.kind === "done" ? undefined : outcome.kind === "timeout" ? "timeout" : errorTypeOf(outcome.error);
    this.#context
      .bind(telemetryCollectionDuration, { "blixard.telemetry.group": name, "error.type": errorType })
      .record(Math.max(0, durationMs) / 1000);
    if (outcome.kind === "failed") this.#context.onError(name, outcome.error);
    if (outcome.kind === "timeout") {
      this.#context.onError(name, new Error(`collecting ${name} took longer than ${this.#options.timeoutMs} ms`));
    }
  }

  /** What one collection may set; deaf as soon as the collection is over. */
  #observer(collection: number, signal: AbortSignal): Observer {
    const series = (descriptor: MetricDescriptor, attributes: Attributes) => {
      if (signal.aborted) return undefined;
      if (!this.#names.has(descriptor.name)) {
        this.#context.countDropped("type");
        return undefined;
      }
      return this.#context.familyOf(descriptor).ensure(attributes);
    };
    const { countDropped } = this.#context;
    const nowMs = (): number => this.#context.clock.now();
    return {
      observe: (descriptor, value, attributes) => {
        const target = series(descriptor, attributes);
        if (target === undefined) return;
        const merged = target.group === this && target.collection === collection;
        target.group = this;
        target.collection = collection;
        setObservedValue(target, value, { merged, nowMs, countDropped });
      },
      observeHistogram: (descriptor, value, attributes) => {
        const target = series(descriptor, attributes);
        if (target === undefined) return;
        target.group = this;
        target.collection = collection;
        setForeignHistogram(target, value, { nowMs, countDropped });
      },
    };
  }

  #endSeries(isOver: (collection: number) => boolean): void {
    for (const descriptor of this.#options.metrics) {
      const family = this.#context.familyOf(descriptor);
      for (const series of family.series.slice()) {
        if (series.group === this && isOver(series.collection)) family.end(series);
      }
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}
