import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCapability } from "./capability.ts";

test("what a test needs fails it when it is absent, unless it is waived by its name", () => {
  const skipped: (string | undefined)[] = [];
  const context = { skip: (reason?: string) => void skipped.push(reason) };
  assert.equal(hasCapability(context, "root", true, undefined), true);
  assert.throws(() => hasCapability(context, "root", false, undefined), /BLIXARD_TEST_WAIVE=root/);
  assert.throws(() => hasCapability(context, "root", false, "own-address"), /BLIXARD_TEST_WAIVE=root/);
  assert.deepEqual(skipped, []);
  assert.equal(hasCapability(context, "root", false, "own-address,root"), false);
  assert.deepEqual(skipped, ["waived: root"]);
});
