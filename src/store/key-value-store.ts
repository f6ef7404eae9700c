/**
 * The store port: a revisioned key-value space with compare-and-swap
 * transactions, watches and leases, as etcd has it. `etcd/` serves it for real,
 * `memory/` for unit tests; one contract suite runs against both. Repositories
 * above it know keys and records; nobody above repositories sees a key.
 */

export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  /** Hex lease id, or undefined. */
  readonly leaseId: string | undefined;
}

export type Compare =
  /** The key was last changed at exactly this revision; 0n: it does not exist. */
  | { readonly kind: "modRevision"; readonly key: string; readonly equals: bigint }
  | { readonly kind: "createRevision"; readonly key: string; readonly equals: bigint }
  | { readonly kind: "exists"; readonly key: string }
  /** No key starts with this prefix. */
  | { readonly kind: "prefixEmpty"; readonly prefix: string };

export type StoreOperation =
  | { readonly kind: "put"; readonly key: string; readonly value: Uint8Array; readonly leaseId?: string }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "deletePrefix"; readonly prefix: string }
  | { readonly kind: "get"; readonly key: string };

export interface Transaction {
  readonly compare: readonly Compare[];
  readonly success: readonly StoreOperation[];
  /** Usually `get`s that tell why it did not succeed. */
  readonly failure?: readonly StoreOperation[];
}

export interface TransactionResult {
  readonly succeeded: boolean;
  readonly revision: bigint;
  /** The `get`s of the branch that ran, in order; undefined: no such key. */
  readonly gets: readonly (KeyValue | undefined)[];
}

export interface RangeResult {
  readonly revision: bigint;
  readonly entries: readonly KeyValue[];
}

export type WatchEvent =
  | { readonly kind: "put"; readonly entry: KeyValue }
  | { readonly kind: "delete"; readonly key: string; readonly modRevision: bigint };

export interface WatchBatch {
  /** Everything up to here has been delivered for the prefix. */
  readonly revision: bigint;
  readonly events: readonly WatchEvent[];
}

export interface Lease extends AsyncDisposable {
  readonly id: string;
  /** As granted, which may be more than was asked for. */
  readonly ttlMs: number;
  /**
   * Renews once. Resolves with when the confirmed renewal was *sent* and the TTL granted.
   * @throws BlixardError LEASE_LOST when it has expired; STORE_UNAVAILABLE
   */
  keepAlive(): Promise<{ readonly sentTimeMs: number; readonly ttlMs: number }>;
  revoke(): Promise<void>;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Default: the client's. */
  readonly timeoutMs?: number;
  /** Low-cardinality name of what is touched, for `db.collection.name`; default: from the key. */
  readonly collection?: string;
}

export interface KeyValueStore {
  get(key: string, options?: CallOptions): Promise<KeyValue | undefined>;
  /** All keys with the prefix, ascending, read in pages at one revision. */
  range(
    prefix: string,
    options?: CallOptions & { readonly limit?: number; readonly startAfter?: string },
  ): Promise<RangeResult>;
  /**
   * The same one page after the other, prefix by prefix, all at one revision: for more than fits in memory twice.
   * @throws BlixardError STORE_COMPACTED when reading took so long that the revision is gone: begin again
   */
  pages(prefixes: readonly string[], options?: CallOptions): AsyncIterable<RangeResult>;
  /**
   * At most 128 operations and 1.5 MiB. Never retried blindly.
   * @throws BlixardError STORE_OUTCOME_UNKNOWN when the transaction may or may not have happened;
   * STORE_UNAVAILABLE when it certainly did not; STORE_FULL; INVALID_ARGUMENT
   */
  transact(transaction: Transaction, options?: CallOptions): Promise<TransactionResult>;
  /**
   * Changes from `fromRevision` on, resumed by itself over broken connections, none lost or doubled.
   * Ends by `signal`. @throws BlixardError STORE_COMPACTED: list again.
   */
  watch(prefix: string, fromRevision: bigint, signal: AbortSignal): AsyncIterable<WatchBatch>;
  grantLease(ttlMs: number, options?: CallOptions): Promise<Lease>;
  /** Ends a lease whose holder is gone, and its keys with it; a lease that is no more is success. */
  revokeLease(leaseId: string, options?: CallOptions): Promise<void>;
  close(): Promise<void>;
}

/** What the consensus member of this node says of itself; absent for external stores without access. */
export interface MemberStatus {
  /** Hex. */
  readonly memberId: string;
  readonly leaderId: string | undefined;
  readonly version: string;
  readonly raftTerm: bigint;
  readonly raftIndex: bigint;
  readonly raftAppliedIndex: bigint;
  readonly databaseSizeBytes: bigint;
  readonly databaseInUseBytes: bigint;
  readonly learner: boolean;
  readonly alarms: readonly string[];
}
