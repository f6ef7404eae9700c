/** Lets waiters pass once a revision has been reached. */
import { BlixardError } from "#model/errors.ts";

export interface RevisionGate {
  /** Revisions only grow. */
  open(revision: bigint): void;
  /** @throws BlixardError CANCELLED, SHUTTING_DOWN */
  wait(revision: bigint, signal?: AbortSignal): Promise<void>;
  close(): void;
}

interface Waiter {
  readonly revision: bigint;
  readonly pass: () => void;
  readonly refuse: (error: BlixardError) => void;
}

export function createRevisionGate(): RevisionGate {
  const waiters = new Set<Waiter>();
  let reached = 0n;
  let closed = false;

  return {
    open(revision) {
      if (revision <= reached) return;
      reached = revision;
      for (const waiter of waiters) if (waiter.revision <= reached) waiter.pass();
    },
    wait(revision, signal) {
      if (revision <= reached) return Promise.resolve();
      if (closed) return Promise.reject(shuttingDown());
      return new Promise((resolve, reject) => {
        const leave = (): void => {
          waiters.delete(waiter);
          signal?.removeEventListener("abort", cancel);
        };
        const waiter: Waiter = {
          revision,
          pass: () => {
            leave();
            resolve();
          },
          refuse: (error) => {
            leave();
            reject(error);
          },
        };
        const cancel = (): void =>
          waiter.refuse(new BlixardError("CANCELLED", `waiting for revision ${revision} was cancelled`));
        if (signal?.aborted === true) {
          cancel();
          return;
        }
        waiters.add(waiter);
        signal?.addEventListener("abort", cancel, { once: true });
      });
    },
    close() {
      closed = true;
      for (const waiter of waiters) waiter.refuse(shuttingDown());
    },
  };
}

function shuttingDown(): BlixardError {
  return new BlixardError("SHUTTING_DOWN", "the node is shutting down");
}
