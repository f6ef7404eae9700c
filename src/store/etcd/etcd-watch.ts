/**
 * A watch that survives its connections.
 *
 *   open ─► created ─► (history still there?) ─► events … ─► broken ─► pause ─► open
 *
 * It resumes after the last event it has delivered, by that event's own revision:
 * the header of a response with events may be far ahead of them, while the member
 * is still catching up. Only a response without events (a sign of progress) says
 * by its header how far the watch has come. A response cut into fragments is
 * delivered whole or not at all, so that no revision is ever split by a resume.
 */
import { create } from "@bufbuild/protobuf";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import {
  KV,
  RangeRequestSchema,
  Watch,
  type WatchRequest,
  WatchRequestSchema,
  type WatchResponse,
} from "#gen/etcd/etcd/etcdserverpb/rpc_pb.ts";
import { BlixardError } from "#model/errors.ts";
import { backoffMs, pause } from "../clock.ts";
import type { WatchBatch, WatchEvent } from "../key-value-store.ts";
import { classifyFailure, readError } from "./call-failure.ts";
import { keyBytes, prefixEnd, watchEventFromMessage } from "./messages.ts";
import type { RetryEnvironment } from "./retry.ts";

export interface EtcdWatchOptions extends RetryEnvironment {
  readonly prefix: string;
  /** Inclusive. */
  readonly fromRevision: bigint;
  readonly signal: AbortSignal;
  /** Told each time it takes up again after a broken connection. */
  readonly onResume: () => void;
}

const BACKOFF = { initialMs: 25, maximumMs: 2000 };
const CONNECT_TIMEOUT_MS = 5000;
/** Far behind by more than this in one response, a new listing is cheaper. */
const MAXIMUM_FRAGMENTED_EVENTS = 500_000;

/** @throws BlixardError STORE_COMPACTED, and what no resume can mend */
export async function* watchEtcd(options: EtcdWatchOptions): AsyncIterable<WatchBatch> {
  const { signal, clock, random, connection } = options;
  let next = options.fromRevision;
  for (let failures = 0; !signal.aborted;) {
    try {
      for await (const batch of watchOnce(options, next)) {
        failures = 0;
        next = batch.revision + 1n;
        yield batch;
      }
    } catch (error) {
      if (signal.aborted) return;
      checkResumable(options.prefix, error);
      connection.reportTrouble();
    }
    if (signal.aborted) return;
    await pause(clock, backoffMs(failures++, { ...BACKOFF, random }), signal);
    if (!signal.aborted) options.onResume();
  }
}

function checkResumable(prefix: string, error: unknown): void {
  if (error instanceof BlixardError) throw error;
  const failure = classifyFailure(error);
  if (!failure.transient) throw readError(`watch ${prefix}`, failure);
}

/** One stream, from its opening until it breaks. */
async function* watchOnce(options: EtcdWatchOptions, from: bigint): AsyncGenerator<WatchBatch> {
  const { connection, signal, prefix } = options;
  const stream = await connection.stream(Watch.method.watch, { timeoutMs: CONNECT_TIMEOUT_MS, signal });
  const cancel = (): void => stream.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    if (signal.aborted) return;
    stream.write(createRequest(prefix, from));
    let fragments: WatchEvent[] = [];
    for await (const response of responsesOf(stream)) {
      checkNotCanceled(prefix, response);
      if (response.created) {
        await checkHistory(options, from);
        continue;
      }
      fragments.push(...eventsOf(response, from));
      if (fragments.length > MAXIMUM_FRAGMENTED_EVENTS) throw compacted(prefix);
      if (response.fragment) continue;
      const events = fragments;
      fragments = [];
      const revision = response.events.length === 0 ? response.header?.revision : lastRevision(events);
      if (revision !== undefined && revision >= from) yield { revision, events };
    }
  } finally {
    signal.removeEventListener("abort", cancel);
    stream.cancel();
  }
}

function responsesOf(stream: ClientDuplexStream<WatchRequest, WatchResponse>): AsyncIterable<WatchResponse> {
  // A Readable in object mode; its type does not know of what.
  return stream as AsyncIterable<WatchResponse>;
}

function createRequest(prefix: string, from: bigint): WatchRequest {
  return create(WatchRequestSchema, {
    requestUnion: {
      case: "createRequest",
      value: {
        key: keyBytes(prefix),
        rangeEnd: prefixEnd(prefix),
        startRevision: from,
        progressNotify: true,
        fragment: true,
      },
    },
  });
}

function checkNotCanceled(prefix: string, response: WatchResponse): void {
  if (response.compactRevision !== 0n) throw compacted(prefix);
  if (response.canceled)
    throw new BlixardError("STORE_UNAVAILABLE", `watch ${prefix} was refused: ${response.cancelReason}`);
}

/**
 * A compaction exactly at `from` removes a deletion that happened there, and members before 3.5.21
 * start the watch all the same. So the revision before must still be readable.
 */
async function checkHistory({ connection, prefix, signal }: EtcdWatchOptions, from: bigint): Promise<void> {
  if (from <= 1n) return;
  const request = create(RangeRequestSchema, { key: keyBytes(prefix), revision: from - 1n, countOnly: true });
  await connection.unary(KV.method.range, request, { timeoutMs: CONNECT_TIMEOUT_MS, signal });
}

/** A member may send what came before the start again after a restart of its own; it has been delivered. */
function eventsOf(response: WatchResponse, from: bigint): WatchEvent[] {
  return response.events.flatMap((message) => {
    const event = watchEventFromMessage(message);
    return event === undefined || revisionOf(event) < from ? [] : [event];
  });
}

function lastRevision(events: readonly WatchEvent[]): bigint | undefined {
  const last = events.at(-1);
  return last === undefined ? undefined : revisionOf(last);
}

function revisionOf(event: WatchEvent): bigint {
  return event.kind === "put" ? event.entry.modRevision : event.modRevision;
}

function compacted(prefix: string): BlixardError {
  return new BlixardError("STORE_COMPACTED", `watch ${prefix}: its start has been compacted, list again`);
}
