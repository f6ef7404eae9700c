/**
 * The OTLP client: for each signal that has an endpoint a sender with its transport,
 * and before it what collects the signal. Signals do not wait for each other: a
 * backend that hangs on metrics still gets its spans.
 *
 * Called by the composition of telemetry (create-telemetry.ts) only.
 */
import type { Clock } from "#model/clock.ts";
import type { RecordedSpan, SpanResource, SpanScope } from "#model/recorded-span.ts";
import type { LogRecord } from "../logging/log-record.ts";
import type { MetricsSource } from "../metrics/snapshot.ts";
import type { Logger, Metrics } from "../port.ts";
import { estimateSpanBytes } from "../recorder/span-size.ts";
import type { OtlpOptions } from "../telemetry-options.ts";
import {
  createBatchExporter,
  createSpanBatchSignals,
  type BatchExporter,
  type BatchSignals,
} from "./batch-exporter.ts";
import type { DestinationStatus } from "./destination-status.ts";
import { resolveDestination, type OtlpSignal } from "./destination.ts";
import { createLogEncoder, estimateLogBytes } from "./encode-logs.ts";
import { encodeSpans } from "./encode-spans.ts";
import { createExporterSignals } from "./exporter-signals.ts";
import { createMetricsExporter, type MetricsExporter } from "./metrics-exporter.ts";
import { createSignalSender, createTransport, type SignalSender } from "./signal-sender.ts";

export interface OtlpClient {
  exportSpan(span: RecordedSpan): void;
  exportLog(record: LogRecord): void;
  /** Begins the metrics' interval. */
  start(): void;
  /** Ends the interval and sends what is there, hurriedly; resolves when all is settled. */
  flush(): Promise<void>;
  /** Gives up what is still under way: `flush` then resolves soon. */
  abort(): void;
  close(): void;
  /** Each destination of each signal, in the order of the configuration. */
  status(): readonly DestinationStatus[];
}

export interface OtlpClientOptions {
  readonly tracing: readonly OtlpOptions[];
  readonly metrics: readonly OtlpOptions[];
  readonly logging: readonly OtlpOptions[];
  /** Default 10,000. */
  readonly metricsIntervalMs: number | undefined;
  /** Absent when metrics are off. */
  readonly source: MetricsSource | undefined;
  readonly resource: SpanResource;
  readonly scope: SpanScope;
  readonly clock: Clock;
  /** For the client's own metrics. */
  readonly selfMetrics: Metrics;
  /** Writes to stderr only. */
  readonly stderrLogger: Logger;
  readonly untraced: <T>(fn: () => T) => T;
}

const DEFAULT_METRICS_INTERVAL_MS = 10_000;

/** @throws BlixardError CONFIG_INVALID */
export function createOtlpClient(options: OtlpClientOptions): OtlpClient {
  const senders: SignalSender[] = [];

  function createSender(signal: OtlpSignal, otlp: OtlpOptions): SignalSender {
    const destination = resolveDestination(otlp, signal);
    const sender = createSignalSender({
      transport: createTransport(destination, signal, `${options.scope.name}/${options.scope.version}`),
      signals: createExporterSignals({
        destination,
        signal,
        metrics: options.selfMetrics,
        stderrLogger: options.stderrLogger,
        now: () => options.clock.now(),
      }),
      clock: options.clock,
      random: Math.random,
      untraced: options.untraced,
    });
    senders.push(sender);
    return sender;
  }

  const spans = options.tracing.map((otlp) => createSpanExporter(createSender("traces", otlp), options));
  const { source } = options;
  const metrics =
    source === undefined
      ? []
      : options.metrics.map((otlp) => createPointExporter(createSender("metrics", otlp), source, options));
  const logs = options.logging.map((otlp) => createLogExporter(createSender("logs", otlp), options));

  return {
    exportSpan(span) {
      for (const exporter of spans) exporter.enqueue(span);
    },
    exportLog(record) {
      for (const exporter of logs) exporter.enqueue(record);
    },
    start() {
      for (const exporter of metrics) exporter.start();
    },
    async flush() {
      for (const exporter of metrics) exporter.stop();
      for (const sender of senders) sender.hurry();
      await Promise.all([...spans, ...metrics, ...logs].map((exporter) => exporter.flush()));
    },
    abort() {
      for (const sender of senders) sender.abort();
    },
    close() {
      for (const sender of senders) sender.close();
    },
    status: () => [],
  };
}

function createSpanExporter(sender: SignalSender, { selfMetrics }: OtlpClientOptions): BatchExporter<RecordedSpan> {
  return createBatchExporter({
    sender,
    encode: encodeSpans,
    sizeOf: estimateSpanBytes,
    signals: createSpanBatchSignals(selfMetrics),
  });
}

function createLogExporter(sender: SignalSender, options: OtlpClientOptions): BatchExporter<LogRecord> {
  return createBatchExporter({
    sender,
    encode: createLogEncoder(options.resource, options.scope),
    sizeOf: estimateLogBytes,
    signals: createLogBatchSignals(sender),
  });
}

/** The conventions have metrics for this; drops are at least said. */
function createLogBatchSignals(sender: SignalSender): BatchSignals {
  return { processed: () => {}, dropped: (items) => sender.abandon(items, "queue_full"), queued: () => {} };
}

function createPointExporter(sender: SignalSender, source: MetricsSource, options: OtlpClientOptions): MetricsExporter {
  return createMetricsExporter({
    reader: source.createReader(),
    sender,
    metrics: options.selfMetrics,
    clock: options.clock,
    encoder: { resource: options.resource, scope: options.scope },
    intervalMs: options.metricsIntervalMs ?? DEFAULT_METRICS_INTERVAL_MS,
  });
}
