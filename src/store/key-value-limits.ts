/** What a transaction or key may be, checked before anything is sent; the same for every store. */
import { BlixardError } from "#model/errors.ts";
import type { Compare, StoreOperation, Transaction } from "./key-value-store.ts";

export const MAXIMUM_OPERATIONS = 128;
export const MAXIMUM_TRANSACTION_BYTES = 1.5 * 1024 * 1024;
export const MAXIMUM_KEY_LENGTH = 1024;

/** @throws BlixardError INVALID_ARGUMENT, REQUEST_TOO_LARGE */
export function checkTransaction(transaction: Transaction): void {
  const { compare, success, failure = [] } = transaction;
  const longest = Math.max(compare.length, success.length, failure.length);
  if (longest > MAXIMUM_OPERATIONS) {
    throw new BlixardError(
      "INVALID_ARGUMENT",
      `a transaction has ${longest} operations, more than ${MAXIMUM_OPERATIONS}`,
    );
  }
  for (const item of compare) checkKey(keyOfCompare(item));
  for (const branch of [success, failure]) checkBranch(branch);
  const bytes = transactionBytes(transaction);
  if (bytes > MAXIMUM_TRANSACTION_BYTES) {
    throw new BlixardError(
      "REQUEST_TOO_LARGE",
      `a transaction of ${bytes} bytes is larger than ${MAXIMUM_TRANSACTION_BYTES}`,
    );
  }
}

/** @throws BlixardError INVALID_ARGUMENT */
export function checkKey(key: string): void {
  if (key === "" || key.length > MAXIMUM_KEY_LENGTH) {
    throw new BlixardError("INVALID_ARGUMENT", `a key must have 1 to ${MAXIMUM_KEY_LENGTH} characters`);
  }
}

/** An estimate that is never below half of the real size: enough to batch by. */
export function transactionBytes(transaction: Transaction): number {
  let bytes = 0;
  for (const item of transaction.compare) bytes += keyOfCompare(item).length + 32;
  for (const operation of [...transaction.success, ...(transaction.failure ?? [])]) bytes += operationBytes(operation);
  return bytes;
}

export function operationBytes(operation: StoreOperation): number {
  const key = keyOfOperation(operation).length + 32;
  return operation.kind === "put" ? key + operation.value.byteLength : key;
}

// etcd refuses a transaction that writes a key twice; found here, the message can name the key.
function checkBranch(operations: readonly StoreOperation[]): void {
  const written = new Set<string>();
  const prefixes: string[] = [];
  for (const operation of operations) {
    checkKey(keyOfOperation(operation));
    if (operation.kind === "deletePrefix") prefixes.push(operation.prefix);
    if (operation.kind !== "put" && operation.kind !== "delete") continue;
    if (written.has(operation.key)) throw writtenTwice(operation.key);
    written.add(operation.key);
  }
  for (const prefix of prefixes) {
    for (const key of written) if (key.startsWith(prefix)) throw writtenTwice(key);
  }
}

function writtenTwice(key: string): BlixardError {
  return new BlixardError("INVALID_ARGUMENT", `a transaction writes the key ${JSON.stringify(key)} twice`);
}

function keyOfCompare(compare: Compare): string {
  return compare.kind === "prefixEmpty" ? compare.prefix : compare.key;
}

function keyOfOperation(operation: StoreOperation): string {
  return operation.kind === "deletePrefix" ? operation.prefix : operation.key;
}
