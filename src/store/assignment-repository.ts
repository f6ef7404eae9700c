/** What each node must bring about: written by the leader, read by the node it is for. */
import { BlixardError } from "#model/errors.ts";
import type { VmAssignment, VmIntent } from "#model/vm.ts";
import { applyControlWrites, type BatchOutcome } from "./control-batch.ts";
import { assignmentKey, assignmentPrefix, parseKey, vmKey } from "./keys.ts";
import type { CallOptions, KeyValueStore, WatchEvent } from "./key-value-store.ts";
import type { LeaderTerm } from "./leader-term.ts";
import { assignmentCodec } from "./records/placement-codec.ts";
import { carryUnknown, type Versioned } from "./records/record-codec.ts";

export interface AssignmentWrite {
  readonly nodeId: string;
  /** The intent this version of the assignment was made from. */
  readonly vm: Versioned<VmIntent>;
  /** As it was when this was decided; undefined: there was none. */
  readonly previous: Versioned<VmAssignment> | undefined;
  readonly assignment: VmAssignment;
}

export interface AssignmentWithdrawal {
  readonly nodeId: string;
  readonly previous: Versioned<VmAssignment>;
}

export type AssignmentChange =
  /** All assignments of the node: first, and again after the watch had to start anew. */
  | { readonly kind: "snapshot"; readonly assignments: readonly VmAssignment[]; readonly revision: bigint }
  | { readonly kind: "assigned"; readonly assignment: VmAssignment; readonly revision: bigint }
  | { readonly kind: "withdrawn"; readonly vmId: string; readonly revision: bigint };

export interface AssignmentRepository {
  /** @throws BlixardError NOT_LEADER, STORE_* */
  apply(term: LeaderTerm, writes: readonly AssignmentWrite[], options?: CallOptions): Promise<BatchOutcome>;
  /** @throws BlixardError NOT_LEADER, STORE_* */
  withdraw(
    term: LeaderTerm,
    withdrawals: readonly AssignmentWithdrawal[],
    options?: CallOptions,
  ): Promise<BatchOutcome>;
  list(
    nodeId: string,
    options?: CallOptions,
  ): Promise<{ readonly revision: bigint; readonly assignments: readonly VmAssignment[] }>;
  /** Ends by the signal. @throws BlixardError STORE_UNAVAILABLE when the first list cannot be had */
  watch(nodeId: string, signal: AbortSignal): AsyncIterable<AssignmentChange>;
}

export function createAssignmentRepository(store: KeyValueStore): AssignmentRepository {
  async function list(
    nodeId: string,
    options?: CallOptions,
  ): Promise<{ revision: bigint; assignments: VmAssignment[] }> {
    const { revision, entries } = await store.range(assignmentPrefix(nodeId), options);
    return { revision, assignments: entries.map((entry) => assignmentCodec.decode(entry).value) };
  }

  return {
    apply: (term, writes, options) =>
      applyControlWrites(
        store,
        term,
        writes.map(({ nodeId, vm, previous, assignment }) => ({
          vmId: assignment.vmId,
          compare: [
            { kind: "modRevision", key: vmKey(assignment.vmId), equals: vm.modRevision },
            { kind: "modRevision", key: assignmentKey(nodeId, assignment.vmId), equals: previous?.modRevision ?? 0n },
          ],
          operations: [
            {
              kind: "put",
              key: assignmentKey(nodeId, assignment.vmId),
              value: assignmentCodec.encode(carryUnknown(previous?.value, assignment)),
            },
          ],
        })),
        options,
      ),
    withdraw: (term, withdrawals, options) =>
      applyControlWrites(
        store,
        term,
        withdrawals.map(({ nodeId, previous }) => ({
          vmId: previous.value.vmId,
          compare: [
            { kind: "modRevision", key: assignmentKey(nodeId, previous.value.vmId), equals: previous.modRevision },
          ],
          operations: [{ kind: "delete", key: assignmentKey(nodeId, previous.value.vmId) }],
        })),
        options,
      ),
    list,
    async *watch(nodeId, signal) {
      while (!signal.aborted) {
        try {
          const { revision, assignments } = await list(nodeId, { signal });
          yield { kind: "snapshot", assignments, revision };
          for await (const batch of store.watch(assignmentPrefix(nodeId), revision + 1n, signal)) {
            for (const event of batch.events) yield* changesOf(event);
          }
        } catch (error) {
          if (signal.aborted) return;
          if (!(error instanceof BlixardError) || error.code !== "STORE_COMPACTED") throw error;
        }
      }
    },
  };
}

function* changesOf(event: WatchEvent): Generator<AssignmentChange> {
  if (event.kind === "put") {
    const { value, modRevision } = assignmentCodec.decode(event.entry);
    yield { kind: "assigned", assignment: value, revision: modRevision };
    return;
  }
  const vmId = parseKey(event.key)?.parts[1];
  if (vmId !== undefined) yield { kind: "withdrawn", vmId, revision: event.modRevision };
}
