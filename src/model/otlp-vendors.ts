/**
 * Receivers of OTLP whose host name says what they want, so that an endpoint alone is
 * enough. What the operator sets goes first.
 */
export interface OtlpVendor {
  /** Default: by the endpoint. */
  readonly protocol?: "grpc" | "http/protobuf";
  /** Over HTTP, before the signal's path, where the endpoint has none. */
  readonly basePath?: string;
  /** How sums and histograms are wanted. */
  readonly temporality?: "delta";
}

const vendors: readonly (OtlpVendor & { readonly host: RegExp })[] = [
  // Grafana Cloud. Source: https://grafana.com/docs/grafana-cloud/send-data/otlp/
  { host: /^otlp-gateway-[a-z0-9-]+\.grafana\.net$/, protocol: "http/protobuf", basePath: "/otlp" },
  // The Datadog agent. Source: https://docs.datadoghq.com/opentelemetry/guide/otlp_delta_temporality/
  { host: /^datadog-agent(?:\.[a-z0-9.-]+)?$/, temporality: "delta" },
];

/** @param host lower case, without a port */
export function otlpVendorOfHost(host: string): OtlpVendor | undefined {
  return vendors.find((vendor) => vendor.host.test(host));
}

/** @param endpoint a URL, or `host:port`; one that is neither is nobody's */
export function otlpVendorOf(endpoint: string): OtlpVendor | undefined {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(endpoint) ? endpoint : `https://${endpoint}`);
  return url === null ? undefined : otlpVendorOfHost(url.hostname);
}
