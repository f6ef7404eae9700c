/**
 * What a new daemon believes of a VM: the last status that the store has, and what
 * the runtime found on the host. The host is right about machines, the status about
 * history. Reports may have been lost, so no order of states is assumed. Pure.
 */
import { mayHaveMachine } from "#model/vm-transitions.ts";
import type { VmAssignment, VmExit, VmState, VmStatus } from "#model/vm.ts";
import { guestEnded, newObservation, type MachineObservation, type VmObservation } from "./vm-observation.ts";

export interface FoundMachine {
  readonly instanceId: string;
  readonly startTimeMs: number;
  readonly publishedPorts: MachineObservation["publishedPorts"];
}

export type FoundOnHost =
  | { readonly kind: "machine"; readonly machine: FoundMachine }
  | { readonly kind: "exit"; readonly exit: VmExit }
  | { readonly kind: "nothing" };

// Status times go through the store in ms; a machine of another launch differs by far more.
const SAME_START_TOLERANCE_MS = 50;

export function restoreObservation(
  assignment: VmAssignment,
  status: VmStatus | undefined,
  found: FoundOnHost,
  nowMs: number,
): VmObservation {
  const before = status === undefined ? newObservation(nowMs) : fromStatus(status, assignment);
  if (found.kind === "machine") return withMachine(before, assignment, status, found.machine, nowMs);
  // A launch or a stop that was cut short is taken up again by the plan: nothing has ended by itself.
  if (status === undefined || !ranByItself(status.state)) return { ...before, machine: undefined };
  const exit = found.kind === "exit" ? found.exit : unexplainedExit(nowMs);
  return guestEnded(before, assignment, exit, nowMs);
}

function fromStatus(status: VmStatus, assignment: VmAssignment): VmObservation {
  // A status `removed` under an assignment that wants the VM is of an earlier life of the same id.
  const removed = status.removed && assignment.desiredState === "deleted";
  const settled = isOutcome(status.state) || status.restarts > 0;
  return {
    ...newObservation(status.stateTimeMs),
    state: status.state === "pending" || status.state === "lost" ? "scheduled" : status.state,
    reason: status.reason,
    message: status.message,
    observedGeneration: status.observedGeneration,
    observedRestartGeneration: status.observedRestartGeneration,
    settledGeneration: settled ? status.observedGeneration : Math.max(0, status.observedGeneration - 1),
    restarts: status.restarts,
    lastExit: status.lastExit,
    errorCode: status.errorCode,
    rest: restOf(status),
    removed,
  };
}

function restOf(status: VmStatus): VmObservation["rest"] {
  if (status.state !== "stopped" && status.state !== "failed") return undefined;
  const generation = status.observedGeneration;
  return status.nextRestartTimeMs === undefined || status.lastExit === undefined
    ? { kind: "ended", generation }
    : { kind: "waiting", untilMs: status.nextRestartTimeMs, exit: status.lastExit, generation };
}

function withMachine(
  before: VmObservation,
  assignment: VmAssignment,
  status: VmStatus | undefined,
  machine: FoundMachine,
  nowMs: number,
): VmObservation {
  const sameStart =
    status?.startTimeMs !== undefined && Math.abs(status.startTimeMs - machine.startTimeMs) <= SAME_START_TOLERANCE_MS;
  const phase = sameStart && status.state === "paused" ? "paused" : sameStart && wasReady(status) ? "ready" : "booting";
  const state: VmState =
    before.state === "stopping"
      ? "stopping"
      : phase === "booting"
        ? "starting"
        : phase === "paused"
          ? "paused"
          : "running";
  return {
    ...before,
    state,
    reason: state === before.state ? before.reason : "guest_booting",
    message: state === before.state ? before.message : "found running by a new daemon, not known to be ready yet",
    stateTimeMs: state === before.state ? before.stateTimeMs : nowMs,
    // A machine that no status tells of was launched for what is assigned now.
    observedGeneration: status?.observedGeneration ?? assignment.generation,
    observedRestartGeneration: status?.observedRestartGeneration ?? assignment.restartGeneration,
    rest: undefined,
    removed: false,
    machine: {
      instanceId: machine.instanceId,
      phase,
      startTimeMs: machine.startTimeMs,
      readyTimeMs: phase === "booting" ? undefined : machine.startTimeMs,
      bootDeadlineMs: nowMs + assignment.spec.bootTimeoutMs,
      readiness: phase === "booting" ? undefined : status?.readiness,
      publishedPorts: machine.publishedPorts,
    },
  };
}

function wasReady(status: VmStatus): boolean {
  return status.state === "running" || (status.state === "stopping" && status.readiness !== undefined);
}

function isOutcome(state: VmState): boolean {
  return state === "running" || state === "paused" || state === "stopped" || state === "failed";
}

/** States whose end nobody asked for. */
function ranByItself(state: VmState): boolean {
  return mayHaveMachine(state) && state !== "stopping";
}

function unexplainedExit(nowMs: number): VmExit {
  return {
    cause: "guardian_lost",
    exitCode: undefined,
    signal: undefined,
    timeMs: nowMs,
    detail: "the machine was gone when the node came back, and nothing tells why",
  };
}
