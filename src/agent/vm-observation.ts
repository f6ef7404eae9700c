/**
 * What an agent knows of one VM, as a value, and how events change it. Pure.
 *
 * A VM on a node either has a machine (booting, ready or paused) or rests: it
 * waits for its next start, or it ended and stays down. `settledGeneration` is the
 * last generation whose operation reached its outcome; work beyond it continues
 * that operation's trace, work at it is the node's own.
 */
import { planRestart, reasonOf } from "#model/restart-policy.ts";
import { transition } from "#model/vm-transitions.ts";
import type { PublishedPort, VmAssignment, VmExit, VmState } from "#model/vm.ts";

export interface MachineObservation {
  readonly instanceId: string;
  readonly phase: "booting" | "ready" | "paused";
  readonly startTimeMs: number;
  readonly readyTimeMs: number | undefined;
  readonly bootDeadlineMs: number;
  readonly readiness: "guest" | "hypervisor" | undefined;
  readonly publishedPorts: readonly PublishedPort[];
}

/** Why there is no machine although one was meant to run. */
export type Rest =
  /** The next start comes by itself. */
  | { readonly kind: "waiting"; readonly untilMs: number; readonly exit: VmExit; readonly generation: number }
  /** Down until someone asks for a start. */
  | { readonly kind: "ended"; readonly generation: number };

export interface VmObservation {
  readonly state: VmState;
  readonly reason: string;
  readonly message: string;
  readonly stateTimeMs: number;
  readonly observedGeneration: number;
  readonly observedRestartGeneration: number;
  readonly settledGeneration: number;
  readonly restarts: number;
  /** Ends in a row without a healthy period. */
  readonly consecutiveEnds: number;
  readonly machine: MachineObservation | undefined;
  readonly rest: Rest | undefined;
  readonly lastExit: VmExit | undefined;
  readonly errorCode: string | undefined;
  /** A step failed without changing anything; not tried again before this time. */
  readonly retryAtMs: number | undefined;
  readonly failedSteps: number;
  readonly removed: boolean;
}

/** A VM that this node has just been given. */
export function newObservation(nowMs: number): VmObservation {
  return {
    state: "scheduled",
    reason: "assigned",
    message: "waits for the node to begin",
    stateTimeMs: nowMs,
    observedGeneration: 0,
    observedRestartGeneration: 0,
    settledGeneration: 0,
    restarts: 0,
    consecutiveEnds: 0,
    machine: undefined,
    rest: undefined,
    lastExit: undefined,
    errorCode: undefined,
    retryAtMs: undefined,
    failedSteps: 0,
    removed: false,
  };
}

/** Changes the state, with its reason, by the model's table. @throws BlixardError VM_TRANSITION_ILLEGAL */
export function enterState(
  observed: VmObservation,
  state: VmState,
  reason: string,
  message: string,
  nowMs: number,
): VmObservation {
  if (observed.state === state && observed.reason === reason && observed.message === message) return observed;
  return { ...observed, state: transition(observed.state, state), reason, message, stateTimeMs: nowMs };
}

/** The node begins to act on the assignment. */
export function acknowledge(observed: VmObservation, assignment: VmAssignment): VmObservation {
  if (observed.observedGeneration === assignment.generation) return observed;
  return { ...observed, observedGeneration: assignment.generation, retryAtMs: undefined, failedSteps: 0 };
}

/** What the assignment asks for is so. */
export function settle(observed: VmObservation, assignment: VmAssignment): VmObservation {
  const acknowledged = acknowledge(observed, assignment);
  return {
    ...acknowledged,
    settledGeneration: Math.max(acknowledged.settledGeneration, assignment.generation),
    errorCode: acknowledged.state === "failed" ? acknowledged.errorCode : undefined,
  };
}

export function launchBegan(
  observed: VmObservation,
  assignment: VmAssignment,
  byItself: boolean,
  nowMs: number,
): VmObservation {
  const reason = byItself
    ? observed.lastExit === undefined
      ? "recovering"
      : reasonOf(observed.lastExit)
    : "start_requested";
  const message = byItself ? "is started again after its guest ended" : "image, disks and network are being made";
  const next = enterState(acknowledge(observed, assignment), "preparing", reason, message, nowMs);
  return {
    ...next,
    observedRestartGeneration: assignment.restartGeneration,
    restarts: byItself ? observed.restarts + 1 : observed.restarts,
    consecutiveEnds: byItself ? observed.consecutiveEnds : 0,
    rest: undefined,
    errorCode: undefined,
    retryAtMs: undefined,
    failedSteps: 0,
  };
}

export function machineLaunched(
  observed: VmObservation,
  machine: {
    readonly instanceId: string;
    readonly startTimeMs: number;
    readonly publishedPorts: readonly PublishedPort[];
  },
  bootTimeoutMs: number,
  nowMs: number,
): VmObservation {
  const next = enterState(observed, "starting", "guest_booting", "the guest boots", nowMs);
  return {
    ...next,
    machine: {
      instanceId: machine.instanceId,
      phase: "booting",
      startTimeMs: machine.startTimeMs,
      readyTimeMs: undefined,
      bootDeadlineMs: nowMs + bootTimeoutMs,
      readiness: undefined,
      publishedPorts: machine.publishedPorts,
    },
  };
}

export function guestBecameReady(
  observed: VmObservation,
  source: "guest" | "hypervisor",
  timeMs: number,
): VmObservation {
  if (observed.machine === undefined || observed.machine.phase !== "booting") return observed;
  const reason = source === "guest" ? "guest_ready" : "hypervisor_running";
  const message =
    source === "guest" ? "the guest says that it is ready" : "the hypervisor runs the guest, which has no agent";
  const ready: VmObservation = {
    ...observed,
    machine: { ...observed.machine, phase: "ready", readiness: source, readyTimeMs: timeMs },
  };
  // While it is being stopped, or was found paused, its state is the stop's or the pause's to tell.
  if (observed.state !== "starting") return ready;
  const running = enterState(ready, "running", reason, message, timeMs);
  return { ...running, settledGeneration: Math.max(running.settledGeneration, running.observedGeneration) };
}

export function machinePaused(observed: VmObservation, timeMs: number): VmObservation {
  if (observed.machine === undefined || observed.machine.phase !== "ready") return observed;
  const paused: VmObservation = {
    ...observed,
    machine: { ...observed.machine, phase: "paused" },
    retryAtMs: undefined,
    failedSteps: 0,
  };
  return observed.state === "running"
    ? enterState(paused, "paused", "pause_requested", "its virtual CPUs are halted", timeMs)
    : paused;
}

export function machineResumed(observed: VmObservation, timeMs: number): VmObservation {
  if (observed.machine === undefined || observed.machine.phase !== "paused") return observed;
  const resumed: VmObservation = {
    ...observed,
    machine: { ...observed.machine, phase: "ready" },
    retryAtMs: undefined,
    failedSteps: 0,
  };
  return observed.state === "paused"
    ? enterState(resumed, "running", "resumed", "its virtual CPUs run again", timeMs)
    : resumed;
}

export function stopBegan(observed: VmObservation, reason: string, message: string, nowMs: number): VmObservation {
  return enterState(observed, "stopping", reason, message, nowMs);
}

/** The machine is gone because this node ended it on purpose: what comes next is the plan's. */
export function machineStopped(observed: VmObservation, exit: VmExit): VmObservation {
  return { ...observed, machine: undefined, rest: undefined, lastExit: exit, retryAtMs: undefined, failedSteps: 0 };
}

/** The guest ended by itself, or could not be started: the restart policy says what follows. */
export function guestEnded(
  observed: VmObservation,
  assignment: VmAssignment,
  exit: VmExit,
  nowMs: number,
): VmObservation {
  const plan = planRestart({
    policy: assignment.spec.restartPolicy,
    exit,
    history: { consecutiveEnds: observed.consecutiveEnds, readyTimeMs: observed.machine?.readyTimeMs },
    nowMs,
  });
  const generation = observed.observedGeneration;
  const ended: VmObservation = {
    ...observed,
    machine: undefined,
    lastExit: exit,
    settledGeneration: Math.max(observed.settledGeneration, generation),
  };
  switch (plan.kind) {
    case "restart": {
      const state = exit.cause === "shutdown" ? "stopped" : "failed";
      const resting = enterState(ended, state, plan.reason, describeExit(exit, "it is started again"), nowMs);
      return {
        ...resting,
        consecutiveEnds: plan.consecutiveEnds,
        rest: { kind: "waiting", untilMs: plan.atTimeMs, exit, generation },
      };
    }
    case "stopped":
    case "failed": {
      const after =
        plan.reason === "too_many_failed_starts" ? "it failed too often and is not tried again" : "it stays down";
      return {
        ...enterState(ended, plan.kind, plan.reason, describeExit(exit, after), nowMs),
        rest: { kind: "ended", generation },
      };
    }
  }
}

/** A step failed and changed nothing: it waits before it is tried again. */
export function stepFailed(observed: VmObservation, errorCode: string, retryAtMs: number): VmObservation {
  return { ...observed, errorCode, retryAtMs, failedSteps: observed.failedSteps + 1 };
}

export function vmRemoved(observed: VmObservation): VmObservation {
  return { ...observed, machine: undefined, rest: undefined, removed: true };
}

function describeExit(exit: VmExit, after: string): string {
  const what = {
    shutdown: "the guest powered off",
    panic: "the guest's kernel panicked",
    crash: "the hypervisor ended with an error",
    killed: "a signal ended the hypervisor",
    boot_timeout: "the guest was not ready in time",
    guardian_lost: "the guardian died and the guest with it",
    host_rebooted: "the machine was restarted",
    start_failed: "the start failed",
  }[exit.cause];
  const firstLine = exit.detail.split("\n", 1)[0] ?? "";
  const detail = exit.cause === "start_failed" && firstLine !== "" ? ` (${firstLine.slice(0, 300)})` : "";
  return `${what}${detail}; ${after}`;
}
