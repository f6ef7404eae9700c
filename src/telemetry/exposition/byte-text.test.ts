import assert from "node:assert/strict";
import { test } from "node:test";
import { formatBound } from "./byte-text.ts";

// The list of OpenMetrics 1.0, "Canonical Numbers", and what Go makes of sizes.
const canonical = [
  ...["-10.0", "-1.0", "0.0", "1e-10", "1e-09", "1e-05", "0.0001", "0.001", "0.1", "1.0", "10.0", "100000.0"],
  ...["1e+06", "1e+07", "1e+10", "1.048576e+06", "6.7108864e+07", "65536.0", "123456.0", "1.5", "1e+22", "2.5e-07"],
];

for (const text of canonical) {
  test(`the bound ${text} is written so`, () => assert.equal(formatBound(Number(text)), text));
}

test("a bound that is infinite has a sign", () => {
  assert.equal(formatBound(Infinity), "+Inf");
});
