/** ClusterService: who leads, and how the store's members are. */
import type { ServiceImpl } from "@connectrpc/connect";
import type { ClusterService } from "#gen/api/blixard/v1/cluster_pb.ts";
import { CONTROL_ROLE } from "#store/leadership.ts";
import type { WatchCache } from "#store/watch-cache.ts";
import type { ConsensusReader } from "../ports.ts";

export interface ClusterHandlerOptions {
  readonly cache: Pick<WatchCache, "snapshot">;
  readonly consensus: ConsensusReader;
}

export function createClusterHandler({ cache, consensus }: ClusterHandlerOptions): ServiceImpl<typeof ClusterService> {
  return {
    async getClusterStatus(_request, context) {
      const members = await consensus.members(context.signal);
      const view = cache.snapshot();
      return {
        clusterId: view.cluster?.id ?? "",
        name: view.cluster?.name ?? "",
        leaderNodeId: view.leader(CONTROL_ROLE)?.nodeId ?? "",
        storeKind: consensus.kind,
        storeVersion: members.find((member) => member.leader)?.version ?? members.at(0)?.version ?? "",
        members: members.map(({ alarms, version: _version, ...member }) => ({ ...member, alarms: [...alarms] })),
      };
    },
  };
}
