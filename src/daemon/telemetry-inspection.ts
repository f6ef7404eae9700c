/** What the API shows of this node's telemetry: the doctor, and what metrics cost. */
import { randomBytes } from "node:crypto";
import type { CardinalityReader } from "#api/ports.ts";
import type { TelemetryRuntime } from "#telemetry/create-telemetry.ts";
import { createDoctor, type Doctor } from "#telemetry/doctor/doctor.ts";
import { forecastCardinality } from "#telemetry/metrics/cardinality-forecast.ts";
import type { TelemetryOptions } from "#telemetry/telemetry-options.ts";

/** @param metricsUrl of the node's own page; undefined when there is none */
export function createNodeDoctor(
  options: TelemetryOptions,
  telemetry: TelemetryRuntime,
  metricsUrl: string | undefined,
): Doctor {
  const { tracing, metrics, logging } = options;
  return createDoctor({
    destinations: {
      traces: tracing.enabled ? tracing.destinations : [],
      metrics: metrics.enabled ? metrics.destinations : [],
      logs: logging.destinations,
    },
    backends: options.doctor ?? {},
    resource: telemetry.resource,
    scope: { name: "blixard", version: options.resource.serviceVersion },
    clock: telemetry.clock,
    randomHex: (bytes) => randomBytes(bytes).toString("hex"),
    node: {
      pageUrl: () => metricsUrl,
      status: () => telemetry.destinations(),
      cardinality: () => (metrics.enabled ? telemetry.cardinality() : undefined),
    },
  });
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
