/**
 * Who wants to hear of changes, each at its own pace: changes that a subscriber
 * has not fetched yet are merged into one, and when even the merged one grows too
 * large it becomes "everything may have changed".
 */
import type { Touched } from "./store-tables.ts";
import type { StoreChange } from "./store-view.ts";

export interface ChangeFeed {
  publish(revision: bigint, touched: Iterable<Touched>): void;
  publishEverything(revision: bigint): void;
  /** The first change is `everything`, as soon as there is content. Ends by the signal, or when the feed is closed. */
  subscribe(signal: AbortSignal): AsyncIterable<StoreChange>;
  close(): void;
}

export interface ChangeFeedOptions {
  /** Ids kept for a subscriber before they collapse to `everything`. */
  readonly maximumPendingIds: number;
}

interface PendingChange {
  revision: bigint;
  everything: boolean;
  leadership: boolean;
  traceRules: boolean;
  vmIds: Set<string>;
  nodeIds: Set<string>;
  images: Set<string>;
}

interface Subscriber {
  pending: PendingChange | undefined;
  wake: () => void;
}

export function createChangeFeed({ maximumPendingIds }: ChangeFeedOptions): ChangeFeed {
  const subscribers = new Set<Subscriber>();
  let contentRevision: bigint | undefined;
  let closed = false;

  function add(subscriber: Subscriber, revision: bigint, touched: readonly Touched[]): void {
    const pending = (subscriber.pending ??= emptyChange(revision));
    pending.revision = revision;
    for (const item of touched) {
      if (item.kind === "leadership") pending.leadership = true;
      else if (item.kind === "trace-rules") pending.traceRules = true;
      else if (item.kind === "cluster") pending.everything = true;
      else if (item.kind !== "nothing") idsOf(pending, item.kind).add(item.id);
    }
    if (pending.vmIds.size + pending.nodeIds.size + pending.images.size > maximumPendingIds) {
      subscriber.pending = everythingChanged(revision);
    }
    subscriber.wake();
  }

  async function* subscribe(signal: AbortSignal): AsyncGenerator<StoreChange> {
    const subscriber: Subscriber = {
      pending: contentRevision === undefined ? undefined : everythingChanged(contentRevision),
      wake: () => {},
    };
    subscribers.add(subscriber);
    try {
      while (!signal.aborted && !closed) {
        const { pending } = subscriber;
        subscriber.pending = undefined;
        if (pending !== undefined) yield pending;
        else await nextWake(subscriber, signal);
      }
    } finally {
      subscribers.delete(subscriber);
    }
  }

  return {
    publish(revision, touched) {
      contentRevision = revision;
      const relevant = [...touched].filter((item) => item.kind !== "nothing");
      if (relevant.length === 0) return;
      for (const subscriber of subscribers) add(subscriber, revision, relevant);
    },
    publishEverything(revision) {
      contentRevision = revision;
      for (const subscriber of subscribers) {
        subscriber.pending = everythingChanged(revision);
        subscriber.wake();
      }
    },
    subscribe,
    close() {
      closed = true;
      for (const subscriber of subscribers) subscriber.wake();
    },
  };
}

function nextWake(subscriber: Subscriber, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      subscriber.wake = () => {};
      signal.removeEventListener("abort", wake);
      resolve();
    };
    subscriber.wake = wake;
    signal.addEventListener("abort", wake, { once: true });
  });
}

function emptyChange(revision: bigint): PendingChange {
  return {
    revision,
    everything: false,
    leadership: false,
    traceRules: false,
    vmIds: new Set(),
    nodeIds: new Set(),
    images: new Set(),
  };
}

function everythingChanged(revision: bigint): PendingChange {
  return { ...emptyChange(revision), everything: true, leadership: true, traceRules: true };
}

function idsOf(pending: PendingChange, kind: "vm" | "node" | "image"): Set<string> {
  if (kind === "vm") return pending.vmIds;
  return kind === "node" ? pending.nodeIds : pending.images;
}
