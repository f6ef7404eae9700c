import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { editDistance, suggest } from "./suggest.ts";

test("the nearest word is suggested, and none for something quite different", () => {
  const verbs = ["create", "list", "get", "delete", "restart", "start"];
  assert.equal(suggest("craete", verbs), "create");
  assert.equal(suggest("lst", verbs), "list");
  assert.equal(suggest("DELETE", verbs), "delete");
  assert.equal(suggest("strat", verbs), "start");
  assert.equal(suggest("banana", verbs), undefined);
  assert.equal(suggest("", verbs), undefined);
  assert.equal(suggest("x".repeat(100_000), verbs), undefined);
});

test("the distance is zero only between equals, the same both ways, and at most the longer word", () => {
  const word = fc.string({ maxLength: 12 });
  fc.assert(
    fc.property(word, word, (left, right) => {
      const distance = editDistance(left, right);
      assert.equal(distance === 0, left === right);
      assert.equal(distance, editDistance(right, left));
      assert.ok(distance <= Math.max(left.length, right.length));
    }),
  );
});
