/** A store seen by one daemon over a bad network: calls take time, fail, or lose their answer. */
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import type { KeyValueStore, Lease, WatchBatch } from "#store/key-value-store.ts";
import type { Life } from "./life.ts";
import type { SeededRandom } from "#test/support/seeded-random.ts";

export interface StoreFaults {
  /** Nothing gets through before this time. */
  outageUntilMs: number;
  /** Of a call that it never arrives. */
  refusal: number;
  /** Of a transaction that its answer is lost. */
  lostAnswer: number;
}

export interface FaultyStoreOptions {
  readonly store: KeyValueStore;
  readonly faults: StoreFaults;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly life: Life;
}

const CALL_MS = 3;
const DEADLINE_MS = 2000;

export function createFaultyStore(options: FaultyStoreOptions): KeyValueStore {
  const { store, faults, clock, random, life } = options;

  async function call<T>(work: () => Promise<T>): Promise<T> {
    return life.settle(reach(work));
  }

  async function reach<T>(work: () => Promise<T>): Promise<T> {
    await life.settle(clock.delay(random.between(0, CALL_MS)));
    if (clock.now() < faults.outageUntilMs || random.chance(faults.refusal)) {
      await life.settle(clock.delay(random.between(0, DEADLINE_MS)));
      throw new BlixardError("STORE_UNAVAILABLE", "the call did not arrive");
    }
    const result = await work();
    await life.settle(clock.delay(random.between(0, CALL_MS)));
    return result;
  }

  function leaseOf(lease: Lease): Lease {
    const revoke = (): Promise<void> => call(() => lease.revoke());
    return {
      id: lease.id,
      ttlMs: lease.ttlMs,
      keepAlive: () => call(() => lease.keepAlive()),
      revoke,
      [Symbol.asyncDispose]: revoke,
    };
  }

  async function* watch(prefix: string, fromRevision: bigint, signal: AbortSignal): AsyncGenerator<WatchBatch> {
    for await (const batch of life.items(store.watch(prefix, fromRevision, signal))) {
      await life.settle(clock.delay(random.between(0, CALL_MS)));
      while (clock.now() < faults.outageUntilMs) await life.settle(clock.delay(faults.outageUntilMs - clock.now()));
      if (signal.aborted) return;
      yield batch;
    }
  }

  return {
    get: (key, callOptions) => call(() => store.get(key, callOptions)),
    range: (prefix, callOptions) => call(() => store.range(prefix, callOptions)),
    async *pages(prefix, callOptions) {
      await call(async () => undefined);
      yield* life.items(store.pages(prefix, callOptions));
    },
    transact: (transaction, callOptions) =>
      call(async () => {
        const result = await store.transact(transaction, callOptions);
        if (random.chance(faults.lostAnswer)) {
          throw new BlixardError("STORE_OUTCOME_UNKNOWN", "the answer was lost");
        }
        return result;
      }),
    watch,
    grantLease: async (ttlMs, callOptions) => leaseOf(await call(() => store.grantLease(ttlMs, callOptions))),
    revokeLease: (leaseId, callOptions) => call(() => store.revokeLease(leaseId, callOptions)),
    close: async () => {},
  };
}
