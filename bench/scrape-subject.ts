/**
 * A process that serves 200,000 series: ours, `prom-client`'s or the SDK's exporter's,
 * by its argument. It tells its parent the port, and between `begin` and `end` what a scrape cost.
 */
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { Gauge, Registry } from "prom-client";
import { createInertMetrics } from "#telemetry/metrics/inert-metrics.ts";
import { createMetricsServer } from "#telemetry/http/metrics-server.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { createFullEngine, metricName, METRICS, SERIES_LIMIT, valueOf, vmLabels, VMS } from "./many-series.ts";
import { serveParent } from "./subject.ts";

export const scrapeKinds = ["ours", "prom-client", "exporter-prometheus"] as const;
export type ScrapeKind = (typeof scrapeKinds)[number];

export interface ScrapeCost {
  readonly cpuMs: number;
  readonly longestBlockMs: number;
}

const DELAY_RESOLUTION_MS = 1;

async function serve(kind: ScrapeKind): Promise<number> {
  if (kind === "ours") return await serveOurs();
  const server = createServer(kind === "prom-client" ? promClientListener() : exporterListener());
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  return (server.address() as AddressInfo).port;
}

async function serveOurs(): Promise<number> {
  const clock = createSystemClock();
  const server = await createMetricsServer({
    bind: { host: "127.0.0.1", port: 0 },
    readiness: () => ({ ready: true, checks: [] }),
    source: createFullEngine(clock),
    metrics: createInertMetrics(),
    clock,
    resource: {},
  });
  return server.address.port;
}

function promClientListener(): RequestListener {
  const registry = new Registry();
  for (let metric = 0; metric < METRICS; metric++) {
    const gauge = new Gauge({
      name: metricName(metric).replaceAll(".", "_"),
      help: "Bench.",
      labelNames: ["blixard_vm_id", "blixard_vm_name"],
      registers: [registry],
    });
    for (let vm = 0; vm < VMS; vm++) {
      const { "blixard.vm.id": id, "blixard.vm.name": name } = vmLabels(vm);
      gauge.set({ blixard_vm_id: id, blixard_vm_name: name }, valueOf(metric, vm));
    }
  }
  return (_request, response) => {
    response.setHeader("Content-Type", registry.contentType);
    void registry.metrics().then((page) => response.end(page));
  };
}

function exporterListener(): RequestListener {
  const exporter = new PrometheusExporter({ preventServerStart: true });
  // It has no option for this: beyond 2,000 all would be one series.
  exporter.selectCardinalityLimit = () => SERIES_LIMIT + 1;
  const meter = new MeterProvider({ readers: [exporter] }).getMeter("bench");
  for (let metric = 0; metric < METRICS; metric++) {
    const gauge = meter.createGauge(metricName(metric));
    for (let vm = 0; vm < VMS; vm++) gauge.record(valueOf(metric, vm), { ...vmLabels(vm) });
  }
  return (request, response) => exporter.getMetricsRequestHandler(request, response);
}

const kind = scrapeKinds.find((known) => known === process.argv[2]);
if (process.send !== undefined && kind !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  let before = process.cpuUsage();
  serveParent({ port: await serve(kind) }, (word): ScrapeCost | "begun" => {
    if (word === "begin") {
      before = process.cpuUsage();
      delay.enable();
      delay.reset();
      return "begun";
    }
    const { user, system } = process.cpuUsage(before);
    delay.disable();
    // The monitor's own timer fires no sooner than its resolution.
    return { cpuMs: (user + system) / 1_000, longestBlockMs: Math.max(0, delay.max / 1e6 - DELAY_RESOLUTION_MS) };
  });
}
