/** VMs by id, name, node and state, and what they take of each node: kept up to date VM by VM. */
import { type Vm, type VmIntent, type VmPlacement, type VmState, type VmStatus, vmStates } from "#model/vm.ts";
import { joinVm } from "./join-vm.ts";
import type { Versioned } from "./records/record-codec.ts";
import type { NodeAllocation, StoreView } from "./store-view.ts";

export type VmView = Pick<
  StoreView,
  "intents" | "unplacedVmIds" | "vmIdsOnNode" | "vm" | "vmIdByName" | "findVm" | "vms" | "vmCounts" | "allocation"
>;

export interface VmIndex {
  readonly view: VmView;
  /** Call `refresh` next. */
  setIntent(vmId: string, intent: Versioned<VmIntent>): void;
  deleteIntent(vmId: string): void;
  /** Joins the VM anew; nothing happens when it has no intent (yet). */
  refresh(vmId: string, placement: VmPlacement | undefined, status: VmStatus | undefined): void;
}

const noVms: ReadonlySet<string> = new Set();
const nothingAllocated: NodeAllocation = { vcpus: 0, memoryBytes: 0, diskBytes: 0, vmCount: 0 };

export function createVmIndex(): VmIndex {
  const intents = new Map<string, Versioned<VmIntent>>();
  const joined = new Map<string, Vm>();
  const idsByName = new Map<string, string>();
  const idsByNode = new Map<string, Set<string>>();
  const unplaced = new Set<string>();
  const allocations = new Map<string, NodeAllocation>();
  const counts = new Map<VmState, number>(vmStates.map((state) => [state, 0]));

  function add(vm: Vm): void {
    const { id } = vm.intent;
    joined.set(id, vm);
    idsByName.set(vm.intent.name, id);
    count(vm.status.state, 1);
    const nodeId = vm.placement?.nodeId;
    if (nodeId === undefined) {
      unplaced.add(id);
      return;
    }
    idsByNode.getOrInsertComputed(nodeId, () => new Set()).add(id);
    allocate(nodeId, vm, 1);
  }

  function subtract(vmId: string): void {
    const vm = joined.get(vmId);
    if (vm === undefined) return;
    joined.delete(vmId);
    if (idsByName.get(vm.intent.name) === vmId) idsByName.delete(vm.intent.name);
    count(vm.status.state, -1);
    unplaced.delete(vmId);
    const nodeId = vm.placement?.nodeId;
    if (nodeId === undefined) return;
    idsByNode.get(nodeId)?.delete(vmId);
    if (idsByNode.get(nodeId)?.size === 0) idsByNode.delete(nodeId);
    allocate(nodeId, vm, -1);
  }

  function count(state: VmState, change: 1 | -1): void {
    counts.set(state, (counts.get(state) ?? 0) + change);
  }

  function allocate(nodeId: string, { intent: { spec } }: Vm, sign: 1 | -1): void {
    const before = allocations.get(nodeId) ?? nothingAllocated;
    const diskBytes = spec.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
    const after: NodeAllocation = {
      vcpus: before.vcpus + sign * spec.vcpus,
      memoryBytes: before.memoryBytes + sign * spec.memoryBytes,
      diskBytes: before.diskBytes + sign * diskBytes,
      vmCount: before.vmCount + sign,
    };
    if (after.vmCount === 0) allocations.delete(nodeId);
    else allocations.set(nodeId, after);
  }

  return {
    view: {
      intents,
      unplacedVmIds: unplaced,
      vmIdsOnNode: (nodeId) => idsByNode.get(nodeId) ?? noVms,
      vm: (vmId) => joined.get(vmId),
      vmIdByName: (name) => idsByName.get(name),
      findVm: (nameOrId) => joined.get(nameOrId) ?? joined.get(idsByName.get(nameOrId) ?? ""),
      vms: () => joined.values(),
      vmCounts: counts,
      allocation: (nodeId) => allocations.get(nodeId) ?? nothingAllocated,
    },
    setIntent(vmId, intent) {
      intents.set(vmId, intent);
    },
    deleteIntent(vmId) {
      intents.delete(vmId);
      subtract(vmId);
    },
    refresh(vmId, placement, status) {
      const intent = intents.get(vmId);
      if (intent === undefined) return;
      subtract(vmId);
      add(joinVm(intent.value, placement, status));
    },
  };
}
