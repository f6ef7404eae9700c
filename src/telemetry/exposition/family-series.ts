/** The series of a page's family in the order in which they are written. */
import type { Exemplar, HistogramSeries, MetricFamily, Series, SeriesAttribute } from "../metrics/snapshot.ts";
import type { PageFamily } from "./page-family.ts";
import { prometheusLabelName } from "./prometheus-names.ts";

export interface PageSeries {
  readonly series: Series;
  readonly family: MetricFamily;
}

/** Those that are there now and have a value; they may be gone when their turn comes. */
export function* seriesOf(page: PageFamily): Generator<PageSeries, void, void> {
  for (const family of page.parts) {
    // Series come and go while the page waits for its reader: walk a copy of the list.
    const list = page.type === "stateset" ? groupedByEntity(family) : family.series.slice();
    for (const series of list) {
      if (series.removed || (series.kind === "number" && Number.isNaN(series.value))) continue;
      yield { series, family };
    }
  }
}

/**
 * Whether two series can have the same labels: several families under one name, or attributes that
 * nobody has checked. Our own are told apart by the registry.
 */
export function mayRepeat({ parts }: PageFamily): boolean {
  return parts.length > 1 || parts[0]?.scope !== undefined;
}

/** The counts of the explicit buckets, the last one's too; of a histogram without bounds there is one bucket. */
export function bucketCountsOf({ bounds, bucketCounts, count }: HistogramSeries): ArrayLike<number> {
  return bounds.length === 0 ? [count] : bucketCounts;
}

/** Source: OpenMetrics 1.0, "Exemplars": the value lies inside its bucket. */
export function isInside({ value }: Exemplar, bounds: Float64Array, bucket: number): boolean {
  return value > (bounds[bucket - 1] ?? -Infinity) && value <= (bounds[bucket] ?? Infinity);
}

/** A label name for an attribute's key; a histogram's `le` is its own. */
export function labelNameIn(page: PageFamily): (key: string) => string {
  if (page.type !== "histogram") return prometheusLabelName;
  return (key) => {
    const name = prometheusLabelName(key);
    return name === "le" ? "exported_le" : name;
  };
}

/** The states of one thing stand together. Source: OpenMetrics 1.0, "StateSet". */
function groupedByEntity({ descriptor, series }: MetricFamily): Series[] {
  const identity = ({ attributes }: { readonly attributes: readonly SeriesAttribute[] }): string =>
    JSON.stringify(attributes.filter(([key]) => key !== descriptor.name));
  return [...Map.groupBy(series, identity).values()].flat();
}
