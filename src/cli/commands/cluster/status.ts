/** `blixard cluster status` */
import {
  type ClusterMember,
  ClusterService,
  type GetClusterStatusResponse,
  GetClusterStatusResponseSchema,
} from "#gen/api/blixard/v1/cluster_pb.ts";
import { approximateSize } from "#model/quantity.ts";
import { defineCommand } from "../../command.ts";
import { nodeOptions } from "../../node-options.ts";
import { renderProperties, renderTable, type TableLayout } from "../../output/table.ts";

export const clusterStatus = defineCommand({
  arguments: {},
  options: { ...nodeOptions },
  examples: [{ command: "blixard cluster status", explanation: "Members, leader and the store's health" }],
  readOnly: true,
  run: async ({ node, printer, signal }) => {
    const cluster = await node.client(ClusterService);
    const response = await cluster.getClusterStatus({}, { signal });
    await printer.message(GetClusterStatusResponseSchema, response, (layout) => statusLines(response, layout));
  },
});

function statusLines(status: GetClusterStatusResponse, layout: TableLayout): readonly string[] {
  const properties: readonly (readonly [string, string])[] = [
    ["Cluster", status.name],
    ["Id", status.clusterId],
    ["Leader", status.leaderNodeId || "none"],
    ["Store", `${status.storeKind} etcd ${status.storeVersion}`.trim()],
  ];
  const members = renderTable<ClusterMember>(
    [
      { title: "MEMBER", value: (member) => member.name || member.memberId },
      {
        title: "HEALTH",
        value: (member) => (member.healthy ? "healthy" : "unhealthy"),
        style: (member) => (member.healthy ? "green" : "red"),
      },
      { title: "ROLE", value: (member) => (member.leader ? "leader" : member.learner ? "learner" : "follower") },
      { title: "TERM", align: "right", value: (member) => String(member.raftTerm) },
      { title: "INDEX", align: "right", value: (member) => String(member.raftIndex) },
      { title: "APPLIED", align: "right", value: (member) => String(member.raftAppliedIndex) },
      { title: "DATABASE", align: "right", value: (member) => approximateSize(Number(member.databaseSizeBytes)) },
      { title: "ALARMS", value: (member) => member.alarms.join(" ") },
    ],
    status.members,
    layout,
  );
  return [...renderProperties(properties, layout), ...(status.members.length === 0 ? [] : ["", ...members])];
}
