/**
 * Where each signal goes by OTLP: one destination from its section's keys, or as
 * many as the file of OTEL_CONFIG_FILE has. Those who export see only this.
 */
import type { Secret } from "#model/secret.ts";
import type { KeyValues } from "./schema.ts";

export interface Destination {
  readonly endpoint: string;
  /** `base`: over HTTP the signal's path is appended. */
  readonly endpointKind: "base" | "exact";
  /** Absent: by the endpoint. */
  readonly protocol?: "grpc" | "http/protobuf" | "http/json";
  readonly headers?: Readonly<Record<string, Secret>>;
  readonly basicAuth?: { readonly username: string; readonly password: Secret };
  readonly compression: "gzip" | "none";
  readonly timeoutMs: number;
  /** Of one request before compression; absent: the exporter's own. */
  readonly maximumRequestBytes?: number;
  readonly insecure: boolean;
  readonly caFile?: string | undefined;
  readonly clientCertificateFile?: string | undefined;
  readonly clientKeyFile?: string | undefined;
  /** Metrics only. */
  readonly temporality?: "cumulative" | "delta" | "lowmemory";
  /** Metrics only. */
  readonly histogramAggregation?: "explicit_bucket_histogram" | "base2_exponential_bucket_histogram";
}

export interface Destinations {
  readonly traces: readonly Destination[];
  readonly metrics: readonly Destination[];
  readonly logs: readonly Destination[];
}

type Observability = KeyValues["observability"];

/** As the sections of the signals say it. */
export function destinationsOfSections({ enabled, tracing, metrics, logging }: Observability): Destinations {
  const { temporality, histogramAggregation } = metrics;
  return {
    traces: enabled && tracing.enabled ? destinationOf(tracing) : [],
    metrics:
      enabled && metrics.enabled && metrics.otlpEnabled
        ? destinationOf(metrics).map((destination) => ({ ...destination, temporality, histogramAggregation }))
        : [],
    logs: enabled && logging.otlpEnabled ? destinationOf(logging) : [],
  };
}

/** Those that a file has, as far as the signals are on. */
export function enabledDestinations({ enabled, metrics }: Observability, given: Destinations): Destinations {
  if (!enabled) return { traces: [], metrics: [], logs: [] };
  return metrics.enabled ? given : { ...given, metrics: [] };
}

function destinationOf(section: Observability["tracing" | "metrics" | "logging"]): readonly Destination[] {
  if (section.otlpEndpoint === undefined) return [];
  const { caFile, clientCertificateFile, clientKeyFile, compression, headers, insecure, protocol, timeoutMs } = section;
  const { username, password } = section.basicAuth;
  return [
    {
      endpoint: section.otlpEndpoint,
      endpointKind: section.otlpEndpointExact ? "exact" : "base",
      ...(protocol === undefined ? {} : { protocol }),
      ...(headers === undefined ? {} : { headers }),
      ...(username === undefined || password === undefined ? {} : { basicAuth: { username, password } }),
      compression,
      timeoutMs,
      insecure,
      caFile,
      clientCertificateFile,
      clientKeyFile,
    },
  ];
}
