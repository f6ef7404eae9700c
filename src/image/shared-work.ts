/**
 * One piece of work for all who ask for it at the same time. A caller that gives up
 * gets its own error at once; the work ends only when nobody waits for it any more.
 */
export interface SharedWork<T> {
  run(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

interface Running<T> {
  readonly result: Promise<T>;
  readonly abort: AbortController;
  waiters: number;
}

export function createSharedWork<T>(): SharedWork<T> {
  const running = new Map<string, Running<T>>();

  function start(key: string, work: (signal: AbortSignal) => Promise<T>): Running<T> {
    const abort = new AbortController();
    const entry: Running<T> = { result: work(abort.signal), abort, waiters: 0 };
    running.set(key, entry);
    const forget = (): void => {
      if (running.get(key) === entry) running.delete(key);
    };
    entry.result.then(forget, forget);
    return entry;
  }

  return {
    async run(key, signal, work) {
      signal.throwIfAborted();
      const entry = running.get(key) ?? start(key, work);
      entry.waiters++;
      const given = Promise.withResolvers<never>();
      const giveUp = (): void => given.reject(signal.reason);
      signal.addEventListener("abort", giveUp, { once: true });
      try {
        return await Promise.race([entry.result, given.promise]);
      } finally {
        signal.removeEventListener("abort", giveUp);
        entry.waiters--;
        if (entry.waiters === 0) {
          // Whoever asks from now on starts anew instead of joining work that is being abandoned.
          if (running.get(key) === entry) running.delete(key);
          entry.abort.abort(signal.reason);
        }
      }
    },
  };
}
