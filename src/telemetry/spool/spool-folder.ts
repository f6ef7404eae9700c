/**
 * Requests of one signal for one destination, kept on disk while it is down: appended at
 * one end, read at the other, oldest first, in segment files of a few MiB.
 *
 * Called by a signal's sender (append) and by its replay (next, settle). All disk work is
 * asynchronous and goes through one serial queue; nothing here throws at the caller.
 * What is acknowledged survives a kill of the process at any moment (not of the
 * machine: nothing is synced). A record in work at a kill comes again at the next start:
 * delivery is at least once. What is lost is told in items, with the reason:
 *
 *   spool_full       the oldest made room for the newest
 *   spool_corrupted  cut off, damaged or gone
 *   expired          older than the age limit
 */
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { EncodedRequest } from "../otlp/encoded-request.ts";
import type { SpoolUsage } from "../otlp/destination-status.ts";
import { parseSegmentName, RECORD_HEAD_BYTES, SEGMENT_HEAD_BYTES, segmentName } from "./segment-format.ts";
import { createSegment, loadSegment, type Segment, type SegmentRead } from "./segment.ts";
import type { SpoolDisk } from "./spool-disk.ts";

export type SpoolLossReason = "spool_full" | "spool_corrupted" | "expired";

export interface SpooledRequest extends EncodedRequest {
  /** Unix time in ms at which it came to the spool. */
  readonly timeMs: number;
}

export interface SpoolFolder {
  /** False: it could not be kept, and still belongs to the caller. */
  append(request: EncodedRequest): Promise<boolean>;
  /** The oldest request, until `settle`; undefined when there is none. */
  next(): Promise<SpooledRequest | undefined>;
  /** The request of `next` was taken, or given up by the caller. */
  settle(): Promise<void>;
  /** Resolves when there is something to replay. @throws the reason of `signal` */
  filled(signal: AbortSignal): Promise<void>;
  /** Reads what an earlier run left; otherwise the first use does. */
  open(): Promise<void>;
  /** Loses everything, for `reason`. */
  discard(reason: SpoolLossReason): Promise<void>;
  usage(): SpoolUsage;
  /** After what is under way. */
  close(): Promise<void>;
}

export interface SpoolFolderOptions {
  readonly directory: string;
  /** May change: it is others' room too. */
  readonly limitBytes: () => number;
  /** A request that is older is of no use to anybody. Default seven days. */
  readonly maximumAgeMs?: number;
  /** Default: a 64th of the limit, 64 KiB to 4 MiB. */
  readonly segmentBytes?: number;
  readonly disk: SpoolDisk;
  /** Unix time in ms. */
  readonly now: () => number;
  readonly onLost: (items: number, reason: SpoolLossReason) => void;
  /** The disk refuses; called once until it works again. */
  readonly onProblem: (error: unknown) => void;
  readonly onUsage?: (usage: SpoolUsage) => void;
}

export const DEFAULT_MAXIMUM_AGE_MS = 7 * 24 * 60 * 60_000;
const MAXIMUM_READ_FAILURES = 3;

export function createSpoolFolder(options: SpoolFolderOptions): SpoolFolder {
  const { directory, limitBytes, disk, now } = options;
  const maximumAgeMs = options.maximumAgeMs ?? DEFAULT_MAXIMUM_AGE_MS;
  const segmentBytes = options.segmentBytes ?? Math.min(4 << 20, Math.max(64 << 10, Math.floor(limitBytes() / 64)));
  /** Oldest first. */
  const segments: Segment[] = [];
  /** The last one, while it is written. */
  let active: Segment | undefined;
  /** What `next` gave out, and where it lies; the segment may be gone meanwhile. */
  let out: { readonly segment: Segment; readonly items: number } | undefined;
  let nextOrdinal = 0;
  let loaded = false;
  let readFailures = 0;
  let troubled = false;
  let tail: Promise<unknown> = Promise.resolve();
  let waiting = Promise.withResolvers<void>();

  const items = (): number => segments.reduce((sum, segment) => sum + segment.items, 0);
  const bytes = (): number => segments.reduce((sum, segment) => sum + segment.bytes, 0);

  function usage(): SpoolUsage {
    const [oldest] = segments;
    const itemCount = items();
    return {
      bytes: bytes(),
      limitBytes: limitBytes(),
      items: itemCount,
      ...(oldest === undefined || itemCount === 0 ? {} : { oldestMs: oldest.createdMs }),
    };
  }

  /** One after the other; what a disk refuses is said and answered with `fallback`. */
  function serially<T>(work: () => Promise<T>, fallback: T): Promise<T> {
    const result = tail.then(async () => {
      try {
        if (!loaded) await load();
        const value = await work();
        troubled = false;
        return value;
      } catch (error) {
        if (!troubled) options.onProblem(error);
        troubled = true;
        return fallback;
      } finally {
        options.onUsage?.(usage());
      }
    });
    tail = result;
    return result;
  }

  async function load(): Promise<void> {
    await disk.makeDirectory(directory);
    segments.length = 0;
    const found = (await disk.list(directory))
      .map((name) => parseSegmentName(name))
      .filter((first) => first !== undefined)
      .toSorted((left, right) => left - right);
    for (const first of found) {
      lose(Math.max(0, segments.length === 0 ? 0 : first - nextOrdinal), "spool_corrupted");
      nextOrdinal = Math.max(nextOrdinal, first);
      await adopt(first);
      await nextTurn();
    }
    loaded = true;
    for (const segment of segments.filter((one) => one.items === 0)) await forget(segment);
  }

  async function adopt(first: number): Promise<void> {
    const path = join(directory, segmentName(first));
    try {
      const segment = await loadSegment(disk, path, first, now());
      nextOrdinal = Math.max(nextOrdinal, segment.end);
      segments.push(segment);
    } catch (error) {
      // It stays where it is; its name is taken.
      nextOrdinal = Math.max(nextOrdinal, first + 1);
      lose(1, "spool_corrupted");
      options.onProblem(error);
    }
  }

  function lose(count: number, reason: SpoolLossReason): void {
    if (count > 0) options.onLost(count, reason);
  }

  async function drop(segment: Segment, reason: SpoolLossReason): Promise<void> {
    // What is on its way just now is not lost yet.
    const underWay = out?.segment === segment ? out.items : 0;
    lose(segment.items - underWay, reason);
    await forget(segment);
  }

  async function forget(segment: Segment): Promise<void> {
    if (active === segment) active = undefined;
    segments.splice(segments.indexOf(segment), 1);
    await segment.remove();
  }

  /** The segment to write to, with room for so much in all of them. */
  async function ensureRoom(recordBytes: number): Promise<Segment> {
    if (active !== undefined && active.bytes + recordBytes > segmentBytes) await seal();
    const neededBytes = recordBytes + (active === undefined ? SEGMENT_HEAD_BYTES : 0);
    for (let [oldest] = segments; oldest !== undefined && bytes() + neededBytes > limitBytes(); [oldest] = segments) {
      await drop(oldest, "spool_full");
    }
    if (active !== undefined) return active;
    await disk.makeDirectory(directory);
    active = await createSegment(disk, join(directory, segmentName(nextOrdinal)), nextOrdinal, now());
    segments.push(active);
    return active;
  }

  async function seal(): Promise<void> {
    const segment = active;
    active = undefined;
    await segment?.close();
  }

  async function write(request: EncodedRequest): Promise<void> {
    const segment = await ensureRoom(RECORD_HEAD_BYTES + request.bytes.length);
    try {
      await segment.append(request.bytes, request.items, now());
    } catch (error) {
      // Nothing more is written behind a place that cannot be trusted.
      await seal().catch(() => {});
      if (segment.items === 0) await forget(segment).catch(() => {});
      throw error;
    } finally {
      nextOrdinal = Math.max(nextOrdinal, segment.end);
    }
  }

  /** undefined: the disk does not give it back, however often it is asked. */
  async function readPatiently(segment: Segment): Promise<SegmentRead | undefined> {
    try {
      const found = await segment.read();
      readFailures = 0;
      return found;
    } catch (error) {
      if (++readFailures < MAXIMUM_READ_FAILURES) throw error;
      readFailures = 0;
      return undefined;
    }
  }

  async function readNext(): Promise<SpooledRequest | undefined> {
    for (let [oldest] = segments; oldest !== undefined; [oldest] = segments) {
      if (oldest === active) await seal();
      const found = await readPatiently(oldest);
      if (found === undefined) await drop(oldest, "spool_corrupted");
      else if (found.kind === "damaged") lose(found.items, "spool_corrupted");
      else if (found.kind === "end") await forget(oldest);
      else if (found.timeMs < now() - maximumAgeMs) {
        lose(found.items, "expired");
        await oldest.settle();
      } else {
        out = { segment: oldest, items: found.items };
        return { bytes: found.body, items: found.items, timeMs: found.timeMs };
      }
    }
    return undefined;
  }

  return {
    usage,
    open: () => serially(async () => {}, undefined),
    append(request) {
      if (request.items === 0) return Promise.resolve(true);
      if (SEGMENT_HEAD_BYTES + RECORD_HEAD_BYTES + request.bytes.length > limitBytes()) return Promise.resolve(false);
      return serially(async () => {
        try {
          await write(request);
        } catch (error) {
          const [oldest] = segments;
          if (!isFull(error) || oldest === undefined) throw error;
          await drop(oldest, "spool_full");
          await write(request);
        }
        waiting.resolve();
        return true;
      }, false);
    },
    next: () => serially(readNext, undefined),
    settle: () =>
      serially(async () => {
        const settled = out;
        out = undefined;
        if (settled === undefined || !segments.includes(settled.segment)) return;
        await settled.segment.settle();
        if (settled.segment.items === 0) await forget(settled.segment);
      }, undefined),
    async filled(signal) {
      await serially(async () => {}, undefined);
      signal.throwIfAborted();
      if (items() > 0) return;
      waiting = Promise.withResolvers<void>();
      const aborted = Promise.withResolvers<never>();
      const abort = (): void => aborted.reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      try {
        await Promise.race([waiting.promise, aborted.promise]);
      } finally {
        signal.removeEventListener("abort", abort);
      }
    },
    discard: (reason) =>
      serially(async () => {
        for (const segment of [...segments]) await drop(segment, reason);
      }, undefined),
    close: () =>
      serially(async () => {
        active = undefined;
        for (const segment of segments) await segment.close();
      }, undefined),
  };
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}
