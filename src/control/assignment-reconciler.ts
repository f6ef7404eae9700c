/**
 * What nodes are told follows what users want: an assignment older than its intent is
 * written anew, under the trace of the operation that changed it; one whose VM is gone
 * or placed elsewhere is withdrawn.
 */
import type { VmAssignment, VmIntent } from "#model/vm.ts";
import type { AssignmentRepository, AssignmentWithdrawal, AssignmentWrite } from "#store/assignment-repository.ts";
import type { Versioned } from "#store/records/record-codec.ts";
import type { StoreView } from "#store/store-view.ts";
import type { Telemetry } from "#telemetry/port.ts";
import { newestOperation, planAssignment } from "./plan-assignment.ts";
import { type Reconciler, vmIdsOf } from "./reconciler.ts";

export interface AssignmentReconcilerOptions {
  readonly assignments: AssignmentRepository;
  readonly telemetry: Telemetry;
}

export function createAssignmentReconciler(options: AssignmentReconcilerOptions): Reconciler {
  const { assignments, telemetry } = options;
  return {
    name: "assignment",
    async reconcile(pass) {
      const { term } = pass;
      const view = pass.view();
      const writes = [...vmIdsOf(pass)].flatMap((vmId) => planRewrite(view, vmId));
      const withdrawals = pass.vmIds === undefined ? planWithdrawals(view) : planWithdrawalsOf(view, pass.vmIds);
      let revision: bigint | undefined;
      if (writes.length > 0) {
        const cause = writes.length === 1 ? writes[0]?.assignment.cause : undefined;
        const apply = () => assignments.apply(term, writes, { signal: term.signal });
        revision = (await telemetry.tracing.run(cause, apply)).revision;
      }
      if (withdrawals.length > 0) {
        telemetry.logger.info(`${withdrawals.length} assignments without a VM are withdrawn`);
        revision = (await assignments.withdraw(term, withdrawals, { signal: term.signal })).revision ?? revision;
      }
      return revision;
    },
  };
}

function planRewrite(view: StoreView, vmId: string): readonly AssignmentWrite[] {
  const vm = view.intents.get(vmId);
  const nodeId = view.placements.get(vmId)?.value.nodeId;
  if (vm === undefined || nodeId === undefined) return [];
  const previous = view.assignment(nodeId, vmId);
  if (previous !== undefined && !isBehind(previous, vm)) return [];
  return [{ nodeId, vm, previous, assignment: planAssignment(vm.value, newestOperation(vm.value).trace) }];
}

function isBehind(assignment: Versioned<VmAssignment>, vm: Versioned<VmIntent>): boolean {
  return assignment.value.generation !== vm.value.generation;
}

function planWithdrawals(view: StoreView): readonly AssignmentWithdrawal[] {
  return [...view.registrations.keys()].flatMap((nodeId) =>
    [...view.assignmentsOf(nodeId).values()].flatMap((previous) => withdrawalOf(view, nodeId, previous)),
  );
}

function planWithdrawalsOf(view: StoreView, vmIds: ReadonlySet<string>): readonly AssignmentWithdrawal[] {
  return [...vmIds].flatMap((vmId) =>
    view.nodeIdsHolding(vmId).flatMap((nodeId) => {
      const previous = view.assignment(nodeId, vmId);
      return previous === undefined ? [] : withdrawalOf(view, nodeId, previous);
    }),
  );
}

function withdrawalOf(
  view: StoreView,
  nodeId: string,
  previous: Versioned<VmAssignment>,
): readonly AssignmentWithdrawal[] {
  const { vmId } = previous.value;
  const placedHere = view.intents.has(vmId) && view.placements.get(vmId)?.value.nodeId === nodeId;
  return placedHere ? [] : [{ nodeId, previous }];
}
