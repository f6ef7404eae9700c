import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { vmCpuTime, vmDiskIo, vmMemoryUsage, vmUptime, vmUsageAge } from "#gen/telemetry/metrics.ts";
import type { MachineUsage } from "#runtime/runtime.ts";
import { aMachine, anAssignment } from "#test/support/agent-fixtures.ts";
import { createManualClock } from "#test/support/manual-clock.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { aStatus } from "#test/support/store-fixtures.ts";
import type { AgentVm } from "./agent.ts";
import { observeVmUsage } from "./vm-usage-metrics.ts";

const usage = (cpu: number): MachineUsage => ({
  uptimeSeconds: 1,
  cpuSeconds: { user: cpu, system: 1 },
  memoryResidentBytes: 4096,
  guestMemory: { totalBytes: 1000, availableBytes: 400 },
  disks: [{ name: "root", readBytes: 1, writtenBytes: 2, readOperations: 3, writeOperations: 4 }],
});

const vm = (vmId: string, ask: () => Promise<MachineUsage>): AgentVm => ({
  vmId,
  vmName: vmId,
  status: aStatus({ vmId }),
  assignment: anAssignment({ vmId }),
  machine: aMachine({ vmId, usage: ask }),
});
const series = (vmId: string) => ({ "blixard.vm.id": vmId, "blixard.vm.name": vmId });

function createBench(vms: AgentVm[]) {
  const clock = createManualClock();
  const telemetry = createMemoryTelemetry();
  const group = observeVmUsage({ vms: () => vms, clock, telemetry, vmTimeoutMs: 100 });
  return {
    clock,
    telemetry,
    group,
    async collect() {
      const collected = telemetry.collect();
      await clock.advance(200);
      await collected;
    },
  };
}

describe("what VMs use", () => {
  test("is there for each VM under its name", async () => {
    const bench = createBench([vm("a", async () => usage(5))]);
    await bench.collect();
    assert.equal(bench.telemetry.value(vmCpuTime, { ...series("a"), "cpu.mode": "user" }), 5);
    assert.equal(
      bench.telemetry.value(vmMemoryUsage, { ...series("a"), "blixard.vm.memory_state": "guest_used" }),
      600,
    );
    const written = { ...series("a"), "blixard.vm.disk_name": "root", "disk.io.direction": "write" } as const;
    assert.equal(bench.telemetry.value(vmDiskIo, written), 2);
    assert.ok((bench.telemetry.value(vmUptime, series("a")) ?? 0) >= 1000);
  });

  test("of a VM that hangs grows old, and the others stay fresh", async () => {
    let hangs = false;
    const bench = createBench([
      vm("a", () => (hangs ? new Promise(() => {}) : Promise.resolve(usage(5)))),
      vm("b", async () => usage(7)),
    ]);
    await bench.collect();
    hangs = true;
    await bench.clock.advance(10_000);
    await bench.collect();
    assert.equal(bench.telemetry.value(vmCpuTime, { ...series("a"), "cpu.mode": "user" }), 5, "the last value stays");
    assert.ok((bench.telemetry.value(vmUsageAge, series("a")) ?? 0) >= 10);
    assert.ok((bench.telemetry.value(vmUsageAge, series("b")) ?? 9) < 1);
  });

  test("goes with the VM, before the next collection and while the rest of the VM is cleared away", async () => {
    const vms = [vm("a", async () => usage(5)), vm("b", async () => usage(7)), vm("c", async () => usage(9))];
    const bench = createBench(vms);
    await bench.collect();
    vms.shift();
    vms[1] = { ...vm("c", async () => usage(9)), assignment: undefined };
    assert.deepEqual(
      bench.telemetry.series(vmUptime).map(({ attributes }) => attributes["blixard.vm.id"]),
      ["b"],
    );
    bench.group[Symbol.dispose]();
    assert.deepEqual(bench.telemetry.series(vmUptime), []);
  });
});
