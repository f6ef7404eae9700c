/**
 * The OTLP client: for each destination of each signal a route (destination-route.ts), and
 * before it what collects the signal. Routes do not wait for each other: a backend that
 * hangs on metrics still gets its spans, and so does the one beside it.
 *
 * What it may hold, for each destination: of spans and of log records a queue of 32,768
 * items and 48 MiB (batchLimitsOf) and one encoded batch; of metrics one request of 4 MiB;
 * with a spool one replayed request of 4 MiB more. Spans and records in several queues
 * are the same objects. A kill takes with it what is in memory: about a second's worth, and
 * while a destination leaves a request without an answer, what comes meanwhile.
 *
 * Called by the composition of telemetry (create-telemetry.ts) only.
 */
import { join } from "node:path";
import { telemetryGap } from "#gen/telemetry/events.ts";
import type { Clock } from "#model/clock.ts";
import type { RecordedSpan, SpanResource, SpanScope } from "#model/recorded-span.ts";
import type { LogRecord } from "../logging/log-record.ts";
import type { MetricsSource } from "../metrics/snapshot.ts";
import type { Logger, Metrics } from "../port.ts";
import { estimateSpanBytes } from "../recorder/span-size.ts";
import { createSignalSpool, type SignalSpool } from "../spool/signal-spool.ts";
import { systemDisk, type SpoolDisk } from "../spool/spool-disk.ts";
import type { BatchOptions, OtlpOptions, SpoolOptions } from "../telemetry-options.ts";
import { batchLimitsOf, createBatchExporter, createBatchSignals, type BatchExporter } from "./batch-exporter.ts";
import { resolveDestination, type Destination, type OtlpSignal } from "./destination.ts";
import { createDestinationRoute, type DestinationRoute } from "./destination-route.ts";
import type { DestinationStatus } from "./destination-status.ts";
import { createLogEncoder, estimateLogBytes } from "./encode-logs.ts";
import { encodeSpans } from "./encode-spans.ts";
import type { EncodedBatch } from "./encoded-request.ts";
import { createMetricsExporter, type MetricsExporter } from "./metrics-exporter.ts";
import { createTransport, type SignalSenderTiming } from "./signal-sender.ts";

export interface OtlpClient {
  exportSpan(span: RecordedSpan): void;
  exportLog(record: LogRecord): void;
  /** Begins the metrics' interval, and to bring back what an earlier process kept. */
  start(): void;
  /** Ends the interval and sends what is there, hurriedly; resolves when all is settled or kept. */
  flush(): Promise<void>;
  /** Gives up what is still under way: `flush` then resolves soon. */
  abort(): void;
  /** After `flush`. */
  close(): Promise<void>;
  /** Each destination of each signal, in the order of the configuration. */
  status(): readonly DestinationStatus[];
}

export interface OtlpClientOptions {
  readonly tracing: readonly OtlpOptions[];
  readonly tracingBatch?: BatchOptions | undefined;
  readonly metrics: readonly OtlpOptions[];
  readonly logging: readonly OtlpOptions[];
  readonly loggingBatch?: BatchOptions | undefined;
  /** Default 10,000. */
  readonly metricsIntervalMs: number | undefined;
  /** Of one export with its retries. Default the exporter's. */
  readonly metricsTimeoutMs?: number | undefined;
  /** Absent: what cannot be delivered waits in memory. */
  readonly spool?: SpoolOptions | undefined;
  /** Absent when metrics are off. */
  readonly source: MetricsSource | undefined;
  readonly resource: SpanResource;
  readonly scope: SpanScope;
  readonly clock: Clock;
  /** For the client's own metrics. */
  readonly selfMetrics: Metrics;
  /** Writes to stderr only. */
  readonly stderrLogger: Logger;
  /** For what is exported too: that a destination was away. Asked for when it is needed. */
  readonly logger: () => Logger;
  readonly untraced: <T>(fn: () => T) => T;
  readonly disk?: SpoolDisk;
  readonly timing?: SignalSenderTiming;
}

const DEFAULT_METRICS_INTERVAL_MS = 10_000;

/** @throws BlixardError CONFIG_INVALID */
export function createOtlpClient(options: OtlpClientOptions): OtlpClient {
  const tracesRoutes = createRoutes("traces", options.tracing, options);
  const metricsRoutes = createRoutes("metrics", options.source === undefined ? [] : options.metrics, options);
  const logsRoutes = createRoutes("logs", options.logging, options);
  const spans = tracesRoutes.routes.map((route) =>
    createQueue(route, options, {
      kind: "span",
      batch: options.tracingBatch,
      encode: (items) => encodeSpans(items, route.destination.requestLimits),
      sizeOf: estimateSpanBytes,
    }),
  );
  const logs = logsRoutes.routes.map((route) =>
    createQueue(route, options, {
      kind: "log",
      batch: options.loggingBatch,
      encode: createLogEncoder(options.resource, options.scope, route.destination.requestLimits),
      sizeOf: estimateLogBytes,
    }),
  );
  const { source } = options;
  const metrics = source === undefined ? [] : metricsRoutes.routes.map((route) => createPoints(route, source, options));
  const signals = [tracesRoutes, metricsRoutes, logsRoutes];
  const routes = signals.flatMap((signal) => signal.routes);

  return {
    exportSpan(span) {
      for (const { exporter } of spans) exporter.enqueue(span);
    },
    exportLog(record) {
      for (const { exporter } of logs) exporter.enqueue(record, record.eventName === telemetryGap.name);
    },
    start() {
      for (const exporter of metrics) exporter.start();
      for (const { spool } of signals) void spool?.tidy();
      for (const { route } of routes) route.start();
    },
    async flush() {
      for (const exporter of metrics) exporter.stop();
      for (const { route } of routes) route.sender.hurry();
      await Promise.all([
        ...[...spans, ...logs].map(({ exporter }) => exporter.flush()),
        ...metrics.map((exporter) => exporter.flush()),
        ...routes.map(({ route }) => route.stopReplay()),
      ]);
    },
    abort() {
      for (const { route } of routes) route.sender.abort();
    },
    async close() {
      await Promise.all(routes.map(({ route }) => route.close()));
    },
    status: () => [
      ...spans.map((queue) => queue.status()),
      ...metricsRoutes.routes.map(({ route }) => route.status({ items: 0, capacity: 0 })),
      ...logs.map((queue) => queue.status()),
    ],
  };
}

interface ConfiguredRoute {
  readonly route: DestinationRoute;
  readonly destination: Destination;
  readonly otlp: OtlpOptions;
  readonly index: number;
}

interface SignalRoutes {
  readonly routes: readonly ConfiguredRoute[];
  readonly spool: SignalSpool | undefined;
}

function createRoutes(
  signal: OtlpSignal,
  destinations: readonly OtlpOptions[],
  options: OtlpClientOptions,
): SignalRoutes {
  const resolved = withOwnNames(destinations.map((otlp) => resolveDestination(otlp, signal)));
  const spool = createSpool(signal, resolved, options);
  const routes = destinations.map((otlp, index) => {
    const destination = resolved[index] ?? resolveDestination(otlp, signal);
    const place = spool?.placeOf(destination);
    const route = createDestinationRoute({
      destination,
      signal,
      index,
      transport: createTransport(destination, signal, `${options.scope.name}/${options.scope.version}`),
      clock: options.clock,
      random: Math.random,
      metrics: options.selfMetrics,
      stderrLogger: options.stderrLogger,
      logger: options.logger,
      untraced: options.untraced,
      ...(place === undefined ? {} : { spool: place }),
      ...(options.timing === undefined ? {} : { timing: options.timing }),
    });
    return { route, destination, otlp, index };
  });
  return { routes, spool };
}

/** Two that go to the same place (for two tenants, say) are told apart by their number. */
function withOwnNames(destinations: readonly Destination[]): readonly Destination[] {
  const seen = new Map<string, number>();
  return destinations.map((destination) => {
    const count = (seen.get(destination.display) ?? 0) + 1;
    seen.set(destination.display, count);
    return count === 1 ? destination : { ...destination, display: `${destination.display} #${count}` };
  });
}

function createSpool(
  signal: OtlpSignal,
  destinations: readonly Destination[],
  options: OtlpClientOptions,
): SignalSpool | undefined {
  const { spool } = options;
  if (spool === undefined || destinations.length === 0) return undefined;
  if (signal === "metrics" && !spool.replayMetrics) return undefined;
  return createSignalSpool({
    directory: join(spool.directory, signal),
    signal,
    destinations,
    maximumBytes: spool.maximumBytes,
    disk: options.disk ?? systemDisk,
    now: () => options.clock.now(),
    metrics: options.selfMetrics,
    stderrLogger: options.stderrLogger,
  });
}

interface Queue<T> {
  readonly exporter: BatchExporter<T>;
  status(): DestinationStatus;
}

interface QueueOptions<T> {
  readonly kind: "span" | "log";
  readonly batch: BatchOptions | undefined;
  readonly encode: (items: readonly T[]) => EncodedBatch;
  readonly sizeOf: (item: T) => number;
}

function createQueue<T>(
  { route, index }: ConfiguredRoute,
  options: OtlpClientOptions,
  { kind, batch, encode, sizeOf }: QueueOptions<T>,
): Queue<T> {
  const limits = batchLimitsOf(batch);
  const own = createBatchSignals(options.selfMetrics, kind, index, limits);
  const exporter = createBatchExporter({
    sender: route.sender,
    encode,
    sizeOf,
    clock: options.clock,
    limits,
    signals: {
      ...own,
      dropped(items) {
        own.dropped(items);
        route.signals.missed(items);
      },
    },
  });
  return {
    exporter,
    status: () => route.status({ items: exporter.queued, capacity: limits.maximumQueuedItems }),
  };
}

function createPoints(
  { route, destination, otlp, index }: ConfiguredRoute,
  source: MetricsSource,
  options: OtlpClientOptions,
): MetricsExporter {
  const { temporality, histogramAggregation } = otlp;
  return createMetricsExporter({
    index,
    reader: source.createReader(),
    sender: route.sender,
    metrics: options.selfMetrics,
    clock: options.clock,
    encoder: {
      resource: options.resource,
      scope: options.scope,
      ...destination.requestLimits,
      ...(histogramAggregation === undefined ? {} : { histogramAggregation }),
    },
    intervalMs: options.metricsIntervalMs ?? DEFAULT_METRICS_INTERVAL_MS,
    ...(temporality === undefined ? {} : { temporality }),
    ...(options.metricsTimeoutMs === undefined ? {} : { timeoutMs: options.metricsTimeoutMs }),
  });
}
