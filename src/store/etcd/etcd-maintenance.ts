/** What etcd says of itself and its members, and the little that is done to keep a database healthy. */
import { create } from "@bufbuild/protobuf";
import {
  AlarmRequest_AlarmAction,
  AlarmRequestSchema,
  AlarmType,
  Cluster,
  CompactionRequestSchema,
  DefragmentRequestSchema,
  KV,
  Maintenance,
  MemberListRequestSchema,
  RangeRequestSchema,
  StatusRequestSchema,
} from "#gen/etcd/etcd/etcdserverpb/rpc_pb.ts";
import type { MemberStatus } from "../key-value-store.ts";
import { classifyFailure, readError } from "./call-failure.ts";
import type { EtcdConnection, UnaryOptions } from "./connection.ts";
import { keyBytes, memberIdToHex } from "./messages.ts";

export interface EtcdMember {
  /** Hex. */
  readonly id: string;
  /** Empty until it has started once. */
  readonly name: string;
  readonly learner: boolean;
  readonly clientUrls: readonly string[];
}

export interface EtcdMaintenance {
  /** Of the member at the other end; answers without a leader too. @throws BlixardError STORE_UNAVAILABLE */
  status(signal?: AbortSignal): Promise<MemberStatus>;
  /** @throws BlixardError STORE_UNAVAILABLE */
  members(signal?: AbortSignal): Promise<readonly EtcdMember[]>;
  /** A linearizable read: resolves when the member has a leader and a quorum. @throws BlixardError STORE_UNAVAILABLE */
  checkServing(signal?: AbortSignal): Promise<void>;
  /**
   * Makes room in a full database: forgets history, gives the space back, lifts the alarm.
   * Blocks the member meanwhile.
   */
  recoverSpace(signal?: AbortSignal): Promise<void>;
}

const TIMEOUT_MS = 2000;
const DEFRAGMENT_TIMEOUT_MS = 60_000;
const ALARM = /alarm:\s*([A-Z]+)/g;

export function createEtcdMaintenance(connection: EtcdConnection): EtcdMaintenance {
  async function call<T>(what: string, request: Promise<T>): Promise<T> {
    try {
      return await request;
    } catch (error) {
      throw readError(what, classifyFailure(error));
    }
  }

  async function status(signal?: AbortSignal): Promise<MemberStatus> {
    const options = { timeoutMs: TIMEOUT_MS, signal, requireLeader: false };
    const answer = await call(
      "read the member's status",
      connection.unary(Maintenance.method.status, create(StatusRequestSchema), options),
    );
    return {
      memberId: memberIdToHex(answer.header?.memberId ?? 0n),
      leaderId: answer.leader === 0n ? undefined : memberIdToHex(answer.leader),
      version: answer.version,
      raftTerm: answer.raftTerm,
      raftIndex: answer.raftIndex,
      raftAppliedIndex: answer.raftAppliedIndex,
      databaseSizeBytes: answer.dbSize,
      databaseInUseBytes: answer.dbSizeInUse,
      learner: answer.isLearner,
      // The Alarm call would be a proposal each time; the status carries the same as text.
      alarms: [...new Set(answer.errors.flatMap((text) => [...text.matchAll(ALARM)].map((match) => match[1] ?? "")))],
    };
  }

  /** Alarms are lifted for the member that raised them. */
  async function liftAlarms(options: UnaryOptions): Promise<void> {
    const what = "lift the alarm of the full store";
    const request = create(AlarmRequestSchema, { action: AlarmRequest_AlarmAction.GET });
    const { alarms } = await call(what, connection.unary(Maintenance.method.alarm, request, options));
    for (const { memberID, alarm } of alarms) {
      if (alarm !== AlarmType.NOSPACE) continue;
      const lift = create(AlarmRequestSchema, { action: AlarmRequest_AlarmAction.DEACTIVATE, memberID, alarm });
      await call(what, connection.unary(Maintenance.method.alarm, lift, options));
    }
  }

  return {
    status,
    async members(signal) {
      const options = { timeoutMs: TIMEOUT_MS, signal, requireLeader: false };
      const answer = await call(
        "list the members",
        connection.unary(Cluster.method.memberList, create(MemberListRequestSchema), options),
      );
      return answer.members.map((member) => ({
        id: memberIdToHex(member.ID),
        name: member.name,
        learner: member.isLearner,
        clientUrls: member.clientURLs,
      }));
    },
    async checkServing(signal) {
      const request = create(RangeRequestSchema, { key: keyBytes("health"), limit: 1n });
      await call("read", connection.unary(KV.method.range, request, { timeoutMs: TIMEOUT_MS, signal }));
    },
    async recoverSpace(signal) {
      const quick = { timeoutMs: TIMEOUT_MS, signal };
      const slow = { timeoutMs: DEFRAGMENT_TIMEOUT_MS, signal };
      const read = await call(
        "read the revision",
        connection.unary(KV.method.range, create(RangeRequestSchema, { key: keyBytes("health") }), quick),
      );
      const revision = read.header?.revision ?? 0n;
      const compaction = create(CompactionRequestSchema, { revision, physical: true });
      await connection.unary(KV.method.compact, compaction, slow).catch((error: unknown) => {
        // Compacted already, by the periodic compaction or by an earlier try.
        const failure = classifyFailure(error);
        if (failure.code !== "STORE_COMPACTED") throw readError("compact the store", failure);
      });
      await call(
        "defragment the store",
        connection.unary(Maintenance.method.defragment, create(DefragmentRequestSchema), slow),
      );
      await liftAlarms(quick);
    },
  };
}
