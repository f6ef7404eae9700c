/**
 * The store port in memory, for unit tests and the simulation: the same rules as
 * etcd (revisions, compare-and-swap, leases, compaction), nothing durable.
 *
 * All work is synchronous inside one turn, so transactions are atomic by nature.
 * A watcher keeps only the next revision it wants and reads the shared history,
 * which is bounded: what falls off its end is compacted.
 */
import { BlixardError } from "#model/errors.ts";
import type { Clock } from "#model/clock.ts";
import { checkKey, checkTransaction } from "../key-value-limits.ts";
import type {
  CallOptions,
  Compare,
  KeyValue,
  KeyValueStore,
  Lease,
  RangeResult,
  StoreOperation,
  Transaction,
  TransactionResult,
  WatchBatch,
  WatchEvent,
} from "../key-value-store.ts";
import { createSortedKeys } from "./sorted-keys.ts";

export interface MemoryKeyValueStoreOptions {
  readonly clock: Clock;
  /** Revisions kept for watchers; older ones are compacted. Default 100,000. */
  readonly historyLimit?: number;
}

export interface MemoryKeyValueStore extends KeyValueStore {
  readonly revision: bigint;
  /** Forgets the history up to and including this revision, as etcd's compaction does. */
  compact(revision: bigint): void;
}

interface HistoryEntry {
  readonly revision: bigint;
  readonly events: readonly WatchEvent[];
}

interface LeaseState {
  readonly id: string;
  readonly ttlMs: number;
  readonly keys: Set<string>;
  cancelExpiry: () => void;
}

const MAXIMUM_EVENTS_PER_BATCH = 1000;
const PAGE_SIZE = 1000;
const DEFAULT_HISTORY_LIMIT = 100_000;

export function createMemoryKeyValueStore(options: MemoryKeyValueStoreOptions): MemoryKeyValueStore {
  const { clock } = options;
  const historyLimit = options.historyLimit ?? DEFAULT_HISTORY_LIMIT;
  const entries = new Map<string, KeyValue>();
  const sortedKeys = createSortedKeys();
  const leases = new Map<string, LeaseState>();
  const wakers = new Set<() => void>();
  let history: HistoryEntry[] = [];
  let revision = 1n;
  let compactedRevision = 0n;
  let nextLeaseNumber = 1n;
  let closed = false;

  function checkOpen(callOptions?: CallOptions): void {
    if (closed) throw new BlixardError("STORE_UNAVAILABLE", "the store is closed");
    if (callOptions?.signal?.aborted === true) {
      throw new BlixardError("CANCELLED", "the call was cancelled before it was made");
    }
  }

  function holds(compare: Compare): boolean {
    switch (compare.kind) {
      case "modRevision":
        return (entries.get(compare.key)?.modRevision ?? 0n) === compare.equals;
      case "createRevision":
        return (entries.get(compare.key)?.createRevision ?? 0n) === compare.equals;
      case "exists":
        return entries.has(compare.key);
      case "prefixEmpty":
        return sortedKeys.withPrefix(compare.prefix).next().done === true;
    }
  }

  function put(key: string, value: Uint8Array, leaseId: string | undefined, at: bigint): WatchEvent {
    const previous = entries.get(key);
    if (previous?.leaseId !== undefined) leases.get(previous.leaseId)?.keys.delete(key);
    if (leaseId !== undefined) leases.get(leaseId)?.keys.add(key);
    const entry: KeyValue = {
      key,
      value: Uint8Array.from(value),
      createRevision: previous?.createRevision ?? at,
      modRevision: at,
      leaseId,
    };
    entries.set(key, entry);
    sortedKeys.add(key);
    return { kind: "put", entry };
  }

  function remove(key: string, at: bigint): WatchEvent | undefined {
    const previous = entries.get(key);
    if (previous === undefined) return undefined;
    if (previous.leaseId !== undefined) leases.get(previous.leaseId)?.keys.delete(key);
    entries.delete(key);
    sortedKeys.remove(key);
    return { kind: "delete", key, modRevision: at };
  }

  function apply(operations: readonly StoreOperation[]): TransactionResult["gets"] {
    for (const operation of operations) {
      if (operation.kind === "put" && operation.leaseId !== undefined && !leases.has(operation.leaseId)) {
        throw new BlixardError("LEASE_LOST", `lease ${operation.leaseId} does not exist`);
      }
    }
    const at = revision + 1n;
    const events: WatchEvent[] = [];
    const gets: (KeyValue | undefined)[] = [];
    for (const operation of operations) {
      switch (operation.kind) {
        case "put":
          events.push(put(operation.key, operation.value, operation.leaseId, at));
          break;
        case "delete":
          events.push(...[remove(operation.key, at)].filter((event) => event !== undefined));
          break;
        case "deletePrefix":
          // All first: removing while walking would skip keys.
          for (const key of sortedKeys.withPrefix(operation.prefix).toArray()) {
            events.push(...[remove(key, at)].filter((event) => event !== undefined));
          }
          break;
        case "get":
          gets.push(entries.get(operation.key));
          break;
      }
    }
    record(at, events);
    return gets;
  }

  function record(at: bigint, events: readonly WatchEvent[]): void {
    if (events.length === 0) return;
    revision = at;
    history.push({ revision: at, events });
    // Trimmed in lumps: a shift per write would be slow.
    if (history.length > historyLimit * 2) {
      compact(history.at(-historyLimit)?.revision ?? revision);
    }
    for (const wake of wakers) wake();
  }

  function compact(upTo: bigint): void {
    if (upTo > revision || upTo <= compactedRevision) return;
    compactedRevision = upTo;
    history = history.filter((entry) => entry.revision > upTo);
    for (const wake of wakers) wake();
  }

  function endLease(lease: LeaseState): void {
    lease.cancelExpiry();
    leases.delete(lease.id);
    const at = revision + 1n;
    record(
      at,
      [...lease.keys].map((key) => remove(key, at)).filter((event) => event !== undefined),
    );
  }

  function renew(lease: LeaseState): void {
    lease.cancelExpiry();
    const cancellation = new AbortController();
    lease.cancelExpiry = () => cancellation.abort();
    clock.delay(lease.ttlMs, cancellation.signal).then(
      () => endLease(lease),
      () => undefined,
    );
  }

  function leaseHandle(lease: LeaseState): Lease {
    const revoke = async (): Promise<void> => {
      checkOpen();
      const state = leases.get(lease.id);
      if (state !== undefined) endLease(state);
    };
    return {
      id: lease.id,
      ttlMs: lease.ttlMs,
      async keepAlive() {
        checkOpen();
        if (!leases.has(lease.id)) throw new BlixardError("LEASE_LOST", `lease ${lease.id} has expired`);
        renew(lease);
        return { sentTimeMs: clock.now(), ttlMs: lease.ttlMs };
      },
      revoke,
      [Symbol.asyncDispose]: revoke,
    };
  }

  /** Everything from `from` on that the history holds for the prefix, at most a batch of it. */
  function readHistory(prefix: string, from: bigint): WatchBatch {
    const events: WatchEvent[] = [];
    const start = firstIndexAtOrAfter(history, from);
    for (let index = start; index < history.length; index++) {
      const entry = history[index];
      if (entry === undefined) break;
      for (const event of entry.events) {
        if (keyOfEvent(event).startsWith(prefix)) events.push(event);
      }
      if (events.length >= MAXIMUM_EVENTS_PER_BATCH) return { revision: entry.revision, events };
    }
    return { revision, events };
  }

  async function* watch(prefix: string, fromRevision: bigint, signal: AbortSignal): AsyncIterable<WatchBatch> {
    let next = fromRevision;
    while (!signal.aborted) {
      checkOpen();
      if (next <= compactedRevision) {
        throw new BlixardError("STORE_COMPACTED", `revision ${next} has been compacted, list again`);
      }
      const batch = next > revision ? { revision: next - 1n, events: [] } : readHistory(prefix, next);
      next = batch.revision + 1n;
      if (batch.events.length > 0) yield batch;
      else await nextChange(signal, () => closed || revision >= next || next <= compactedRevision);
    }
  }

  async function nextChange(signal: AbortSignal, ready: () => boolean): Promise<void> {
    if (ready() || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        if (!ready() && !signal.aborted) return;
        wakers.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      wakers.add(wake);
      signal.addEventListener("abort", wake);
    });
  }

  return {
    get revision() {
      return revision;
    },
    compact,
    async get(key, callOptions) {
      checkOpen(callOptions);
      checkKey(key);
      return entries.get(key);
    },
    async range(prefix, callOptions): Promise<RangeResult> {
      checkOpen(callOptions);
      checkKey(prefix);
      const limit = callOptions?.limit ?? Number.POSITIVE_INFINITY;
      const found: KeyValue[] = [];
      for (const key of sortedKeys.withPrefix(prefix, callOptions?.startAfter)) {
        if (found.length >= limit) break;
        const entry = entries.get(key);
        if (entry !== undefined) found.push(entry);
      }
      return { revision, entries: found };
    },
    async *pages(prefixes, callOptions) {
      checkOpen(callOptions);
      prefixes.forEach(checkKey);
      // One revision by nature: the entries are values, and all are taken in one turn.
      const keys = prefixes.flatMap((prefix) => [...sortedKeys.withPrefix(prefix)]);
      const all = keys.flatMap((key) => entries.get(key) ?? []);
      const at = revision;
      for (let start = 0; start === 0 || start < all.length; start += PAGE_SIZE) {
        yield { revision: at, entries: all.slice(start, start + PAGE_SIZE) };
      }
    },
    async transact(transaction: Transaction, callOptions): Promise<TransactionResult> {
      checkOpen(callOptions);
      checkTransaction(transaction);
      const succeeded = transaction.compare.every(holds);
      const gets = apply(succeeded ? transaction.success : (transaction.failure ?? []));
      return { succeeded, revision, gets };
    },
    watch,
    async grantLease(ttlMs, callOptions) {
      checkOpen(callOptions);
      // etcd counts in whole seconds and grants at least one.
      const granted = Math.max(1, Math.ceil(ttlMs / 1000)) * 1000;
      const id = (nextLeaseNumber++).toString(16);
      const lease: LeaseState = { id, ttlMs: granted, keys: new Set(), cancelExpiry: () => {} };
      leases.set(id, lease);
      renew(lease);
      return leaseHandle(lease);
    },
    async revokeLease(leaseId, callOptions) {
      checkOpen(callOptions);
      const lease = leases.get(leaseId);
      if (lease !== undefined) endLease(lease);
    },
    async close() {
      closed = true;
      for (const lease of leases.values()) lease.cancelExpiry();
      for (const wake of wakers) wake();
    },
  };
}

function keyOfEvent(event: WatchEvent): string {
  return event.kind === "put" ? event.entry.key : event.key;
}

function firstIndexAtOrAfter(history: readonly HistoryEntry[], revision: bigint): number {
  let low = 0;
  let high = history.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((history[middle]?.revision ?? 0n) < revision) low = middle + 1;
    else high = middle;
  }
  return low;
}
