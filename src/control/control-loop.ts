/**
 * The control loops of the leader. The composition root hands `act` to the store's
 * leadership: it runs once per term of office and ends with it.
 *
 *   watch cache ──changes──► pending scope of each reconciler ──► pass ──► writes under the term
 *   period ─────everything──►        (merged while a pass runs)    │
 *                                     pause ◄── store in trouble ──┘
 *
 * Reconcilers run beside each other, each one pass at a time. They are woken by
 * changes and, in case one was missed, by a period; a pass that fails is followed by a
 * pause and a look at everything. A loop that is no longer the leader's ends the term.
 */
import { schedulerReconcileDuration } from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import { BlixardError, toBlixardError } from "#model/errors.ts";
import { createWakeSignal, type WakeSignal } from "#model/wake-signal.ts";
import type { LeaderTerm } from "#store/leader-term.ts";
import type { StoreChange } from "#store/store-view.ts";
import type { WatchCache } from "#store/watch-cache.ts";
import type { Telemetry } from "#telemetry/port.ts";
import type { Reconciler } from "./reconciler.ts";

export interface ControlLoopOptions {
  readonly cache: Pick<WatchCache, "snapshot" | "subscribe" | "waitForRevision">;
  readonly reconcilers: readonly Reconciler[];
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** A look at everything, whatever the changes say. Default 15 s. */
  readonly periodMs?: number;
}

export interface ControlLoop {
  /** For `Leadership.start`. Resolves soon after `term.signal` is aborted, or when a write says that the term is over. */
  act(term: LeaderTerm): Promise<void>;
}

const DEFAULT_PERIOD_MS = 15_000;
const INITIAL_PAUSE_MS = 100;
const MAXIMUM_PAUSE_MS = 5000;

export function createControlLoop(options: ControlLoopOptions): ControlLoop {
  const { cache, clock, telemetry } = options;
  const periodMs = options.periodMs ?? DEFAULT_PERIOD_MS;

  /** Hands changes to all reconcilers until the term ends. */
  async function listen(runs: readonly Run[], signal: AbortSignal): Promise<void> {
    for await (const change of cache.subscribe(signal)) for (const run of runs) run.note(change);
  }

  async function act(term: LeaderTerm): Promise<void> {
    const over = new AbortController();
    const signal = AbortSignal.any([term.signal, over.signal]);
    const runs = options.reconcilers.map((reconciler) => createRun(reconciler, createWakeSignal(clock)));
    const work = [listen(runs, signal), ...runs.map((run) => runUntil(run, { ...term, signal }))];
    try {
      // Whichever ends first, by the end of the term or by an error, ends the others.
      await Promise.race(work);
    } finally {
      over.abort();
      await Promise.allSettled(work);
      for (const { reconciler } of runs) reconciler.termEnded?.();
    }
  }

  async function runUntil(run: Run, term: LeaderTerm): Promise<void> {
    for (let failures = 0; !term.signal.aborted;) {
      try {
        const written = await pass(run, term);
        failures = 0;
        if (written !== undefined) await cache.waitForRevision(written, term.signal);
        await run.wake.wait(term.signal, clock.now() + periodMs);
        if (!run.hasNews()) run.noteEverything();
      } catch (error) {
        if (term.signal.aborted) return;
        const failure = toBlixardError(error);
        if (failure.code === "NOT_LEADER") throw failure;
        if (failures++ === 0) telemetry.logger.warn(`the ${run.reconciler.name} loop pauses`, {}, failure);
        run.noteEverything();
        await clock.delay(pauseMs(failures), term.signal).catch(() => undefined);
      }
    }
  }

  async function pass(run: Run, term: LeaderTerm): Promise<bigint | undefined> {
    const { reconciler } = run;
    const vmIds = run.takeScope();
    if (vmIds?.size === 0) return undefined;
    const startMs = clock.monotonicMs();
    const duration = (errorType?: string) =>
      telemetry.metrics
        .bind(schedulerReconcileDuration, {
          "blixard.scheduler.reconciler": reconciler.name,
          ...(errorType === undefined ? {} : { "error.type": errorType }),
        })
        .record((clock.monotonicMs() - startMs) / 1000);
    try {
      const written = await reconciler.reconcile({ term, view: () => cache.snapshot(), vmIds });
      duration();
      return written;
    } catch (error) {
      duration(error instanceof BlixardError ? error.code : "INTERNAL");
      throw error;
    }
  }

  return { act };
}

function pauseMs(failures: number): number {
  return Math.min(MAXIMUM_PAUSE_MS, INITIAL_PAUSE_MS * 2 ** Math.min(failures - 1, 10));
}

/** One reconciler in one term, with what it has to look at next. */
interface Run {
  readonly reconciler: Reconciler;
  readonly wake: WakeSignal;
  note(change: StoreChange): void;
  noteEverything(): void;
  hasNews(): boolean;
  /** undefined: everything. */
  takeScope(): ReadonlySet<string> | undefined;
}

function createRun(reconciler: Reconciler, wake: WakeSignal): Run {
  let everything = true;
  let vmIds = new Set<string>();
  return {
    reconciler,
    wake,
    note(change) {
      // A node that came or went matters to VMs that no change names.
      if (change.everything || change.nodeIds.size > 0) everything = true;
      else for (const vmId of change.vmIds) vmIds.add(vmId);
      if (everything || vmIds.size > 0) wake.wake();
    },
    noteEverything() {
      everything = true;
    },
    hasNews: () => everything || vmIds.size > 0,
    takeScope() {
      const scope = everything ? undefined : vmIds;
      everything = false;
      vmIds = new Set();
      return scope;
    },
  };
}
