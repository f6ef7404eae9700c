/**
 * The store port with its signals: a client span and a duration for every call,
 * conflicts, renewals, watches. Put around the real store by the composition root.
 *
 * Spans only below an active span: what loops do in the background is counted, not
 * traced, or every heartbeat would be a trace of its own.
 */
import {
  dbClientOperationDuration,
  storeLeaseRenewals,
  storeReachable,
  storeTransactionConflicts,
  storeWatchActive,
  storeWatchEvents,
  storeWatchResumes,
} from "#gen/telemetry/metrics.ts";
import { dbClient } from "#gen/telemetry/spans.ts";
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import type { ActiveSpan, AttributesOf, HistogramCell, Metrics, Telemetry } from "#telemetry/port.ts";
import { statusNameOf } from "./etcd/call-failure.ts";
import { endpointAddress, type EtcdEndpoint } from "./etcd/endpoint.ts";
import { collectionOf } from "./keys.ts";
import type { CallOptions, KeyValueStore, Lease, Transaction } from "./key-value-store.ts";

export interface InstrumentationOptions {
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  /** The member that is used now; undefined for a store without one. */
  readonly endpoint?: () => EtcdEndpoint;
}

type Operation = AttributesOf<typeof dbClient>["db.operation.name"];

interface Call {
  readonly operation: Operation;
  /** undefined: it touches no key (leases). */
  readonly collection?: string;
  readonly operationCount?: number;
}

export function createInstrumentedKeyValueStore(store: KeyValueStore, options: InstrumentationOptions): KeyValueStore {
  const { telemetry, clock } = options;
  const { metrics, tracing } = telemetry;
  const reachable = metrics.bind(storeReachable, {});
  const durations = createDurationCells(metrics);

  function serverAttributes(): { "server.address"?: string; "server.port"?: number } {
    const endpoint = options.endpoint?.();
    if (endpoint === undefined) return {};
    const port = endpoint.kind === "tcp" ? { "server.port": endpoint.port } : {};
    return { "server.address": endpointAddress(endpoint), ...port };
  }

  async function observe<T>(
    call: Call,
    run: () => Promise<T>,
    describe?: (span: ActiveSpan, result: T) => void,
  ): Promise<T> {
    if (tracing.active() === undefined) return await measure(call, run);
    const attributes = {
      "db.system.name": "etcd",
      "db.operation.name": call.operation,
      "db.collection.name": call.collection,
      "blixard.store.operation_count": call.operationCount,
      // By the conventions one operation is no batch.
      "db.operation.batch.size": (call.operationCount ?? 0) > 1 ? call.operationCount : undefined,
      ...serverAttributes(),
    };
    const name = call.collection === undefined ? call.operation : `${call.operation} ${call.collection}`;
    return await tracing.span(dbClient, { name, attributes }, async (span) => {
      try {
        const result = await measure(call, run);
        describe?.(span, result);
        return result;
      } catch (error) {
        span.setAttributes({
          "db.response.status_code": statusNameOf(error),
          ...(error instanceof BlixardError ? { "blixard.error.code": error.code } : {}),
        });
        throw error;
      }
    });
  }

  async function measure<T>(call: Call, run: () => Promise<T>): Promise<T> {
    const startMs = clock.monotonicMs();
    let errorType: string | undefined;
    let statusName: string | undefined;
    try {
      return await run();
    } catch (error) {
      statusName = statusNameOf(error);
      errorType = error instanceof BlixardError ? error.code : "INTERNAL";
      throw error;
    } finally {
      if (errorType !== "CANCELLED") reachable.set(isUnreachable(errorType) ? 0 : 1);
      const seconds = (clock.monotonicMs() - startMs) / 1000;
      durations(call, serverAttributes(), errorType, statusName).record(seconds);
    }
  }

  function observeLease(lease: Lease): Lease {
    const revoke = (): Promise<void> => observe({ operation: "lease_revoke" }, () => lease.revoke());
    return {
      id: lease.id,
      ttlMs: lease.ttlMs,
      async keepAlive() {
        try {
          const renewal = await observe({ operation: "lease_keep_alive" }, () => lease.keepAlive());
          metrics.bind(storeLeaseRenewals, {}).add(1);
          return renewal;
        } catch (error) {
          const errorType = error instanceof BlixardError ? error.code : "INTERNAL";
          metrics.bind(storeLeaseRenewals, { "error.type": errorType }).add(1);
          throw error;
        }
      },
      revoke,
      [Symbol.asyncDispose]: revoke,
    };
  }

  return {
    get: (key, callOptions) =>
      observe(
        { operation: "range", collection: collectionFor(key, callOptions) },
        () => store.get(key, callOptions),
        (span, entry) => span.setAttributes({ "blixard.store.entry_count": entry === undefined ? 0 : 1 }),
      ),
    range: (prefix, callOptions) =>
      observe(
        { operation: "range", collection: collectionFor(prefix, callOptions) },
        () => store.range(prefix, callOptions),
        (span, { entries, revision }) =>
          span.setAttributes({
            "blixard.store.entry_count": entries.length,
            "blixard.store.revision": Number(revision),
          }),
      ),
    async *pages(prefixes, callOptions) {
      const call = { operation: "range", collection: collectionFor(prefixes[0] ?? "", callOptions) } as const;
      const pages = store.pages(prefixes, callOptions)[Symbol.asyncIterator]();
      try {
        for (;;) {
          const page = await observe(call, () => pages.next());
          if (page.done === true) return;
          yield page.value;
        }
      } finally {
        await pages.return?.();
      }
    },
    transact(transaction, callOptions) {
      const collection = collectionFor(firstKeyOf(transaction), callOptions);
      const operationCount = transaction.success.length;
      return observe(
        { operation: "txn", collection, operationCount },
        () => store.transact(transaction, callOptions),
        (span, { succeeded, revision }) =>
          span.setAttributes({ "blixard.store.succeeded": succeeded, "blixard.store.revision": Number(revision) }),
      ).then((result) => {
        if (!result.succeeded) metrics.bind(storeTransactionConflicts, { "db.collection.name": collection }).add(1);
        return result;
      });
    },
    async *watch(prefix, fromRevision, signal) {
      const attributes = { "db.collection.name": collectionOf(prefix) };
      const active = metrics.bind(storeWatchActive, attributes);
      const events = metrics.bind(storeWatchEvents, attributes);
      active.add(1);
      try {
        for await (const batch of store.watch(prefix, fromRevision, signal)) {
          events.add(batch.events.length);
          yield batch;
        }
      } finally {
        active.add(-1);
      }
    },
    async grantLease(ttlMs, callOptions) {
      return observeLease(await observe({ operation: "lease_grant" }, () => store.grantLease(ttlMs, callOptions)));
    },
    revokeLease: (leaseId, callOptions) =>
      observe({ operation: "lease_revoke" }, () => store.revokeLease(leaseId, callOptions)),
    close: () => store.close(),
  };
}

/** For the etcd client's `onWatchResume`: the decorator sees a watch that never breaks. */
export function createWatchResumeCounter(metrics: Metrics): (prefix: string) => void {
  return (prefix) => metrics.bind(storeWatchResumes, { "db.collection.name": collectionOf(prefix) }).add(1);
}

type DurationCells = (
  call: Call,
  server: { readonly "server.address"?: string; readonly "server.port"?: number },
  errorType: string | undefined,
  statusName: string | undefined,
) => HistogramCell;

/** Cells by what tells them apart, so that a call does not sort attributes to find its own. */
function createDurationCells(metrics: Metrics): DurationCells {
  const cells = new Map<string, HistogramCell>();
  return (call, server, errorType, statusName) =>
    cells.getOrInsertComputed(
      `${call.operation} ${call.collection} ${errorType} ${statusName} ${server["server.address"]} ${server["server.port"]}`,
      () =>
        metrics.bind(dbClientOperationDuration, {
          "db.system.name": "etcd",
          "db.operation.name": call.operation,
          "db.collection.name": call.collection,
          ...server,
          "error.type": errorType,
          "db.response.status_code": statusName,
        }),
    );
}

function collectionFor(keyOrPrefix: string, options: CallOptions | undefined): string {
  return options?.collection ?? collectionOf(keyOrPrefix);
}

function firstKeyOf({ success, compare }: Transaction): string {
  const [first] = [...success, ...compare];
  if (first === undefined) return "";
  return "key" in first ? first.key : first.prefix;
}

function isUnreachable(errorType: string | undefined): boolean {
  return errorType === "STORE_UNAVAILABLE" || errorType === "STORE_OUTCOME_UNKNOWN";
}
