import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ExponentialBuckets } from "../metrics/snapshot.ts";
import { nativeHistogramOf } from "./native-histogram.ts";

function bucketsOf(
  scale: number,
  positiveOffset: number,
  positiveCounts: readonly number[],
  zeroCount = 0,
): ExponentialBuckets {
  return { scale, positiveOffset, positiveCounts, zeroCount, minimum: NaN, maximum: NaN };
}

test("a bucket keeps its bounds: its number is one more", () => {
  // OpenTelemetry's bucket 0 of scale 0 is (1, 2], which Prometheus calls 1.
  assert.deepEqual(nativeHistogramOf(bucketsOf(0, 0, [5], 2)), {
    schema: 0,
    zeroCount: 2,
    spans: [{ offset: 1, length: 1 }],
    deltas: [5],
  });
});

test("small gaps are empty buckets, large ones a new span", () => {
  assert.deepEqual(nativeHistogramOf(bucketsOf(3, -12, [1, 0, 0, 4, 0, 0, 0, 2])), {
    schema: 3,
    zeroCount: 0,
    spans: [
      { offset: -11, length: 4 },
      { offset: 3, length: 1 },
    ],
    deltas: [1, -1, 0, 4, -2],
  });
});

test("buckets finer than Prometheus has them are joined", () => {
  // Scale 10 to schema 8: four neighbours become one.
  assert.deepEqual(nativeHistogramOf(bucketsOf(10, -5, [1, 2, 4, 8, 16, 32])), {
    schema: 8,
    zeroCount: 0,
    spans: [{ offset: -1, length: 3 }],
    deltas: [1, 29, 2],
  });
});

test("buckets wider than Prometheus has them have no native form", () => {
  assert.equal(nativeHistogramOf(bucketsOf(-5, 0, [1])), undefined);
});

test("an empty histogram has no spans", () => {
  assert.deepEqual(nativeHistogramOf(bucketsOf(8, 0, [])), { schema: 8, zeroCount: 0, spans: [], deltas: [] });
});

test("no count is lost or moved beyond its bucket's bounds, whatever the scale", () => {
  const count = fc.oneof(fc.constant(0), fc.nat({ max: 2 ** 40 }));
  const buckets = fc.record({
    scale: fc.integer({ min: -4, max: 20 }),
    offset: fc.integer({ min: -5_000, max: 5_000 }),
    counts: fc.array(count, { maxLength: 160 }),
    zeroCount: fc.nat(),
  });
  fc.assert(
    fc.property(buckets, ({ scale, offset, counts, zeroCount }) => {
      const native = nativeHistogramOf(bucketsOf(scale, offset, counts, zeroCount)) ?? assert.fail();
      assert.equal(native.zeroCount, zeroCount);
      const deltas = [...native.deltas];
      const found = new Map<number, number>();
      let index = 0;
      let current = 0;
      for (const [place, span] of native.spans.entries()) {
        assert.ok(place === 0 || span.offset > 0);
        index += span.offset;
        for (let left = span.length; left > 0; left--) {
          current += deltas.shift() ?? assert.fail();
          if (current > 0) found.set(index, current);
          index++;
        }
      }
      assert.equal(deltas.length, 0);
      const expected = new Map<number, number>();
      for (const [place, one] of counts.entries()) {
        if (one === 0) continue;
        // The upper bound 2^((offset+place+1)·2^-scale) lies in the native bucket whose bound is the next above or equal.
        const upper = Math.ceil((offset + place + 1) * 2 ** (native.schema - scale));
        expected.set(upper, (expected.get(upper) ?? 0) + one);
      }
      assert.deepEqual(
        [...found].toSorted(([a], [b]) => a - b),
        [...expected].toSorted(([a], [b]) => a - b),
      );
    }),
  );
});
