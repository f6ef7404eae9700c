/** Sets series to values that something else has counted, with care for totals that started anew. */
import { type AnySeries, BucketSeries, type DropReason, GaugeSeries, UpDownCounterSeries } from "./series.ts";

interface ObservationContext {
  readonly nowMs: () => number;
  readonly countDropped: (reason: DropReason) => void;
}

export interface ForeignHistogram {
  readonly sum: number;
  readonly count: number;
  readonly bounds: readonly number[];
  readonly cumulativeCounts: readonly number[];
}

const MAXIMUM_BOUNDS = 200;

/**
 * A gauge's or up-down counter's value, or the running total of a counter. A total
 * that is less than before has started anew, and so does the series' start time.
 * `merged`: the series already has a value from this collection, because it is the
 * overflow series; totals are added up.
 */
export function setObservedValue(
  series: AnySeries,
  value: number,
  { merged, nowMs, countDropped }: ObservationContext & { readonly merged: boolean },
): void {
  if (series instanceof BucketSeries) return countDropped("type");
  if (Number.isNaN(value)) return countDropped("not_finite");
  if (series instanceof GaugeSeries) {
    series.value = value;
    return;
  }
  if (series instanceof UpDownCounterSeries) {
    series.value = merged ? series.value + value : value;
    return;
  }
  if (value < 0) return countDropped("negative");
  if (value === Infinity) return countDropped("not_finite");
  if (merged) {
    series.value += value;
    return;
  }
  if (value < series.value) series.startTimeMs = nowMs();
  series.value = value;
}

/** A histogram with foreign bounds and cumulative counts; a trailing bound of +Inf may be there or not. */
export function setForeignHistogram(
  series: AnySeries,
  value: ForeignHistogram,
  { nowMs, countDropped }: ObservationContext,
): void {
  if (!(series instanceof BucketSeries)) return countDropped("type");
  const bounds = value.bounds.at(-1) === Infinity ? value.bounds.slice(0, -1) : value.bounds;
  if (!isUsable(value, bounds)) return countDropped("not_finite");
  if (value.count < series.count) series.startTimeMs = nowMs();
  if (!sameBounds(series.bounds, bounds)) {
    series.bounds = Float64Array.from(bounds);
    series.bucketCounts = new Float64Array(bounds.length + 1);
  }
  let below = 0;
  for (let index = 0; index < bounds.length; index++) {
    const upTo = Math.max(below, Math.min(value.cumulativeCounts[index] ?? 0, value.count));
    series.bucketCounts[index] = upTo - below;
    below = upTo;
  }
  series.bucketCounts[bounds.length] = value.count - below;
  series.count = value.count;
  series.sum = value.sum;
}

function isUsable(value: ForeignHistogram, bounds: readonly number[]): boolean {
  return (
    // One infinite measurement makes the sum so for good; the buckets are as good as before.
    !Number.isNaN(value.sum) &&
    Number.isSafeInteger(value.count) &&
    value.count >= 0 &&
    bounds.length <= MAXIMUM_BOUNDS &&
    value.cumulativeCounts.length >= bounds.length &&
    bounds.every((bound, index) => Number.isFinite(bound) && (index === 0 || bound > (bounds[index - 1] ?? bound)))
  );
}

function sameBounds(left: Float64Array, right: readonly number[]): boolean {
  return left.length === right.length && right.every((bound, index) => bound === left[index]);
}
