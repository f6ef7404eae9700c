/** The scheduler's decisions, and the assignments that follow from them. Written by the leader alone. */
import type { VmAssignment, VmIntent, VmPlacement } from "#model/vm.ts";
import { applyControlWrites, type BatchOutcome, type ControlWrite } from "./control-batch.ts";
import { assignmentKey, placementKey, vmKey } from "./keys.ts";
import type { CallOptions, KeyValueStore, StoreOperation } from "./key-value-store.ts";
import type { LeaderTerm } from "./leader-term.ts";
import { assignmentCodec, placementCodec } from "./records/placement-codec.ts";
import { carryUnknown, type Versioned } from "./records/record-codec.ts";

export interface PlacementWrite {
  /** The intent the decision was made for. */
  readonly vm: Versioned<VmIntent>;
  /** The placement as it was when it was decided. */
  readonly previous: Versioned<VmPlacement> | undefined;
  readonly placement: VmPlacement;
  /** With a node: what that node must bring about. Undefined while pending. */
  readonly assignment: VmAssignment | undefined;
}

export interface PlacementRepository {
  /** In transactions of at most 128 operations. @throws BlixardError NOT_LEADER, STORE_* */
  apply(term: LeaderTerm, writes: readonly PlacementWrite[], options?: CallOptions): Promise<BatchOutcome>;
}

export function createPlacementRepository(store: KeyValueStore): PlacementRepository {
  return {
    apply: (term, writes, options) => applyControlWrites(store, term, writes.map(toControlWrite), options),
  };
}

function toControlWrite({ vm, previous, placement, assignment }: PlacementWrite): ControlWrite {
  const { vmId, nodeId } = placement;
  const operations: StoreOperation[] = [
    { kind: "put", key: placementKey(vmId), value: placementCodec.encode(carryUnknown(previous?.value, placement)) },
  ];
  const previousNodeId = previous?.value.nodeId;
  if (previousNodeId !== undefined && previousNodeId !== nodeId) {
    operations.push({ kind: "delete", key: assignmentKey(previousNodeId, vmId) });
  }
  if (nodeId !== undefined && assignment !== undefined) {
    operations.push({ kind: "put", key: assignmentKey(nodeId, vmId), value: assignmentCodec.encode(assignment) });
  }
  return {
    vmId,
    compare: [
      { kind: "modRevision", key: vmKey(vmId), equals: vm.modRevision },
      { kind: "modRevision", key: placementKey(vmId), equals: previous?.modRevision ?? 0n },
    ],
    operations,
  };
}
