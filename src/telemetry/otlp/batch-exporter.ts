/**
 * The queue between finished spans (or log records) and the wire: bounded in items and
 * bytes, sent in batches one after the other. A collector that is slow, gone or a
 * black hole costs the queue's memory and then items, which are counted; it never
 * costs the node time.
 */
import {
  otelSdkProcessorSpanProcessed,
  otelSdkProcessorSpanQueueCapacity,
  otelSdkProcessorSpanQueueSize,
} from "#gen/telemetry/metrics.ts";
import type { Metrics } from "../port.ts";
import type { EncodedBatch } from "./encoded-request.ts";
import type { SignalSender } from "./signal-sender.ts";

export interface BatchExporter<T> {
  enqueue(item: T): void;
  /** Sends what is queued; resolves when all of it is settled. */
  flush(): Promise<void>;
}

export interface BatchLimits {
  readonly maximumQueuedItems: number;
  readonly maximumQueuedBytes: number;
  readonly maximumBatchItems: number;
  /** An item waits at most this long for company. */
  readonly batchDelayMs: number;
  /** A batch that finds no taker for this long is given up. */
  readonly retryForMs: number;
}

export const defaultBatchLimits: BatchLimits = {
  maximumQueuedItems: 16_384,
  maximumQueuedBytes: 16 * 1024 * 1024,
  maximumBatchItems: 1_024,
  batchDelayMs: 1_000,
  retryForMs: 5 * 60_000,
};

/** What the queue says of itself. */
export interface BatchSignals {
  /** Items left the queue for the sender. */
  processed(items: number): void;
  /** Items were refused: the queue was full. */
  dropped(items: number): void;
  queued(change: number): void;
}

export interface BatchExporterOptions<T> {
  readonly sender: SignalSender;
  readonly encode: (items: readonly T[]) => EncodedBatch;
  /** About what an item holds in memory. */
  readonly sizeOf: (item: T) => number;
  readonly signals: BatchSignals;
  readonly limits?: BatchLimits;
}

export function createBatchExporter<T>(options: BatchExporterOptions<T>): BatchExporter<T> {
  const { sender, signals, sizeOf } = options;
  const limits = options.limits ?? defaultBatchLimits;
  let queue: T[] = [];
  let queuedBytes = 0;
  let timer: NodeJS.Timeout | undefined;
  let draining: Promise<void> | undefined;

  function take(): readonly T[] {
    const batch = queue.slice(0, limits.maximumBatchItems);
    queue = queue.slice(batch.length);
    signals.queued(-batch.length);
    queuedBytes = queue.length === 0 ? 0 : queuedBytes - batch.reduce((sum, item) => sum + sizeOf(item), 0);
    return batch;
  }

  async function sendBatch(batch: readonly T[]): Promise<void> {
    const { requests, oversized } = options.encode(batch);
    signals.processed(batch.length);
    if (oversized > 0) sender.abandon(oversized, "too_large");
    for (const request of requests) await sender.deliver(request, limits.retryForMs);
  }

  async function drain(): Promise<void> {
    while (queue.length > 0) await sendBatch(take());
  }

  function start(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    draining ??= drain().finally(() => {
      draining = undefined;
      if (queue.length > 0) schedule();
    });
    return draining;
  }

  function schedule(): void {
    if (draining !== undefined) return;
    if (queue.length >= limits.maximumBatchItems) void start();
    else timer ??= setTimeout(() => void start(), limits.batchDelayMs).unref();
  }

  return {
    enqueue(item) {
      if (!sender.accepts()) return;
      const bytes = sizeOf(item);
      if (queue.length >= limits.maximumQueuedItems || queuedBytes + bytes > limits.maximumQueuedBytes) {
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
  };
}

const SPAN_PROCESSOR = {
  "otel.component.type": "batching_span_processor",
  "otel.component.name": "batching_span_processor/0",
} as const;

/** `otel.sdk.processor.span.*`. */
export function createSpanBatchSignals(metrics: Metrics, limits: BatchLimits = defaultBatchLimits): BatchSignals {
  const processed = metrics.bind(otelSdkProcessorSpanProcessed, SPAN_PROCESSOR);
  const dropped = metrics.bind(otelSdkProcessorSpanProcessed, { ...SPAN_PROCESSOR, "error.type": "queue_full" });
  const queueSize = metrics.bind(otelSdkProcessorSpanQueueSize, SPAN_PROCESSOR);
  metrics.bind(otelSdkProcessorSpanQueueCapacity, SPAN_PROCESSOR).add(limits.maximumQueuedItems);
  return {
    processed: (items) => processed.add(items),
    dropped: (items) => dropped.add(items),
    queued: (change) => queueSize.add(change),
  };
}
