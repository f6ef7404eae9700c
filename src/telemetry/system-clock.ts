/** The machine's clock, for the composition root. */
import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "#model/clock.ts";

/** A difference from the wall clock above this means that it was set, or that the machine slept. */
const MAXIMUM_DRIFT_MS = 50;

/**
 * Unix time with fractions of a ms that runs evenly: anchored to the wall clock,
 * carried on by the monotonic one, anchored again only when the two part.
 *
 * Its delays do not keep the process alive, unless `keepsAlive`: a node has its listeners
 * for that, a command that waits has nothing else.
 */
export function createSystemClock({ keepsAlive = false }: { readonly keepsAlive?: boolean } = {}): Clock {
  let offsetMs = Date.now() - performance.now();
  return {
    now() {
      const monotonicMs = performance.now();
      if (Math.abs(Date.now() - (monotonicMs + offsetMs)) > MAXIMUM_DRIFT_MS) offsetMs = Date.now() - monotonicMs;
      return monotonicMs + offsetMs;
    },
    monotonicMs: () => performance.now(),
    async delay(delayMs, signal) {
      signal?.throwIfAborted();
      if (delayMs <= 0) return;
      try {
        await delay(delayMs, undefined, { ref: keepsAlive, ...(signal === undefined ? {} : { signal }) });
      } catch {
        signal?.throwIfAborted();
      }
    },
  };
}
