/**
 * A daemon's life, to be ended at any moment as by SIGKILL: what it waits for never
 * comes, so nothing of it runs on. What it asked others for before may still happen.
 */
import type { Clock } from "#model/clock.ts";

export interface Life {
  readonly alive: boolean;
  end(): void;
  /** The outcome, for the living. */
  settle<T>(work: Promise<T>): Promise<T>;
  /** The items, for the living. */
  items<T>(source: AsyncIterable<T>): AsyncIterable<T>;
  clock(clock: Clock): Clock;
}

const never: Promise<never> = new Promise(() => {});

export function createLife(): Life {
  let alive = true;

  async function settle<T>(work: Promise<T>): Promise<T> {
    if (!alive) return never;
    try {
      const value = await work;
      return alive ? value : await never;
    } catch (error) {
      if (alive) throw error;
      return never;
    }
  }

  return {
    get alive() {
      return alive;
    },
    end() {
      alive = false;
    },
    settle,
    async *items(source) {
      const iterator = source[Symbol.asyncIterator]();
      for (;;) {
        const result = await settle(iterator.next());
        if (result.done === true) return;
        yield result.value;
      }
    },
    clock: (clock) => ({
      now: () => clock.now(),
      monotonicMs: () => clock.monotonicMs(),
      delay: (delayMs, signal) => settle(clock.delay(delayMs, signal)),
    }),
  };
}
