import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { approximateSize, formatDuration, formatSize, parseDuration, parseSize } from "./quantity.ts";

test("a duration is read with its units, and refused without", () => {
  assert.equal(parseDuration("1m30s"), 90_000);
  assert.equal(parseDuration("1.5s"), 1_500);
  assert.equal(parseDuration("0"), 0);
  for (const wrong of ["", "5", "s", "-1s", "1 s", "1y", "1s ", "9".repeat(60) + "d"])
    assert.equal(parseDuration(wrong), undefined, wrong);
});

test("a size is read in binary and decimal units, and refused when it is none", () => {
  assert.equal(parseSize("256MiB"), 256 * 1024 ** 2);
  assert.equal(parseSize("1GB"), 1_000_000_000);
  assert.equal(parseSize("512M"), 512 * 1024 ** 2);
  assert.equal(parseSize("0.5 KiB"), 512);
  for (const wrong of ["", "MiB", "-1", "1.5", "1PiBB", "ten", "9".repeat(60)])
    assert.equal(parseSize(wrong), undefined, wrong);
});

test("what is printed is read as the same again", () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 40 }), (durationMs) =>
      assert.equal(parseDuration(formatDuration(durationMs)), durationMs),
    ),
  );
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => assert.equal(parseSize(formatSize(bytes)), bytes)));
});

test("a size for reading is at most nine characters and near the truth", () => {
  assert.equal(approximateSize(0), "0 B");
  assert.equal(approximateSize(1536 * 1024 ** 2), "1.5 GiB");
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 49 }), (bytes) => {
      const shown = approximateSize(bytes);
      assert.ok(shown.length <= 9, shown);
      const [amount = "0", unit = ""] = shown.split(" ");
      const near = Number(amount) * (parseSize(`1${unit}`) ?? 0);
      assert.ok(Math.abs(near - bytes) <= bytes * 0.01, shown);
    }),
  );
});
