import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { isSampledByRatio } from "./trace-id-ratio.ts";

const traceId = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const ratio = fc.double({ min: 0, max: 1, noNaN: true });

test("a higher ratio exports every trace that a lower one exports", () => {
  fc.assert(
    fc.property(traceId, ratio, ratio, (id, one, other) => {
      const [low, high] = one < other ? [one, other] : [other, one];
      return !isSampledByRatio(id, low) || isSampledByRatio(id, high);
    }),
  );
});

test("ratio 1 exports every trace and ratio 0 none, whatever the id", () => {
  fc.assert(fc.property(traceId, (id) => isSampledByRatio(id, 1) && !isSampledByRatio(id, 0)));
  assert.equal(isSampledByRatio("f".repeat(32), Number.NaN), false);
});

test("the share of random traces that is exported is the ratio", () => {
  let sampled = 0;
  for (let index = 0; index < 20_000; index++) {
    if (isSampledByRatio(randomBytes(16).toString("hex"), 0.25)) sampled++;
  }
  assert.ok(sampled > 4_500 && sampled < 5_500, `${sampled} of 20000`);
});
