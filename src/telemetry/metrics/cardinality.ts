/**
 * Who costs what: series and page lines of each metric, counted when somebody asks.
 * The walk over attributes is bounded, so that asking costs little however many
 * series there are.
 */
import type { MetricDescriptor } from "../port.ts";
import type { MetricFamily } from "./snapshot.ts";

export interface AttributeCardinality {
  readonly name: string;
  /** Among the first 20,000 series of the metric: of more, a lower bound. */
  readonly distinctValues: number;
}

export interface MetricCardinality {
  /** OpenTelemetry's name. */
  readonly name: string;
  readonly prometheusName: string;
  readonly instrument: MetricDescriptor["instrument"];
  /** Live ones. */
  readonly series: number;
  /** Lines of the metrics page: a histogram's series is one line a bucket and two more. */
  readonly samples: number;
  /** Most series before further ones are merged into one. */
  readonly limit: number;
  /** Series that were refused and merged, since the node was started. */
  readonly overflows: number;
  /** Of attributes that some series has, the most distinct values first. */
  readonly attributes: readonly AttributeCardinality[];
  /** Whether a VM has series of its own here. */
  readonly perVm: boolean;
}

export interface CardinalityReport {
  /** The most series first; metrics without series are left out. */
  readonly metrics: readonly MetricCardinality[];
  /** Sums over all metrics. */
  readonly series: number;
  readonly samples: number;
}

/** A family with what the engine knows of its budget. */
export interface BudgetedFamily extends MetricFamily {
  readonly limit: number;
  readonly overflows: number;
}

const MAXIMUM_SERIES_WALKED = 20_000;
const perVmAttributes = ["blixard.vm.id", "blixard.vm.name"];

export function reportCardinality(families: Iterable<BudgetedFamily>): CardinalityReport {
  const metrics: MetricCardinality[] = [];
  for (const family of families) {
    if (family.series.length > 0 || family.overflows > 0) metrics.push(describeFamily(family));
  }
  metrics.sort((left, right) => right.series - left.series || (left.name < right.name ? -1 : 1));
  return {
    metrics,
    series: metrics.reduce((sum, metric) => sum + metric.series, 0),
    samples: metrics.reduce((sum, metric) => sum + metric.samples, 0),
  };
}

function describeFamily({ descriptor, series, limit, overflows }: BudgetedFamily): MetricCardinality {
  const values = new Map<string, Set<unknown>>();
  for (const { attributes } of series.slice(0, MAXIMUM_SERIES_WALKED)) {
    for (const [key, value] of attributes) values.getOrInsertComputed(key, () => new Set()).add(value);
  }
  const first = series[0];
  const linesEach = first?.kind === "histogram" ? first.bucketCounts.length + 2 : 1;
  return {
    name: descriptor.name,
    prometheusName: descriptor.prometheusName,
    instrument: descriptor.instrument,
    series: series.length,
    samples: series.length * linesEach,
    limit,
    overflows,
    attributes: [...values]
      .map(([name, distinct]) => ({ name, distinctValues: distinct.size }))
      .toSorted((left, right) => right.distinctValues - left.distinctValues),
    perVm: perVmAttributes.some((name) => name in descriptor.attributes),
  };
}
