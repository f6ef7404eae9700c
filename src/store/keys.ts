/**
 * Where every record lives. One key per object; all of them under one prefix,
 * so that one watch sees everything. Only repositories, the watch cache and
 * leadership build or read keys.
 */

export const STORE_PREFIX = "/blixard/v1/";

/** Kinds of records, as they appear right after the prefix and in `db.collection.name`. */
export const recordKinds = [
  "cluster",
  "vms",
  "vm-names",
  "placements",
  "assign",
  "status",
  "nodes",
  "node-policies",
  "live",
  "images",
  "image-users",
  "trace-rules",
  "leadership",
] as const;
export type RecordKind = (typeof recordKinds)[number];

export const clusterKey = `${STORE_PREFIX}cluster`;
export const vmKey = (vmId: string): string => `${STORE_PREFIX}vms/${vmId}`;
export const vmNameKey = (name: string): string => `${STORE_PREFIX}vm-names/${name}`;
export const placementKey = (vmId: string): string => `${STORE_PREFIX}placements/${vmId}`;
export const assignmentPrefix = (nodeId: string): string => `${STORE_PREFIX}assign/${nodeId}/`;
export const assignmentKey = (nodeId: string, vmId: string): string => `${assignmentPrefix(nodeId)}${vmId}`;
export const statusPrefix = (nodeId: string): string => `${STORE_PREFIX}status/${nodeId}/`;
export const statusKey = (nodeId: string, vmId: string): string => `${statusPrefix(nodeId)}${vmId}`;
export const nodeKey = (nodeId: string): string => `${STORE_PREFIX}nodes/${nodeId}`;
export const nodePolicyKey = (nodeId: string): string => `${STORE_PREFIX}node-policies/${nodeId}`;
export const livenessKey = (nodeId: string): string => `${STORE_PREFIX}live/${nodeId}`;
export const imageKey = (name: string): string => `${STORE_PREFIX}images/${name}`;
export const imageUserPrefix = (image: string): string => `${STORE_PREFIX}image-users/${image}/`;
export const imageUserKey = (image: string, vmId: string): string => `${imageUserPrefix(image)}${vmId}`;
export const traceRuleKey = (ruleId: string): string => `${STORE_PREFIX}trace-rules/${ruleId}`;
/** Written by whoever makes a rule, so that of two at once one counts anew. No record: readers leave it alone. */
export const traceRuleGuardKey = `${STORE_PREFIX}trace-rules`;
export const leadershipKey = (role: string): string => `${STORE_PREFIX}leadership/${role}`;
export const kindPrefix = (kind: RecordKind): string => `${STORE_PREFIX}${kind}/`;

export interface ParsedKey {
  readonly kind: RecordKind;
  /** What follows the kind, split at "/": none for `cluster`, two for assignments, statuses and image users. */
  readonly parts: readonly string[];
}

const partCounts: Readonly<Record<RecordKind, number>> = {
  cluster: 0,
  vms: 1,
  "vm-names": 1,
  placements: 1,
  assign: 2,
  status: 2,
  nodes: 1,
  "node-policies": 1,
  live: 1,
  images: 1,
  "image-users": 2,
  "trace-rules": 1,
  leadership: 1,
};

/** undefined for keys that this version does not know: they are left alone. */
export function parseKey(key: string): ParsedKey | undefined {
  if (!key.startsWith(STORE_PREFIX)) return undefined;
  const [kind, ...parts] = key.slice(STORE_PREFIX.length).split("/");
  if (kind === undefined || !isRecordKind(kind)) return undefined;
  if (parts.length !== partCounts[kind] || parts.includes("")) return undefined;
  return { kind, parts };
}

/** The kind of records a key or prefix belongs to, low in cardinality; `other` outside ours. */
export function collectionOf(keyOrPrefix: string): RecordKind | "all" | "other" {
  if (!keyOrPrefix.startsWith(STORE_PREFIX)) return "other";
  const rest = keyOrPrefix.slice(STORE_PREFIX.length);
  const end = rest.indexOf("/");
  const kind = end === -1 ? rest : rest.slice(0, end);
  if (kind === "") return "all";
  return isRecordKind(kind) ? kind : "other";
}

function isRecordKind(text: string): text is RecordKind {
  return (recordKinds as readonly string[]).includes(text);
}
