/**
 * The nodes of the cluster, for Prometheus to find them at the metrics listener. The
 * listener opens before the store does; until this node is registered nothing is known.
 * From then on what was known last stays, also while the store is away.
 */
import type { StoreView } from "#store/store-view.ts";
import type { KnownNodes } from "#telemetry/http/prometheus-discovery.ts";

export interface KnownNodesSource {
  readonly nodeId: string;
  readonly view: () => Pick<StoreView, "cluster" | "nodes">;
  /** When the store last confirmed anything to this node, Unix ms. */
  readonly confirmedTimeMs: () => number | undefined;
}

export interface KnownNodesBoard {
  readonly read: () => KnownNodes | undefined;
  /** Called once, when this node has registered. */
  follow(source: KnownNodesSource): void;
}

export function createKnownNodesBoard(): KnownNodesBoard {
  let source: KnownNodesSource | undefined;
  return {
    read: () => (source === undefined ? undefined : readKnownNodes(source)),
    follow: (followed) => void (source = followed),
  };
}

function readKnownNodes({ nodeId, view, confirmedTimeMs }: KnownNodesSource): KnownNodes | undefined {
  const present = view();
  const nodes = present.nodes();
  const confirmed = confirmedTimeMs();
  // The view may be a moment behind the registration.
  if (confirmed === undefined || !nodes.some(({ id }) => id === nodeId)) return undefined;
  return { cluster: present.cluster, ownNodeId: nodeId, nodes, confirmedTimeMs: confirmed };
}
