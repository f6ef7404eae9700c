/**
 * The effects of a plan's steps: each does one thing to the VM's machine, under a
 * span where the step belongs, and tells what came of it. A step that throws has
 * changed nothing that the observation does not know; the supervisor tries it again.
 */
import { vmImage, vmPause, vmResume, vmStop } from "#gen/telemetry/spans.ts";
import { BlixardError, causeChain, toBlixardError } from "#model/errors.ts";
import type { ImageManifest, MaterializedImage } from "#model/image.ts";
import type { VmAssignment, VmExit } from "#model/vm.ts";
import type { Machine } from "#runtime/runtime.ts";
import type { ActiveSpan } from "#telemetry/port.ts";
import type { StopPurpose } from "./plan-vm-step.ts";
import { type BootAttempt, beginBootAttempt } from "./vm-boot.ts";
import type { VmContext } from "./vm-context.ts";
import {
  acknowledge,
  enterState,
  guestEnded,
  launchBegan,
  machineLaunched,
  machinePaused,
  machineResumed,
  machineStopped,
  settle,
  stopBegan,
  vmRemoved,
} from "./vm-observation.ts";

/** A machine that is gone says so at once; this long it may take for the event to come through. */
const EXIT_EVENT_TIMEOUT_MS = 5000;
const MAXIMUM_DETAIL_LENGTH = 4096;

// --- Launch ------------------------------------------------------------------

export async function launchMachine(context: VmContext, assignment: VmAssignment, byItself: boolean): Promise<void> {
  const { environment } = context;
  const { clock, vmTelemetry } = environment;
  const { rest } = context.observed;
  const recoveryOf = byItself && rest?.kind === "waiting" ? rest.exit : undefined;
  const startTimeMs = clock.now();
  const began = launchBegan(context.observed, assignment, byItself, startTimeMs);
  const boot = beginBootAttempt({
    vmTelemetry,
    capabilities: environment.capabilities,
    assignment,
    trace: context.operation.traceOf(assignment),
    recoveryOf,
    restarts: began.restarts,
    startTimeMs,
  });
  context.boot = boot;
  context.observe(began);
  if (recoveryOf !== undefined) {
    const delayMs = startTimeMs - recoveryOf.timeMs;
    vmTelemetry.telemetry.tracing.run(boot.context, () =>
      vmTelemetry.restarted(assignment, context.observed, recoveryOf, delayMs, assignment.spec.restartPolicy),
    );
  }
  const launch = new AbortController();
  context.launch = launch;
  if (context.stopped.aborted) launch.abort(context.stopped.reason);
  try {
    const machine = await vmTelemetry.telemetry.tracing.run(boot.context, () =>
      environment.launches.run(launch.signal, () => makeMachine(context, assignment, boot, launch.signal)),
    );
    boot.launched(machine);
    context.observe(machineLaunched(context.observed, machine, assignment.spec.bootTimeoutMs, clock.now()));
    context.attach(machine);
  } catch (error) {
    launchFailed(context, assignment, boot, launch.signal, error);
  } finally {
    context.launch = undefined;
  }
}

async function makeMachine(
  context: VmContext,
  assignment: VmAssignment,
  boot: BootAttempt,
  signal: AbortSignal,
): Promise<Machine> {
  const { environment, vmId } = context;
  const image = await materializeImage(context, assignment, signal);
  return environment.runtime.launch(
    {
      vmId,
      vmName: assignment.vmName,
      instanceId: environment.newInstanceId(),
      spec: assignment.spec,
      image,
      trace: boot.context,
    },
    signal,
  );
}

async function materializeImage(
  context: VmContext,
  assignment: VmAssignment,
  signal: AbortSignal,
): Promise<MaterializedImage> {
  const { environment } = context;
  const { clock, vmTelemetry } = environment;
  const startTimeMs = clock.now();
  const attributes = { "blixard.image.name": assignment.spec.image, "blixard.image.digest": assignment.imageDigest };
  try {
    const image = await vmTelemetry.telemetry.tracing.span(
      vmImage,
      { attributes: { ...vmTelemetry.identify(assignment), ...operationAttributes(context), ...attributes } },
      async () => environment.images.materialize(await resolveManifest(context, assignment), signal),
    );
    vmTelemetry.phase("image", clock.now() - startTimeMs);
    return image;
  } catch (error) {
    vmTelemetry.phase("image", clock.now() - startTimeMs, error);
    throw error;
  }
}

/** The manifest that the VM was created with, from memory when the control plane was asked before. */
async function resolveManifest(context: VmContext, assignment: VmAssignment): Promise<ImageManifest> {
  const { imageDigest, spec } = assignment;
  if (context.manifest !== undefined && context.manifest.digest === imageDigest) return context.manifest;
  const manifest = await context.environment.resolveImage(spec.image);
  if (manifest.digest !== imageDigest) {
    throw new BlixardError("IMAGE_NOT_FOUND", `image ${spec.image} is not the one the VM was created with`, {
      hint: `Import the image with digest ${imageDigest} again, or create the VM anew.`,
    });
  }
  context.manifest = manifest;
  return manifest;
}

function launchFailed(
  context: VmContext,
  assignment: VmAssignment,
  boot: BootAttempt,
  signal: AbortSignal,
  error: unknown,
): void {
  const { clock } = context.environment;
  const nowMs = clock.now();
  context.boot = undefined;
  boot.failed(error, nowMs);
  // Called off: nothing has ended, the plan says what comes next.
  if (signal.aborted) return;
  const failure = toBlixardError(error, "HYPERVISOR_FAILED");
  const exit: VmExit = {
    cause: "start_failed",
    exitCode: undefined,
    signal: undefined,
    timeMs: nowMs,
    detail: causeChain(failure).join(": ").slice(0, MAXIMUM_DETAIL_LENGTH),
  };
  const { vmTelemetry } = context.environment;
  vmTelemetry.telemetry.tracing.run(boot.context, () => {
    vmTelemetry.exited(assignment, undefined, exit);
    context.observe({ ...guestEnded(context.observed, assignment, exit, nowMs), errorCode: failure.code });
  });
}

// --- Stop --------------------------------------------------------------------

export async function stopMachine(
  context: VmContext,
  assignment: VmAssignment | undefined,
  purpose: StopPurpose,
  force: boolean,
): Promise<void> {
  const { clock, vmTelemetry } = context.environment;
  const { attached } = context;
  const before = assignment === undefined ? context.observed : acknowledge(context.observed, assignment);
  const { reason, message } = stopReasons[purpose];
  context.observe(stopBegan(before, reason, message, clock.now()));
  if (attached === undefined) {
    context.observe(machineStopped(context.observed, unseenExit(clock.now())));
    return;
  }
  const timeoutMs = force ? 0 : (assignment?.spec.stopTimeoutMs ?? 0);
  const exit = await vmTelemetry.telemetry.tracing.span(
    vmStop,
    {
      attributes: {
        ...vmTelemetry.identify(context),
        ...operationAttributes(context),
        "blixard.vm.instance_id": attached.machine.instanceId,
        "blixard.vm.state_reason": reason,
      },
      ...context.operation.traceOf(assignment),
    },
    (span) => endMachine(context, attached, { timeoutMs, force }, span),
  );
  if (purpose === "boot_timeout" && assignment !== undefined) {
    const late: VmExit = { ...exit, cause: "boot_timeout", detail: "the guest did not say that it is ready in time" };
    const ended = guestEnded(context.observed, assignment, late, clock.now());
    context.observe({ ...ended, errorCode: "GUEST_BOOT_TIMEOUT" });
  } else {
    context.observe(machineStopped(context.observed, exit));
  }
}

const stopReasons: Readonly<Record<StopPurpose, { readonly reason: string; readonly message: string }>> = {
  stop: { reason: "stop_requested", message: "the guest is asked to stop" },
  restart: { reason: "restart_requested", message: "the guest is asked to stop, then it is started again" },
  delete: { reason: "delete_requested", message: "the guest is asked to stop, then the VM is removed" },
  boot_timeout: { reason: "boot_timeout", message: "the guest was not ready in time and is ended" },
  withdrawn: { reason: "withdrawn", message: "the VM is no longer assigned to this node" },
};

type Attached = NonNullable<VmContext["attached"]>;

async function endMachine(
  context: VmContext,
  attached: Attached,
  options: { readonly timeoutMs: number; readonly force: boolean },
  span: ActiveSpan,
): Promise<VmExit> {
  const { clock, vmTelemetry } = context.environment;
  const { machine, ended } = attached;
  let forcing = options.force;
  context.stopUnderWay = {
    force() {
      if (forcing) return;
      forcing = true;
      machine.shutdown({ timeoutMs: 0, force: true }).catch((error: unknown) => {
        vmTelemetry.telemetry.logger.warn("a stop could not be forced", { "blixard.vm.id": context.vmId }, error);
      });
    },
  };
  try {
    const { forced } = await unlessStopped(machine.shutdown(options), context.stopped);
    const timer = new AbortController();
    const late = clock.delay(EXIT_EVENT_TIMEOUT_MS, timer.signal).then(
      () => unseenExit(clock.now()),
      () => unseenExit(clock.now()),
    );
    const exit = await Promise.race([ended, late]);
    timer.abort();
    span.setAttributes({ "blixard.vm.stop_forced": forced, "blixard.vm.exit_cause": exit.cause });
    context.attached = undefined;
    return exit;
  } finally {
    context.stopUnderWay = undefined;
  }
}

/** The end of a machine whose runtime says that it is gone, but not how. */
function unseenExit(timeMs: number): VmExit {
  return { cause: "killed", exitCode: undefined, signal: undefined, timeMs, detail: "" };
}

// --- Pause, resume, remove, settle ---------------------------------------------

export async function pauseMachine(context: VmContext, assignment: VmAssignment): Promise<void> {
  const { clock, vmTelemetry } = context.environment;
  const { attached } = context;
  if (attached === undefined) throw new BlixardError("INTERNAL", "pause without a machine");
  context.observe(acknowledge(context.observed, assignment));
  await vmTelemetry.telemetry.tracing.span(vmPause, stepSpan(context, assignment), () =>
    unlessStopped(attached.machine.pause(), context.stopped),
  );
  context.observe(machinePaused(context.observed, clock.now()));
}

export async function resumeMachine(context: VmContext, assignment: VmAssignment): Promise<void> {
  const { clock, vmTelemetry } = context.environment;
  const { attached } = context;
  if (attached === undefined) throw new BlixardError("INTERNAL", "resume without a machine");
  context.observe(acknowledge(context.observed, assignment));
  await vmTelemetry.telemetry.tracing.span(vmResume, stepSpan(context, assignment), () =>
    unlessStopped(attached.machine.resume(), context.stopped),
  );
  context.observe(machineResumed(context.observed, clock.now()));
}

/** Removes all that the node has of the VM, then says so: a crash in between is made good by removing again. */
export async function removeVm(
  context: VmContext,
  assignment: VmAssignment | undefined,
  report: boolean,
): Promise<void> {
  const { runtime, vmTelemetry } = context.environment;
  const trace = context.operation.traceOf(assignment);
  await vmTelemetry.telemetry.tracing.run(trace.parent ?? undefined, () =>
    unlessStopped(runtime.remove(context.vmId), context.stopped),
  );
  const removed = vmRemoved(context.observed);
  context.observe(assignment !== undefined && report ? settle(removed, assignment) : removed);
}

/** Says that what is asked for is so already. */
export function settleVm(context: VmContext, assignment: VmAssignment, state: "stopped" | undefined): void {
  const { clock } = context.environment;
  let next = acknowledge(context.observed, assignment);
  if (state !== undefined) {
    next = {
      ...enterState(next, state, "stop_requested", "it was asked to be stopped", clock.now()),
      rest: { kind: "ended", generation: assignment.generation },
      errorCode: undefined,
    };
  }
  context.observe(settle(next, assignment));
}

function stepSpan(context: VmContext, assignment: VmAssignment) {
  const { vmTelemetry } = context.environment;
  return {
    attributes: {
      ...vmTelemetry.identify(assignment),
      ...operationAttributes(context),
      "blixard.vm.generation": assignment.generation,
    },
    ...context.operation.traceOf(assignment),
  };
}

function operationAttributes(context: VmContext): { "blixard.operation.id"?: string } {
  const { operationId } = context.operation;
  return operationId === undefined ? {} : { "blixard.operation.id": operationId };
}

/** What `work` gives, unless the daemon lets go first: then `work` is left to itself. */
async function unlessStopped<T>(work: Promise<T>, stopped: AbortSignal): Promise<T> {
  stopped.throwIfAborted();
  const { promise: interrupted, reject } = Promise.withResolvers<never>();
  const interrupt = (): void => reject(stopped.reason as Error);
  stopped.addEventListener("abort", interrupt, { once: true });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, interrupted]);
  } finally {
    stopped.removeEventListener("abort", interrupt);
  }
}
