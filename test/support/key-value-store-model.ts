/** The store's rules in their simplest form, for the contract suite to compare with; and random histories for it. */
import fc from "fast-check";
import type { Compare, KeyValue, StoreOperation, Transaction, TransactionResult } from "#store/key-value-store.ts";

export interface StoreModel {
  readonly revision: bigint;
  get(key: string): KeyValue | undefined;
  entries(): KeyValue[];
  transact(transaction: Transaction): TransactionResult;
}

export function createStoreModel(startRevision: bigint): StoreModel {
  let state: readonly KeyValue[] = [];
  let revision = startRevision;

  const get = (key: string): KeyValue | undefined => state.find((entry) => entry.key === key);
  const without = (matches: (key: string) => boolean): readonly KeyValue[] => state.filter(({ key }) => !matches(key));

  function holds(compare: Compare): boolean {
    switch (compare.kind) {
      case "modRevision":
        return (get(compare.key)?.modRevision ?? 0n) === compare.equals;
      case "createRevision":
        return (get(compare.key)?.createRevision ?? 0n) === compare.equals;
      case "exists":
        return get(compare.key) !== undefined;
      case "prefixEmpty":
        return !state.some(({ key }) => key.startsWith(compare.prefix));
    }
  }

  function apply(operation: StoreOperation, at: bigint): void {
    if (operation.kind === "put") {
      const { key, value } = operation;
      const createRevision = get(key)?.createRevision ?? at;
      state = [
        ...without((other) => other === key),
        { key, value, createRevision, modRevision: at, leaseId: undefined },
      ];
    }
    if (operation.kind === "delete") state = without((key) => key === operation.key);
    if (operation.kind === "deletePrefix") state = without((key) => key.startsWith(operation.prefix));
  }

  return {
    get revision() {
      return revision;
    },
    get,
    entries: () => state.toSorted((left, right) => (left.key < right.key ? -1 : 1)),
    transact(transaction) {
      const succeeded = transaction.compare.every(holds);
      const gets: (KeyValue | undefined)[] = [];
      let changed = false;
      for (const operation of succeeded ? transaction.success : (transaction.failure ?? [])) {
        const before = state.length;
        apply(operation, revision + 1n);
        changed ||= operation.kind === "put" || state.length !== before;
        if (operation.kind === "get") gets.push(get(operation.key));
      }
      if (changed) revision += 1n;
      return { succeeded, revision, gets };
    },
  };
}

/** A transaction, once it is known where and on what state: revisions compared are right about half of the time. */
export type StoreCommand = (prefix: string, model: StoreModel) => Transaction;

const names = ["a", "a/1", "a/2", "b", "b/1"] as const;
const prefixNames = ["a", "a/", "b/", "c"] as const;

export function storeCommands(): fc.Arbitrary<StoreCommand[]> {
  return fc.array(
    fc
      .record({
        compare: fc.array(compareCommand(), { maxLength: 3 }),
        success: branch(),
        failure: branch(),
      })
      .map(({ compare, success, failure }): StoreCommand => (prefix, model) => ({
        compare: compare.map((command) => command(prefix, model)),
        success: success.map((operation) => below(prefix, operation)),
        failure: failure.map((operation) => below(prefix, operation)),
      })),
    { maxLength: 12 },
  );
}

function compareCommand(): fc.Arbitrary<(prefix: string, model: StoreModel) => Compare> {
  return fc.oneof(
    fc
      .record({
        name: fc.constantFrom(...names),
        kind: fc.constantFrom("modRevision", "createRevision"),
        right: fc.boolean(),
      })
      .map(({ name, kind, right }) => (prefix: string, model: StoreModel): Compare => {
        const key = prefix + name;
        const current = model.get(key)?.[kind] ?? 0n;
        return { kind, key, equals: right ? current : current + 1n };
      }),
    fc.constantFrom(...names).map((name) => (prefix: string): Compare => ({ kind: "exists", key: prefix + name })),
    fc.constantFrom(...prefixNames).map((name) => (prefix: string): Compare => ({
      kind: "prefixEmpty",
      prefix: prefix + name,
    })),
  );
}

/** Operations that one transaction may hold together: no key is written twice. */
function branch(): fc.Arbitrary<StoreOperation[]> {
  const onKey = fc.record({
    kind: fc.constantFrom("put", "delete"),
    key: fc.constantFrom(...names),
    text: fc.string({ maxLength: 5 }),
  });
  const writes = fc
    .uniqueArray(onKey, { selector: ({ key }) => key, maxLength: 4 })
    .map((operations) =>
      operations.map(({ kind, key, text }): StoreOperation =>
        kind === "put" ? { kind, key, value: Buffer.from(text) } : { kind: "delete", key },
      ),
    );
  const prefixDeletion = fc
    .constantFrom(...prefixNames)
    .map((prefix): StoreOperation[] => [{ kind: "deletePrefix", prefix }]);
  const gets = fc.array(
    fc.constantFrom(...names).map((key): StoreOperation => ({ kind: "get", key })),
    { maxLength: 3 },
  );
  return fc
    .tuple(fc.oneof({ arbitrary: writes, weight: 3 }, prefixDeletion), gets)
    .map(([first, second]) => [...first, ...second]);
}

function below(prefix: string, operation: StoreOperation): StoreOperation {
  return operation.kind === "deletePrefix"
    ? { ...operation, prefix: prefix + operation.prefix }
    : { ...operation, key: prefix + operation.key };
}
