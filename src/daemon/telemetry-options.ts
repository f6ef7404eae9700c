/** Maps the configuration to what the telemetry room needs to be told. */
import { readFile } from "node:fs/promises";
import type { Config } from "#config/config.ts";
import { BlixardError } from "#model/errors.ts";
import { Secret } from "#model/secret.ts";
import type { OtlpOptions, OtlpTlsOptions, ResourceOptions, TelemetryOptions } from "#telemetry/telemetry-options.ts";

/** What the configuration says of one signal's way out; the three signals' sections have these keys in common. */
type OtlpSection = Pick<
  Config["observability"]["tracing"] | Config["observability"]["metrics"],
  | "otlpEndpoint"
  | "otlpEndpointExact"
  | "protocol"
  | "headers"
  | "basicAuth"
  | "timeoutMs"
  | "compression"
  | "insecure"
  | "caFile"
  | "clientCertificateFile"
  | "clientKeyFile"
>;

/**
 * Spans are recorded whenever observability is on, whether or not they are exported.
 * @throws BlixardError CONFIG_UNREADABLE when a certificate cannot be read
 */
export async function telemetryOptionsOf(
  config: Config,
  resource: Omit<ResourceOptions, "serviceName" | "clusterName" | "attributes">,
  terminal: { readonly colour: boolean },
): Promise<TelemetryOptions> {
  const { enabled, metrics, tracing, logging, resourceAttributes } = config.observability;
  const [tracesOtlp, metricsOtlp, logsOtlp] = await Promise.all([
    enabled && tracing.enabled ? otlpOptionsOf(tracing) : undefined,
    enabled && metrics.enabled && metrics.otlpEnabled ? otlpOptionsOf(metrics) : undefined,
    enabled && logging.otlpEnabled ? otlpOptionsOf(logging) : undefined,
  ]);
  return {
    resource: {
      ...resource,
      serviceName: tracing.serviceName,
      clusterName: config.cluster.name,
      ...(resourceAttributes === undefined ? {} : { attributes: resourceAttributes }),
    },
    tracing: {
      enabled,
      samplingRatio: tracing.samplingRatio,
      destinations: tracesOtlp === undefined ? [] : [tracesOtlp],
    },
    metrics: {
      enabled: enabled && metrics.enabled,
      runtimeMetrics: metrics.runtimeMetrics,
      exportIntervalMs: metrics.exportIntervalMs,
      cardinalityLimit: metrics.cardinalityLimit,
      destinations: metricsOtlp === undefined ? [] : [metricsOtlp],
    },
    logging: {
      level: logging.level,
      format: logging.format,
      colour: terminal.colour,
      destinations: logsOtlp === undefined ? [] : [logsOtlp],
    },
  };
}

async function otlpOptionsOf(section: OtlpSection): Promise<OtlpOptions | undefined> {
  if (section.otlpEndpoint === undefined) return undefined;
  const { username, password } = section.basicAuth;
  const tls = await tlsOptionsOf(section);
  return {
    endpoint: section.otlpEndpoint,
    endpointKind: section.otlpEndpointExact ? "exact" : "base",
    compression: section.compression,
    timeoutMs: section.timeoutMs,
    insecure: section.insecure,
    ...(section.protocol === undefined ? {} : { protocol: section.protocol }),
    ...(section.headers === undefined ? {} : { headers: section.headers }),
    ...(username === undefined || password === undefined ? {} : { basicAuth: { username, password } }),
    ...(tls === undefined ? {} : { tls }),
  };
}

async function tlsOptionsOf(section: OtlpSection): Promise<OtlpTlsOptions | undefined> {
  const [authorities, certificate, key] = await Promise.all([
    readPem(section.caFile),
    readPem(section.clientCertificateFile),
    readPem(section.clientKeyFile),
  ]);
  if (authorities === undefined && certificate === undefined) return undefined;
  return {
    ...(authorities === undefined ? {} : { certificateAuthorities: authorities }),
    ...(certificate === undefined ? {} : { clientCertificate: certificate }),
    ...(key === undefined ? {} : { clientKey: new Secret(key) }),
  };
}

async function readPem(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new BlixardError("CONFIG_UNREADABLE", `cannot read ${path}`, {
      cause: error,
      hint: "Check the path and that the node's user may read it.",
    });
  }
}
