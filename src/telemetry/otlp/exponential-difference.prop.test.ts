import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addBuckets, emptyBuckets, subtractBuckets, type BucketDifference } from "./exponential-difference.ts";

/**
 * Exponents of 2, in steps that every scale can tell exactly: a bucket at scale s holds
 * the exponents (i, i + 1] / 2^s.
 */
const exponents = fc.array(
  fc.integer({ min: -20_480, max: 20_480 }).map((steps) => steps / 1_024),
  { maxLength: 30 },
);
const scale = fc.integer({ min: -4, max: 8 });

function bucketsOf(values: readonly number[], atScale: number, zeroCount = 0): BucketDifference {
  const indices = values.map((value) => Math.ceil(value * 2 ** atScale) - 1);
  const counts = new Map<number, number>();
  for (const index of indices) counts.set(index, (counts.get(index) ?? 0) + 1);
  const first = Math.min(...indices);
  const length = values.length === 0 ? 0 : Math.max(...indices) - first + 1;
  return {
    scale: atScale,
    zeroCount,
    positiveOffset: length === 0 ? 0 : first,
    positiveCounts: Array.from({ length }, (_, index) => counts.get(first + index) ?? 0),
  };
}

test("the difference of two states of a histogram is the histogram of what came between, at the coarser scale", () => {
  fc.assert(
    fc.property(exponents, exponents, scale, scale, (before, between, scaleBefore, coarser) => {
      const finer = Math.max(scaleBefore, coarser);
      const scaleNow = Math.min(scaleBefore, coarser);
      const difference = subtractBuckets(bucketsOf([...before, ...between], scaleNow, 7), bucketsOf(before, finer, 3));
      assert.deepEqual(difference, bucketsOf(between, scaleNow, 4));
    }),
  );
});

test("nothing added to a histogram leaves it as it is, whatever its scale", () => {
  fc.assert(
    fc.property(exponents, scale, (values, atScale) => {
      const buckets = bucketsOf(values, atScale, 2);
      assert.deepEqual(addBuckets(emptyBuckets, buckets), buckets);
      assert.deepEqual(subtractBuckets(buckets, emptyBuckets), buckets);
    }),
  );
});
