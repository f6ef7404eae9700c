/**
 * The queue between finished spans and the wire: bounded in spans and bytes, sent in
 * batches one after the other. A collector that is slow, gone or a black hole costs
 * the queue's memory and then spans, which are counted; it never costs the node time.
 */
import {
  otelSdkProcessorSpanProcessed,
  otelSdkProcessorSpanQueueCapacity,
  otelSdkProcessorSpanQueueSize,
} from "#gen/telemetry/metrics.ts";
import type { RecordedSpan } from "#model/recorded-span.ts";
import type { Metrics } from "../port.ts";
import { estimateSpanBytes } from "../recorder/span-size.ts";
import { encodeSpans } from "./encode-spans.ts";
import type { SignalSender } from "./signal-sender.ts";

export interface SpanExporter {
  enqueue(span: RecordedSpan): void;
  /** Sends what is queued; resolves when all of it is settled. */
  flush(): Promise<void>;
}

export interface SpanExporterLimits {
  readonly maximumQueuedSpans: number;
  readonly maximumQueuedBytes: number;
  readonly maximumBatchSpans: number;
  /** A span waits at most this long for company. */
  readonly batchDelayMs: number;
  /** A batch that finds no taker for this long is given up. */
  readonly retryForMs: number;
}

export const defaultSpanExporterLimits: SpanExporterLimits = {
  maximumQueuedSpans: 16_384,
  maximumQueuedBytes: 16 * 1024 * 1024,
  maximumBatchSpans: 1_024,
  batchDelayMs: 1_000,
  retryForMs: 5 * 60_000,
};

const COMPONENT = {
  "otel.component.type": "batching_span_processor",
  "otel.component.name": "batching_span_processor/0",
} as const;

export function createSpanExporter(
  sender: SignalSender,
  metrics: Metrics,
  limits: SpanExporterLimits = defaultSpanExporterLimits,
): SpanExporter {
  const processed = metrics.bind(otelSdkProcessorSpanProcessed, COMPONENT);
  const dropped = metrics.bind(otelSdkProcessorSpanProcessed, { ...COMPONENT, "error.type": "queue_full" });
  const queueSize = metrics.bind(otelSdkProcessorSpanQueueSize, COMPONENT);
  metrics.bind(otelSdkProcessorSpanQueueCapacity, COMPONENT).add(limits.maximumQueuedSpans);

  let queue: RecordedSpan[] = [];
  let queuedBytes = 0;
  let timer: NodeJS.Timeout | undefined;
  let draining: Promise<void> | undefined;

  function take(): readonly RecordedSpan[] {
    const batch = queue.slice(0, limits.maximumBatchSpans);
    queue = queue.slice(batch.length);
    queueSize.add(-batch.length);
    queuedBytes = queue.length === 0 ? 0 : queuedBytes - batch.reduce((sum, span) => sum + estimateSpanBytes(span), 0);
    return batch;
  }

  async function sendBatch(batch: readonly RecordedSpan[]): Promise<void> {
    const { requests, oversized } = encodeSpans(batch);
    processed.add(batch.length);
    if (oversized > 0) sender.abandon(oversized, "too_large");
    for (const request of requests) {
      if (!sender.accepts()) return;
      await sender.deliver(request, limits.retryForMs);
    }
  }

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      const batch = take();
      if (sender.accepts()) await sendBatch(batch);
    }
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
    if (queue.length >= limits.maximumBatchSpans) void start();
    else timer ??= setTimeout(() => void start(), limits.batchDelayMs).unref();
  }

  return {
    enqueue(span) {
      if (!sender.accepts()) return;
      const bytes = estimateSpanBytes(span);
      if (queue.length >= limits.maximumQueuedSpans || queuedBytes + bytes > limits.maximumQueuedBytes) {
        dropped.add(1);
        return;
      }
      queue.push(span);
      queuedBytes += bytes;
      queueSize.add(1);
      schedule();
    },
    async flush() {
      while (queue.length > 0 || draining !== undefined) await start();
    },
  };
}
