/**
 * Sends the metrics to one destination at an interval: cumulative, so that a lost export
 * costs detail and nothing else, or as differences (delta-tracker.ts), which are owed
 * until they are delivered. One request is written and sent at a time; when one fails,
 * the rest of that export is left to the next one, which says the same and more.
 * Exports never overlap: what is still being retried when the next one is due is given
 * up in its favour.
 *
 * An ended series is told of (a point without a value) until a request with it was
 * delivered, unless its attributes live again.
 */
import { setImmediate } from "node:timers/promises";
import { otelSdkMetricReaderCollectionDuration, telemetryTombstonesDropped } from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import type { EndedSeries, MetricFamily, MetricsReader, Series } from "../metrics/snapshot.ts";
import type { Metrics } from "../port.ts";
import type { MetricTemporality } from "../telemetry-options.ts";
import { DeltaTracker } from "./delta-tracker.ts";
import { encodeMetrics, type EncodedMetrics, type MetricsEncoderOptions } from "./encode-metrics.ts";
import { encodedAttributesOf } from "./encode-points.ts";
import { ProtobufWriter } from "./protobuf-writer.ts";
import type { SignalSender } from "./signal-sender.ts";

export interface MetricsExporter {
  /** One export, now, after one that is under way; resolves when it is settled. */
  flush(): Promise<void>;
  /** Exports at the interval until `stop`. */
  start(): void;
  /** Ends the interval; an export under way goes on. */
  stop(): void;
}

export interface MetricsExporterOptions {
  /** Its place among the metrics' destinations; default 0. */
  readonly index?: number;
  readonly reader: MetricsReader;
  readonly sender: SignalSender;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly encoder: Omit<MetricsEncoderOptions, "now" | "deltas" | "writer" | "onOversized">;
  /** Default cumulative. */
  readonly temporality?: MetricTemporality;
  readonly intervalMs: number;
  /** Of one export with its retries, which also end when the next one is due; default 30,000. */
  readonly timeoutMs?: number;
  /** Until the first export; default 2,000. */
  readonly firstDelayMs?: number;
}

const DEFAULT_FIRST_DELAY_MS = 2_000;
const DEFAULT_TIMEOUT_MS = 30_000;
/** Ends that wait for a destination to come back. */
const MAXIMUM_UNTOLD = 100_000;

const COMPONENT_TYPE = "periodic_metric_reader";

export function createMetricsExporter(options: MetricsExporterOptions): MetricsExporter {
  const { sender, clock, metrics } = options;
  const duration = metrics.bind(otelSdkMetricReaderCollectionDuration, {
    "otel.component.type": COMPONENT_TYPE,
    "otel.component.name": `${COMPONENT_TYPE}/${options.index ?? 0}`,
  });
  const stopped = new AbortController();
  const retryForMs = Math.min(options.intervalMs, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const scratch = new ProtobufWriter();
  const identityOf = (series: Series): string => encodedAttributesOf(series, scratch);
  const deltas = new DeltaTracker({
    temporality: options.temporality ?? "cumulative",
    histogramAggregation: options.encoder.histogramAggregation ?? "explicit_bucket_histogram",
    identityOf,
    maximumEnded: MAXIMUM_UNTOLD,
    onForgotten: (count) => metrics.bind(telemetryTombstonesDropped, {}).add(count),
  });
  const encoder: MetricsEncoderOptions = {
    ...options.encoder,
    now: () => clock.now(),
    deltas,
    writer: new ProtobufWriter(),
    onOversized: (points) => sender.abandon(points, "too_large"),
  };
  let untold: readonly EndedSeries[] = [];
  let running: Promise<void> | undefined;

  function takeUntold(families: readonly MetricFamily[], ended: readonly EndedSeries[]): readonly EndedSeries[] {
    const candidates = [
      ...withoutRevived(untold, families, identityOf),
      // Differences end by themselves.
      ...ended.filter(({ descriptor, series }) => !deltas.isDelta(descriptor, series)),
    ];
    const excess = candidates.length - MAXIMUM_UNTOLD;
    if (excess <= 0) return candidates;
    metrics.bind(telemetryTombstonesDropped, {}).add(excess);
    return candidates.slice(excess);
  }

  async function exportOnce(): Promise<void> {
    const { families, ended } = options.reader.read();
    if (!sender.accepts()) {
      // What this destination never saw begin need not end there.
      untold = [];
      deltas.forgetEnded();
      return;
    }
    untold = takeUntold(families, ended);
    const requests = encodeMetrics(families, { series: untold, deltas: deltas.takeEnded(families) }, encoder);
    const told = await sendAll(requests);
    // What was not reached is known all the same, should it end before the next export.
    if (!told.complete) deltas.enroll(families);
    if (told.ended.size > 0) untold = untold.filter((one) => !told.ended.has(one));
  }

  /** Sends request after request until one fails. */
  async function sendAll(
    requests: Generator<EncodedMetrics | undefined, void, void>,
  ): Promise<{ readonly complete: boolean; readonly ended: ReadonlySet<EndedSeries> }> {
    const giveUpAtMs = clock.monotonicMs() + retryForMs;
    const ended = new Set<EndedSeries>();
    let encodingMs = 0;
    let complete = false;
    for (;;) {
      const startedMs = clock.monotonicMs();
      const { value: request, done } = requests.next();
      encodingMs += clock.monotonicMs() - startedMs;
      if (done === true) {
        complete = true;
        break;
      }
      if (request === undefined) {
        await setImmediate();
        continue;
      }
      const delivery = await sender.deliver(request, Math.max(0, giveUpAtMs - clock.monotonicMs()));
      if (delivery !== "delivered") break;
      deltas.commit(request.deltas, request.timeMs);
      for (const one of request.ended) ended.add(one);
    }
    duration.record(encodingMs / 1_000);
    return { complete, ended };
  }

  function exportNow(): Promise<void> {
    running ??= exportOnce().finally(() => void (running = undefined));
    return running;
  }

  async function run(): Promise<void> {
    let nextMs = clock.monotonicMs() + Math.min(options.firstDelayMs ?? DEFAULT_FIRST_DELAY_MS, options.intervalMs);
    while (!stopped.signal.aborted) {
      try {
        await clock.delay(nextMs - clock.monotonicMs(), stopped.signal);
      } catch {
        return;
      }
      await exportNow();
      // From the end of a slow export: a collector that cannot follow is not pressed.
      nextMs = Math.max(nextMs + options.intervalMs, clock.monotonicMs());
    }
  }

  return {
    async flush() {
      await running;
      await exportNow();
    },
    start: () => void run(),
    stop: () => stopped.abort(),
  };
}

/** Those whose attributes did not come to life again since. */
function withoutRevived(
  ended: readonly EndedSeries[],
  families: readonly MetricFamily[],
  identityOf: (series: Series) => string,
): readonly EndedSeries[] {
  if (ended.length === 0) return ended;
  const names = new Set(ended.map(({ descriptor }) => descriptor.name));
  const live = new Set<string>();
  for (const { descriptor, series } of families) {
    if (!names.has(descriptor.name)) continue;
    for (const one of series) live.add(`${descriptor.name}/${identityOf(one)}`);
  }
  return ended.filter(({ descriptor, series }) => !live.has(`${descriptor.name}/${identityOf(series)}`));
}
