import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  ExponentialHistogram,
  ExponentialIndex,
  MAXIMUM_BUCKETS,
  MAXIMUM_SCALE,
  searchStarts,
} from "./exponential-histogram.ts";

const index = new ExponentialIndex();
const positive = fc
  .double({ min: 0, max: Number.MAX_VALUE, noNaN: true, noDefaultInfinity: true })
  .filter((value) => value > 0);
/** Durations, sizes: what is really measured. */
const everyday = fc.double({ min: 1e-6, max: 1e6, noNaN: true, noDefaultInfinity: true });
const measurement = fc.oneof(positive, everyday, fc.constant(0));

function histogramOf(values: readonly number[]): ExponentialHistogram {
  const histogram = new ExponentialHistogram(index);
  for (const value of values) histogram.record(value);
  return histogram;
}

function total(counts: ArrayLike<number>): number {
  return Array.from(counts).reduce((sum, count) => sum + count, 0);
}

/** Base-2 logarithm of the bound below bucket `bucket`; bounds themselves leave the range of doubles. */
const logBound = (bucket: number, scale: number): number => bucket * 2 ** -scale;
/** Logarithms of neighbouring doubles round to the same; a hair is allowed. */
const HAIR = 1e-12;

function bucketCountOf(histogram: ExponentialHistogram, value: number): number {
  const bucket = index.of(value) >> (MAXIMUM_SCALE - histogram.scale);
  return histogram.positiveCounts[bucket - histogram.positiveOffset] ?? 0;
}

describe("exponential buckets", () => {
  test("every value lies above its bucket's lower bound and not above its upper bound", () => {
    fc.assert(
      fc.property(positive, (value) => {
        const bucket = index.of(value);
        assert.ok(logBound(bucket, MAXIMUM_SCALE) <= Math.log2(value) + HAIR);
        assert.ok(Math.log2(value) <= logBound(bucket + 1, MAXIMUM_SCALE) + HAIR);
      }),
    );
  });

  test("a bound belongs to the bucket below it, at every scale", () => {
    for (const exponent of [-1074, -1023, -1022, -10, -1, 0, 1, 10, 1023]) {
      const bucket = index.of(2 ** exponent);
      for (let scale = MAXIMUM_SCALE; scale >= 0; scale--) {
        assert.equal(bucket >> (MAXIMUM_SCALE - scale), exponent * 2 ** scale - 1, `2^${exponent} at scale ${scale}`);
      }
    }
    assert.equal(index.of(2 ** 0.5), 2 ** MAXIMUM_SCALE / 2 - 1);
  });

  test("a greater value is never in a lower bucket", () => {
    fc.assert(
      fc.property(positive, positive, (one, two) => {
        assert.ok(index.of(Math.min(one, two)) <= index.of(Math.max(one, two)));
      }),
    );
  });

  test("nothing is lost, whatever is measured in whatever order", () => {
    fc.assert(
      fc.property(fc.array(measurement, { maxLength: 200 }), (values) => {
        const histogram = histogramOf(values);
        const nonZero = values.filter((value) => value > 0);
        assert.equal(histogram.zeroCount, values.length - nonZero.length);
        assert.equal(total(histogram.positiveCounts), nonZero.length);
        for (const value of nonZero) assert.ok(bucketCountOf(histogram, value) > 0, String(value));
        assert.ok(histogram.positiveCounts.length <= MAXIMUM_BUCKETS);
        assert.ok(histogram.scale >= -4 && histogram.scale <= MAXIMUM_SCALE);
        assert.equal(histogram.minimum, values.length === 0 ? Number.NaN : Math.min(...values));
        assert.equal(histogram.maximum, values.length === 0 ? Number.NaN : Math.max(...values));
      }),
    );
  });

  test("the scale is the finest at which the measurements fit", () => {
    fc.assert(
      fc.property(fc.array(positive, { minLength: 1, maxLength: 100 }), (values) => {
        const histogram = histogramOf(values);
        const buckets = values.map((value) => index.of(value) >> (MAXIMUM_SCALE - histogram.scale - 1));
        if (histogram.scale < MAXIMUM_SCALE) {
          assert.ok(Math.max(...buckets) - Math.min(...buckets) >= MAXIMUM_BUCKETS);
        }
      }),
    );
  });

  test("the order of measurements does not matter", () => {
    fc.assert(
      fc.property(fc.array(measurement, { maxLength: 100 }), (values) => {
        const [one, two] = [histogramOf(values), histogramOf(values.toReversed())];
        assert.equal(one.scale, two.scale);
        assert.equal(one.positiveOffset, two.positiveOffset);
        assert.deepEqual(Array.from(one.positiveCounts), Array.from(two.positiveCounts));
      }),
    );
  });

  test("the least and the greatest double have room beside each other", () => {
    const histogram = histogramOf([Number.MIN_VALUE, Number.MAX_VALUE, 1e308, 2 ** -1022, 1]);
    assert.equal(histogram.scale, -4);
    assert.equal(total(histogram.positiveCounts), 5);
  });

  test("one value alone is told at the finest scale", () => {
    const histogram = histogramOf([0.25, 0.25]);
    assert.equal(histogram.scale, MAXIMUM_SCALE);
    assert.equal(histogram.positiveOffset, index.of(0.25));
    assert.deepEqual(Array.from(histogram.positiveCounts), [2]);
  });

  test("the search for an explicit bucket never begins behind it", () => {
    const bounds = fc
      .uniqueArray(fc.oneof(everyday, positive), { minLength: 1, maxLength: 30 })
      .map((values) => Float64Array.from(values).toSorted());
    fc.assert(
      fc.property(bounds, measurement, (sorted, value) => {
        const start = searchStarts(sorted)[new ExponentialHistogram(index).record(value)] ?? Number.NaN;
        const bucket = sorted.findIndex((bound) => value <= bound);
        assert.ok(start <= (bucket === -1 ? sorted.length : bucket));
      }),
    );
  });
});
