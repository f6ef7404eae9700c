/** A store whose answers get lost as the test says: the write happened, or it did not, and the caller is not told. */
import { BlixardError } from "#model/errors.ts";
import type { KeyValueStore } from "#store/key-value-store.ts";

export type TransactionFate = "answered" | "answer_lost" | "request_lost";

export interface UnreliableStore extends KeyValueStore {
  /** What happens to the next transactions, in order; then all are answered. */
  doom(...fates: readonly TransactionFate[]): void;
  /** Runs before the next transaction, as if another client were faster. */
  interfere(action: () => Promise<unknown>): void;
}

export function createUnreliableStore(store: KeyValueStore): UnreliableStore {
  let fates: TransactionFate[] = [];
  let interference: (() => Promise<unknown>) | undefined;
  return {
    ...store,
    doom(...next) {
      fates = [...next];
    },
    interfere(action) {
      interference = action;
    },
    async transact(transaction, options) {
      const action = interference;
      interference = undefined;
      await action?.();
      const fate = fates.shift() ?? "answered";
      if (fate === "request_lost") throw unknownOutcome();
      const result = await store.transact(transaction, options);
      if (fate === "answer_lost") throw unknownOutcome();
      return result;
    },
  };
}

function unknownOutcome(): BlixardError {
  return new BlixardError("STORE_OUTCOME_UNKNOWN", "the transaction may or may not have happened");
}
