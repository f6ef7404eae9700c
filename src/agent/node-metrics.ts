/** What the node has, has given out, and how it fares: the `blixard.node.*` family. */
import {
  nodeAllocationUtilization,
  nodeCpuAllocated,
  nodeCpuLimit,
  nodeCpuReserved,
  nodeDiskAllocated,
  nodeDiskLimit,
  nodeDiskReserved,
  nodeFragmentation,
  nodeHeartbeatAge,
  nodeKvmUsable,
  nodeMemoryAllocated,
  nodeMemoryLimit,
  nodeMemoryReserved,
  nodePressure,
  nodeSchedulable,
  nodeState,
} from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import type { NodeResources } from "#model/node.ts";
import type { Observer, Telemetry } from "#telemetry/port.ts";
import type { AgentVm } from "./agent.ts";
import type { Heartbeat } from "./control-plane.ts";
import { type PressureSample, readPressure } from "./node-pressure.ts";
import type { MeasuredResources } from "./node-resources.ts";

export interface NodeMetricsOptions {
  readonly resources: MeasuredResources;
  /** Undefined: nobody wants it. */
  readonly kvmUsable: boolean | undefined;
  readonly vms: () => readonly AgentVm[];
  readonly lastHeartbeat: () => Heartbeat | undefined;
  readonly state: () => NodeState;
  /** Undefined: not known. */
  readonly schedulable: () => boolean | undefined;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly readPressure?: () => Promise<readonly PressureSample[]>;
  /** Default 5 s. */
  readonly intervalMs?: number;
}

const nodeStates = ["starting", "ready", "stopping", "down"] as const;
export type NodeState = (typeof nodeStates)[number];

const DEFAULT_INTERVAL_MS = 5000;

export function observeNode(options: NodeMetricsOptions): Disposable {
  const { resources, clock } = options;
  const pressureOf = options.readPressure ?? (() => readPressure());

  async function collect(observer: Observer): Promise<void> {
    const pressure = await pressureOf();
    observeResources(observer, resources, allocatedTo(options.vms()));
    const state = options.state();
    for (const known of nodeStates)
      observer.observe(nodeState, known === state ? 1 : 0, { "blixard.node.state": known });
    const schedulable = options.schedulable();
    if (schedulable !== undefined) observer.observe(nodeSchedulable, schedulable ? 1 : 0, {});
    if (options.kvmUsable !== undefined) observer.observe(nodeKvmUsable, options.kvmUsable ? 1 : 0, {});
    const heartbeat = options.lastHeartbeat();
    if (heartbeat !== undefined) {
      observer.observe(nodeHeartbeatAge, Math.max(0, clock.now() - heartbeat.sentTimeMs) / 1000, {});
    }
    for (const { resource, kind, window, share } of pressure) {
      observer.observe(nodePressure, share, {
        "blixard.node.resource": resource,
        "blixard.node.pressure_kind": kind,
        "blixard.node.pressure_window": window,
      });
    }
  }

  return options.telemetry.metrics.observeGroup({
    name: "node_resources",
    metrics: [
      nodeCpuLimit,
      nodeCpuAllocated,
      nodeCpuReserved,
      nodeMemoryLimit,
      nodeMemoryAllocated,
      nodeMemoryReserved,
      nodeDiskLimit,
      nodeDiskAllocated,
      nodeDiskReserved,
      nodeAllocationUtilization,
      nodeFragmentation,
      nodeState,
      nodeSchedulable,
      nodeHeartbeatAge,
      nodeKvmUsable,
      nodePressure,
    ],
    intervalMs: options.intervalMs ?? DEFAULT_INTERVAL_MS,
    timeoutMs: 2000,
    collect,
  });
}

function observeResources(
  observer: Observer,
  { capacity, reserved }: MeasuredResources,
  allocated: NodeResources,
): void {
  observer.observe(nodeCpuLimit, capacity.vcpus, {});
  observer.observe(nodeCpuAllocated, allocated.vcpus, {});
  observer.observe(nodeCpuReserved, reserved.vcpus, {});
  observer.observe(nodeMemoryLimit, capacity.memoryBytes, {});
  observer.observe(nodeMemoryAllocated, allocated.memoryBytes, {});
  observer.observe(nodeMemoryReserved, reserved.memoryBytes, {});
  observer.observe(nodeDiskLimit, capacity.diskBytes, {});
  observer.observe(nodeDiskAllocated, allocated.diskBytes, {});
  observer.observe(nodeDiskReserved, reserved.diskBytes, {});
  const shares = {
    cpu: share(allocated.vcpus, capacity.vcpus),
    memory: share(allocated.memoryBytes, capacity.memoryBytes),
    disk: share(allocated.diskBytes, capacity.diskBytes),
  };
  for (const resource of ["cpu", "memory", "disk"] as const) {
    observer.observe(nodeAllocationUtilization, shares[resource], { "blixard.node.resource": resource });
  }
  observer.observe(nodeFragmentation, usableShare(shares.cpu, shares.memory), {});
}

/**
 * A VM of the node's own shape (vCPUs to memory) is stopped by whichever of the two runs out
 * first; what is free of the other is stranded. 1: all that is free can be used. 0: nothing fits.
 */
export function usableShare(cpuAllocated: number, memoryAllocated: number): number {
  const free = [Math.max(0, 1 - cpuAllocated), Math.max(0, 1 - memoryAllocated)];
  const largest = Math.max(...free);
  return largest === 0 ? 0 : Math.min(...free) / largest;
}

/** What VMs hold until they are removed, whatever their state. */
export function allocatedTo(vms: readonly AgentVm[]): NodeResources {
  let vcpus = 0;
  let memoryBytes = 0;
  let diskBytes = 0;
  for (const { assignment } of vms) {
    if (assignment === undefined) continue;
    vcpus += assignment.spec.vcpus;
    memoryBytes += assignment.spec.memoryBytes;
    for (const disk of assignment.spec.disks) diskBytes += disk.sizeBytes;
  }
  return { vcpus, memoryBytes, diskBytes };
}

function share(part: number, whole: number): number {
  return whole <= 0 ? 0 : part / whole;
}
