/**
 * A process that encodes 200,000 points whenever it is told to: with our encoder, or
 * with the one that the SDK's exporters use, by its argument.
 */
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
import { serveParent } from "./subject.ts";

const resource: SpanResource = { attributes: { "service.name": "bench" } };
const VALUE_TYPE_DOUBLE = 1;

export const encodingKinds = ["ours", "otlp-transformer"] as const;
export type EncodingKind = (typeof encodingKinds)[number];

export interface EncodingCost {
  readonly cpuMs: number;
  /** Between two pauses. */
  readonly longestBlockMs: number;
}

function prepare(kind: EncodingKind): () => number {
  if (kind === "ours") {
    const clock = createSystemClock();
    const engine = createFullEngine(clock);
    return () => encodeOurs(engine.families(), () => clock.now());
  }
  const metrics = sdkMetrics();
  return () => {
    const startMs = performance.now();
    if ((ProtobufMetricsSerializer.serializeRequest(metrics)?.length ?? 0) < SERIES) throw new Error("too short");
    return performance.now() - startMs;
  };
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

const kind = encodingKinds.find((known) => known === process.argv[2]);
if (process.send !== undefined && kind !== undefined) {
  const encode = prepare(kind);
  serveParent("ready", (): EncodingCost => {
    const before = process.cpuUsage();
    const longestBlockMs = encode();
    const { user, system } = process.cpuUsage(before);
    return { cpuMs: (user + system) / 1_000, longestBlockMs };
  });
}
