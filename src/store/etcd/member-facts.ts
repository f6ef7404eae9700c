/**
 * The `blixard.raft.*` metrics: what this node's consensus member says of itself.
 *
 * Its Status call is cheap and the only source of term and index: asked every
 * second. Its metrics page costs it some milliseconds: read every ten. Nodes
 * without a member do not register this, so their families are absent, not 0.
 */
import { storeLeaderChanged } from "#gen/telemetry/events.ts";
import {
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
} from "#gen/telemetry/metrics.ts";
import type { Observer, Telemetry } from "#telemetry/port.ts";
import type { MemberStatus } from "../key-value-store.ts";
import type { EtcdMaintenance, EtcdMember } from "./etcd-maintenance.ts";
import { parseMetricsPage, readMetricsPage, type Sample } from "./member-metrics-page.ts";

export interface RaftMetricsSource {
  readonly nodeId: string;
  readonly maintenance: Pick<EtcdMaintenance, "status" | "members">;
  /** The member's client socket. */
  readonly socketPath: string;
}

const STATUS_INTERVAL_MS = 1000;
const PAGE_INTERVAL_MS = 10_000;

const histograms = [
  { metric: raftWalFsyncDuration, source: "etcd_disk_wal_fsync_duration_seconds" },
  { metric: raftBackendCommitDuration, source: "etcd_disk_backend_commit_duration_seconds" },
  // 3.5 and newer.
  { metric: raftApplyDuration, source: "etcd_server_apply_duration_seconds" },
  { metric: raftSnapshotDuration, source: "etcd_debugging_snap_save_total_duration_seconds" },
] as const;

const numbers = {
  leaderChanges: "etcd_server_leader_changes_seen_total",
  proposalsCommitted: "etcd_server_proposals_committed_total",
  proposalsFailed: "etcd_server_proposals_failed_total",
  proposalsPending: "etcd_server_proposals_pending",
  heartbeatFailures: "etcd_server_heartbeat_send_failures_total",
  quotaBytes: "etcd_server_quota_backend_bytes",
} as const;

const wantedNames: ReadonlySet<string> = new Set([
  ...Object.values(numbers),
  ...histograms.flatMap(({ source }) => [`${source}_bucket`, `${source}_sum`, `${source}_count`]),
]);

/** Dispose to end the families. */
export function registerRaftMetrics(telemetry: Telemetry, source: RaftMetricsSource): Disposable {
  const group = new DisposableStack();
  const noteLeader = createLeaderNote(telemetry, source.nodeId);
  group.use(
    telemetry.metrics.observeGroup({
      name: "raft_status",
      metrics: [raftIsLeader, raftHasLeader, raftTerm, raftLogIndex, raftStorageUsage],
      intervalMs: STATUS_INTERVAL_MS,
      timeoutMs: STATUS_INTERVAL_MS,
      collect: async (observer, signal) => {
        const status = await source.maintenance.status(signal);
        observeStatus(observer, status);
        noteLeader(status);
      },
    }),
  );
  group.use(
    telemetry.metrics.observeGroup({
      name: "raft_member",
      metrics: [
        raftLeaderChanges,
        raftProposals,
        raftProposalActive,
        raftHeartbeatFailures,
        raftStorageLimit,
        raftMemberCount,
        raftQuorumMargin,
        ...histograms.map(({ metric }) => metric),
      ],
      intervalMs: PAGE_INTERVAL_MS,
      timeoutMs: PAGE_INTERVAL_MS / 2,
      collect: async (observer, signal) => {
        const [page, members, status] = await Promise.all([
          readMetricsPage(source.socketPath, signal),
          source.maintenance.members(signal),
          source.maintenance.status(signal),
        ]);
        observePage(
          observer,
          parseMetricsPage(page, (name) => wantedNames.has(name)),
        );
        observeMembers(observer, members, status);
      },
    }),
  );
  return group;
}

function observeStatus(observer: Observer, status: MemberStatus): void {
  observer.observe(raftIsLeader, status.leaderId === status.memberId ? 1 : 0, {});
  observer.observe(raftHasLeader, status.leaderId === undefined ? 0 : 1, {});
  observer.observe(raftTerm, Number(status.raftTerm), {});
  observer.observe(raftLogIndex, Number(status.raftIndex), { "blixard.raft.index_type": "committed" });
  observer.observe(raftLogIndex, Number(status.raftAppliedIndex), { "blixard.raft.index_type": "applied" });
  const inUse = Number(status.databaseInUseBytes);
  const free = Math.max(0, Number(status.databaseSizeBytes) - inUse);
  observer.observe(raftStorageUsage, inUse, { "blixard.raft.storage_state": "in_use" });
  observer.observe(raftStorageUsage, free, { "blixard.raft.storage_state": "free" });
}

function observePage(observer: Observer, samples: readonly Sample[]): void {
  const observeIfThere = (name: string, observe: (value: number) => void): void => {
    const value = samples.find((sample) => sample.name === name)?.value;
    if (value !== undefined) observe(value);
  };
  observeIfThere(numbers.leaderChanges, (value) => observer.observe(raftLeaderChanges, value, {}));
  observeIfThere(numbers.proposalsCommitted, (value) => observer.observe(raftProposals, value, {}));
  observeIfThere(numbers.proposalsFailed, (value) =>
    observer.observe(raftProposals, value, { "error.type": "proposal_failed" }),
  );
  observeIfThere(numbers.proposalsPending, (value) => observer.observe(raftProposalActive, value, {}));
  observeIfThere(numbers.heartbeatFailures, (value) => observer.observe(raftHeartbeatFailures, value, {}));
  observeIfThere(numbers.quotaBytes, (value) => observer.observe(raftStorageLimit, value, {}));
  for (const { metric, source } of histograms) {
    const histogram = sumHistograms(samples, source);
    if (histogram !== undefined) observer.observeHistogram(metric, histogram, {});
  }
}

/** One histogram of all label sets together (3.5 splits apply durations by operation); undefined when there is none. Pure. */
export function sumHistograms(
  samples: readonly Sample[],
  name: string,
): { sum: number; count: number; bounds: number[]; cumulativeCounts: number[] } | undefined {
  const counts = new Map<number, number>();
  let sum = 0;
  let count = 0;
  let found = false;
  for (const sample of samples) {
    if (sample.name === `${name}_sum`) sum += sample.value;
    if (sample.name === `${name}_count`) {
      count += sample.value;
      found = true;
    }
    if (sample.name !== `${name}_bucket`) continue;
    const bound = Number(sample.labels.get("le"));
    if (Number.isFinite(bound)) counts.set(bound, (counts.get(bound) ?? 0) + sample.value);
  }
  if (!found) return undefined;
  const bounds = [...counts.keys()].toSorted((left, right) => left - right);
  return { sum, count, bounds, cumulativeCounts: bounds.map((bound) => counts.get(bound) ?? 0) };
}

/** Of other members it is only known that they are listed: peers' health comes with the mesh. */
function observeMembers(observer: Observer, members: readonly EtcdMember[], status: MemberStatus): void {
  const served = status.leaderId !== undefined;
  for (const role of ["voter", "learner"] as const) {
    const count = members.filter(({ learner }) => learner === (role === "learner")).length;
    const attributes = { "blixard.raft.member_role": role } as const;
    observer.observe(raftMemberCount, served ? count : 0, { ...attributes, "blixard.raft.member_health": "healthy" });
    observer.observe(raftMemberCount, served ? 0 : count, { ...attributes, "blixard.raft.member_health": "unhealthy" });
  }
  const voters = members.filter(({ learner }) => !learner).length;
  const quorum = Math.floor(voters / 2) + 1;
  observer.observe(raftQuorumMargin, served ? voters - quorum : -1, {});
}

/** Tells of a change of leader once; the first one that is seen is none. */
function createLeaderNote(telemetry: Telemetry, nodeId: string): (status: MemberStatus) => void {
  let known: { readonly leaderId: string | undefined } | undefined;
  return ({ leaderId, memberId }) => {
    const changed = known !== undefined && known.leaderId !== leaderId;
    known = { leaderId };
    if (!changed) return;
    telemetry.logger.event(
      storeLeaderChanged,
      leaderId === undefined ? "the consensus has no leader" : `the consensus is led by ${leaderId}`,
      { "blixard.node.id": nodeId, "blixard.store.member_id": memberId, "blixard.store.leader_id": leaderId },
    );
  };
}
