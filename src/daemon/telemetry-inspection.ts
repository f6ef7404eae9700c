/** What the API shows of this node's telemetry: the doctor, and what metrics cost. */
import { randomBytes } from "node:crypto";
import { diagnosisToMessage } from "#api/handlers/diagnose-telemetry.ts";
import type { CardinalityReader } from "#api/ports.ts";
import type { Config } from "#config/config.ts";
import type { DiagnoseTelemetryResponse } from "#gen/api/blixard/v1/telemetry_pb.ts";
import type { TelemetryRuntime } from "#telemetry/create-telemetry.ts";
import { createDoctor, type Doctor } from "#telemetry/doctor/doctor.ts";
import { forecastCardinality } from "#telemetry/metrics/cardinality-forecast.ts";
import { readHostFacts } from "#telemetry/resource/host-facts.ts";
import { createResource } from "#telemetry/resource/resource.ts";
import { createScope } from "#telemetry/resource/scope.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import type { TelemetryOptions } from "#telemetry/telemetry-options.ts";
import type { MetricsListener } from "./metrics-listener.ts";
import { telemetryOptionsOf } from "./telemetry-options.ts";

/**
 * The same without a node: only the destinations and backends of a configuration, from this process.
 * @throws BlixardError CONFIG_UNREADABLE when a certificate cannot be read
 */
export async function* diagnoseConfig(
  config: Config,
  options: { readonly version: string; readonly timeoutMs: number; readonly signal: AbortSignal },
): AsyncGenerator<DiagnoseTelemetryResponse, void, void> {
  const identity = { serviceVersion: options.version, clusterId: "", nodeId: config.node.id };
  const telemetryOptions = await telemetryOptionsOf(config, identity, { colour: false });
  const doctor = createDoctor({
    ...waysOut(telemetryOptions),
    resource: createResource(telemetryOptions.resource, readHostFacts()),
    clock: createSystemClock({ keepsAlive: true }),
  });
  for await (const event of doctor.diagnose(options)) yield diagnosisToMessage(event);
}

/** @param listener where the node's own page is; undefined when there is none */
export function createNodeDoctor(
  options: TelemetryOptions,
  telemetry: TelemetryRuntime,
  listener: MetricsListener | undefined,
): Doctor {
  return createDoctor({
    ...waysOut(options),
    resource: telemetry.resource,
    clock: telemetry.clock,
    node: {
      pageUrl: () => listener?.url,
      discoveryUrl: () => listener?.discoveryUrl,
      status: () => telemetry.destinations(),
      cardinality: () => (options.metrics.enabled ? telemetry.cardinality() : undefined),
    },
  });
}

function waysOut(options: TelemetryOptions) {
  const { tracing, metrics, logging } = options;
  return {
    destinations: {
      traces: tracing.enabled ? tracing.destinations : [],
      metrics: metrics.enabled ? metrics.destinations : [],
      logs: logging.destinations,
    },
    backends: options.doctor ?? {},
    scope: createScope(options.resource.serviceVersion),
    randomHex: (bytes: number) => randomBytes(bytes).toString("hex"),
  };
}

/** @param vms how many VMs have series on this node */
export function createCardinalityReader(
  telemetry: Pick<TelemetryRuntime, "cardinality">,
  vms: () => number,
): CardinalityReader {
  return {
    read(options) {
      const report = telemetry.cardinality();
      const forecasts = forecastCardinality(report, { ...options, vms: vms() });
      return {
        ...report,
        metrics: report.metrics.flatMap((metric) => {
          const forecast = forecasts.metrics.get(metric.name);
          return forecast === undefined ? [] : [{ ...metric, forecast }];
        }),
        vms: vms(),
        forecast: forecasts.total,
      };
    },
  };
}
