/**
 * What telemetry needs to be told: plain values, secrets as `Secret`, effects as
 * parameters. The daemon maps its Config to this; nothing below reads the
 * environment or a file on its own.
 */
import type { Clock } from "#model/clock.ts";
import type { Secret } from "#model/secret.ts";
import type { SpanAttributeValue } from "#model/recorded-span.ts";
import type { PropagatorName } from "#model/propagation/propagators.ts";
import type { LogLevel } from "./port.ts";

export type OtlpProtocol = "grpc" | "http/protobuf" | "http/json";

/** Where one signal goes by OTLP. */
export interface OtlpOptions {
  /** `http://host:4317`, `https://host/base`, or `host:port` (gRPC only). */
  readonly endpoint: string;
  /**
   * `base` (default): over HTTP the signal's path (`/v1/traces` …) is appended.
   * `exact`: the endpoint was given for this signal alone and is used as it is.
   */
  readonly endpointKind?: "base" | "exact";
  /** Default: by the endpoint (see otlp/destination.ts). */
  readonly protocol?: OtlpProtocol;
  readonly headers?: Readonly<Record<string, string | Secret>>;
  readonly basicAuth?: { readonly username: string; readonly password: Secret };
  /** Default gzip. */
  readonly compression?: "gzip" | "none";
  /** Deadline of one request; default 10,000. */
  readonly timeoutMs?: number;
  /** The receiver's limit of one request; default a little below gRPC's usual 4 MiB. */
  readonly maximumRequestBytes?: number;
  /** For endpoints without a scheme: plain text instead of TLS; default false. */
  readonly insecure?: boolean;
  readonly tls?: OtlpTlsOptions;
  /** Metrics only: how sums and histograms are told. Default `cumulative`. */
  readonly temporality?: MetricTemporality;
  /** Metrics only. Default `explicit_bucket_histogram`. */
  readonly histogramAggregation?: HistogramAggregation;
}

/**
 * `delta`: counters and histograms as differences, up-down counters cumulative. `lowmemory`: delta for
 * synchronous counters and histograms, cumulative for the rest. Source: OTLP metrics exporter specification.
 */
export type MetricTemporality = "cumulative" | "delta" | "lowmemory";
export type HistogramAggregation = "explicit_bucket_histogram" | "base2_exponential_bucket_histogram";

/** Bounds of the way from a finished span or log record to its request. Source: OTEL_BSP_*, OTEL_BLRP_*. */
export interface BatchOptions {
  readonly scheduleDelayMs?: number;
  readonly maximumQueueItems?: number;
  readonly maximumBatchItems?: number;
  /** A batch that finds no taker for this long, all attempts together, is given up; with a spool it goes there after the first. Default 5 minutes. */
  readonly exportTimeoutMs?: number;
}

/** What is kept on disk while a destination is down. */
export interface SpoolOptions {
  /** Below it a folder for each signal. */
  readonly directory: string;
  /** For each signal; the oldest goes first. Default 256 MiB. */
  readonly maximumBytes: number;
  /** Metrics too: without it they resume as cumulative points. Default false. */
  readonly replayMetrics: boolean;
}

/** Which spans may become exemplars. Source: OTEL_METRICS_EXEMPLAR_FILTER; `trace_based`: exported ones. */
export type ExemplarFilter = "trace_based" | "always_on" | "always_off";

/** How exceptions are told. Source: OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN: `logs`, and `logs/dup` for both. */
export type ExceptionSignal = "logs" | "span_events" | "both";

/** PEM texts. */
export interface OtlpTlsOptions {
  /** Trusted authorities; default the system's. */
  readonly certificateAuthorities?: string;
  readonly clientCertificate?: string;
  readonly clientKey?: Secret;
}

export interface ResourceOptions {
  /** `service.name`; default `blixard`. */
  readonly serviceName: string;
  readonly serviceVersion: string;
  /** `service.namespace`: the cluster's name. */
  readonly clusterName: string;
  /** With `nodeId`, the seed of `service.instance.id`. */
  readonly clusterId: string;
  readonly nodeId: string;
  readonly deploymentEnvironment?: string;
  /** The process's: clouds and Kubernetes say in it what runs where. Default empty. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** From the operator (OTEL_RESOURCE_ATTRIBUTES); they win over what was detected, except `service.name`. */
  readonly attributes?: Readonly<Record<string, SpanAttributeValue>>;
}

export interface TracingOptions {
  /** False: no span is recorded or exported; contexts still pass through. */
  readonly enabled: boolean;
  /** Share of new traces that is exported, 0 to 1. Recording does not depend on it. */
  readonly samplingRatio: number;
  /** `xray`: trace ids begin with the time, as AWS X-Ray's own do. Default `random`. */
  readonly idGenerator?: "random" | "xray";
  /** The trace is exported when a span of this name lasts longer, whatever the ratio. */
  readonly slowThresholdsMs?: Readonly<Record<string, number>>;
  /** Bounds of the ring; default 20,000 spans and 32 MiB. */
  readonly recorder?: { readonly maximumSpans?: number; readonly maximumBytes?: number };
  /** Where spans go; none: they are only recorded. */
  readonly destinations: readonly OtlpOptions[];
  readonly batch?: BatchOptions;
  /** Bounds of one span; defaults 128 attributes, 4,096 characters a value, 64 events, 32 links, 128 attributes on each. */
  readonly limits?: SpanLimits;
  /** Default `logs`, and `both` while a destination takes spans and no logs do leave. */
  readonly exceptions?: ExceptionSignal;
}

/** Source: OTEL_SPAN_*_LIMIT, OTEL_ATTRIBUTE_*_LIMIT, OTEL_EVENT_*, OTEL_LINK_*. */
export interface SpanLimits {
  readonly attributeCount?: number;
  readonly attributeValueLength?: number;
  readonly eventCount?: number;
  readonly linkCount?: number;
  readonly attributePerEventCount?: number;
  readonly attributePerLinkCount?: number;
}

export interface ContextOptions {
  /** Default tracecontext and baggage. */
  readonly propagators?: readonly PropagatorName[];
  /** Baggage members that are taken in and passed on; `*` at the end stands for any rest. Default none. */
  readonly baggageAllowed?: readonly string[];
  /** Of those, the ones that become attributes `baggage.<key>` of spans and log records. Default none. */
  readonly baggageAttributes?: readonly string[];
}

export interface MetricsOptions {
  /** False: cells count nothing, nothing is exposed or exported. */
  readonly enabled: boolean;
  /** Node.js runtime, process and host metrics. */
  readonly runtimeMetrics: boolean;
  readonly destinations: readonly OtlpOptions[];
  readonly exemplars?: ExemplarFilter;
  /** Histograms are kept in exponential buckets too, for those who ask for them. Default true. */
  readonly exponentialHistograms?: boolean;
  /** Default 10,000. */
  readonly exportIntervalMs?: number;
  /** Deadline of one export with its retries. Default 30,000. */
  readonly exportTimeoutMs?: number;
  /** Series of one instrument; more are counted together as overflow. Default: the registry's, or else the engine's. */
  readonly cardinalityLimit?: number;
  /** The same for single instruments, by the metric's name. */
  readonly seriesLimits?: Readonly<Record<string, number>>;
}

export interface LoggingOptions {
  readonly level: LogLevel;
  readonly format: "human" | "json";
  /** Colours in the human format; the daemon says whether stderr is a terminal. */
  readonly colour: boolean;
  readonly destinations: readonly OtlpOptions[];
  readonly batch?: BatchOptions;
  readonly limits?: { readonly attributeCount?: number; readonly attributeValueLength?: number };
}

/** Where the doctor reads back what it sent. Base URLs. */
export interface DoctorOptions {
  readonly prometheusUrl?: string;
  readonly jaegerUrl?: string;
  readonly tempoUrl?: string;
}

export interface TelemetryOptions {
  readonly resource: ResourceOptions;
  readonly tracing: TracingOptions;
  readonly metrics: MetricsOptions;
  readonly logging: LoggingOptions;
  readonly context?: ContextOptions;
  /** Absent: nothing is kept on disk. */
  readonly spool?: SpoolOptions;
  readonly doctor?: DoctorOptions;
  /** Takes a finished line with its newline; default stderr. */
  readonly writeLog?: (line: string) => void;
  /** Default the machine's (system-clock.ts). */
  readonly clock?: Clock;
  /**
   * Makes this the process's OpenTelemetry SDK, so that third-party
   * instrumentation comes out of the same pipeline. Once per process; default false.
   */
  readonly registerGlobally?: boolean;
}
