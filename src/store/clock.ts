/** Time as the store room uses it: waiting that an abort ends early, and how long to wait before trying again. */
import type { Clock } from "#model/clock.ts";

/** Waits, or returns early when the signal is aborted: callers look at the signal next. */
export async function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return;
  await clock.delay(delayMs, signal).catch(() => undefined);
}

export interface BackoffOptions {
  readonly initialMs: number;
  readonly maximumMs: number;
  /** Between 0 (inclusive) and 1. */
  readonly random: () => number;
}

/** Exponential, jittered in its upper half; attempt 0 is the first wait. */
export function backoffMs(attempt: number, { initialMs, maximumMs, random }: BackoffOptions): number {
  const ceiling = Math.min(maximumMs, initialMs * 2 ** Math.min(attempt, 30));
  return ceiling * (0.5 + random() / 2);
}
