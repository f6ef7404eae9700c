/**
 * What telemetry needs to be told: plain values, secrets as `Secret`, effects as
 * parameters. The daemon maps its Config to this; nothing below reads the
 * environment or a file on its own.
 */
import type { Clock } from "#model/clock.ts";
import type { Secret } from "#model/secret.ts";
import type { SpanAttributeValue } from "#model/recorded-span.ts";
import type { LogLevel } from "./port.ts";

export type OtlpProtocol = "grpc" | "http/protobuf";

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
  /** For endpoints without a scheme: plain text instead of TLS; default false. */
  readonly insecure?: boolean;
  readonly tls?: OtlpTlsOptions;
}

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
  /** From the operator (OTEL_RESOURCE_ATTRIBUTES); they win over what was detected, except `service.name`. */
  readonly attributes?: Readonly<Record<string, SpanAttributeValue>>;
}

export interface TracingOptions {
  /** False: no span is recorded or exported; contexts still pass through. */
  readonly enabled: boolean;
  /** Share of new traces that is exported, 0 to 1. Recording does not depend on it. */
  readonly samplingRatio: number;
  /** The trace is exported when a span of this name lasts longer, whatever the ratio. */
  readonly slowThresholdsMs?: Readonly<Record<string, number>>;
  /** Bounds of the ring; default 20,000 spans and 32 MiB. */
  readonly recorder?: { readonly maximumSpans?: number; readonly maximumBytes?: number };
  readonly otlp?: OtlpOptions;
}

export interface MetricsOptions {
  /** False: cells count nothing, nothing is exposed or exported. */
  readonly enabled: boolean;
  /** Node.js runtime, process and host metrics. */
  readonly runtimeMetrics: boolean;
  readonly otlp?: OtlpOptions;
  /** Default 10,000. */
  readonly exportIntervalMs?: number;
  /** Series of one instrument; more are counted together as overflow. Default: the engine's. */
  readonly cardinalityLimit?: number;
}

export interface LoggingOptions {
  readonly level: LogLevel;
  readonly format: "human" | "json";
  /** Colours in the human format; the daemon says whether stderr is a terminal. */
  readonly colour: boolean;
  readonly otlp?: OtlpOptions;
}

export interface TelemetryOptions {
  readonly resource: ResourceOptions;
  readonly tracing: TracingOptions;
  readonly metrics: MetricsOptions;
  readonly logging: LoggingOptions;
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
