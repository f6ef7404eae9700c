import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeKvmUsable } from "#gen/telemetry/metrics.ts";
import { createManualClock } from "#test/support/manual-clock.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { observeNode } from "./node-metrics.ts";

const capacity = { vcpus: 4, memoryBytes: 4096, diskBytes: 4096 };

for (const [found, value] of [
  [true, 1],
  [false, 0],
  [undefined, undefined],
] as const) {
  test(`KVM that ${found === undefined ? "nobody wants is not spoken of" : `was tried is told of: ${value}`}`, async () => {
    const telemetry = createMemoryTelemetry();
    using _group = observeNode({
      resources: { capacity, reserved: capacity },
      kvmUsable: found,
      vms: () => [],
      lastHeartbeat: () => undefined,
      state: () => "ready",
      schedulable: () => true,
      clock: createManualClock(),
      telemetry,
      readPressure: async () => [],
    });
    await telemetry.collect();
    assert.equal(telemetry.value(nodeKvmUsable, {}), value);
  });
}
