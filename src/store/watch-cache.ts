/**
 * Everything under the prefix, in memory, as of one revision: what the API lists,
 * what the scheduler plans on, what control loops are woken by. It never writes.
 *
 *   listing ─► watching ─► (compacted) listing anew, old content still served
 *      ▲          │
 *      └─ pause ◄─┘ store not reachable: old content still served
 *
 * Readers who wrote before wait for their revision (`waitForRevision`), so that
 * everyone reads their own writes. Subscribers get merged changes and look at the
 * view; a slow one loses detail, never a change.
 */
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import type { Logger } from "#telemetry/port.ts";
import { createChangeFeed } from "./change-feed.ts";
import { backoffMs, pause } from "./clock.ts";
import { clusterKey, kindPrefix, recordKinds, STORE_PREFIX } from "./keys.ts";
import type { KeyValueStore, WatchBatch, WatchEvent } from "./key-value-store.ts";
import { createRevisionGate } from "./revision-gate.ts";
import { createStoreTables, type StoreTables, type Touched } from "./store-tables.ts";
import type { StoreChange, StoreView } from "./store-view.ts";

export interface WatchCacheOptions {
  readonly store: KeyValueStore;
  readonly clock: Clock;
  /** Between 0 (inclusive) and 1. */
  readonly random: () => number;
  readonly logger: Logger;
  /** Ids kept for a subscriber before they collapse to "everything". Default 10,000. */
  readonly maximumPendingIds?: number;
}

export interface WatchCache extends AsyncDisposable {
  /** Resolves when the first listing is complete. @throws BlixardError CANCELLED, STORE_CORRUPT */
  start(signal?: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  /** How far it has come; 0n before the first listing. */
  readonly revision: bigint;
  /** Live and free: see `StoreView`. */
  snapshot(): StoreView;
  /**
   * Resolves when everything up to the revision of a write is in the view.
   * @throws BlixardError CANCELLED by the signal, SHUTTING_DOWN when the cache stops
   */
  waitForRevision(revision: bigint, signal?: AbortSignal): Promise<void>;
  /** Merged changes; the first is `everything`. Ends by the signal, or when the cache stops. */
  subscribe(signal: AbortSignal): AsyncIterable<StoreChange>;
}

const DEFAULT_MAXIMUM_PENDING_IDS = 10_000;
const RETRY = { initialMs: 100, maximumMs: 5000 };
/**
 * Kind by kind: a member counts what is left of a prefix for every page, so one long list would take
 * quadratic time. The names are in the intents, and with these last every VM is joined once.
 */
const listedPrefixes = [
  clusterKey,
  ...recordKinds.filter((kind) => kind !== "cluster" && kind !== "vm-names" && kind !== "vms").map(kindPrefix),
  kindPrefix("vms"),
];
/** A listing may take longer than a call usually does. */
const LIST_TIMEOUT_MS = 60_000;

export function createWatchCache(options: WatchCacheOptions): WatchCache {
  const { store, clock, random, logger } = options;
  const feed = createChangeFeed({
    maximumPendingIds: options.maximumPendingIds ?? DEFAULT_MAXIMUM_PENDING_IDS,
  });
  const gate = createRevisionGate();
  const stopping = new AbortController();
  let tables = createStoreTables();
  let running: Promise<void> | undefined;

  async function list(signal: AbortSignal): Promise<StoreTables> {
    const fresh = createStoreTables();
    for await (const page of store.pages(listedPrefixes, { signal, timeoutMs: LIST_TIMEOUT_MS, collection: "all" })) {
      for (const entry of page.entries) skipCorrupt(() => fresh.put(entry));
      fresh.setRevision(page.revision);
    }
    return fresh;
  }

  function apply(event: WatchEvent): Touched {
    return event.kind === "delete" ? tables.delete(event.key) : skipCorrupt(() => tables.put(event.entry));
  }

  /** One unreadable record must not blind the node to all others. */
  function skipCorrupt(read: () => Touched): Touched {
    try {
      return read();
    } catch (error) {
      logger.error("a record in the store cannot be read and is ignored", {}, error);
      return { kind: "nothing" };
    }
  }

  function applyBatch(batch: WatchBatch): void {
    const touched = batch.events.map(apply);
    tables.setRevision(batch.revision);
    gate.open(tables.view.revision);
    feed.publish(tables.view.revision, touched);
  }

  /** Lists, then watches until the watch cannot go on. */
  async function follow(signal: AbortSignal, listed: () => void): Promise<void> {
    tables = await list(signal);
    const { revision } = tables.view;
    gate.open(revision);
    feed.publishEverything(revision);
    listed();
    for await (const batch of store.watch(STORE_PREFIX, revision + 1n, signal)) applyBatch(batch);
  }

  async function run(signal: AbortSignal, listed: () => void): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      try {
        await follow(signal, () => {
          failures = 0;
          listed();
        });
      } catch (error) {
        if (signal.aborted) return;
        if (isCompacted(error)) {
          logger.info("the store's history was compacted, listing anew");
          continue;
        }
        logger.warn("the watch cache cannot follow the store, trying again", {}, error);
        await pause(clock, backoffMs(failures++, { ...RETRY, random }), signal);
      }
    }
  }

  async function stop(): Promise<void> {
    stopping.abort();
    feed.close();
    gate.close();
    await running;
  }

  return {
    async start(signal) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const abort = (): void => {
        stopping.abort();
        reject(new BlixardError("CANCELLED", "the start of the watch cache was cancelled"));
      };
      signal?.addEventListener("abort", abort, { once: true });
      if (signal?.aborted === true) abort();
      running ??= run(stopping.signal, resolve);
      try {
        await promise;
      } finally {
        signal?.removeEventListener("abort", abort);
      }
    },
    stop,
    get revision() {
      return tables.view.revision;
    },
    snapshot: () => tables.view,
    waitForRevision: (revision, signal) => gate.wait(revision, signal),
    subscribe: (signal) => feed.subscribe(signal),
    [Symbol.asyncDispose]: stop,
  };
}

function isCompacted(error: unknown): boolean {
  return error instanceof BlixardError && error.code === "STORE_COMPACTED";
}
