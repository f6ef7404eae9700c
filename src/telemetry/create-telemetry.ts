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
import { otelSdkLogCreated, telemetryLogAttributesDropped, telemetryLogSuppressed } from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import type { SpanResource, SpanScope } from "#model/recorded-span.ts";
import { createConflictWarning } from "./exposition/conflict-warning.ts";
import { createMetricsServer, type MetricsServer, type MetricsServerOptions } from "./http/metrics-server.ts";
import { createHumanFormatter, formatJson } from "./logging/format.ts";
import type { LogSink } from "./logging/log-record.ts";
import { isKnownAttribute } from "./logging/known-attributes.ts";
import { createLogger, type LogDrop, type LoggerRuntime } from "./logging/logger.ts";
import { createLineWriter } from "./logging/stderr-writer.ts";
import type { CardinalityReport } from "./metrics/cardinality.ts";
import { createInertMetrics } from "./metrics/inert-metrics.ts";
import { createMetricsEngine, type MetricsEngine } from "./metrics/metrics-engine.ts";
import type { DestinationStatus } from "./otlp/destination-status.ts";
import { createOtlpClient, type OtlpClient, type OtlpClientOptions } from "./otlp/otlp-client.ts";
import type { LogLevel, Metrics, Telemetry } from "./port.ts";
import { observeRecorder } from "./recorder/observe-recorder.ts";
import { createRecorder, type RecordingPipeline, type SpanRecorder } from "./recorder/recorder.ts";
import { readHostFacts } from "./resource/host-facts.ts";
import { createResource } from "./resource/resource.ts";
import { createScope } from "./resource/scope.ts";
import { observeRuntimeMetrics } from "./runtime-metrics/runtime-metrics.ts";
import { createSystemClock } from "./system-clock.ts";
import type { TelemetryOptions } from "./telemetry-options.ts";
import { type ContextPolicy, createContextPolicy } from "./tracing/context-policy.ts";
import { createInertTracing } from "./tracing/inert-tracing.ts";
import { createExceptions, type Exceptions, notingExceptions } from "./tracing/exceptions.ts";
import { createThirdPartyMetrics } from "./third-party/third-party-metrics.ts";
import { createRandomIds } from "./tracing/random-ids.ts";
import { createTracing, type TracingRuntime } from "./tracing/tracing.ts";

/** How the page is served; what is on it, telemetry knows. */
export type ListenerOptions = Pick<
  MetricsServerOptions,
  "bind" | "readiness" | "knownNodes" | "limits" | "tls" | "basicAuth" | "bearerToken" | "created"
> & {
  /** `otel_scope_*` labels on every series; default false. */
  readonly scopeLabels?: boolean | undefined;
};

export interface TelemetryRuntime extends Telemetry {
  /** Spans of this node and those handed in, by trace. */
  readonly recorder: SpanRecorder;
  /** Who this node is, on all its signals. */
  readonly resource: SpanResource;
  readonly clock: Clock;
  /** Opens `/metrics`, `/discovery/prometheus`, `/healthz` and `/readyz`. The caller closes it. */
  startMetricsServer(options: ListenerOptions): Promise<MetricsServer>;
  /** The least severity that is logged now. */
  logLevel(): LogLevel;
  setLogLevel(level: LogLevel): void;
  /** How each destination of each signal is doing. */
  destinations(): readonly DestinationStatus[];
  /** Who costs how many series, now. */
  cardinality(): CardinalityReport;
  /** Sends what is left within `timeoutMs`, then ends everything; once. Never rejects. */
  shutdown(timeoutMs: number): Promise<void>;
}

/** @throws BlixardError CONFIG_INVALID when an OTLP endpoint or header cannot work */
export function createTelemetry(options: TelemetryOptions): TelemetryRuntime {
  const foundation = createFoundation(options);
  const { clock, resource, scope, engine, metrics, stderrLogger } = foundation;
  // The client says of itself what goes by the logger and the tracer, which end in the client.
  const client = createClient(options, foundation, {
    logger: () => logger,
    untraced: (fn) => tracing.untraced(fn),
  });
  const policy = createContextPolicy(options.context ?? {}, metrics);
  const recorder = createRecorder({
    resource,
    samplingRatio: options.tracing.samplingRatio,
    slowThresholdsMs: options.tracing.slowThresholdsMs,
    limits: options.tracing.recorder,
    exportSpan: (span) => client.exportSpan(span),
    now: () => clock.now(),
  });
  const exportRecord = countExports((record) => client.exportLog(record), metrics);
  const exceptions = createExceptions({
    signal: options.tracing.exceptions,
    logsLeave: () => client.status().some(({ signal, state }) => signal === "logs" && state !== "unsupported"),
    emit: (record) => logger.passes(record.level) && exportRecord(record),
    now: () => clock.now(),
  });
  const tracing = createSpans(options, foundation, { policy, recorder, exceptions });
  const logger = notingExceptions(
    createLogger({
      level: options.logging.level,
      sinks: [foundation.stderrSink, exportRecord],
      now: () => clock.now(),
      activeContext: () => tracing.active(),
      contextAttributes: (context) => policy.attributes(context.baggage),
      isKnownAttribute,
      limits: options.logging.limits,
      onDropped: countDropped(metrics),
    }),
    exceptions,
  );
  engine?.keepExemplars({
    filter: options.metrics.exemplars ?? "trace_based",
    active: () => tracing.activeOpen(),
    isPromoted: (traceId) => recorder.isPromoted(traceId),
  });
  const groups = new DisposableStack();
  if (options.tracing.enabled) groups.use(observeRecorder(metrics, recorder));
  if (options.metrics.enabled && options.metrics.runtimeMetrics) groups.use(observeRuntimeMetrics({ metrics }));
  if (options.registerGlobally === true) {
    tracing.registerGlobally();
    if (engine !== undefined) groups.use(createThirdPartyMetrics({ engine, logger })).registerGlobally();
  }
  client.start();
  let stopping: Promise<void> | undefined;

  async function stop(timeoutMs: number): Promise<void> {
    logger.flush();
    await shutDownClient(client, timeoutMs);
    groups.dispose();
    engine?.stop();
    stderrLogger.flush();
  }

  return {
    metrics,
    tracing,
    logger,
    recorder,
    resource,
    clock,
    startMetricsServer: (server) =>
      createMetricsServer({
        ...server,
        source: engine ?? noSeries,
        metrics,
        clock,
        resource: resource.attributes,
        scopeLabels: server.scopeLabels === true ? scope : undefined,
        onConflict: createConflictWarning(stderrLogger),
      }),
    logLevel: () => logger.level(),
    setLogLevel(level) {
      logger.setLevel(level);
      stderrLogger.setLevel(level);
    },
    destinations: () => client.status(),
    cardinality: () => engine?.cardinality() ?? { metrics: [], series: 0, samples: 0 },
    shutdown: (timeoutMs) => (stopping ??= stop(timeoutMs)),
  };
}

/** What all signals stand on. */
interface Foundation {
  readonly clock: Clock;
  readonly resource: SpanResource;
  readonly scope: Required<SpanScope>;
  /** Undefined while metrics are off. */
  readonly engine: MetricsEngine | undefined;
  readonly metrics: Metrics;
  readonly stderrSink: LogSink;
  /** For telemetry's own troubles: they must not go where the trouble is. */
  readonly stderrLogger: LoggerRuntime;
}

function createFoundation(options: TelemetryOptions): Foundation {
  const clock = options.clock ?? createSystemClock();
  const stderrSink = createStderrSink(options);
  const stderrLogger = createLogger({
    level: options.logging.level,
    sinks: [stderrSink],
    now: () => clock.now(),
    activeContext: () => undefined,
  });
  const engine = createEngine(options, clock, stderrLogger);
  return {
    clock,
    resource: createResource(options.resource, readHostFacts()),
    scope: createScope(options.resource.serviceVersion),
    engine,
    metrics: engine ?? createInertMetrics(),
    stderrSink,
    stderrLogger,
  };
}

function createClient(
  { tracing, metrics, logging, spool }: TelemetryOptions,
  { clock, resource, scope, engine, metrics: selfMetrics, stderrLogger }: Foundation,
  late: Pick<OtlpClientOptions, "logger" | "untraced">,
): OtlpClient {
  return createOtlpClient({
    tracing: tracing.enabled ? tracing.destinations : [],
    metrics: metrics.destinations,
    logging: logging.destinations,
    tracingBatch: tracing.batch,
    loggingBatch: logging.batch,
    metricsIntervalMs: metrics.exportIntervalMs,
    metricsTimeoutMs: metrics.exportTimeoutMs,
    spool,
    source: engine,
    resource,
    scope,
    clock,
    selfMetrics,
    stderrLogger,
    ...late,
  });
}

function createSpans(
  { tracing }: TelemetryOptions,
  { clock, resource, scope, metrics }: Foundation,
  parts: { readonly policy: ContextPolicy; readonly recorder: RecordingPipeline; readonly exceptions: Exceptions },
): TracingRuntime {
  const { policy, recorder, exceptions } = parts;
  if (!tracing.enabled) return createInertTracing(policy);
  return createTracing({
    resource,
    scope,
    samplingRatio: tracing.samplingRatio,
    isPromoted: (traceId) => recorder.isPromoted(traceId),
    applyRules: (traceId, attributes) => recorder.applyRules(traceId, attributes),
    policy,
    limits: tracing.limits,
    record: (span, sampled) => recorder.record(span, sampled),
    exceptions,
    metrics,
    now: () => clock.now(),
    ids: createRandomIds(tracing.idGenerator === "xray" ? { traceTime: () => clock.now() } : {}),
  });
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
  const { seriesLimits, exponentialHistograms } = options.metrics;
  return createMetricsEngine({
    clock,
    ...(seriesLimits === undefined ? {} : { seriesLimits }),
    ...(exponentialHistograms === undefined ? {} : { exponentialHistograms }),
    ...(options.metrics.cardinalityLimit === undefined ? {} : { seriesLimit: options.metrics.cardinalityLimit }),
    onCollectionError: (group, error) =>
      stderrLogger.warn("a group of metrics could not be collected", { "blixard.telemetry.group": group }, error),
  });
}

function countDropped(metrics: Metrics): (what: LogDrop, count: number) => void {
  const cells = {
    attributes: metrics.bind(telemetryLogAttributesDropped, {}),
    records: metrics.bind(telemetryLogSuppressed, {}),
  };
  return (what, count) => cells[what].add(count);
}

function countExports(sink: LogSink, metrics: Metrics): LogSink {
  const created = metrics.bind(otelSdkLogCreated, {});
  return (record) => {
    sink(record);
    created.add(1);
  };
}

/** Time for the disk after the network's is over. */
const KEEPING_TIMEOUT_MS = 2_000;

async function shutDownClient(client: OtlpClient, timeoutMs: number): Promise<void> {
  // These timers, unlike the others, keep the process alive: the last signals are on their way.
  const deadline = setTimeout(() => client.abort(), timeoutMs);
  const ended = client.flush().then(() => {
    client.abort();
    return client.close();
  });
  const last = Promise.withResolvers<void>();
  const guard = setTimeout(last.resolve, timeoutMs + KEEPING_TIMEOUT_MS);
  await Promise.race([ended, last.promise]);
  clearTimeout(deadline);
  clearTimeout(guard);
}
