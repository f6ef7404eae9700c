/** 200,000 series as a large node has them: 20 gauges for each of 10,000 VMs. */
import { vmUptime } from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import { createMetricsEngine, type MetricsEngine } from "#telemetry/metrics/metrics-engine.ts";

export const METRICS = 20;
export const VMS = 10_000;
export const SERIES = METRICS * VMS;
export const SERIES_LIMIT = VMS + 1;

export interface VmLabels {
  readonly "blixard.vm.id": string;
  readonly "blixard.vm.name": string;
}

export function vmLabels(vm: number): VmLabels {
  return {
    "blixard.vm.id": `0198c0de-7a11-7000-8000-${String(vm).padStart(12, "0")}`,
    "blixard.vm.name": `customer-${vm % 100}-web-${vm}`,
  };
}

/** Whole numbers and fractions, as gauges have them. */
export function valueOf(metric: number, vm: number): number {
  return metric % 2 === 0 ? vm * 4_096 : vm / (metric + 1);
}

export const metricName = (metric: number): string => `blixard.vm.bench_${metric}`;

export function createFullEngine(clock: Clock): MetricsEngine {
  const engine = createMetricsEngine({ clock });
  for (let metric = 0; metric < METRICS; metric++) {
    const name = metricName(metric);
    const descriptor = { ...vmUptime, name, prometheusName: name.replaceAll(".", "_"), seriesLimit: SERIES_LIMIT + 1 };
    for (let vm = 0; vm < VMS; vm++) engine.bind(descriptor, vmLabels(vm)).set(valueOf(metric, vm));
  }
  return engine;
}
