/** 200,000 points as OTLP protobuf: our encoder against the one that the SDK's exporters use. */
import type { HrTime } from "@opentelemetry/api";
import { ProtobufMetricsSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  DataPointType,
  type GaugeMetricData,
  type ResourceMetrics,
} from "@opentelemetry/sdk-metrics";
import type { SpanResource } from "#model/recorded-span.ts";
import type { MetricFamily } from "#telemetry/metrics/snapshot.ts";
import { encodeMetrics } from "#telemetry/otlp/encode-metrics.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { createFullEngine, metricName, METRICS, SERIES, valueOf, vmLabels, VMS } from "./many-series.ts";
import type { BenchmarkRow } from "./report.ts";
import { bootstrap, median } from "./statistics.ts";

const BLOCKS = 30;
const WARM_UP_BLOCKS = 3;
const resource: SpanResource = { attributes: { "service.name": "bench" } };
const VALUE_TYPE_DOUBLE = 1;

export function benchOtlpEncoding(): BenchmarkRow[] {
  const clock = createSystemClock();
  const engine = createFullEngine(clock);
  const theirs = sdkMetrics();
  const cpuMs: number[] = [];
  const longestMs: number[] = [];
  const ratios: number[] = [];
  const theirCpuMs: number[] = [];
  for (let block = -WARM_UP_BLOCKS; block < BLOCKS; block++) {
    const families = engine.families();
    let longest = 0;
    const ourCpu = cpuOf(() => void (longest = encodeOurs(families, () => clock.now())));
    const theirCpu = cpuOf(() => {
      if ((ProtobufMetricsSerializer.serializeRequest(theirs)?.length ?? 0) < SERIES) throw new Error("too short");
    });
    if (block < 0) continue;
    cpuMs.push(ourCpu);
    longestMs.push(longest);
    theirCpuMs.push(theirCpu);
    ratios.push(ourCpu / theirCpu);
  }
  engine.stop();
  const observations = BLOCKS;
  return [
    {
      what: "OTLP encoding of 200,000 points: CPU",
      unit: "ms",
      interval: bootstrap(cpuMs, median),
      budget: { atMost: 50 },
      observations,
    },
    {
      what: "OTLP encoding of 200,000 points: longest block, worst",
      unit: "ms",
      interval: bootstrap(longestMs, (sample) => Math.max(...sample)),
      budget: { atMost: 50 },
      observations,
    },
    {
      what: `OTLP encoding: CPU over otlp-transformer's (${median(theirCpuMs).toFixed(0)} ms)`,
      unit: "",
      interval: bootstrap(ratios, median),
      budget: { atMost: 0.5 },
      observations,
    },
  ];
}

/** All requests, one after the other; the longest piece between two pauses. */
function encodeOurs(families: readonly MetricFamily[], now: () => number): number {
  const requests = encodeMetrics(families, { series: [], deltas: [] }, { resource, scope: { name: "bench" }, now });
  let longestMs = 0;
  let points = 0;
  for (;;) {
    const startMs = performance.now();
    const { value: request, done } = requests.next();
    longestMs = Math.max(longestMs, performance.now() - startMs);
    if (done === true) break;
    points += request?.items ?? 0;
  }
  if (points < SERIES) throw new Error(`${points} points are not all of ${SERIES}`);
  return longestMs;
}

function cpuOf(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

function sdkMetrics(): ResourceMetrics {
  const time: HrTime = [1_700_000_000, 0];
  const metrics = Array.from({ length: METRICS }, (_, metric): GaugeMetricData => ({
    descriptor: { name: metricName(metric), description: "Bench.", unit: "s", valueType: VALUE_TYPE_DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.GAUGE,
    dataPoints: Array.from({ length: VMS }, (_each, vm) => ({
      startTime: time,
      endTime: time,
      attributes: { ...vmLabels(vm) },
      value: valueOf(metric, vm),
    })),
  }));
  return {
    resource: resourceFromAttributes(resource.attributes as Record<string, string>),
    scopeMetrics: [{ scope: { name: "bench" }, metrics }],
  };
}
