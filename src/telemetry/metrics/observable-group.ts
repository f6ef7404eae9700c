/**
 * A group of metrics that are asked for in the background, never during a scrape.
 *
 *   waiting ──interval──► collecting ──done──► waiting     unobserved series end
 *                             │ deadline
 *                             ▼
 *                         abandoned ──settled at last──► waiting
 *
 * An abandoned or failed collection keeps the last values; their age says so. There
 * is never more than one collection under way, so a hung one cannot pile up. Series
 * about something that is gone do not wait for the next collection: they end before
 * they are read again.
 */
import { telemetryCollectionAge, telemetryCollectionDuration } from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import type { AttributesOf, MetricDescriptor, SeriesSubjects } from "../port.ts";
import { errorTypeOf } from "../tracing/span-error.ts";
import type { Family } from "./family.ts";
import type { AnySeries, GaugeSeries, SeriesByInstrument } from "./series.ts";

/** What a group collects: metrics of the registry (observed-metrics.ts) or of others (foreign-metrics.ts). */
export interface CollectionTask {
  readonly name: string;
  readonly intervalMs: number;
  /** A collection that takes longer is abandoned; the last values stay and their age grows. */
  readonly timeoutMs: number;
  readonly collect: (collection: Collection, signal: AbortSignal) => Promise<void>;
  /** Whose series of this group end when a collection has not observed them. */
  readonly families: () => Iterable<Family>;
  readonly subjects?: SeriesSubjects | undefined;
}

/** One collection of a group. */
export interface Collection {
  /** Nothing may be set any more. */
  readonly isOver: boolean;
  /** Says that the series lives; whether this collection has said so before. */
  observe(series: AnySeries): boolean;
}

export interface ObservableGroupContext {
  readonly clock: Clock;
  readonly bind: <D extends MetricDescriptor>(
    descriptor: D,
    attributes: AttributesOf<D>,
  ) => SeriesByInstrument[D["instrument"]];
  readonly onError: (group: string, error: unknown) => void;
}

type Outcome =
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly error: unknown }
  | { readonly kind: "timeout" };

export class ObservableGroup {
  readonly #task: CollectionTask;
  readonly #context: ObservableGroupContext;
  readonly #age: GaugeSeries;
  readonly #stopped = new AbortController();
  #freshSinceMs: number;
  #collection = 0;

  constructor(task: CollectionTask, context: ObservableGroupContext) {
    this.#task = task;
    this.#context = context;
    this.#age = context.bind(telemetryCollectionAge, { "blixard.telemetry.group": task.name });
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

  /** Brings the age up to date and ends the series whose subjects are gone; called before series are read. */
  refresh(): void {
    this.#age.set((this.#context.clock.monotonicMs() - this.#freshSinceMs) / 1000);
    const { subjects } = this.#task;
    if (subjects === undefined) return;
    const present = subjects.present();
    this.#endSeries(({ attributes }) => {
      const subject = attributes.find(([key]) => key === subjects.attribute)?.[1];
      return subject !== undefined && !present.has(subject);
    });
  }

  async #run(): Promise<void> {
    const { clock } = this.#context;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs();
      await this.#collect(startedMs);
      try {
        await clock.delay(this.#task.intervalMs - (clock.monotonicMs() - startedMs), signal);
      } catch {
        return;
      }
    }
  }

  async #collect(startedMs: number): Promise<void> {
    const collection = ++this.#collection;
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, this.#stopped.signal]);
    const collected = this.#ask(this.#begin(collection, signal), signal);
    const outcome = await Promise.race([collected, this.#deadline(abort.signal)]);
    if (this.#stopped.signal.aborted) return;
    const { clock } = this.#context;
    this.#record(outcome, clock.monotonicMs() - startedMs);
    if (outcome.kind === "done") {
      this.#endSeries((series) => series.collection !== collection);
      this.#freshSinceMs = startedMs;
    }
    abort.abort(new Error(`collecting ${this.#task.name} took longer than ${this.#task.timeoutMs} ms`));
    if (outcome.kind === "timeout") await Promise.race([collected, aborted(this.#stopped.signal)]);
  }

  async #ask(collection: Collection, signal: AbortSignal): Promise<Outcome> {
    try {
      await this.#task.collect(collection, signal);
      return { kind: "done" };
    } catch (error) {
      return { kind: "failed", error };
    }
  }

  async #deadline(signal: AbortSignal): Promise<Outcome> {
    try {
      await this.#context.clock.delay(this.#task.timeoutMs, AbortSignal.any([signal, this.#stopped.signal]));
    } catch {
      // The collection ended first, or the engine has stopped.
    }
    return { kind: "timeout" };
  }

  #record(outcome: Outcome, durationMs: number): void {
    const { name } = this.#task;
    const errorType =
      outcome.kind === "done" ? undefined : outcome.kind === "timeout" ? "timeout" : errorTypeOf(outcome.error);
    this.#context
      .bind(telemetryCollectionDuration, { "blixard.telemetry.group": name, "error.type": errorType })
      .record(Math.max(0, durationMs) / 1000);
    if (outcome.kind === "failed") this.#context.onError(name, outcome.error);
    if (outcome.kind === "timeout") {
      this.#context.onError(name, new Error(`collecting ${name} took longer than ${this.#task.timeoutMs} ms`));
    }
  }

  /** Deaf as soon as the collection is over. */
  #begin(collection: number, signal: AbortSignal): Collection {
    return {
      get isOver() {
        return signal.aborted;
      },
      observe: (series) => {
        const again = series.group === this && series.collection === collection;
        series.group = this;
        series.collection = collection;
        return again;
      },
    };
  }

  #endSeries(isOver: (series: AnySeries) => boolean): void {
    for (const family of this.#task.families()) {
      for (const series of family.series.slice()) {
        if (series.group === this && isOver(series)) family.end(series);
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
