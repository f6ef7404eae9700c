/**
 * Meters for third-party instrumentation: OpenTelemetry's SDK counts, and the engine
 * asks it in the background, so that what it has counted comes out of the same page
 * and the same exports, with an age when it hangs.
 *
 *   metrics.getMeter(…) ─→ SDK MeterProvider ─→ (every interval) ─→ engine ─→ page, OTLP
 *
 * Called by create-telemetry.ts, only when this process's instrumentation is to be
 * registered. A name that Blixard has itself is left out, and said once in the log.
 * Asynchronous instruments are read as deltas (running-totals.ts says why);
 * synchronous ones, which have no end, as totals.
 */
import { metrics as globalMetrics, type MeterProvider as OtelMeterProvider } from "@opentelemetry/api";
import { AggregationTemporality, InstrumentType, MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import type { ForeignMetric, ForeignObserver } from "../metrics/foreign-metrics.ts";
import type { MetricsEngine } from "../metrics/metrics-engine.ts";
import type { Logger } from "../port.ts";
import { isDelta, toForeignMetric, toForeignPoints, toScope } from "./convert-metrics.ts";
import { RunningTotals } from "./running-totals.ts";
import { createTakenNames } from "./taken-names.ts";

export interface ThirdPartyMetricsOptions {
  readonly engine: Pick<MetricsEngine, "observeForeign">;
  readonly logger: Logger;
  /** Default 10,000. */
  readonly intervalMs?: number;
  /** Default 5,000. */
  readonly timeoutMs?: number;
}

/** Dispose to end its series; instruments that are still there count on, for nobody. */
export interface ThirdPartyMetrics extends Disposable {
  readonly provider: OtelMeterProvider;
  /** Makes it the process's OpenTelemetry meters. */
  registerGlobally(): void;
}

const DEFAULT_INTERVAL_MS = 10_000;
const DEFAULT_TIMEOUT_MS = 5_000;
const MAXIMUM_TOLD = 1_000;
const asynchronous: ReadonlySet<InstrumentType> = new Set([
  InstrumentType.OBSERVABLE_COUNTER,
  InstrumentType.OBSERVABLE_GAUGE,
  InstrumentType.OBSERVABLE_UP_DOWN_COUNTER,
]);

export function createThirdPartyMetrics(options: ThirdPartyMetricsOptions): ThirdPartyMetrics {
  const { engine, logger } = options;
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const reader = new BackgroundReader({
    aggregationTemporalitySelector: (type) =>
      asynchronous.has(type) ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
  });
  const provider = new MeterProvider({ readers: [reader] });
  const names = createTakenNames();
  const totals = new Map<string, RunningTotals>();
  const leftOut = new Set<string>();
  let collection = 0;

  function mayShow(metric: ForeignMetric): boolean {
    const { name } = metric.descriptor;
    const reason = names.refuse(metric);
    if (reason === undefined) return true;
    const told = `${metric.scope.name} ${name}`;
    if (leftOut.size < MAXIMUM_TOLD && !leftOut.has(told)) {
      leftOut.add(told);
      logger.warn(`${name} of ${metric.scope.name} is left out of the metrics: ${reason}`, {
        "blixard.telemetry.metric": name,
      });
    }
    return false;
  }

  async function collect(observer: ForeignObserver): Promise<void> {
    // The group's deadline comes first and shows an age; this one frees it from what hangs for good.
    const { resourceMetrics, errors } = await reader.collect({ timeoutMillis: 2 * timeoutMs });
    collection++;
    for (const scopeMetrics of resourceMetrics.scopeMetrics) {
      const scope = toScope(scopeMetrics.scope);
      for (const data of scopeMetrics.metrics) {
        const metric = toForeignMetric(data, scope);
        if (!mayShow(metric)) continue;
        let points = toForeignPoints(data);
        if (isDelta(data)) {
          const isMonotonic = metric.descriptor.instrument === "counter";
          points = totals
            .getOrInsertComputed(data.descriptor.name, () => new RunningTotals(isMonotonic))
            .add(points, collection);
        }
        for (const point of points) observer.observe(metric, point);
      }
    }
    if (errors.length > 0) logger.warn("an instrument of another library could not be read", {}, errors[0]);
  }

  const group = engine.observeForeign({
    name: "third_party",
    intervalMs: options.intervalMs ?? DEFAULT_INTERVAL_MS,
    timeoutMs,
    collect,
  });

  return {
    provider,
    registerGlobally: () => void globalMetrics.setGlobalMeterProvider(provider),
    [Symbol.dispose]: () => group[Symbol.dispose](),
  };
}

/** One that is asked; it has nothing to flush or to end. */
class BackgroundReader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}
