/**
 * Decides when unreferenced chunks and files may be removed: only while nothing is
 * held. An import holds from its first chunk until its manifest is in the store, so
 * a chunk that no manifest names, while nothing is held, belongs to nobody.
 *
 *   held ──request──► held, wanted ──last release──► sweeping ──► idle
 */
import type { Logger } from "#telemetry/port.ts";

export interface GarbageCollector {
  /** Nothing is removed until the hold is disposed of. Waits while a sweep runs. */
  hold(): Promise<Disposable>;
  /** Sweeps now or, while anything is held, as soon as nothing is. Resolves at once in that case. */
  request(): Promise<void>;
  /** Waits for a sweep that runs; no new one begins. */
  stop(): Promise<void>;
}

export function createGarbageCollector(sweep: () => Promise<void>, logger: Logger): GarbageCollector {
  let holds = 0;
  let wanted = false;
  let stopped = false;
  let running: Promise<void> | undefined;

  async function sweepOnce(): Promise<void> {
    wanted = false;
    try {
      await sweep();
    } catch (error) {
      // Space is freed by the next sweep; nothing depends on this one.
      logger.warn("could not remove image data that is no longer needed", {}, error);
    } finally {
      running = undefined;
    }
  }

  function sweepIfPossible(): Promise<void> {
    if (running === undefined && wanted && holds === 0 && !stopped) running = sweepOnce().then(sweepIfPossible);
    return running ?? Promise.resolve();
  }

  return {
    async hold() {
      while (running !== undefined) await running;
      holds++;
      let held = true;
      return {
        [Symbol.dispose]() {
          if (!held) return;
          held = false;
          holds--;
          void sweepIfPossible();
        },
      };
    },
    request() {
      wanted = true;
      return sweepIfPossible();
    },
    async stop() {
      stopped = true;
      await running;
    },
  };
}
