/**
 * A wake-up that coalesces: any number of `wake()` calls before the loop looks
 * again are one. For loops that are woken by a signal and by a period.
 */
import type { Clock } from "./clock.ts";

export interface WakeSignal {
  wake(): void;
  /**
   * Resolves when woken (at once if that happened since the last wait), when the
   * clock reaches `untilMs`, or when `stop` is aborted. Never rejects. One waiter at a time.
   */
  wait(stop: AbortSignal, untilMs?: number): Promise<void>;
}

export function createWakeSignal(clock: Clock): WakeSignal {
  let woken = false;
  let release: (() => void) | undefined;
  return {
    wake() {
      woken = true;
      release?.();
    },
    async wait(stop, untilMs) {
      if (!woken && !stop.aborted) await sleepUntil(stop, untilMs);
      woken = false;
    },
  };

  function sleepUntil(stop: AbortSignal, untilMs: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = new AbortController();
      const finish = (): void => {
        release = undefined;
        stop.removeEventListener("abort", finish);
        timer.abort();
        resolve();
      };
      release = finish;
      stop.addEventListener("abort", finish, { once: true });
      if (untilMs === undefined) return;
      clock.delay(untilMs - clock.now(), timer.signal).then(finish, () => undefined);
    });
  }
}
