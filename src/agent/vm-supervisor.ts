/**
 * One VM on this node: one serial loop that drives its machine toward what is
 * assigned. The agent makes a supervisor for each assignment (and for each machine
 * found without one) and hands it news by `assign` and `withdraw`; nothing else
 * touches the VM's machine.
 *
 *   news, machine events, timers ──► observation ──planVmStep──► one step ──► observation …
 *
 * The plan (plan-vm-step.ts, where the state diagram is) is pure; the steps
 * (vm-steps.ts) have the effects. While a step is under way news only change the goal; two kinds
 * of news reach into the step: a launch that nobody wants any more is aborted, and a
 * stop that asks the guest is forced when someone says so. The loop never waits for
 * the control plane: statuses go through the reporter's queue.
 */
import { vmRecover } from "#gen/telemetry/spans.ts";
import { BlixardError, toBlixardError } from "#model/errors.ts";
import { restartDelayMs } from "#model/restart-policy.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type { VmAssignment, VmExit, VmStatus } from "#model/vm.ts";
import { createWakeSignal } from "#model/wake-signal.ts";
import type { Machine } from "#runtime/runtime.ts";
import { attachMachine } from "./attached-machine.ts";
import { planVmStep, type VmGoal, type VmStep, wantsForce, wantsMachine } from "./plan-vm-step.ts";
import { beginBootAttempt } from "./vm-boot.ts";
import {
  acknowledge,
  guestBecameReady,
  guestEnded,
  machinePaused,
  machineResumed,
  machineStopped,
  stepFailed,
  type VmObservation,
} from "./vm-observation.ts";
import { createOperationTracker } from "./vm-operation.ts";
import { sameStatus, statusOf } from "./vm-status.ts";
import { launchMachine, pauseMachine, removeVm, resumeMachine, settleVm, stopMachine } from "./vm-steps.ts";
import type { SupervisorEnvironment, VmContext } from "./vm-context.ts";

export interface VmSupervisor {
  readonly vmId: string;
  readonly vmName: string;
  readonly status: VmStatus;
  /** The machine that runs now. */
  readonly machine: Machine | undefined;
  /** What the VM holds of the node; undefined when it holds nothing. */
  readonly assignment: VmAssignment | undefined;
  /** False when it is winding up: what is assigned is another life of the VM, for a new supervisor. */
  accepts(assignment: VmAssignment): boolean;
  /** Older and equal generations change nothing. */
  assign(assignment: VmAssignment): void;
  withdraw(): void;
  /** Lets go of the VM: a launch is called off, a guest that runs runs on. */
  stop(): Promise<void>;
}

export interface VmSupervisorOptions {
  readonly environment: SupervisorEnvironment;
  readonly vmId: string;
  readonly goal: VmGoal;
  readonly observation: VmObservation;
  /** Found running on the host. */
  readonly machine?: Machine;
  /** Found ended on the host, and not reported yet. */
  readonly exit?: { readonly instanceId: string; readonly exit: VmExit };
  /** What the control plane knows already. */
  readonly reported?: VmStatus;
  /** The VM was withdrawn and nothing is left of it. Called once. */
  readonly onGone: () => void;
}

const STEP_RETRY = { initialDelayMs: 500, maximumDelayMs: 30_000, healthyAfterMs: 0, maximumFailedStarts: 0 } as const;

export function createVmSupervisor(options: VmSupervisorOptions): VmSupervisor {
  const { environment, vmId } = options;
  const { clock, vmTelemetry, reporter } = environment;
  const { telemetry } = vmTelemetry;
  const stopped = new AbortController();
  const wake = createWakeSignal(clock);
  let goal = options.goal;
  let observed = options.observation;
  let lastAssignment = goal.kind === "assigned" ? goal.assignment : undefined;
  let reported = options.reported;

  const context: VmContext = {
    environment,
    vmId,
    get vmName() {
      return lastAssignment?.vmName ?? vmId;
    },
    operation: createOperationTracker(vmTelemetry),
    attached: undefined,
    boot: undefined,
    launch: undefined,
    stopUnderWay: undefined,
    manifest: undefined,
    stopped: stopped.signal,
    get observed() {
      return observed;
    },
    observe,
    attach,
  };

  vmTelemetry.appeared(goal.kind === "assigned" ? { vmId, vmName: context.vmName } : undefined, observed);
  // The loop outlives whatever called for it: it belongs to no span.
  const loop = telemetry.tracing.run(undefined, run);

  // --- What is seen ----------------------------------------------------------

  function observe(next: VmObservation): void {
    if (next === observed) return;
    const before = observed;
    observed = next;
    inTrace(() => vmTelemetry.changed({ vmId, vmName: context.vmName }, before, next));
    if (next.settledGeneration > before.settledGeneration || (next.removed && !before.removed)) {
      context.operation.settle(next.settledGeneration, clock.now(), outcomeError(context.vmName, next));
    }
    report();
    wake.wake();
  }

  function report(): void {
    if (goal.kind === "withdrawn" || observed.observedGeneration === 0) return;
    const status = statusOf({ vmId, ...environment.identity }, observed);
    if (reported !== undefined && sameStatus(reported, status)) return;
    reported = status;
    reporter.report(status, traceNow());
  }

  /** What the VM goes through at the moment belongs to this trace. */
  function traceNow(): TraceContext | undefined {
    const operation = context.operation.traceOf(lastAssignment).parent ?? undefined;
    return telemetry.tracing.active() ?? context.boot?.context ?? operation;
  }

  /** Runs `tell` there: events come without a span of their own. */
  function inTrace(tell: () => void): void {
    telemetry.tracing.run(traceNow(), tell);
  }

  function attach(machine: Machine): void {
    // Its events come for as long as it lives: they belong to no span.
    const follow = () =>
      attachMachine(machine, {
        telemetry,
        onEvent(event) {
          switch (event.kind) {
            case "ready":
              observe(guestBecameReady(observed, event.source, event.timeMs));
              context.boot?.ready(event.source, event.boot, event.timeMs);
              context.boot = undefined;
              return;
            case "paused":
              observe(machinePaused(observed, event.timeMs));
              return;
            case "resumed":
              observe(machineResumed(observed, event.timeMs));
          }
        },
        onExit: (exit) => onExit(machine, exit),
      });
    context.attached = telemetry.tracing.run(undefined, follow);
  }

  function onExit(machine: Machine, exit: VmExit): void {
    context.attached = undefined;
    inTrace(() => vmTelemetry.exited({ vmId, vmName: context.vmName }, machine.instanceId, exit));
    context.boot?.failed(
      new BlixardError("VM_FAILED", `the guest ended before it was ready: ${exit.cause}`),
      exit.timeMs,
    );
    context.boot = undefined;
    // The step that ends it knows what it was for.
    if (context.stopUnderWay !== undefined || stopped.signal.aborted) return;
    if (observed.state === "stopping" || goal.kind === "withdrawn") observe(machineStopped(observed, exit));
    else observe(guestEnded(observed, goal.assignment, exit, clock.now()));
  }

  // --- What is done ----------------------------------------------------------

  async function run(): Promise<void> {
    beginOperation();
    report();
    await adopt();
    while (!stopped.signal.aborted) {
      const step = planVmStep(goal, observed, clock.now());
      if (goal.kind === "withdrawn" && step.kind === "none") break;
      if (step.kind === "none") await wake.wait(stopped.signal);
      else if (step.kind === "wait") await wake.wait(stopped.signal, step.untilMs);
      else await take(step);
    }
    context.operation.abandon(clock.now());
    vmTelemetry.disappeared(vmId, observed);
    if (stopped.signal.aborted) return;
    reporter.forget(vmId);
    options.onGone();
  }

  async function take(step: Exclude<VmStep, { kind: "none" | "wait" }>): Promise<void> {
    try {
      await execute(step);
    } catch (error) {
      if (stopped.signal.aborted) return;
      const failure = toBlixardError(error);
      const message = `cannot ${step.kind} VM ${context.vmName} now`;
      inTrace(() => telemetry.logger.warn(message, { "blixard.vm.id": vmId }, failure));
      const delayMs = restartDelayMs(observed.failedSteps + 1, STEP_RETRY);
      const acknowledged = goal.kind === "assigned" ? acknowledge(observed, goal.assignment) : observed;
      observe(stepFailed(acknowledged, failure.code, clock.now() + delayMs));
    }
  }

  async function execute(step: Exclude<VmStep, { kind: "none" | "wait" }>): Promise<void> {
    const assignment = goal.kind === "assigned" ? goal.assignment : undefined;
    switch (step.kind) {
      case "stop":
        return stopMachine(context, assignment, step.purpose, step.force);
      case "remove":
        return removeVm(context, assignment, step.report);
      case "launch":
      case "pause":
      case "resume":
      case "settle":
        break;
    }
    if (assignment === undefined) throw new BlixardError("INTERNAL", `step ${step.kind} without an assignment`);
    switch (step.kind) {
      case "launch":
        return launchMachine(context, assignment, step.cause === "recovery");
      case "pause":
        return pauseMachine(context, assignment);
      case "resume":
        return resumeMachine(context, assignment);
      case "settle":
        return settleVm(context, assignment, step.state);
    }
  }

  /** Takes over a machine that an earlier daemon launched, and brings its virtual CPUs into line. */
  async function adopt(): Promise<void> {
    const vm = { vmId, vmName: context.vmName };
    if (options.exit !== undefined) vmTelemetry.exited(vm, options.exit.instanceId, options.exit.exit);
    const { machine } = options;
    if (machine === undefined) return;
    attach(machine);
    const tellAdopted = () => vmTelemetry.adopted(vm, machine.instanceId, machine.pid);
    if (goal.kind !== "assigned") return tellAdopted();
    const { assignment } = goal;
    continueBoot(assignment, machine);
    await telemetry.tracing.span(
      vmRecover,
      {
        attributes: {
          ...vmTelemetry.identify(vm),
          "blixard.vm.instance_id": machine.instanceId,
          "blixard.vm.state": observed.state,
          "blixard.vm.state_reason": "adopted",
          "blixard.vm.generation": assignment.generation,
          "process.pid": machine.pid,
        },
        parent: null,
        links: assignment.origin === undefined ? [] : [{ context: assignment.origin, relation: "origin" }],
      },
      async (span) => {
        tellAdopted();
        if (assignment.desiredState !== "running" || observed.machine?.phase === "paused") return;
        // The daemon may have died between the pause and its report; resuming what runs changes nothing.
        await machine.resume().catch((error: unknown) => span.setError(error));
      },
    );
  }

  /** A guest that still boots when its daemon is replaced: its start is the same operation's. */
  function continueBoot(assignment: VmAssignment, machine: Machine): void {
    if (observed.machine?.phase !== "booting" || observed.state !== "starting") return;
    context.boot = beginBootAttempt({
      vmTelemetry,
      capabilities: environment.capabilities,
      assignment,
      trace: context.operation.traceOf(assignment),
      recoveryOf: undefined,
      restarts: observed.restarts,
      startTimeMs: machine.startTimeMs,
    });
    context.boot.launched(machine);
  }

  function beginOperation(): void {
    if (goal.kind !== "assigned" || goal.assignment.generation <= observed.settledGeneration) return;
    context.operation.begin(goal.assignment, clock.now());
  }

  function followGoal(): void {
    beginOperation();
    if (!wantsMachine(goal)) context.launch?.abort(new BlixardError("CANCELLED", "the VM is no longer to run"));
    if (wantsForce(goal)) context.stopUnderWay?.force();
    wake.wake();
  }

  return {
    vmId,
    get vmName() {
      return context.vmName;
    },
    get status() {
      return statusOf({ vmId, ...environment.identity }, observed);
    },
    get machine() {
      return context.attached?.machine;
    },
    get assignment() {
      return observed.removed ? undefined : lastAssignment;
    },
    accepts(assignment) {
      if (goal.kind === "withdrawn") return false;
      return goal.assignment.desiredState !== "deleted" || assignment.desiredState === "deleted";
    },
    assign(assignment) {
      if (goal.kind === "assigned" && goal.assignment.generation >= assignment.generation) return;
      goal = { kind: "assigned", assignment };
      lastAssignment = assignment;
      followGoal();
    },
    withdraw() {
      goal = { kind: "withdrawn" };
      followGoal();
    },
    async stop() {
      stopped.abort(new BlixardError("SHUTTING_DOWN", "the node is stopping"));
      context.launch?.abort(stopped.signal.reason);
      await loop;
    },
  };
}

function outcomeError(vmName: string, observed: VmObservation): BlixardError | undefined {
  if (observed.state !== "failed" || observed.removed) return undefined;
  return new BlixardError("VM_FAILED", `VM ${vmName} failed: ${observed.message}`);
}
