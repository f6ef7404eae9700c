/**
 * The queue between finished spans (or log records) and the wire: bounded in items and
 * bytes, sent in batches one after the other. A collector that is slow, gone or a
 * black hole costs the queue's memory and then items, which are counted; it never
 * costs the node time.
 */
import {
  otelSdkProcessorLogProcessed,
  otelSdkProcessorLogQueueCapacity,
  otelSdkProcessorLogQueueSize,
  otelSdkProcessorSpanProcessed,
  otelSdkProcessorSpanQueueCapacity,
  otelSdkProcessorSpanQueueSize,
} from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import type { Metrics } from "../port.ts";
import type { BatchOptions } from "../telemetry-options.ts";
import type { EncodedBatch } from "./encoded-request.ts";
import type { SignalSender } from "./signal-sender.ts";

export interface BatchExporter<T> {
  /** `reserved`: there is room for a few of these in a full queue. */
  enqueue(item: T, reserved?: boolean): void;
  /** Sends what is queued; resolves when all of it is settled. */
  flush(): Promise<void>;
  /** Items that wait. */
  readonly queued: number;
}

export interface BatchLimits {
  readonly maximumQueuedItems: number;
  readonly maximumQueuedBytes: number;
  readonly maximumBatchItems: number;
  /** A batch is closed when its items take about this much: it is encoded in one go. */
  readonly maximumBatchBytes: number;
  /** An item waits at most this long for company. */
  readonly batchDelayMs: number;
  /** A batch that finds no taker for this long, and no disk either, is given up. */
  readonly retryForMs: number;
}

/** The SDK's 2,048 lose three quarters of a burst that a busy node makes in a second. */
export const defaultBatchLimits: BatchLimits = {
  maximumQueuedItems: 32_768,
  maximumQueuedBytes: 48 * 1024 * 1024,
  maximumBatchItems: 1_024,
  maximumBatchBytes: 4 * 1024 * 1024,
  batchDelayMs: 1_000,
  retryForMs: 5 * 60_000,
};

/** What tells of losses must not be lost for the same reason. */
const RESERVED_ITEMS = 16;

/** A batch of more than the queue holds would never fill. */
export function batchLimitsOf(batch: BatchOptions = {}): BatchLimits {
  const maximumQueuedItems = batch.maximumQueueItems ?? defaultBatchLimits.maximumQueuedItems;
  const maximumBatchItems = batch.maximumBatchItems ?? defaultBatchLimits.maximumBatchItems;
  return {
    ...defaultBatchLimits,
    maximumQueuedItems,
    maximumBatchItems: Math.min(maximumBatchItems, maximumQueuedItems),
    batchDelayMs: batch.scheduleDelayMs ?? defaultBatchLimits.batchDelayMs,
    retryForMs: batch.exportTimeoutMs ?? defaultBatchLimits.retryForMs,
  };
}

/** What the queue says of itself. */
export interface BatchSignals {
  /** Items left the queue for the sender. */
  processed(items: number): void;
  /** Items were refused: the queue was full. */
  dropped(items: number): void;
  queued(change: number): void;
}

export interface BatchExporterOptions<T> {
  readonly sender: Pick<SignalSender, "accepts" | "deliver" | "abandon">;
  readonly encode: (items: readonly T[]) => EncodedBatch;
  /** About what an item holds in memory. */
  readonly sizeOf: (item: T) => number;
  readonly signals: BatchSignals;
  readonly clock: Clock;
  readonly limits?: BatchLimits;
}

export function createBatchExporter<T>(options: BatchExporterOptions<T>): BatchExporter<T> {
  const { sender, signals, sizeOf, clock } = options;
  const limits = options.limits ?? defaultBatchLimits;
  let queue: T[] = [];
  let queuedBytes = 0;
  let waiting: AbortController | undefined;
  let draining: Promise<void> | undefined;

  function take(): readonly T[] {
    let length = 0;
    let bytes = 0;
    for (const item of queue) {
      const itemBytes = sizeOf(item);
      if (length === limits.maximumBatchItems || (length > 0 && bytes + itemBytes > limits.maximumBatchBytes)) break;
      length++;
      bytes += itemBytes;
    }
    const batch = queue.slice(0, length);
    queue = queue.slice(length);
    signals.queued(-length);
    queuedBytes = queue.length === 0 ? 0 : queuedBytes - bytes;
    return batch;
  }

  async function sendBatch(batch: readonly T[]): Promise<void> {
    signals.processed(batch.length);
    const { requests, oversized } = encode(batch);
    if (oversized > 0) sender.abandon(oversized, "too_large");
    for (const request of requests) await sender.deliver(request, limits.retryForMs);
  }

  /** An item that cannot be encoded costs its batch, not the queue. */
  function encode(batch: readonly T[]): EncodedBatch {
    try {
      return options.encode(batch);
    } catch {
      sender.abandon(batch.length, "encoding_failed");
      return { requests: [], oversized: 0 };
    }
  }

  /** What waits now, and full batches that come meanwhile; were all of it sent, each answer would bring a small request. */
  async function drain(): Promise<void> {
    let due = queue.length;
    while (due > 0 || queue.length >= limits.maximumBatchItems) {
      const batch = take();
      due -= batch.length;
      await sendBatch(batch);
    }
  }

  function start(): Promise<void> {
    waiting?.abort();
    waiting = undefined;
    draining ??= drain().finally(() => {
      draining = undefined;
      if (queue.length > 0) schedule();
    });
    return draining;
  }

  function schedule(): void {
    if (draining !== undefined) return;
    if (queue.length >= limits.maximumBatchItems) void start();
    else if (waiting === undefined) {
      waiting = new AbortController();
      clock.delay(limits.batchDelayMs, waiting.signal).then(start, () => {
        // Sent meanwhile.
      });
    }
  }

  return {
    enqueue(item, reserved = false) {
      if (!sender.accepts()) return;
      const bytes = sizeOf(item);
      const isFull = queue.length >= limits.maximumQueuedItems || queuedBytes + bytes > limits.maximumQueuedBytes;
      if (isFull && !(reserved && queue.length < limits.maximumQueuedItems + RESERVED_ITEMS)) {
        signals.dropped(1);
        return;
      }
      queue.push(item);
      queuedBytes += bytes;
      signals.queued(1);
      schedule();
    },
    async flush() {
      while (queue.length > 0 || draining !== undefined) await start();
    },
    get queued() {
      return queue.length;
    },
  };
}

const processorMetrics = {
  span: {
    processed: otelSdkProcessorSpanProcessed,
    queueSize: otelSdkProcessorSpanQueueSize,
    queueCapacity: otelSdkProcessorSpanQueueCapacity,
  },
  log: {
    processed: otelSdkProcessorLogProcessed,
    queueSize: otelSdkProcessorLogQueueSize,
    queueCapacity: otelSdkProcessorLogQueueCapacity,
  },
} as const;

/** `otel.sdk.processor.span.*` or `.log.*`. */
export function createBatchSignals(
  metrics: Metrics,
  kind: keyof typeof processorMetrics,
  index = 0,
  limits: BatchLimits = defaultBatchLimits,
): BatchSignals {
  const type = `batching_${kind}_processor`;
  const processor = { "otel.component.type": type, "otel.component.name": `${type}/${index}` };
  const descriptors = processorMetrics[kind];
  const processed = metrics.bind(descriptors.processed, processor);
  const dropped = metrics.bind(descriptors.processed, { ...processor, "error.type": "queue_full" });
  const queueSize = metrics.bind(descriptors.queueSize, processor);
  metrics.bind(descriptors.queueCapacity, processor).add(limits.maximumQueuedItems);
  return {
    processed: (items) => processed.add(items),
    dropped: (items) => dropped.add(items),
    queued: (change) => queueSize.add(change),
  };
}
