/**
 * The next step for one VM: from what is wanted and what is so, one decision with
 * its reason. Pure; the supervisor takes the step and asks again.
 *
 *   no machine ──launch──► booting ──(ready)──► ready ⇄ pause/resume ⇄ paused
 *       ▲                     │                   │                      │
 *       └───────(machine gone)┴──────stop─────────┴──────────────────────┘
 *   no machine ──remove──► removed        (the VM is deleted or was withdrawn)
 */
import type { VmAssignment } from "#model/vm.ts";
import type { VmObservation } from "./vm-observation.ts";

export type VmGoal =
  | { readonly kind: "assigned"; readonly assignment: VmAssignment }
  /** The control plane no longer knows of this VM here: it must go, without a report. */
  | { readonly kind: "withdrawn" };

export type StopPurpose = "stop" | "restart" | "delete" | "boot_timeout" | "withdrawn";

export type VmStep =
  | { readonly kind: "none"; readonly reason: string }
  | { readonly kind: "wait"; readonly untilMs: number; readonly reason: string }
  /** `operation`: someone asked for it; `recovery`: the restart policy did. */
  | { readonly kind: "launch"; readonly cause: "operation" | "recovery" }
  | { readonly kind: "stop"; readonly purpose: StopPurpose; readonly force: boolean }
  | { readonly kind: "pause" }
  | { readonly kind: "resume" }
  /** Nothing to do but to say so: the generation is observed, and the state, if given, entered. */
  | { readonly kind: "settle"; readonly state: "stopped" | undefined }
  | { readonly kind: "remove"; readonly report: boolean };

export function planVmStep(goal: VmGoal, observed: VmObservation, nowMs: number): VmStep {
  const step = goal.kind === "withdrawn" ? planWithdrawal(observed) : planAssignment(goal.assignment, observed, nowMs);
  if (step.kind === "none" || step.kind === "wait") return step;
  const repeated = goal.kind === "withdrawn" || goal.assignment.generation === observed.observedGeneration;
  if (repeated && observed.retryAtMs !== undefined && nowMs < observed.retryAtMs) {
    return { kind: "wait", untilMs: observed.retryAtMs, reason: "the last try failed" };
  }
  return step;
}

/** Whether a launch that is under way still serves the goal. */
export function wantsMachine(goal: VmGoal): boolean {
  return (
    goal.kind === "assigned" &&
    (goal.assignment.desiredState === "running" || goal.assignment.desiredState === "paused")
  );
}

/** Whether a stop that asks the guest must become one that does not. */
export function wantsForce(goal: VmGoal): boolean {
  if (goal.kind === "withdrawn") return true;
  return (
    goal.assignment.force && goal.assignment.desiredState !== "running" && goal.assignment.desiredState !== "paused"
  );
}

function planWithdrawal(observed: VmObservation): VmStep {
  if (observed.machine !== undefined) return { kind: "stop", purpose: "withdrawn", force: true };
  if (observed.removed) return { kind: "none", reason: "gone" };
  return { kind: "remove", report: false };
}

function planAssignment(assignment: VmAssignment, observed: VmObservation, nowMs: number): VmStep {
  if (assignment.desiredState === "deleted") return planDeletion(assignment, observed);
  if (observed.machine !== undefined) return planMachine(assignment, observed, observed.machine, nowMs);
  if (assignment.desiredState === "stopped") {
    return observed.state === "stopped" && observed.rest?.kind !== "waiting" && isSettled(assignment, observed)
      ? { kind: "none", reason: "stopped" }
      : { kind: "settle", state: "stopped" };
  }
  return planStart(assignment, observed, nowMs);
}

function planDeletion(assignment: VmAssignment, observed: VmObservation): VmStep {
  if (observed.machine !== undefined) return { kind: "stop", purpose: "delete", force: assignment.force };
  if (observed.removed) return { kind: "none", reason: "removed, waits for the control plane to forget it" };
  return { kind: "remove", report: true };
}

function planMachine(
  assignment: VmAssignment,
  observed: VmObservation,
  machine: NonNullable<VmObservation["machine"]>,
  nowMs: number,
): VmStep {
  if (assignment.desiredState === "stopped") return { kind: "stop", purpose: "stop", force: assignment.force };
  if (assignment.restartGeneration > observed.observedRestartGeneration) {
    return { kind: "stop", purpose: "restart", force: assignment.force };
  }
  if (machine.phase === "booting") {
    return nowMs >= machine.bootDeadlineMs
      ? { kind: "stop", purpose: "boot_timeout", force: true }
      : { kind: "wait", untilMs: machine.bootDeadlineMs, reason: "the guest boots" };
  }
  const wanted = assignment.desiredState === "paused" ? "paused" : "ready";
  if (machine.phase !== wanted) return { kind: wanted === "paused" ? "pause" : "resume" };
  return isSettled(assignment, observed) ? { kind: "none", reason: "as wanted" } : { kind: "settle", state: undefined };
}

function planStart(assignment: VmAssignment, observed: VmObservation, nowMs: number): VmStep {
  const { rest } = observed;
  const cause = isSettled(assignment, observed) ? "recovery" : "operation";
  if (rest === undefined || rest.generation < assignment.generation) return { kind: "launch", cause };
  if (rest.kind === "ended") return { kind: "none", reason: "its guest ended and the restart policy leaves it down" };
  if (nowMs < rest.untilMs) return { kind: "wait", untilMs: rest.untilMs, reason: "pause before the next start" };
  return { kind: "launch", cause };
}

function isSettled(assignment: VmAssignment, observed: VmObservation): boolean {
  return observed.settledGeneration >= assignment.generation;
}
