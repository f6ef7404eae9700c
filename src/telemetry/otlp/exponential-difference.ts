/**
 * Differences of base-2 exponential buckets of different scales: pure. Going one scale
 * down merges two neighbours into one: bucket i becomes i >> 1. Source: OpenTelemetry
 * metrics data model, "ExponentialHistogram", "perfect subsetting".
 */
import type { ExponentialBuckets } from "../metrics/snapshot.ts";

export type BucketDifference = Pick<ExponentialBuckets, "scale" | "zeroCount" | "positiveOffset" | "positiveCounts">;

/** Holds nothing, at a scale finer than any: it takes the scale of what it is combined with. */
export const emptyBuckets: BucketDifference = { scale: 20, zeroCount: 0, positiveOffset: 0, positiveCounts: [] };

/** `left` minus `right`, at the coarser of their scales, without empty ends. */
export function subtractBuckets(left: BucketDifference, right: BucketDifference): BucketDifference {
  return combine(left, right, -1);
}

export function addBuckets(left: BucketDifference, right: BucketDifference): BucketDifference {
  return combine(left, right, 1);
}

function combine(left: BucketDifference, right: BucketDifference, sign: 1 | -1): BucketDifference {
  const scale = Math.min(left.scale, right.scale);
  const ranges = [left, right].filter(({ positiveCounts }) => positiveCounts.length > 0);
  const first = Math.min(...ranges.map((one) => one.positiveOffset >> (one.scale - scale)));
  const last = Math.max(
    ...ranges.map((one) => (one.positiveOffset + one.positiveCounts.length - 1) >> (one.scale - scale)),
  );
  const counts = Array.from({ length: ranges.length === 0 ? 0 : last - first + 1 }, () => 0);
  const add = (one: BucketDifference, factor: number): void => {
    for (let index = 0; index < one.positiveCounts.length; index++) {
      const at = ((one.positiveOffset + index) >> (one.scale - scale)) - first;
      counts[at] = (counts[at] ?? 0) + factor * (one.positiveCounts[index] ?? 0);
    }
  };
  add(left, 1);
  add(right, sign);
  return { scale, zeroCount: left.zeroCount + sign * right.zeroCount, ...trimmed(first, counts) };
}

function trimmed(
  offset: number,
  counts: readonly number[],
): Pick<BucketDifference, "positiveOffset" | "positiveCounts"> {
  const first = counts.findIndex((count) => count !== 0);
  if (first === -1) return { positiveOffset: 0, positiveCounts: [] };
  const last = counts.findLastIndex((count) => count !== 0);
  return { positiveOffset: offset + first, positiveCounts: counts.slice(first, last + 1) };
}
