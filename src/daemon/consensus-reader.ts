/** What the API tells of the store's members, from the one member this node is connected to. */
import type { ConsensusMember, ConsensusReader } from "#api/ports.ts";
import type { EtcdMaintenance } from "#store/etcd/etcd-maintenance.ts";

/** Members other than the one asked are listed by name; only it can say how it is. */
export function createConsensusReader(kind: ConsensusReader["kind"], maintenance: EtcdMaintenance): ConsensusReader {
  return {
    kind,
    async members(signal) {
      const [status, members] = await Promise.all([maintenance.status(signal), maintenance.members(signal)]);
      return members.map((member): ConsensusMember => {
        const leader = member.id === status.leaderId;
        if (member.id !== status.memberId)
          return { ...unknownMember, memberId: member.id, name: member.name, learner: member.learner, leader };
        return {
          memberId: member.id,
          name: member.name,
          leader,
          learner: status.learner,
          healthy: status.leaderId !== undefined && status.alarms.length === 0,
          version: status.version,
          raftTerm: status.raftTerm,
          raftIndex: status.raftIndex,
          raftAppliedIndex: status.raftAppliedIndex,
          databaseSizeBytes: status.databaseSizeBytes,
          alarms: status.alarms,
        };
      });
    },
  };
}

const unknownMember = {
  healthy: false,
  version: "",
  raftTerm: 0n,
  raftIndex: 0n,
  raftAppliedIndex: 0n,
  databaseSizeBytes: 0n,
  alarms: [],
} as const;
