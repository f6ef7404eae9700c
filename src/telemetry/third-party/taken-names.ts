/**
 * Which names third-party metrics may have: none of the registry, and none whose
 * samples would read like another metric's on the page.
 */
import * as registry from "#gen/telemetry/metrics.ts";
import type { ForeignMetric } from "../metrics/foreign-metrics.ts";
import type { MetricDescriptor } from "../port.ts";

export interface TakenNames {
  /** Why the metric cannot be shown; undefined: it can, and its names are now its own. */
  refuse(metric: ForeignMetric): string | undefined;
}

const MAXIMUM_METRICS = 1_000;

export function createTakenNames(): TakenNames {
  const ours = Object.values<MetricDescriptor>(registry);
  const names = new Set(ours.map(({ name }) => name));
  const samples = new Map(ours.flatMap((metric) => sampleNames(metric).map((sample) => [sample, metric.name])));
  for (const sample of ["target", "target_info"]) samples.set(sample, "the resource");
  const owners = new Map<string, ForeignMetric>();

  return {
    refuse(metric) {
      const { descriptor, scope } = metric;
      const owner = owners.get(descriptor.name);
      if (owner !== undefined) {
        if (owner.scope.name !== scope.name) return `${owner.scope.name} has a metric of that name`;
        if (owner.descriptor.instrument !== descriptor.instrument) return "it is another instrument as well";
        return undefined;
      }
      if (names.has(descriptor.name)) return "Blixard has a metric of that name";
      const clash = sampleNames(descriptor).find((sample) => samples.has(sample));
      if (clash !== undefined) return `${clash} on the page is ${samples.get(clash) ?? "another"}'s`;
      if (owners.size >= MAXIMUM_METRICS) return `there are ${MAXIMUM_METRICS} metrics of other libraries already`;
      owners.set(descriptor.name, metric);
      for (const sample of sampleNames(descriptor)) samples.set(sample, descriptor.name);
      return undefined;
    },
  };
}

/** All that the page may write of a metric, its head included. */
function sampleNames({ prometheusName, instrument }: MetricDescriptor): string[] {
  const suffixed = (base: string, ...suffixes: readonly string[]): string[] => [
    base,
    ...suffixes.map((suffix) => `${base}${suffix}`),
  ];
  switch (instrument) {
    case "counter":
      return suffixed(prometheusName.replace(/_total$/, ""), "_total", "_created");
    case "histogram":
      return suffixed(prometheusName, "_bucket", "_sum", "_count", "_created");
    case "info":
      return suffixed(prometheusName.replace(/_info$/, ""), "_info");
    default:
      return [prometheusName];
  }
}
