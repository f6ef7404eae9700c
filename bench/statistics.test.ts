import assert from "node:assert/strict";
import { test } from "node:test";
import { bootstrap, isBeyond, median, quantile } from "./statistics.ts";

test("quantiles interpolate between the values around them", () => {
  assert.equal(quantile([4, 1, 3, 2], 0.5), 2.5);
  assert.equal(quantile([1, 2, 3, 4, 5], 1), 5);
  assert.throws(() => quantile([], 0.5), /nothing/);
});

test("an interval holds its estimate and narrows with more observations", () => {
  const values = (count: number): number[] => Array.from({ length: count }, (_, index) => 100 + ((index * 37) % 11));
  const few = bootstrap(values(8), median);
  const many = bootstrap(values(400), median);
  assert.ok(few.low <= few.estimate && few.estimate <= few.high);
  assert.ok(many.high - many.low < few.high - few.low);
});

test("a budget fails only when the whole interval lies beyond it", () => {
  const interval = { estimate: 105, low: 99, high: 110 };
  assert.equal(isBeyond(interval, { atMost: 100 }), false);
  assert.equal(isBeyond(interval, { atMost: 98 }), true);
  assert.equal(isBeyond(interval, { atLeast: 109 }), false);
  assert.equal(isBeyond(interval, { atLeast: 111 }), true);
});
