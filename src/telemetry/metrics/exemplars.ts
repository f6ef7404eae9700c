/**
 * Which measurements are kept with the span they were made in.
 *
 *   record ─(once a second and bucket)─► offer ─┬─ the span is exported ─► kept
 *                                               └─ else waiting ─(its trace is promoted)─► kept
 *
 * Recording itself compares two integers: no clock, no AsyncLocalStorage. Promoted
 * traces, those with errors and slow calls, are not displaced by ordinary ones for a
 * minute. The series' readers call `confirm` first, because a trace is often
 * promoted only after the measurement.
 */
import type { TraceContext } from "#model/trace-context.ts";
import type { ExemplarFilter } from "../telemetry-options.ts";
import type { Exemplar } from "./snapshot.ts";

/** Where spans are known. */
export interface ExemplarSource {
  readonly filter: ExemplarFilter;
  /** The active span. */
  readonly active: () => TraceContext | undefined;
  /** Whether the trace is exported although it was not sampled. */
  readonly isPromoted: (traceId: string) => boolean;
}

export const EPOCH_MS = 1_000;
const HELD_EPOCHS = 60;
const WAITING_EPOCHS = 60;
/** Series with measurements that wait; the oldest give up first. */
const MAXIMUM_WAITING = 2_000;

/** The engine's; one for all series. */
export class ExemplarKeeper {
  /** Grows by one a second; series compare it with the one they last looked in. 0: nobody wants exemplars. */
  epoch = 0;
  readonly #nowMs: () => number;
  readonly #onKept: () => void;
  readonly #waiting = new Set<SeriesExemplars>();
  #source: ExemplarSource | undefined = undefined;

  constructor(nowMs: () => number, onKept: () => void) {
    this.#nowMs = nowMs;
    this.#onKept = onKept;
  }

  start(source: ExemplarSource): void {
    if (source.filter === "always_off") return;
    this.#source = source;
    this.epoch++;
  }

  /** What has been promoted meanwhile is kept; what has waited for too long is forgotten. */
  confirm(): void {
    for (const series of this.#waiting) {
      if (!series.confirm()) this.#waiting.delete(series);
    }
  }

  /** The span of a measurement that comes without one. */
  active(): TraceContext | undefined {
    return this.#source?.active();
  }

  isPromoted(traceId: string): boolean {
    return this.#source?.isPromoted(traceId) ?? false;
  }

  takesAll(): boolean {
    return this.#source?.filter === "always_on";
  }

  now(): number {
    return this.#nowMs();
  }

  countKept(): void {
    this.#onKept();
  }

  addWaiting(series: SeriesExemplars): void {
    if (this.#waiting.size >= MAXIMUM_WAITING && !this.#waiting.has(series)) {
      const oldest = this.#waiting.values().next().value;
      if (oldest !== undefined) this.#waiting.delete(oldest);
    }
    this.#waiting.add(series);
  }
}

interface Waiting {
  readonly exemplar: Exemplar;
  readonly sinceEpoch: number;
}

/** The exemplars of one series: one place for each bucket, or one for a counter. */
export class SeriesExemplars {
  readonly kept: (Exemplar | undefined)[] = [];
  readonly #keeper: ExemplarKeeper;
  readonly #waiting: (Waiting | undefined)[] = [];
  /** Until when an ordinary one may not take the place. */
  readonly #heldUntil: (number | undefined)[] = [];

  constructor(keeper: ExemplarKeeper) {
    this.#keeper = keeper;
  }

  offer(place: number, value: number, context: TraceContext): void {
    const keeper = this.#keeper;
    const exemplar = { value, timeMs: keeper.now(), traceId: context.traceId, spanId: context.spanId };
    if (keeper.isPromoted(context.traceId)) {
      this.#keepPromoted(place, exemplar);
    } else if (context.sampled || keeper.takesAll()) {
      if ((this.#heldUntil[place] ?? 0) <= keeper.epoch) this.#keep(place, exemplar);
    } else {
      this.#settle(place);
      this.#waiting[place] = { exemplar, sinceEpoch: keeper.epoch };
      keeper.addWaiting(this);
    }
  }

  /** Takes a promoted one out of turn, unless the place holds one of this second. */
  offerPromoted(place: number, value: number, context: TraceContext): void {
    if (this.#heldUntil[place] === this.#keeper.epoch + HELD_EPOCHS) return;
    if (this.#keeper.isPromoted(context.traceId)) this.offer(place, value, context);
  }

  /** Whether anything still waits. */
  confirm(): boolean {
    let waits = false;
    for (let place = 0; place < this.#waiting.length; place++) waits = this.#settle(place) || waits;
    return waits;
  }

  #settle(place: number): boolean {
    const waiting = this.#waiting[place];
    if (waiting === undefined) return false;
    if (this.#keeper.isPromoted(waiting.exemplar.traceId)) this.#keepPromoted(place, waiting.exemplar);
    else if (waiting.sinceEpoch + WAITING_EPOCHS > this.#keeper.epoch) return true;
    this.#waiting[place] = undefined;
    return false;
  }

  #keepPromoted(place: number, exemplar: Exemplar): void {
    this.#heldUntil[place] = this.#keeper.epoch + HELD_EPOCHS;
    this.#keep(place, exemplar);
  }

  #keep(place: number, exemplar: Exemplar): void {
    // One that had to wait may be older than what has come since.
    if ((this.kept[place]?.timeMs ?? 0) > exemplar.timeMs) return;
    this.kept[place] = exemplar;
    this.#keeper.countKept();
  }
}
