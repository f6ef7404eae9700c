/** The cluster's own record: made once, when the first node starts. */
import { settle } from "./compare-and-swap.ts";
import { clusterKey } from "./keys.ts";
import type { CallOptions, KeyValueStore } from "./key-value-store.ts";
import { type Cluster, clusterCodec } from "./records/cluster-codec.ts";

export interface ClusterRepository {
  /** The cluster's record: the one that is there, or `proposed` if there is none yet. */
  ensure(proposed: Cluster, options?: CallOptions): Promise<Cluster>;
  get(options?: CallOptions): Promise<Cluster | undefined>;
}

export function createClusterRepository(store: KeyValueStore): ClusterRepository {
  return {
    ensure: (proposed, options) =>
      settle("create the cluster's record", async () => {
        const result = await store.transact(
          {
            compare: [{ kind: "modRevision", key: clusterKey, equals: 0n }],
            success: [{ kind: "put", key: clusterKey, value: clusterCodec.encode(proposed) }],
            failure: [{ kind: "get", key: clusterKey }],
          },
          options,
        );
        if (result.succeeded) return { value: proposed };
        const entry = result.gets[0];
        return entry === undefined ? undefined : { value: clusterCodec.decode(entry).value };
      }),
    async get(options) {
      const entry = await store.get(clusterKey, options);
      return entry === undefined ? undefined : clusterCodec.decode(entry).value;
    },
  };
}
