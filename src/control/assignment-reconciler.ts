/**
 * What nodes are told follows what users want: an assignment older than its intent is
 * written anew, under the trace of the operation that changed it; one whose VM is gone
 * or placed elsewhere is withdrawn.
 */
import type { Clock } from "#model/clock.ts";
import type { VmAssignment, VmIntent } from "#model/vm.ts";
import type { AssignmentRepository, AssignmentWithdrawal, AssignmentWrite } from "#store/assignment-repository.ts";
import type { Versioned } from "#store/records/record-codec.ts";
import type { StoreView } from "#store/store-view.ts";
import type { Telemetry } from "#telemetry/port.ts";
import { newestOperation, planAssignment } from "./plan-assignment.ts";
import { type ReconcilePass, type Reconciler, vmIdsOf } from "./reconciler.ts";

export interface AssignmentReconcilerOptions {
  readonly assignments: AssignmentRepository;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

export function createAssignmentReconciler(options: AssignmentReconcilerOptions): Reconciler {
  const { assignments, clock, telemetry } = options;

  async function rewrite({ term, view }: ReconcilePass, vmIds: readonly string[]): Promise<bigint | undefined> {
    const writes = vmIds.flatMap((vmId) => planRewrite(view(), vmId));
    if (writes.length === 0) return undefined;
    // A write of one operation belongs to its trace; a batch of several to none.
    const cause = writes.length === 1 ? writes[0]?.assignment.cause : undefined;
    const apply = () => assignments.apply(term, writes, { signal: term.signal });
    return (await telemetry.tracing.run(cause, apply)).revision;
  }

  async function withdraw({ term, view, vmIds }: ReconcilePass): Promise<bigint | undefined> {
    const withdrawals = vmIds === undefined ? planWithdrawals(view()) : planWithdrawalsOf(view(), vmIds);
    if (withdrawals.length === 0) return undefined;
    telemetry.logger.info(`${withdrawals.length} assignments without a VM are withdrawn`);
    return (await assignments.withdraw(term, withdrawals, { signal: term.signal })).revision;
  }

  return {
    name: "assignment",
    async reconcile(pass) {
      let revision: bigint | undefined;
      for (const [index, vmIds] of chunk([...vmIdsOf(pass)], VMS_PER_TURN).entries()) {
        // A look at everything is long: others get their turn in between.
        if (index > 0) await clock.delay(1, pass.term.signal);
        revision = (await rewrite(pass, vmIds)) ?? revision;
      }
      return (await withdraw(pass)) ?? revision;
    },
  };
}

const VMS_PER_TURN = 2000;

function chunk<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = [];
  for (let start = 0; start < items.length; start += size) chunks.push(items.slice(start, start + size));
  return chunks;
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

/** Of VMs that are gone; one left on a wrong node is found by the look at everything. */
function planWithdrawalsOf(view: StoreView, vmIds: ReadonlySet<string>): readonly AssignmentWithdrawal[] {
  const gone = [...vmIds].filter((vmId) => !view.intents.has(vmId));
  return gone.flatMap((vmId) =>
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
