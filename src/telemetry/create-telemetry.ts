/**
 * Puts telemetry together: the port the rest of Blixard sees, and behind it the
 * recorder, the metrics engine, the logger and the OTLP client.
 *
 *   spans ──→ recorder ──(decision)──→ batch ──┐
 *   cells ──→ engine ────(interval)────────────┼──→ one sender for each signal ──→ collector
 *   logger ─→ stderr, and with an endpoint batch ┘
 *
 * The daemon calls `createTelemetry` before anything else and `shutdown` after
 * everything else. What goes wrong in here is said on stderr, never thrown at those
 * who emit signals.
 */
import {
  otelSdkLogCreated,
  telemetryRecorderSpanCount,
  telemetryRecorderSpanDropped,
  telemetryRecorderSpanLimit,
} from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import type { SpanResource, SpanScope } from "#model/recorded-span.ts";
import { createMetricsServer, type MetricsServer, type MetricsServerOptions } from "./http/metrics-server.ts";
import { createHumanFormatter, formatJson } from "./logging/format.ts";
import type { LogSink } from "./logging/log-record.ts";
import { createLogger, type LoggerRuntime } from "./logging/logger.ts";
import { createLineWriter } from "./logging/stderr-writer.ts";
import { createInertMetrics } from "./metrics/inert-metrics.ts";
import { createMetricsEngine, type MetricsEngine } from "./metrics/metrics-engine.ts";
import type { DestinationStatus } from "./otlp/destination-status.ts";
import { createOtlpClient, type OtlpClient } from "./otlp/otlp-client.ts";
import type { LogLevel, Metrics, Telemetry } from "./port.ts";
import { createRecorder, type RecordingPipeline, type SpanRecorder } from "./recorder/recorder.ts";
import { readHostFacts } from "./resource/host-facts.ts";
import { createResource } from "./resource/resource.ts";
import { observeRuntimeMetrics } from "./runtime-metrics/runtime-metrics.ts";
import { createSystemClock } from "./system-clock.ts";
import type { TelemetryOptions } from "./telemetry-options.ts";
import { createInertTracing } from "./tracing/inert-tracing.ts";
import { createTracing, type TracingRuntime } from "./tracing/tracing.ts";

export interface TelemetryRuntime extends Telemetry {
  /** Spans of this node and those handed in, by trace. */
  readonly recorder: SpanRecorder;
  /** Who this node is, on all its signals. */
  readonly resource: SpanResource;
  readonly clock: Clock;
  /** Opens `/metrics`, `/healthz` and `/readyz`. The caller closes it. */
  startMetricsServer(options: Pick<MetricsServerOptions, "bind" | "readiness" | "limits">): Promise<MetricsServer>;
  /** The least severity that is logged now. */
  logLevel(): LogLevel;
  setLogLevel(level: LogLevel): void;
  /** How each destination of each signal is doing. */
  destinations(): readonly DestinationStatus[];
  /** Sends what is left within `timeoutMs`, then ends everything; once. Never rejects. */
  shutdown(timeoutMs: number): Promise<void>;
}

const RECORDER_INTERVAL_MS = 5_000;

/** @throws BlixardError CONFIG_INVALID when an OTLP endpoint or header cannot work */
export function createTelemetry(options: TelemetryOptions): TelemetryRuntime {
  const clock = options.clock ?? createSystemClock();
  const resource = createResource(options.resource, readHostFacts());
  const scope: SpanScope = { name: "blixard", version: options.resource.serviceVersion };
  const stderrSink = createStderrSink(options);
  // For telemetry's own troubles: they must not go where the trouble is.
  const stderrLogger = createLogger({
    level: options.logging.level,
    sinks: [stderrSink],
    now: () => clock.now(),
    activeContext: () => undefined,
  });
  const engine = createEngine(options, clock, stderrLogger);
  const metrics: Metrics = engine ?? createInertMetrics();
  const client = createOtlpClient({
    tracing: options.tracing.enabled ? options.tracing.destinations : [],
    metrics: options.metrics.destinations,
    logging: options.logging.destinations,
    metricsIntervalMs: options.metrics.exportIntervalMs,
    source: engine,
    resource,
    scope,
    clock,
    selfMetrics: metrics,
    stderrLogger,
    untraced: (fn) => tracing.untraced(fn),
  });
  const recorder = createRecorder({
    samplingRatio: options.tracing.samplingRatio,
    slowThresholdsMs: options.tracing.slowThresholdsMs,
    limits: options.tracing.recorder,
    exportSpan: (span) => client.exportSpan(span),
    now: () => clock.now(),
  });
  const tracing: TracingRuntime = options.tracing.enabled
    ? createTracing({
        resource,
        scopeVersion: options.resource.serviceVersion,
        samplingRatio: options.tracing.samplingRatio,
        isPromoted: (traceId) => recorder.isPromoted(traceId),
        record: (span, sampled) => recorder.record(span, sampled),
        metrics,
        now: () => clock.now(),
      })
    : createInertTracing();
  const logsCreated = metrics.bind(otelSdkLogCreated, {});
  const logger = createLogger({
    level: options.logging.level,
    sinks: [stderrSink, (record) => client.exportLog(record), () => logsCreated.add(1)],
    now: () => clock.now(),
    activeContext: () => tracing.active(),
  });

  const groups = new DisposableStack();
  if (options.tracing.enabled) groups.use(observeRecorder(metrics, recorder));
  if (options.metrics.enabled && options.metrics.runtimeMetrics) groups.use(observeRuntimeMetrics({ metrics }));
  if (options.registerGlobally === true) tracing.registerGlobally();
  client.start();
  let stopping: Promise<void> | undefined;

  return {
    metrics,
    tracing,
    logger,
    recorder,
    resource,
    clock,
    startMetricsServer: (server) =>
      createMetricsServer({ ...server, source: engine ?? noSeries, metrics, clock, resource: resource.attributes }),
    logLevel: () => logger.level(),
    setLogLevel(level) {
      logger.setLevel(level);
      stderrLogger.setLevel(level);
    },
    destinations: () => client.status(),
    shutdown: (timeoutMs) => (stopping ??= stop(timeoutMs)),
  };

  async function stop(timeoutMs: number): Promise<void> {
    logger.flush();
    await shutDownClient(client, timeoutMs);
    groups.dispose();
    engine?.stop();
    stderrLogger.flush();
  }
}

/** What the page shows while metrics are off. */
const noSeries = {
  families: () => [],
  createReader: () => ({ read: () => ({ families: [], ended: [] }), [Symbol.dispose]() {} }),
};

function createStderrSink({ logging, writeLog }: TelemetryOptions): LogSink {
  const format = logging.format === "json" ? formatJson : createHumanFormatter({ colour: logging.colour });
  const write = writeLog ?? createLineWriter(process.stderr);
  return (record) => write(format(record));
}

function createEngine(options: TelemetryOptions, clock: Clock, stderrLogger: LoggerRuntime): MetricsEngine | undefined {
  if (!options.metrics.enabled) return undefined;
  return createMetricsEngine({
    clock,
    ...(options.metrics.cardinalityLimit === undefined ? {} : { defaultSeriesLimit: options.metrics.cardinalityLimit }),
    onCollectionError: (group, error) =>
      stderrLogger.warn("a group of metrics could not be collected", { "blixard.telemetry.group": group }, error),
  });
}

function observeRecorder(metrics: Metrics, recorder: RecordingPipeline): Disposable {
  return metrics.observeGroup({
    name: "recorder",
    metrics: [telemetryRecorderSpanCount, telemetryRecorderSpanLimit, telemetryRecorderSpanDropped],
    intervalMs: RECORDER_INTERVAL_MS,
    timeoutMs: RECORDER_INTERVAL_MS,
    collect: async (observer) => {
      const usage = recorder.usage();
      observer.observe(telemetryRecorderSpanCount, usage.spans, {});
      observer.observe(telemetryRecorderSpanLimit, usage.maximumSpans, {});
      observer.observe(telemetryRecorderSpanDropped, usage.droppedSpans, {});
    },
  });
}

async function shutDownClient(client: OtlpClient, timeoutMs: number): Promise<void> {
  // This timer, unlike the others, keeps the process alive: the last signals are on their way.
  const deadline = setTimeout(() => client.abort(), timeoutMs);
  await client.flush();
  clearTimeout(deadline);
  client.abort();
  client.close();
}
