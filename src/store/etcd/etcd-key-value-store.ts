/**
 * The store port on etcd: what the rest of Blixard needs of it and nothing more.
 *
 * Reads are linearizable, retried after any passing trouble within their deadline
 * and paginated at one revision. Writes are sent once, unless it is proven that
 * nothing happened. It knows nothing of records; repositories do.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { KV, RangeRequestSchema, type RangeResponse } from "#gen/etcd/etcd/etcdserverpb/rpc_pb.ts";
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import { checkKey, checkTransaction } from "../key-value-limits.ts";
import type { CallOptions, KeyValue, KeyValueStore, RangeResult } from "../key-value-store.ts";
import { isAnswerTooLarge } from "./call-failure.ts";
import type { EtcdConnection } from "./connection.ts";
import { createEtcdLeases } from "./etcd-lease.ts";
import { watchEtcd } from "./etcd-watch.ts";
import { keyAfter, keyBytes, keyValueFromMessage, prefixEnd, transactionResultOf, txnRequestOf } from "./messages.ts";
import { withRetry } from "./retry.ts";

export interface EtcdKeyValueStoreOptions {
  readonly connection: EtcdConnection;
  readonly clock: Clock;
  /** Between 0 (inclusive) and 1. */
  readonly random: () => number;
  /** Of a call, its retries included. Default 5 s. */
  readonly timeoutMs?: number;
  /** Entries asked for at once. Default 1,000. */
  readonly pageSize?: number;
  /** Told when a watch takes up again after a broken connection. */
  readonly onWatchResume?: (prefix: string) => void;
}

const DEFAULT_TIMEOUT_MS = 5000;
const DEFAULT_PAGE_SIZE = 1000;

interface PageRequest {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
  readonly limit: number;
  /** 0n: the newest. */
  readonly revision: bigint;
}

interface Selection {
  readonly limit?: number | undefined;
  readonly startAfter?: string | undefined;
  /** 0n: the newest. */
  readonly revision: bigint;
  readonly deadlineMs: number;
}

/** `close()` closes the connection too. */
export function createEtcdKeyValueStore(options: EtcdKeyValueStoreOptions): KeyValueStore {
  const { connection, clock, random } = options;
  const defaultTimeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const pageSize = options.pageSize ?? DEFAULT_PAGE_SIZE;
  const environment = { connection, clock, random };
  const leases = createEtcdLeases(environment, defaultTimeoutMs);

  function readRange(
    what: string,
    request: MessageInitShape<typeof RangeRequestSchema>,
    { signal, timeoutMs = defaultTimeoutMs }: CallOptions,
  ): Promise<RangeResponse> {
    const message = create(RangeRequestSchema, request);
    return withRetry(environment, { kind: "read", what, timeoutMs, signal }, (attemptMs) =>
      connection.unary(KV.method.range, message, { timeoutMs: attemptMs, signal }),
    );
  }

  /** A page, with fewer entries when the answer would be too large. */
  async function readPage(prefix: string, page: PageRequest, callOptions: CallOptions): Promise<RangeResponse> {
    for (let limit = page.limit; ; limit = Math.ceil(limit / 4)) {
      try {
        return await readRange(
          `list ${prefix}`,
          { key: page.start, rangeEnd: page.end, limit: BigInt(limit), revision: page.revision },
          callOptions,
        );
      } catch (error) {
        const tooLarge = error instanceof BlixardError && isAnswerTooLarge(error.cause);
        if (!tooLarge || limit === 1) throw error;
      }
    }
  }

  /** Pages at `revision`, or at that of the first page, until `limit` entries or the end; all before the deadline. */
  async function* pagesOf(prefix: string, selection: Selection, callOptions: CallOptions): AsyncGenerator<RangeResult> {
    const { startAfter, deadlineMs } = selection;
    const end = prefixEnd(prefix);
    let left = selection.limit ?? Number.POSITIVE_INFINITY;
    let start = startAfter === undefined || startAfter < prefix ? keyBytes(prefix) : keyAfter(startAfter);
    let { revision } = selection;
    for (;;) {
      const limit = Math.max(1, Math.min(left, pageSize));
      const timeoutMs = Math.max(1, deadlineMs - clock.monotonicMs());
      const response = await readPage(prefix, { start, end, limit, revision }, { ...callOptions, timeoutMs });
      if (revision === 0n) revision = response.header?.revision ?? 0n;
      const entries = response.kvs.map(keyValueFromMessage);
      yield { revision, entries };
      left -= entries.length;
      const last = entries.at(-1);
      if (!response.more || last === undefined || left <= 0) return;
      start = keyAfter(last.key);
    }
  }

  function deadlineOf(callOptions: CallOptions): number {
    return clock.monotonicMs() + (callOptions.timeoutMs ?? defaultTimeoutMs);
  }

  return {
    async get(key, callOptions = {}) {
      checkKey(key);
      const { kvs } = await readRange(`read ${key}`, { key: keyBytes(key) }, callOptions);
      const [entry] = kvs;
      return entry === undefined ? undefined : keyValueFromMessage(entry);
    },
    async range(prefix, callOptions = {}) {
      checkKey(prefix);
      const { limit, startAfter } = callOptions;
      const selection: Selection = { limit, startAfter, revision: 0n, deadlineMs: deadlineOf(callOptions) };
      const entries: KeyValue[] = [];
      let revision = 0n;
      for await (const page of pagesOf(prefix, selection, callOptions)) {
        revision = page.revision;
        for (const entry of page.entries) entries.push(entry);
      }
      return { revision, entries };
    },
    async *pages(prefixes, callOptions = {}) {
      prefixes.forEach(checkKey);
      const deadlineMs = deadlineOf(callOptions);
      let revision = 0n;
      for (const prefix of prefixes) {
        for await (const page of pagesOf(prefix, { revision, deadlineMs }, callOptions)) {
          revision = page.revision;
          yield page;
        }
      }
    },
    async transact(transaction, callOptions = {}) {
      checkTransaction(transaction);
      const { signal, timeoutMs = defaultTimeoutMs } = callOptions;
      const request = txnRequestOf(transaction);
      const response = await withRetry(
        environment,
        { kind: "write", what: `transaction on ${whatIn(transaction)}`, timeoutMs, signal },
        (attemptMs) => connection.unary(KV.method.txn, request, { timeoutMs: attemptMs, signal }),
      );
      return transactionResultOf(response, transaction);
    },
    async *watch(prefix, fromRevision, signal) {
      checkKey(prefix);
      const onResume = (): void => options.onWatchResume?.(prefix);
      yield* watchEtcd({ ...environment, prefix, fromRevision, signal, onResume });
    },
    grantLease: (ttlMs, callOptions) => leases.grant(ttlMs, callOptions),
    revokeLease: (leaseId, callOptions) => leases.revoke(leaseId, callOptions),
    async close() {
      connection.close();
    },
  };
}

function whatIn({ success, compare }: Parameters<KeyValueStore["transact"]>[0]): string {
  const [first] = [...success, ...compare];
  if (first === undefined) return "nothing";
  return "key" in first ? first.key : first.prefix;
}
