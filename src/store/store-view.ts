/** What readers of the watch cache see: everything under the prefix, joined and indexed. */
import type { ImageManifest } from "#model/image.ts";
import type { Node, NodeRegistration, NodeResources } from "#model/node.ts";
import type { TraceRule } from "#model/trace-rule.ts";
import type { Vm, VmAssignment, VmIntent, VmPlacement, VmState, VmStatus } from "#model/vm.ts";
import type { Cluster } from "./records/cluster-codec.ts";
import type { LeaseHolder } from "./records/node-codec.ts";
import type { Versioned } from "./records/record-codec.ts";

export interface NodeAllocation extends NodeResources {
  readonly vmCount: number;
}

export interface Leader extends LeaseHolder {
  /** Names the term. */
  readonly createRevision: bigint;
}

/**
 * A view of the cache at its `revision`. It is live and costs nothing: read it within one turn of
 * the event loop, take a new one after every `await`. Values themselves never change.
 */
export interface StoreView {
  readonly revision: bigint;
  readonly cluster: Cluster | undefined;

  /** By id; iterates in no particular order. */
  readonly intents: ReadonlyMap<string, Versioned<VmIntent>>;
  readonly placements: ReadonlyMap<string, Versioned<VmPlacement>>;
  /** Ids of VMs without a node. */
  readonly unplacedVmIds: ReadonlySet<string>;
  /** Ids of VMs whose placement names the node. */
  vmIdsOnNode(nodeId: string): ReadonlySet<string>;
  /** Intent, placement and the status of the placement's node, joined. */
  vm(vmId: string): Vm | undefined;
  vmIdByName(name: string): string | undefined;
  /** A VM by its id or, failing that, its name. */
  findVm(nameOrId: string): Vm | undefined;
  vms(): IteratorObject<Vm>;
  /** Every state is there, with 0 when no VM is in it. */
  readonly vmCounts: ReadonlyMap<VmState, number>;

  assignment(nodeId: string, vmId: string): Versioned<VmAssignment> | undefined;
  /** By VM id. */
  assignmentsOf(nodeId: string): ReadonlyMap<string, Versioned<VmAssignment>>;
  status(nodeId: string, vmId: string): Versioned<VmStatus> | undefined;
  statusesOf(nodeId: string): ReadonlyMap<string, Versioned<VmStatus>>;
  /** Nodes with an assignment or a status of the VM: what `VmRepository.remove` needs. */
  nodeIdsHolding(vmId: string): readonly string[];

  readonly registrations: ReadonlyMap<string, Versioned<NodeRegistration>>;
  /** With liveness and policy joined. */
  node(nodeId: string): Node | undefined;
  nodes(): readonly Node[];
  /** Sum over the VMs placed there, whatever their state: a place is kept until the VM is deleted. */
  allocation(nodeId: string): NodeAllocation;

  readonly images: ReadonlyMap<string, Versioned<ImageManifest>>;
  /** Ids of VMs whose spec names the image. */
  imageUsers(name: string): ReadonlySet<string>;

  /** By id. Those that ended may still be among them for a moment. */
  readonly traceRules: ReadonlyMap<string, TraceRule>;

  leader(role: string): Leader | undefined;
}

/** What has changed since a subscriber looked last. */
export interface StoreChange {
  readonly revision: bigint;
  /** Everything may have changed: the first change, after a new listing, or when too much changed at once. */
  readonly everything: boolean;
  /** VMs whose intent, placement, assignment or status changed or went. */
  readonly vmIds: ReadonlySet<string>;
  /** Nodes whose registration, policy or liveness changed or went. */
  readonly nodeIds: ReadonlySet<string>;
  readonly images: ReadonlySet<string>;
  readonly traceRules: boolean;
  readonly leadership: boolean;
}
