/** Which operation a VM can take in the state it is in, and what to do otherwise. Pure. */
import { BlixardError } from "#model/errors.ts";
import type { Vm, VmOperationKind, VmState } from "#model/vm.ts";

export type ChangeKind = Exclude<VmOperationKind, "create">;

/**
 * start, stop, restart and delete say what is wanted and fit every state; pause and
 * resume act on a guest and need it.
 *
 * @throws BlixardError VM_STATE_CONFLICT with the state and what to do
 */
export function checkOperation(kind: ChangeKind, vm: Vm): void {
  if (vm.intent.desiredState === "deleted" && kind !== "delete") throw stateConflict(kind, vm);
  if (kind === "pause" && !(isIn(vm, "running") || vm.intent.desiredState === "paused")) throw stateConflict(kind, vm);
  if (kind === "resume" && !(isIn(vm, "paused") || vm.intent.desiredState === "paused")) throw stateConflict(kind, vm);
}

export function stateConflict(kind: ChangeKind, vm: Vm, cause?: unknown): BlixardError {
  const { name } = vm.intent;
  const deleting = vm.intent.desiredState === "deleted";
  const state = deleting ? "being deleted" : vm.status.state;
  return new BlixardError("VM_STATE_CONFLICT", `cannot ${kind} VM ${name}: it is ${state}`, {
    field: "vm",
    hint: deleting ? `Create a new VM when it is gone: blixard vm watch ${name}` : hintFor(kind, name, vm.status.state),
    ...(cause === undefined ? {} : { cause }),
  });
}

function hintFor(kind: ChangeKind, name: string, state: VmState): string {
  if (kind === "resume") {
    return state === "running"
      ? "It runs already, there is nothing to resume."
      : `Only a paused VM can be resumed; to make it run: blixard vm start ${name}`;
  }
  switch (state) {
    case "stopped":
    case "failed":
      return `Only a running VM can be paused; start it first: blixard vm start ${name}`;
    case "pending":
      return `Only a running VM can be paused; see why it waits: blixard vm get ${name}`;
    case "stopping":
      return `Only a running VM can be paused; wait until it has stopped, then start it: blixard vm start ${name}`;
    case "scheduled":
    case "preparing":
    case "starting":
    case "migrating":
    case "lost":
    case "running":
    case "paused":
      return `Only a running VM can be paused; wait until it runs: blixard vm watch ${name}`;
  }
}

function isIn(vm: Vm, state: VmState): boolean {
  return vm.status.state === state;
}
