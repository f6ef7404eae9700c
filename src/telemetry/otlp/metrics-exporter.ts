/**
 * Sends the metrics at an interval: cumulative, so that a lost export costs detail and
 * nothing else. One request is written and sent at a time; when one fails, the rest of
 * that export is left to the next one, which says the same and more.
 *
 * An ended series is told of (a point without a value) until a request with it was
 * delivered, unless its attributes live again.
 */
import { setImmediate } from "node:timers/promises";
import { otelSdkMetricReaderCollectionDuration, telemetryTombstonesDropped } from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import type { EndedSeries, MetricFamily, MetricsReader, Series } from "../metrics/snapshot.ts";
import type { Metrics } from "../port.ts";
import { encodedAttributesOf, encodeMetrics, type MetricsEncoderOptions } from "./encode-metrics.ts";
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
  readonly reader: MetricsReader;
  readonly sender: SignalSender;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly encoder: Omit<MetricsEncoderOptions, "now">;
  readonly intervalMs: number;
  /** Until the first export; default 2,000. */
  readonly firstDelayMs?: number;
}

const DEFAULT_FIRST_DELAY_MS = 2_000;
/** Ends that wait for a destination to come back. */
const MAXIMUM_UNTOLD = 100_000;

const COMPONENT = {
  "otel.component.type": "periodic_metric_reader",
  "otel.component.name": "periodic_metric_reader/0",
} as const;

export function createMetricsExporter(options: MetricsExporterOptions): MetricsExporter {
  const { sender, clock, metrics } = options;
  const duration = metrics.bind(otelSdkMetricReaderCollectionDuration, COMPONENT);
  const stopped = new AbortController();
  let untold: readonly EndedSeries[] = [];
  let running: Promise<void> | undefined;

  function takeUntold(families: readonly MetricFamily[], ended: readonly EndedSeries[]): readonly EndedSeries[] {
    const candidates = [...withoutRevived(untold, families), ...ended];
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
      return;
    }
    const told = new Set<EndedSeries>();
    untold = takeUntold(families, ended);
    const requests = encodeMetrics(families, untold, { ...options.encoder, now: () => clock.now() });
    let encodingMs = 0;
    for (;;) {
      const startedMs = clock.monotonicMs();
      const { value: request, done } = requests.next();
      encodingMs += clock.monotonicMs() - startedMs;
      if (done === true) break;
      if (request === undefined) {
        await setImmediate();
        continue;
      }
      const delivery = await sender.deliver(request, options.intervalMs);
      if (delivery !== "delivered") break;
      for (const one of request.ended) told.add(one);
    }
    duration.record(encodingMs / 1_000);
    if (told.size > 0) untold = untold.filter((one) => !told.has(one));
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
function withoutRevived(ended: readonly EndedSeries[], families: readonly MetricFamily[]): readonly EndedSeries[] {
  if (ended.length === 0) return ended;
  const scratch = new ProtobufWriter();
  const identityOf = (series: Series): string => Buffer.from(encodedAttributesOf(series, scratch)).toString("latin1");
  const names = new Set(ended.map(({ descriptor }) => descriptor.name));
  const live = new Set<string>();
  for (const { descriptor, series } of families) {
    if (!names.has(descriptor.name)) continue;
    for (const one of series) live.add(`${descriptor.name}/${identityOf(one)}`);
  }
  return ended.filter(({ descriptor, series }) => !live.has(`${descriptor.name}/${identityOf(series)}`));
}
