/**
 * Many small control writes as few transactions: each transaction compares the
 * leadership and, for every write in it, what the decision was based on. A write
 * whose basis has changed is left out and reported; the rest goes on.
 */
import { operationBytes } from "./key-value-limits.ts";
import type { CallOptions, Compare, KeyValueStore, StoreOperation } from "./key-value-store.ts";
import { checkTerm, type LeaderTerm, termCompare, termGet } from "./leader-term.ts";

export interface ControlWrite {
  readonly vmId: string;
  /** At most 4. */
  readonly compare: readonly Extract<Compare, { kind: "modRevision" }>[];
  /** At most 4. */
  readonly operations: readonly StoreOperation[];
}

export interface BatchOutcome {
  readonly applied: readonly string[];
  /** VM ids whose basis had changed: decide again on a newer snapshot. */
  readonly stale: readonly string[];
  /** Of the last transaction that took effect; undefined when none did. */
  readonly revision: bigint | undefined;
}

// Both below etcd's limits (128 operations, 1.5 MiB), with room for the leadership comparison.
const MAXIMUM_BATCH_OPERATIONS = 120;
const MAXIMUM_BATCH_BYTES = 1024 * 1024;

/** @throws BlixardError NOT_LEADER, STORE_*: then look at the store again, batches before may have happened */
export async function applyControlWrites(
  store: KeyValueStore,
  term: LeaderTerm,
  writes: readonly ControlWrite[],
  options?: CallOptions,
): Promise<BatchOutcome> {
  const applied: string[] = [];
  const stale: string[] = [];
  let revision: bigint | undefined;
  for (let batch of planBatches(writes)) {
    while (batch.length > 0) {
      const result = await store.transact(
        {
          compare: [termCompare(term), ...batch.flatMap((write) => write.compare)],
          success: batch.flatMap((write) => write.operations),
          failure: [
            termGet(term),
            ...batch.flatMap((write) => write.compare.map(({ key }) => ({ kind: "get" as const, key }))),
          ],
        },
        options,
      );
      if (result.succeeded) {
        applied.push(...batch.map((write) => write.vmId));
        revision = result.revision;
        break;
      }
      checkTerm(term, result.gets[0]);
      const current = result.gets.slice(1).map((entry) => entry?.modRevision ?? 0n);
      const { fresh, changed } = splitByBasis(batch, current);
      stale.push(...changed.map((write) => write.vmId));
      // Something changed and changed back between comparison and now cannot be: revisions only grow.
      batch = fresh;
    }
  }
  return { applied, stale, revision };
}

function splitByBasis(
  batch: readonly ControlWrite[],
  current: readonly bigint[],
): { fresh: ControlWrite[]; changed: ControlWrite[] } {
  const fresh: ControlWrite[] = [];
  const changed: ControlWrite[] = [];
  let index = 0;
  for (const write of batch) {
    const holds = write.compare.every((compare, offset) => current[index + offset] === compare.equals);
    (holds ? fresh : changed).push(write);
    index += write.compare.length;
  }
  return { fresh, changed };
}

/** Cuts the writes, in order, into batches that one transaction can hold. Pure. */
export function planBatches(writes: readonly ControlWrite[]): ControlWrite[][] {
  const batches: ControlWrite[][] = [];
  let batch: ControlWrite[] = [];
  let operations = 0;
  let bytes = 0;
  for (const write of writes) {
    const writeOperations = Math.max(write.compare.length, write.operations.length);
    const writeBytes = write.operations.reduce((sum, operation) => sum + operationBytes(operation), 0);
    const full = operations + writeOperations > MAXIMUM_BATCH_OPERATIONS || bytes + writeBytes > MAXIMUM_BATCH_BYTES;
    if (full && batch.length > 0) {
      batches.push(batch);
      batch = [];
      operations = 0;
      bytes = 0;
    }
    batch.push(write);
    operations += writeOperations;
    bytes += writeBytes;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
