/** A clock that only moves when the test says so. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "#model/clock.ts";

export interface ManualClock extends Clock {
  /** Moves on step by step from one waiting delay to the next, letting what they wake run. */
  advance(durationMs: number): Promise<void>;
  /** Delays that have not ended. */
  readonly pending: number;
}

interface Waiting {
  readonly endMs: number;
  readonly resolve: () => void;
}

export function createManualClock(startTimeMs = 1_700_000_000_000): ManualClock {
  let elapsedMs = 0;
  const waiting = new Set<Waiting>();

  function delay(delayMs: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    if (delayMs <= 0) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const entry: Waiting = { endMs: elapsedMs + delayMs, resolve };
    waiting.add(entry);
    signal?.addEventListener(
      "abort",
      () => {
        if (waiting.delete(entry)) reject(signal.reason);
      },
      { once: true },
    );
    return promise;
  }

  return {
    now: () => startTimeMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    delay,
    get pending() {
      return waiting.size;
    },
    async advance(durationMs) {
      const endMs = elapsedMs + durationMs;
      await nextTurn();
      for (;;) {
        const next = [...waiting].filter((entry) => entry.endMs <= endMs).toSorted((a, b) => a.endMs - b.endMs)[0];
        if (next === undefined) break;
        waiting.delete(next);
        elapsedMs = next.endMs;
        next.resolve();
        await nextTurn();
      }
      elapsedMs = endMs;
    },
  };
}
