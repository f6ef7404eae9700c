/** How an accepted operation changes what is wanted of a VM. Pure. */
import { BlixardError } from "#model/errors.ts";
import { type DesiredVmState, MAXIMUM_OPERATIONS, type VmIntent, type VmOperation } from "#model/vm.ts";

export interface IntentOperation extends VmOperation {
  readonly kind: Exclude<VmOperation["kind"], "create">;
  /** Without asking the guest: stop, restart, delete. */
  readonly force: boolean;
}

/**
 * The intent after the operation, or `current` itself when this very operation is already in it (a retry).
 *
 *   running ⇄ paused     pause, resume
 *   running, paused, stopped → running (start, restart) | stopped (stop) | deleted (delete)
 *   deleted: only delete, again
 *
 * @throws BlixardError OPERATION_ID_REUSED, VM_STATE_CONFLICT
 */
export function planIntentChange(current: VmIntent, operation: IntentOperation): VmIntent {
  const earlier = current.operations.find((known) => known.operationId === operation.operationId);
  if (earlier !== undefined) {
    if (earlier.kind === operation.kind) return current;
    throw new BlixardError(
      "OPERATION_ID_REUSED",
      `operation id ${operation.operationId} was already used to ${earlier.kind} VM ${current.name}`,
      { field: "operationId", hint: "Use a fresh operation id for every new request." },
    );
  }
  if (operation.kind === "delete" && current.desiredState === "deleted" && (current.force || !operation.force)) {
    return current;
  }
  const { force, ...kept } = operation;
  return {
    ...current,
    desiredState: desiredStateAfter(current, operation),
    generation: current.generation + 1,
    restartGeneration: current.restartGeneration + (operation.kind === "restart" ? 1 : 0),
    force,
    operations: [kept, ...current.operations].slice(0, MAXIMUM_OPERATIONS),
  };
}

function desiredStateAfter(current: VmIntent, operation: IntentOperation): DesiredVmState {
  if (current.desiredState === "deleted" && operation.kind !== "delete") {
    throw conflict(current, operation, "it is being deleted");
  }
  switch (operation.kind) {
    case "start":
    case "restart":
      return "running";
    case "stop":
      return "stopped";
    case "delete":
      return "deleted";
    case "pause":
    case "resume":
      if (current.desiredState === "stopped") throw conflict(current, operation, "it is meant to be stopped");
      return operation.kind === "pause" ? "paused" : "running";
  }
}

function conflict(current: VmIntent, operation: IntentOperation, reason: string): BlixardError {
  return new BlixardError("VM_STATE_CONFLICT", `cannot ${operation.kind} VM ${current.name}: ${reason}`);
}
