/**
 * What each VM uses, collected in the background for all VMs of the node at once.
 * Every VM has its own deadline, so one that hangs holds up nobody: its last values
 * stay and `blixard.vm.usage.age` tells how old they are. The series of a VM end as soon
 * as it is no longer assigned to this node, whatever is left of it to be cleared away.
 */
import {
  vmCpuTime,
  vmDiskIo,
  vmDiskOperations,
  vmMemoryLimit,
  vmMemoryUsage,
  vmUptime,
  vmUsageAge,
  vmVcpuLimit,
} from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import type { Machine, MachineUsage } from "#runtime/runtime.ts";
import type { Observer, Telemetry } from "#telemetry/port.ts";
import type { AgentVm } from "./agent.ts";
import { createSlots } from "./slots.ts";

export interface VmUsageMetricsOptions {
  readonly vms: () => readonly AgentVm[];
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Default 10 s. */
  readonly intervalMs?: number;
  /** For one VM. Default 2 s. */
  readonly vmTimeoutMs?: number;
}

interface Sample {
  readonly instanceId: string;
  readonly usage: MachineUsage;
  readonly timeMs: number;
}

const DEFAULT_INTERVAL_MS = 10_000;
const DEFAULT_VM_TIMEOUT_MS = 2000;
const CONCURRENT_QUESTIONS = 16;

export function observeVmUsage(options: VmUsageMetricsOptions): Disposable {
  const { clock } = options;
  const intervalMs = options.intervalMs ?? DEFAULT_INTERVAL_MS;
  const vmTimeoutMs = options.vmTimeoutMs ?? DEFAULT_VM_TIMEOUT_MS;
  const samples = new Map<string, Sample>();
  /** A question that hangs is not asked again until it is answered. */
  const asking = new Set<string>();
  const questions = createSlots(CONCURRENT_QUESTIONS);
  const assigned = (): readonly AgentVm[] => options.vms().filter((vm) => vm.assignment !== undefined);

  async function ask(machine: Machine): Promise<void> {
    const { vmId, instanceId } = machine;
    if (asking.has(instanceId)) return;
    asking.add(instanceId);
    const answer = machine
      .usage()
      .then((usage) => void samples.set(vmId, { instanceId, usage, timeMs: clock.now() }))
      // A machine that ended meanwhile, or does not answer: its age tells.
      .catch(() => undefined)
      .finally(() => asking.delete(instanceId));
    const timer = new AbortController();
    await Promise.race([answer, clock.delay(vmTimeoutMs, timer.signal).catch(() => undefined)]);
    timer.abort();
  }

  async function collect(observer: Observer, signal: AbortSignal): Promise<void> {
    const machines = assigned().flatMap((vm) => vm.machine ?? []);
    await Promise.all(machines.map((machine) => questions.run(signal, () => ask(machine))));
    const alive = new Map(assigned().map((vm) => [vm.vmId, vm]));
    for (const [vmId, sample] of samples) {
      if (alive.get(vmId)?.machine?.instanceId !== sample.instanceId) samples.delete(vmId);
    }
    for (const vm of alive.values()) observeVm(observer, vm, samples.get(vm.vmId), clock.now());
  }

  return options.telemetry.metrics.observeGroup({
    name: "vm_resources",
    metrics: [vmUptime, vmCpuTime, vmVcpuLimit, vmMemoryLimit, vmMemoryUsage, vmDiskIo, vmDiskOperations, vmUsageAge],
    intervalMs,
    timeoutMs: intervalMs + vmTimeoutMs,
    collect,
    subjects: { attribute: "blixard.vm.id", present: () => new Set(assigned().map(({ vmId }) => vmId)) },
  });
}

function observeVm(observer: Observer, vm: AgentVm, sample: Sample | undefined, nowMs: number): void {
  const attributes = { "blixard.vm.id": vm.vmId, "blixard.vm.name": vm.vmName };
  if (vm.assignment !== undefined) {
    observer.observe(vmVcpuLimit, vm.assignment.spec.vcpus, attributes);
    observer.observe(vmMemoryLimit, vm.assignment.spec.memoryBytes, attributes);
  }
  if (vm.machine === undefined) return;
  observer.observe(vmUptime, Math.max(0, nowMs - vm.machine.startTimeMs) / 1000, attributes);
  if (sample === undefined) {
    observer.observe(vmUsageAge, Math.max(0, nowMs - vm.machine.startTimeMs) / 1000, attributes);
    return;
  }
  const { cpuSeconds, memoryResidentBytes, guestMemory, disks } = sample.usage;
  observer.observe(vmUsageAge, Math.max(0, nowMs - sample.timeMs) / 1000, attributes);
  observer.observe(vmCpuTime, cpuSeconds.user, { ...attributes, "cpu.mode": "user" });
  observer.observe(vmCpuTime, cpuSeconds.system, { ...attributes, "cpu.mode": "system" });
  observer.observe(vmMemoryUsage, memoryResidentBytes, { ...attributes, "blixard.vm.memory_state": "resident" });
  if (guestMemory !== undefined) {
    const used = Math.max(0, guestMemory.totalBytes - guestMemory.availableBytes);
    observer.observe(vmMemoryUsage, used, { ...attributes, "blixard.vm.memory_state": "guest_used" });
    const available = { ...attributes, "blixard.vm.memory_state": "guest_available" } as const;
    observer.observe(vmMemoryUsage, guestMemory.availableBytes, available);
  }
  for (const disk of disks) {
    const read = { ...attributes, "blixard.vm.disk_name": disk.name, "disk.io.direction": "read" } as const;
    const write = { ...read, "disk.io.direction": "write" } as const;
    observer.observe(vmDiskIo, disk.readBytes, read);
    observer.observe(vmDiskIo, disk.writtenBytes, write);
    observer.observe(vmDiskOperations, disk.readOperations, read);
    observer.observe(vmDiskOperations, disk.writeOperations, write);
  }
}
