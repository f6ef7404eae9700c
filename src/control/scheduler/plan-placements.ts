/**
 * Which node takes which waiting VM, and for those that none takes, why. Pure: a
 * snapshot in, a plan out; `placement-reconciler.ts` writes it.
 *
 * Spread, not best fit: among the nodes that can take a VM the one wins whose
 * scarcest resource is least used afterwards, then the one with fewer VMs, then the
 * lower id. A lost node then takes few VMs with it, and neighbours disturb each other
 * less. The price is fragmentation, which `blixard.node.fragmentation` shows. VMs are
 * placed oldest first, and one that fits nowhere does not hold up those behind it.
 *
 * A VM keeps its place and what it was given until it is deleted, running or not: a
 * start never fails for want of room.
 */
import type { NodeResources } from "#model/node.ts";
import type { PlacementRefusal, PlacementRefusalReason } from "#model/vm.ts";

export interface SchedulableNode {
  readonly id: string;
  readonly capacity: NodeResources;
  readonly allocated: NodeResources;
  readonly vmCount: number;
  readonly alive: boolean;
  readonly cordoned: boolean;
}

export interface PendingVm {
  readonly vmId: string;
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** Of all disks together. */
  readonly diskBytes: number;
  readonly createTimeMs: number;
}

export interface PlacementSnapshot {
  readonly nodes: readonly SchedulableNode[];
  readonly pending: readonly PendingVm[];
  readonly maximumVmsPerNode: number;
}

export interface PlacementDecision {
  readonly vmId: string;
  /** undefined: it stays pending. */
  readonly nodeId: string | undefined;
  /** Why each node would not take it; empty when one did. */
  readonly refusals: readonly PlacementRefusal[];
  readonly candidateCount: number;
}

/** Refusals kept with a VM; of more nodes only how many there were, by reason. */
export const MAXIMUM_REFUSALS = 16;

export function planPlacements(snapshot: PlacementSnapshot): readonly PlacementDecision[] {
  const rooms = snapshot.nodes
    .map((node) => toRoom(node, snapshot.maximumVmsPerNode))
    .toSorted((left, right) => compareIds(left.id, right.id));
  // What does not fit now fits even less after more was placed: VMs of one shape share their refusals.
  const refusalsByShape = new Map<string, readonly PlacementRefusal[]>();
  const oldestFirst = snapshot.pending.toSorted(
    (left, right) => left.createTimeMs - right.createTimeMs || compareIds(left.vmId, right.vmId),
  );
  return oldestFirst.map((vm) => {
    const shape = `${vm.vcpus}/${vm.memoryBytes}/${vm.diskBytes}`;
    const known = refusalsByShape.get(shape);
    const room = known === undefined ? chooseRoom(rooms, vm) : undefined;
    if (room !== undefined) {
      take(room, vm);
      return { vmId: vm.vmId, nodeId: room.id, refusals: [], candidateCount: rooms.length };
    }
    const refusals = known ?? explainRefusals(rooms, vm);
    refusalsByShape.set(shape, refusals);
    return { vmId: vm.vmId, nodeId: undefined, refusals, candidateCount: rooms.length };
  });
}

/** A node's room as the plan goes on. */
interface Room {
  readonly id: string;
  readonly open: boolean;
  readonly alive: boolean;
  readonly capacity: NodeResources;
  readonly maximumVms: number;
  vcpus: number;
  memoryBytes: number;
  diskBytes: number;
  vmCount: number;
}

function toRoom(node: SchedulableNode, maximumVms: number): Room {
  return {
    id: node.id,
    alive: node.alive,
    open: node.alive && !node.cordoned,
    capacity: node.capacity,
    maximumVms,
    ...node.allocated,
    vmCount: node.vmCount,
  };
}

function chooseRoom(rooms: readonly Room[], vm: PendingVm): Room | undefined {
  let best: Room | undefined;
  let bestShare = Number.POSITIVE_INFINITY;
  for (const room of rooms) {
    if (!room.open || refusalReason(room, vm) !== undefined) continue;
    const share = scarcestShareAfter(room, vm);
    if (best === undefined || share < bestShare || (share === bestShare && room.vmCount < best.vmCount)) {
      best = room;
      bestShare = share;
    }
  }
  return best;
}

/** 0 to 1: how full the fullest resource of the node is with the VM on it. */
function scarcestShareAfter(room: Room, vm: PendingVm): number {
  return Math.max(
    shareOf(room.vcpus + vm.vcpus, room.capacity.vcpus),
    shareOf(room.memoryBytes + vm.memoryBytes, room.capacity.memoryBytes),
    shareOf(room.diskBytes + vm.diskBytes, room.capacity.diskBytes),
  );
}

function shareOf(part: number, whole: number): number {
  return part === 0 ? 0 : part / whole;
}

function take(room: Room, vm: PendingVm): void {
  room.vcpus += vm.vcpus;
  room.memoryBytes += vm.memoryBytes;
  room.diskBytes += vm.diskBytes;
  room.vmCount++;
}

function refusalReason(room: Room, vm: PendingVm): PlacementRefusalReason | undefined {
  if (!room.alive) return "not_alive";
  if (!room.open) return "cordoned";
  if (room.vcpus + vm.vcpus > room.capacity.vcpus) return "insufficient_vcpus";
  if (room.memoryBytes + vm.memoryBytes > room.capacity.memoryBytes) return "insufficient_memory";
  if (vm.diskBytes > 0 && room.diskBytes + vm.diskBytes > room.capacity.diskBytes) return "insufficient_disk";
  if (room.vmCount >= room.maximumVms) return "too_many_vms";
  return undefined;
}

// --- Reasons -------------------------------------------------------------------

function explainRefusals(rooms: readonly Room[], vm: PendingVm): readonly PlacementRefusal[] {
  if (rooms.length === 0) {
    return [{ nodeId: "", reason: "no_nodes", message: "no node has registered yet" }];
  }
  const named = rooms.slice(0, MAXIMUM_REFUSALS).flatMap((room) => explainRefusal(room, vm));
  return [...named, ...countRefusals(rooms.slice(MAXIMUM_REFUSALS), vm)];
}

function explainRefusal(room: Room, vm: PendingVm): readonly PlacementRefusal[] {
  const reason = refusalReason(room, vm);
  return reason === undefined ? [] : [{ nodeId: room.id, reason, message: describeRefusal(reason, room, vm) }];
}

function countRefusals(rooms: readonly Room[], vm: PendingVm): readonly PlacementRefusal[] {
  const counts = new Map<PlacementRefusalReason, number>();
  for (const room of rooms) {
    const reason = refusalReason(room, vm);
    if (reason !== undefined) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return [...counts].map(([reason, count]) => ({
    nodeId: "",
    reason,
    message: `${count} more ${count === 1 ? "node" : "nodes"}: ${reason.replaceAll("_", " ")}`,
  }));
}

function describeRefusal(reason: PlacementRefusalReason, room: Room, vm: PendingVm): string {
  const { capacity } = room;
  switch (reason) {
    case "no_nodes":
      return "there is no node";
    case "not_alive":
      return `${room.id} does not answer`;
    case "cordoned":
      return `${room.id} is cordoned`;
    case "insufficient_vcpus":
      return `${room.id} has ${free(capacity.vcpus, room.vcpus)} of ${capacity.vcpus} vCPUs free, ${vm.vcpus} are needed`;
    case "insufficient_memory":
      return `${room.id} has ${mebibytes(free(capacity.memoryBytes, room.memoryBytes))} of ${mebibytes(capacity.memoryBytes)} of memory free, ${mebibytes(vm.memoryBytes)} are needed`;
    case "insufficient_disk":
      return `${room.id} has ${mebibytes(free(capacity.diskBytes, room.diskBytes))} of ${mebibytes(capacity.diskBytes)} of disk space free, ${mebibytes(vm.diskBytes)} are needed`;
    case "too_many_vms":
      return `${room.id} holds ${room.vmCount} VMs, the most it may`;
  }
}

function free(capacity: number, used: number): number {
  return Math.max(0, capacity - used);
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 1024 ** 2)} MiB`;
}

/** By code units: the order must not depend on a locale. */
function compareIds(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
