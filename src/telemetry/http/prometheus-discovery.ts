/**
 * `/discovery/prometheus`: all nodes of the cluster as targets, in the form that
 * Prometheus's `http_sd` and `file_sd` read. Any node answers for all, from what it
 * knows already.
 *
 * `job` and `instance` are the ones that the OTLP route gives the same node's series, and
 * no other label stays on them: both ways end in equal series. The rest is `__meta_…`, for
 * relabelling. A node that is down is listed too, so that its `up` is 0 and not gone. Where
 * nothing is known there is no answer: Prometheus keeps its targets then, and would drop
 * them for an empty list.
 */
import type { Clock } from "#model/clock.ts";
import type { MetricsEndpoint, Node } from "#model/node.ts";

export interface KnownNodes {
  readonly cluster: { readonly id: string; readonly name: string } | undefined;
  readonly ownNodeId: string;
  readonly nodes: readonly Node[];
  /** When this was last confirmed to be so, Unix ms. */
  readonly confirmedTimeMs: number;
}

export interface TargetGroup {
  readonly targets: readonly [address: string];
  readonly labels: Readonly<Record<string, string>>;
}

export interface DiscoveryAnswer {
  /** JSON. */
  readonly body: Buffer;
  readonly ageSeconds: number;
}

export const DISCOVERY_PATH = "/discovery/prometheus";

/** However often it is asked, the list is made at most once in this time. */
const MINIMUM_INTERVAL_MS = 1_000;

/** @param known undefined while nothing is known */
export function createDiscovery(
  known: () => KnownNodes | undefined,
  clock: Clock,
): { answer(): DiscoveryAnswer | undefined } {
  let last: { readonly body: Buffer; readonly madeMs: number; readonly confirmedTimeMs: number } | undefined;
  return {
    answer() {
      const nowMs = clock.monotonicMs();
      if (last === undefined || nowMs - last.madeMs >= MINIMUM_INTERVAL_MS) {
        const nodes = known();
        if (nodes === undefined) return undefined;
        const body = Buffer.from(`${JSON.stringify(planTargetGroups(nodes))}\n`);
        last = { body, madeMs: nowMs, confirmedTimeMs: nodes.confirmedTimeMs };
      }
      const ageSeconds = Math.max(0, Math.floor((clock.now() - last.confirmedTimeMs) / 1_000));
      return { body: last.body, ageSeconds };
    },
  };
}

/** One group for each node with a page, by id. */
export function planTargetGroups({ cluster, ownNodeId, nodes }: KnownNodes): readonly TargetGroup[] {
  const chosen = new Map<string, { readonly node: Node; readonly metrics: MetricsEndpoint }>();
  const inOrder = nodes.toSorted((left, right) => (left.id < right.id ? -1 : 1));
  for (const node of inOrder) {
    const { metrics } = node;
    if (metrics === undefined) continue;
    // Two at one address: what is read there is of one of them, and must not get the labels of the other.
    const other = chosen.get(metrics.address)?.node;
    if (other === undefined || isMoreLikelyAt(node, other, ownNodeId)) chosen.set(metrics.address, { node, metrics });
  }
  return [...chosen.values()]
    .toSorted((left, right) => (left.node.id < right.node.id ? -1 : 1))
    .map(({ node, metrics }) => ({ targets: [metrics.address], labels: labelsOf(node, metrics, cluster) }));
}

/** Who answers knows of itself; else who lives, or came last. */
function isMoreLikelyAt(node: Node, other: Node, ownNodeId: string): boolean {
  if (node.id === ownNodeId || other.id === ownNodeId) return node.id === ownNodeId;
  if (node.alive !== other.alive) return node.alive;
  return node.startTimeMs > other.startTimeMs;
}

function labelsOf(
  node: Node,
  { scheme, path, job, instance }: MetricsEndpoint,
  cluster: KnownNodes["cluster"],
): TargetGroup["labels"] {
  return {
    job,
    instance,
    __scheme__: scheme,
    __metrics_path__: path,
    __meta_blixard_node_id: node.id,
    __meta_blixard_node_state: node.alive ? "ready" : "down",
    __meta_blixard_node_schedulable: String(!node.cordoned),
    __meta_blixard_node_server: String(node.server),
    __meta_blixard_node_version: node.version,
    __meta_blixard_runtime_driver: node.driver,
    __meta_blixard_runtime_accelerator: node.accelerator,
    ...(cluster === undefined
      ? {}
      : { __meta_blixard_cluster_id: cluster.id, __meta_blixard_cluster_name: cluster.name }),
  };
}
