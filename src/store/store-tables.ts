/**
 * The watch cache's content: one table per kind of record, and what follows from
 * them (names, counts by state, allocation by node) kept up to date record by
 * record. It knows nothing of watching; `watch-cache.ts` fills it.
 */
import type { ImageManifest } from "#model/image.ts";
import type { Node, NodeRegistration } from "#model/node.ts";
import type { TraceRule } from "#model/trace-rule.ts";
import type { VmAssignment, VmPlacement, VmStatus } from "#model/vm.ts";
import { parseKey, type ParsedKey } from "./keys.ts";
import type { KeyValue } from "./key-value-store.ts";
import { type Cluster, clusterCodec } from "./records/cluster-codec.ts";
import { imageCodec } from "./records/image-codec.ts";
import { leaseHolderCodec, type NodePolicy, nodeCodec, nodePolicyCodec } from "./records/node-codec.ts";
import { assignmentCodec, placementCodec } from "./records/placement-codec.ts";
import type { Versioned } from "./records/record-codec.ts";
import { traceRuleCodec } from "./records/trace-rule-codec.ts";
import { vmIntentCodec } from "./records/vm-codec.ts";
import { vmStatusCodec } from "./records/vm-status-codec.ts";
import type { Leader, StoreView } from "./store-view.ts";
import { createVmIndex } from "./vm-index.ts";

/** What a record's change touches. */
export type Touched =
  | { readonly kind: "vm"; readonly id: string }
  | { readonly kind: "node"; readonly id: string }
  | { readonly kind: "image"; readonly id: string }
  | { readonly kind: "trace-rules" }
  | { readonly kind: "leadership" }
  | { readonly kind: "cluster" }
  | { readonly kind: "nothing" };

export interface StoreTables {
  readonly view: StoreView;
  /** @throws BlixardError STORE_CORRUPT; the tables are unchanged then */
  put(entry: KeyValue): Touched;
  delete(key: string): Touched;
  setRevision(revision: bigint): void;
}

const nothing: Touched = { kind: "nothing" };
const noUsers: ReadonlySet<string> = new Set();
const noRecords: ReadonlyMap<string, never> = new Map<string, never>();

export function createStoreTables(): StoreTables {
  const vmIndex = createVmIndex();
  const placements = new Map<string, Versioned<VmPlacement>>();
  const assignments = new Map<string, Map<string, Versioned<VmAssignment>>>();
  const statuses = new Map<string, Map<string, Versioned<VmStatus>>>();
  const registrations = new Map<string, Versioned<NodeRegistration>>();
  const policies = new Map<string, NodePolicy>();
  const alive = new Set<string>();
  const images = new Map<string, Versioned<ImageManifest>>();
  const imageUsers = new Map<string, Set<string>>();
  const traceRules = new Map<string, TraceRule>();
  const leaders = new Map<string, Leader>();
  let cluster: Cluster | undefined;
  let revision = 0n;

  /** Joins a VM anew after one of its records changed. */
  function refreshVm(vmId: string): Touched {
    const placement = placements.get(vmId)?.value;
    const nodeId = placement?.nodeId;
    const status = nodeId === undefined ? undefined : statuses.get(nodeId)?.get(vmId)?.value;
    vmIndex.refresh(vmId, placement, status);
    return { kind: "vm", id: vmId };
  }

  function put(entry: KeyValue): Touched {
    const parsed = parseKey(entry.key);
    if (parsed === undefined) return nothing;
    const [first = "", second = ""] = parsed.parts;
    switch (parsed.kind) {
      case "vms":
        vmIndex.setIntent(first, vmIntentCodec.decode(entry));
        return refreshVm(first);
      case "placements":
        placements.set(first, placementCodec.decode(entry));
        return refreshVm(first);
      case "assign":
        setNested(assignments, first, second, assignmentCodec.decode(entry));
        return { kind: "vm", id: second };
      case "status":
        setNested(statuses, first, second, vmStatusCodec.decode(entry));
        return refreshVm(second);
      case "nodes":
        registrations.set(first, nodeCodec.decode(entry));
        return { kind: "node", id: first };
      case "node-policies":
        policies.set(first, nodePolicyCodec.decode(entry).value);
        return { kind: "node", id: first };
      case "live":
        alive.add(first);
        return { kind: "node", id: first };
      case "images":
        images.set(first, imageCodec.decode(entry));
        return { kind: "image", id: first };
      case "image-users":
        imageUsers.getOrInsertComputed(first, () => new Set()).add(second);
        return { kind: "image", id: first };
      case "trace-rules":
        traceRules.set(first, traceRuleCodec.decode(entry).value);
        return { kind: "trace-rules" };
      case "leadership":
        leaders.set(first, { ...leaseHolderCodec.decode(entry).value, createRevision: entry.createRevision });
        return { kind: "leadership" };
      case "cluster":
        cluster = clusterCodec.decode(entry).value;
        return { kind: "cluster" };
      case "vm-names":
        // The names are in the intents.
        return nothing;
    }
  }

  function remove({ kind, parts: [first = "", second = ""] }: ParsedKey): Touched {
    switch (kind) {
      case "vms":
        vmIndex.deleteIntent(first);
        return { kind: "vm", id: first };
      case "placements":
        placements.delete(first);
        return refreshVm(first);
      case "assign":
        deleteNested(assignments, first, second);
        return { kind: "vm", id: second };
      case "status":
        deleteNested(statuses, first, second);
        return refreshVm(second);
      case "nodes":
        registrations.delete(first);
        return { kind: "node", id: first };
      case "node-policies":
        policies.delete(first);
        return { kind: "node", id: first };
      case "live":
        alive.delete(first);
        return { kind: "node", id: first };
      case "images":
        images.delete(first);
        return { kind: "image", id: first };
      case "image-users":
        imageUsers.get(first)?.delete(second);
        if (imageUsers.get(first)?.size === 0) imageUsers.delete(first);
        return { kind: "image", id: first };
      case "trace-rules":
        traceRules.delete(first);
        return { kind: "trace-rules" };
      case "leadership":
        leaders.delete(first);
        return { kind: "leadership" };
      case "cluster":
        cluster = undefined;
        return { kind: "cluster" };
      case "vm-names":
        return nothing;
    }
  }

  function node(nodeId: string): Node | undefined {
    const registration = registrations.get(nodeId)?.value;
    if (registration === undefined) return undefined;
    return { ...registration, alive: alive.has(nodeId), cordoned: policies.get(nodeId)?.cordoned ?? false };
  }

  const view: StoreView = {
    ...vmIndex.view,
    get revision() {
      return revision;
    },
    get cluster() {
      return cluster;
    },
    placements,
    assignment: (nodeId, vmId) => assignments.get(nodeId)?.get(vmId),
    assignmentsOf: (nodeId) => assignments.get(nodeId) ?? noRecords,
    status: (nodeId, vmId) => statuses.get(nodeId)?.get(vmId),
    statusesOf: (nodeId) => statuses.get(nodeId) ?? noRecords,
    nodeIdsHolding: (vmId) => [...new Set([...nodesWith(assignments, vmId), ...nodesWith(statuses, vmId)])],
    registrations,
    node,
    nodes: () => [...registrations.keys()].flatMap((nodeId) => node(nodeId) ?? []),
    images,
    imageUsers: (name) => imageUsers.get(name) ?? noUsers,
    traceRules,
    leader: (role) => leaders.get(role),
  };

  return {
    view,
    put,
    delete(key) {
      const parsed = parseKey(key);
      return parsed === undefined ? nothing : remove(parsed);
    },
    setRevision(next) {
      if (next > revision) revision = next;
    },
  };
}

function setNested<T>(table: Map<string, Map<string, T>>, outer: string, inner: string, value: T): void {
  table.getOrInsertComputed(outer, () => new Map<string, T>()).set(inner, value);
}

function deleteNested<T>(table: Map<string, Map<string, T>>, outer: string, inner: string): void {
  const records = table.get(outer);
  records?.delete(inner);
  if (records?.size === 0) table.delete(outer);
}

function nodesWith(table: ReadonlyMap<string, ReadonlyMap<string, unknown>>, vmId: string): string[] {
  return [...table].filter(([, records]) => records.has(vmId)).map(([nodeId]) => nodeId);
}
