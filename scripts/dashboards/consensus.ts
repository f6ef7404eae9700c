/** The members that agree, what the node asks of them, and the control loops that live on it. */
import {
  dbClientOperationDuration,
  raftApplyDuration,
  raftBackendCommitDuration,
  raftHasLeader,
  raftHeartbeatFailures,
  raftIsLeader,
  raftLeaderChanges,
  raftLogIndex,
  raftMemberCount,
  raftProposalActive,
  raftProposals,
  raftQuorumMargin,
  raftSnapshotDuration,
  raftStorageLimit,
  raftStorageUsage,
  raftTerm,
  raftWalFsyncDuration,
  schedulerReconcileDuration,
  storeLeaseRenewals,
  storeMemberRestarts,
  storeTransactionConflicts,
  storeWatchActive,
  storeWatchEvents,
  storeWatchResumes,
} from "../../src/gen/telemetry/metrics.ts";
import type { DashboardSpec, Row } from "./dashboard.ts";
import { nodeLink, uids } from "./links.ts";
import { heatmap, stat, states, stateTimeline, timeSeries } from "./panels.ts";
import {
  buckets,
  failureRatio,
  increase,
  legend,
  max,
  type Metric,
  named,
  quantile,
  rate,
  select,
  sum,
} from "./promql.ts";

const NODE = legend("blixard.node.id");

export function consensusDashboard(): DashboardSpec {
  return {
    uid: uids.consensus,
    title: "Blixard / Consensus",
    description:
      "The consensus members of servers (Raft), the store that they keep, and the control loops. Nodes without a member have no series here.",
    rows: [agrees(), fast(), full(), client(), loops()],
  };
}

function agrees(): Row {
  return {
    question: "Do the members agree?",
    panels: [
      stat({
        title: "Leader known",
        description: "Whether every member knows a leader. Without one nothing can be written; guests run on.",
        graph: false,
        mappings: [states([1, "yes", "green"], [0, "no", "red"])],
        queries: [{ expr: `min(${select(raftHasLeader)})` }],
      }),
      stat({
        title: "Leaders",
        description:
          "Members that say they lead. Always 1 in a cluster; two for longer than an election is a partition.",
        graph: false,
        steps: [
          [1, "green"],
          [2, "red"],
        ],
        base: "red",
        queries: [{ expr: sum([], select(raftIsLeader)) }],
      }),
      stat({
        title: "Voters that may be lost",
        description: "Healthy voters beyond the quorum, by the worst view. On a single node 0 is normal.",
        graph: false,
        queries: [{ expr: `min(${select(raftQuorumMargin)})` }],
      }),
      stat({
        title: "Term",
        description: "Grows with every election. On a quiet cluster it stands still.",
        graph: false,
        queries: [{ expr: max([], select(raftTerm)) }],
      }),
      stat({
        title: "Members",
        description: "By role and health, by the view that knows most.",
        width: 8,
        graph: false,
        queries: [
          {
            expr: `${max(["blixard.raft.member_role", "blixard.raft.member_health"], select(raftMemberCount))} > 0`,
            legend: legend("blixard.raft.member_health", "blixard.raft.member_role"),
          },
        ],
      }),
      stateTimeline({
        title: "Who leads",
        description:
          "The node whose member leads. Many short stretches are a leader that flaps: look at fsync and at the network.",
        width: 12,
        mappings: [states([1, "leads", "green"], [0, "follows", "blue"])],
        queries: [{ expr: named(select(raftIsLeader)), legend: NODE }],
      }),
      timeSeries({
        title: "Unrest",
        description:
          "Changes of leader, heartbeats that the leader could not send in time, members that were started again. All should stay at 0.",
        width: 12,
        height: 6,
        queries: [
          { expr: max([], increase(raftLeaderChanges)), legend: "changes of leader" },
          { expr: sum([], increase(raftHeartbeatFailures)), legend: "late heartbeats" },
          { expr: sum([], increase(storeMemberRestarts)), legend: "restarts of members" },
        ],
      }),
    ],
  };
}

function fast(): Row {
  const durations = (title: string, description: string, metric: Metric, limit?: number) =>
    timeSeries({
      title,
      description,
      unit: "s",
      ...(limit === undefined ? {} : { steps: [[limit, "red"]] as const }),
      queries: [
        { expr: named(`(${quantile(0.99, metric, ["job", "instance"])})`), legend: `${NODE} p99` },
        { expr: quantile(0.5, metric), legend: "median of all" },
      ],
      links: [nodeLink("series")],
    });
  return {
    question: "Is it fast enough?",
    panels: [
      timeSeries({
        title: "Proposals",
        description:
          "Writes that were agreed on, that failed, and that wait. Waiting ones that stay up: the disk or the network is too slow.",
        queries: [
          { expr: sum([], rate(raftProposals, { "error.type": "" })), legend: "committed /s" },
          { expr: sum([], rate(raftProposals, { "error.type": { not: "" } })), legend: "failed /s" },
          { expr: sum([], select(raftProposalActive)), legend: "waiting" },
        ],
      }),
      durations(
        "Log made durable (fsync)",
        "Every write waits for it on a majority of members. Above 10 ms the disk is too slow for a cluster; above the heartbeat interval, leaders are lost.",
        raftWalFsyncDuration,
        0.01,
      ),
      durations(
        "Database commit",
        "Time to commit the member's database, several writes at a time. Above 25 ms reads and writes queue up.",
        raftBackendCommitDuration,
        0.025,
      ),
      heatmap({
        title: "Log made durable (fsync)",
        description:
          "Where the single ones lie. A second band far above the first is a disk shared with somebody: guests' disks, a backup.",
        unit: "s",
        expr: buckets(raftWalFsyncDuration),
        exemplars: false,
      }),
      timeSeries({
        title: "Entries not yet applied",
        description: "Committed and not applied, by member. One that grows is a member that cannot keep up.",
        queries: [
          {
            expr: named(
              `(${sum(["job", "instance"], select(raftLogIndex, { "blixard.raft.index_type": "committed" }))} - ${sum(["job", "instance"], select(raftLogIndex, { "blixard.raft.index_type": "applied" }))})`,
            ),
            legend: NODE,
          },
        ],
      }),
      timeSeries({
        title: "Applying and snapshots, 99th percentile",
        description: "Time to apply an entry, and to save a snapshot. Snapshots are rare.",
        unit: "s",
        queries: [
          { expr: quantile(0.99, raftApplyDuration), legend: "apply" },
          { expr: quantile(0.99, raftSnapshotDuration), legend: "snapshot" },
        ],
        emptyUntil: [
          "the member tells how long it applies (etcd 3.5 and newer), or has saved a snapshot",
          "no such times yet",
        ],
      }),
    ],
  };
}

function full(): Row {
  return {
    question: "Does it fill up?",
    panels: [
      timeSeries({
        title: "Database",
        description:
          "In use, and free for reuse, beside the limit at which all writes are refused. Much free space goes with a defragmentation; see the runbook of the alert.",
        unit: "bytes",
        width: 12,
        limits: ["limit"],
        queries: [
          {
            expr: max(["blixard.raft.storage_state"], select(raftStorageUsage)),
            legend: legend("blixard.raft.storage_state"),
          },
          { expr: `min(${select(raftStorageLimit)})`, legend: "limit" },
        ],
      }),
      stat({
        title: "Share of the limit",
        description: "By the fullest member. At 100 % the cluster takes no more writes.",
        width: 12,
        height: 8,
        unit: "percentunit",
        steps: [
          [0.7, "orange"],
          [0.9, "red"],
        ],
        queries: [
          {
            expr: max(
              [],
              `${sum(["job", "instance"], select(raftStorageUsage))} / ${sum(["job", "instance"], select(raftStorageLimit))}`,
            ),
          },
        ],
      }),
    ],
  };
}

function client(): Row {
  const by = ["db.operation.name"] as const;
  return {
    question: "What do nodes ask of the store, and how does it answer?",
    panels: [
      timeSeries({
        title: "Operations",
        description: "Calls to the store, by kind.",
        unit: "ops",
        queries: [{ expr: sum(by, rate(dbClientOperationDuration)), legend: legend(...by) }],
      }),
      timeSeries({
        title: "Failed",
        description: "Share of calls that failed. Without a leader all of them do.",
        unit: "percentunit",
        steps: [[0.01, "red"]],
        queries: [{ expr: failureRatio(dbClientOperationDuration, by), legend: legend(...by) }],
      }),
      timeSeries({
        title: "Time, 99th percentile",
        description:
          "As nodes see it, network included; points are traces. Far above fsync: the member's processor or the network.",
        unit: "s",
        queries: [{ expr: quantile(0.99, dbClientOperationDuration, by), legend: legend(...by), exemplars: true }],
      }),
      timeSeries({
        title: "Watches",
        description: "Open ones, changes they delivered, and those that were taken up again after a broken connection.",
        queries: [
          { expr: sum([], select(storeWatchActive)), legend: "open" },
          { expr: sum([], rate(storeWatchEvents)), legend: "changes /s" },
          { expr: sum([], increase(storeWatchResumes)), legend: "taken up again" },
        ],
      }),
      timeSeries({
        title: "Lease renewals",
        description:
          "Renewals of nodes' leases; a failed one is a heartbeat that was not confirmed. A lease that ends means a node that counts as lost.",
        unit: "ops",
        queries: [
          { expr: sum([], rate(storeLeaseRenewals, { "error.type": "" })), legend: "confirmed" },
          { expr: sum([], rate(storeLeaseRenewals, { "error.type": { not: "" } })), legend: "failed" },
        ],
      }),
      timeSeries({
        title: "Transactions that met a change",
        description:
          "Whose conditions no longer held. Some are normal, they are tried again; many mean that two writers fight over one record.",
        unit: "ops",
        queries: [
          { expr: sum(["db.collection.name"], rate(storeTransactionConflicts)), legend: legend("db.collection.name") },
        ],
        emptyUntil: ["two writers met", "none so far"],
      }),
    ],
  };
}

function loops(): Row {
  const by = ["blixard.scheduler.reconciler"] as const;
  return {
    question: "Do the control loops keep up?",
    panels: [
      timeSeries({
        title: "Passes",
        description: "Of each loop, on the leader. None at all: nobody leads.",
        unit: "ops",
        queries: [{ expr: sum(by, rate(schedulerReconcileDuration)), legend: legend(...by) }],
      }),
      timeSeries({
        title: "Failed passes",
        description:
          "Share that ended with an error. They are tried again; one that keeps failing stops that kind of work. The log says why.",
        unit: "percentunit",
        steps: [[0.01, "red"]],
        queries: [{ expr: failureRatio(schedulerReconcileDuration, by), legend: legend(...by) }],
      }),
      timeSeries({
        title: "Time of a pass, 99th percentile",
        description: "Grows with VMs and nodes. Near a second, VMs wait for it.",
        unit: "s",
        queries: [{ expr: quantile(0.99, schedulerReconcileDuration, by), legend: legend(...by) }],
      }),
    ],
  };
}
