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
import { encodeMetrics, type MetricsEncoderOptions } from "#telemetry/otlp/encode-metrics.ts";
import { ProtobufWriter } from "#telemetry/otlp/protobuf-writer.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { createFullEngine, metricName, METRICS, SERIES, valueOf, vmLabels, VMS } from "./many-series.ts";
import { serveParent } from "./subject.ts";

const resource: SpanResource = { attributes: { "service.name": "bench" } };
const VALUE_TYPE_DOUBLE = 1;

export const encodingKinds = ["ours", "otlp-transformer"] as const;
export type EncodingKind = (typeof encodingKinds)[number];

/** The longest piece between two pauses: by the clock, and what of it the thread was running. */
interface LongestBlock {
  readonly longestBlockMs: number;
  readonly longestBlockCpuMs: number;
}

export interface EncodingCost extends LongestBlock {
  /** Of the whole process. */
  readonly cpuMs: number;
}

function prepare(kind: EncodingKind): () => LongestBlock {
  if (kind === "ours") {
    const clock = createSystemClock();
    const engine = createFullEngine(clock);
    // As the exporter does it: one writer for all exports.
    const options = { resource, scope: { name: "bench" }, now: () => clock.now(), writer: new ProtobufWriter() };
    return () => encodeOurs(engine.families(), options);
  }
  const metrics = sdkMetrics();
  return () => {
    const blocks = watchBlocks();
    const bytes = blocks.time(() => ProtobufMetricsSerializer.serializeRequest(metrics));
    if ((bytes?.length ?? 0) < SERIES) throw new Error("too short");
    return blocks.longest();
  };
}

/** All requests, one after the other. */
function encodeOurs(families: readonly MetricFamily[], options: MetricsEncoderOptions): LongestBlock {
  const requests = encodeMetrics(families, { series: [], deltas: [] }, options);
  const blocks = watchBlocks();
  let points = 0;
  for (;;) {
    const { value: request, done } = blocks.time(() => requests.next());
    if (done === true) break;
    points += request?.items ?? 0;
  }
  if (points < SERIES) throw new Error(`${points} points are not all of ${SERIES}`);
  return blocks.longest();
}

function watchBlocks(): { time<T>(work: () => T): T; longest(): LongestBlock } {
  let longestBlockMs = 0;
  let longestBlockCpuMs = 0;
  return {
    time(work) {
      const startMs = performance.now();
      const before = process.threadCpuUsage();
      const result = work();
      const { user, system } = process.threadCpuUsage(before);
      longestBlockMs = Math.max(longestBlockMs, performance.now() - startMs);
      longestBlockCpuMs = Math.max(longestBlockCpuMs, (user + system) / 1_000);
      return result;
    },
    longest: () => ({ longestBlockMs, longestBlockCpuMs }),
  };
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
    const longest = encode();
    const { user, system } = process.cpuUsage(before);
    return { cpuMs: (user + system) / 1_000, ...longest };
  });
}
