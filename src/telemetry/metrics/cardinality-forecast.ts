/** What more VMs, or one more attribute, would cost: plain arithmetic on a report. */
import type { CardinalityReport, MetricCardinality } from "./cardinality.ts";

export interface CardinalityForecast {
  /** Series with so many more VMs. */
  readonly seriesWithAdditionalVms: number;
  /** Series if every series had one more attribute of so many values. */
  readonly seriesWithAdditionalAttribute: number;
  /** More VMs that fit before a limit is reached; undefined where VMs do not count. */
  readonly vmsUntilLimit: number | undefined;
}

export interface ForecastOptions {
  readonly additionalVms: number;
  readonly additionalAttributeValues: number;
  /** VMs that the series of now belong to. */
  readonly vms: number;
}

export interface CardinalityForecasts {
  /** Of each metric of the report, by name. */
  readonly metrics: ReadonlyMap<string, CardinalityForecast>;
  /** Sums; `vmsUntilLimit` is the least. */
  readonly total: CardinalityForecast;
}

export function forecastCardinality(report: CardinalityReport, options: ForecastOptions): CardinalityForecasts {
  const metrics = new Map(report.metrics.map((metric) => [metric.name, forecastMetric(metric, options)]));
  const all = [...metrics.values()];
  const limits = all.flatMap(({ vmsUntilLimit }) => (vmsUntilLimit === undefined ? [] : [vmsUntilLimit]));
  return {
    metrics,
    total: {
      seriesWithAdditionalVms: all.reduce((sum, one) => sum + one.seriesWithAdditionalVms, 0),
      seriesWithAdditionalAttribute: all.reduce((sum, one) => sum + one.seriesWithAdditionalAttribute, 0),
      vmsUntilLimit: limits.length === 0 ? undefined : Math.min(...limits),
    },
  };
}

function forecastMetric(metric: MetricCardinality, options: ForecastOptions): CardinalityForecast {
  const { series, limit, perVm } = metric;
  // Without a VM to measure by: the least that one can have.
  const seriesPerVm = perVm ? Math.max(1, options.vms === 0 ? 0 : series / options.vms) : 0;
  return {
    seriesWithAdditionalVms: series + Math.ceil(seriesPerVm * options.additionalVms),
    seriesWithAdditionalAttribute: series * Math.max(1, options.additionalAttributeValues),
    // One place is the overflow series'.
    vmsUntilLimit: perVm ? Math.max(0, Math.floor((limit - 1 - series) / seriesPerVm)) : undefined,
  };
}
