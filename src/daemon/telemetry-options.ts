/** Maps the configuration to what the telemetry room needs to be told. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "#config/config.ts";
import { BlixardError } from "#model/errors.ts";
import { Secret } from "#model/secret.ts";
import type { Destination } from "#config/destinations.ts";
import type {
  BatchOptions,
  DoctorOptions,
  OtlpOptions,
  OtlpTlsOptions,
  ResourceOptions,
  SpoolOptions,
  TelemetryOptions,
} from "#telemetry/telemetry-options.ts";

/**
 * Spans are recorded whenever observability is on, whether or not they are exported.
 * @throws BlixardError CONFIG_UNREADABLE when a certificate cannot be read
 */
export async function telemetryOptionsOf(
  config: Config,
  resource: Omit<ResourceOptions, "serviceName" | "clusterName" | "deploymentEnvironment" | "attributes">,
  terminal: { readonly colour: boolean },
): Promise<TelemetryOptions> {
  const { enabled, metrics, tracing, logging, context, deploymentEnvironment, resourceAttributes } =
    config.observability;
  const [traces, metricsTo, logs] = await Promise.all([
    otlpOptionsOf(config.destinations.traces),
    otlpOptionsOf(config.destinations.metrics),
    otlpOptionsOf(config.destinations.logs),
  ]);
  const spool = traces.length + metricsTo.length + logs.length === 0 ? undefined : spoolOptionsOf(config);
  const { maxSpans, maxSizeBytes } = tracing.recorder;
  return {
    resource: {
      ...resource,
      serviceName: tracing.serviceName,
      clusterName: config.cluster.name,
      ...(deploymentEnvironment === undefined ? {} : { deploymentEnvironment }),
      ...(resourceAttributes === undefined ? {} : { attributes: resourceAttributes }),
    },
    tracing: {
      enabled,
      samplingRatio: tracing.samplingRatio,
      idGenerator: tracing.idGenerator,
      ...(tracing.slowThresholdsMs === undefined ? {} : { slowThresholdsMs: tracing.slowThresholdsMs }),
      recorder: { maximumSpans: maxSpans, maximumBytes: maxSizeBytes },
      destinations: traces,
      batch: batchOptionsOf(tracing.batch),
      limits: {
        attributeCount: tracing.limits.attributeCount,
        attributeValueLength: tracing.limits.attributeValueLength,
        eventCount: tracing.limits.eventCount,
        linkCount: tracing.limits.linkCount,
        attributePerEventCount: tracing.limits.attributesPerEvent,
        attributePerLinkCount: tracing.limits.attributesPerLink,
      },
      ...(tracing.exceptions === undefined ? {} : { exceptions: tracing.exceptions }),
    },
    metrics: {
      enabled: enabled && metrics.enabled,
      runtimeMetrics: metrics.runtimeMetrics,
      exemplars: metrics.exemplars,
      exponentialHistograms: metrics.exponentialHistograms,
      exportIntervalMs: metrics.exportIntervalMs,
      exportTimeoutMs: metrics.exportTimeoutMs,
      ...(metrics.cardinalityLimit === undefined ? {} : { cardinalityLimit: metrics.cardinalityLimit }),
      ...(metrics.cardinalityLimits === undefined ? {} : { seriesLimits: metrics.cardinalityLimits }),
      destinations: metricsTo,
    },
    logging: {
      level: logging.level,
      format: logging.format,
      colour: terminal.colour,
      destinations: logs,
      batch: batchOptionsOf(logging.batch),
      limits: logging.limits,
    },
    context,
    doctor: doctorOptionsOf(config),
    ...(spool === undefined ? {} : { spool }),
  };
}

function batchOptionsOf(batch: Config["observability"]["tracing"]["batch"]): BatchOptions {
  return {
    scheduleDelayMs: batch.scheduleDelayMs,
    maximumQueueItems: batch.queueSize,
    maximumBatchItems: Math.min(batch.batchSize, batch.queueSize),
    exportTimeoutMs: batch.exportTimeoutMs,
  };
}

function spoolOptionsOf({ node, observability: { spool } }: Config): SpoolOptions | undefined {
  if (!spool.enabled) return undefined;
  return {
    directory: join(node.dataDir, "telemetry", "spool"),
    maximumBytes: spool.limitBytes,
    replayMetrics: spool.replayMetrics,
  };
}

function doctorOptionsOf({ observability: { doctor } }: Config): DoctorOptions {
  const { prometheusUrl, jaegerUrl, tempoUrl } = doctor;
  return {
    ...(prometheusUrl === undefined ? {} : { prometheusUrl }),
    ...(jaegerUrl === undefined ? {} : { jaegerUrl }),
    ...(tempoUrl === undefined ? {} : { tempoUrl }),
  };
}

function otlpOptionsOf(destinations: readonly Destination[]): Promise<readonly OtlpOptions[]> {
  return Promise.all(
    destinations.map(async ({ caFile, clientCertificateFile, clientKeyFile, ...rest }) => {
      const tls = await tlsOptionsOf({ caFile, clientCertificateFile, clientKeyFile });
      return { ...rest, ...(tls === undefined ? {} : { tls }) };
    }),
  );
}

async function tlsOptionsOf(
  files: Pick<Destination, "caFile" | "clientCertificateFile" | "clientKeyFile">,
): Promise<OtlpTlsOptions | undefined> {
  const [authorities, certificate, key] = await Promise.all([
    readPem(files.caFile),
    readPem(files.clientCertificateFile),
    readPem(files.clientKeyFile),
  ]);
  if (authorities === undefined && certificate === undefined) return undefined;
  return {
    ...(authorities === undefined ? {} : { certificateAuthorities: authorities }),
    ...(certificate === undefined ? {} : { clientCertificate: certificate }),
    ...(key === undefined ? {} : { clientKey: new Secret(key) }),
  };
}

/** @throws BlixardError CONFIG_UNREADABLE */
export async function readPem(path: string | undefined): Promise<string | undefined> {
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
