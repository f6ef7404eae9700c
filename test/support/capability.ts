/**
 * What a test needs of the machine. A machine without it fails the test: a suite that
 * skips in silence proves less every year. Who runs on such a machine says so by name:
 * `BLIXARD_TEST_WAIVE=root,own-address npm test`.
 */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";

export type Capability = "root" | "own-address" | "systemd";

const needs: Readonly<Record<Capability, string>> = {
  root: "root, to make file systems and interfaces",
  "own-address": "a machine with an address besides loopback",
  systemd: "systemd-analyze, to read the units",
};

/** True when the test may go on; false when it is waived, and then marked as skipped. */
export function hasCapability(
  context: Pick<TestContext, "skip">,
  capability: Capability,
  present: boolean,
  waived: string | undefined = process.env["BLIXARD_TEST_WAIVE"],
): boolean {
  if (present) return true;
  const isWaived = (waived ?? "").split(",").includes(capability);
  assert.ok(isWaived, `this test needs ${needs[capability]}; set BLIXARD_TEST_WAIVE=${capability} to go without it`);
  context.skip(`waived: ${capability}`);
  return false;
}
