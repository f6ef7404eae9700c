/**
 * One attempt to bring a VM up, as a trace: `vm.start` from the first step until the
 * guest is ready, with the guest's own boot under it, and around it `vm.recover` when
 * the node does it by itself after a guest ended.
 */
import { vmOperationActive, vmOperationDuration } from "#gen/telemetry/metrics.ts";
import { guestBoot, guestInit, guestKernel, guestReady, vmRecover, vmStart } from "#gen/telemetry/spans.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type { VmAssignment, VmExit } from "#model/vm.ts";
import type { GuestBoot, Machine, RuntimeCapabilities } from "#runtime/runtime.ts";
import type { ManualSpan } from "#telemetry/port.ts";
import { type BootPart, planBootTimeline } from "./boot-spans.ts";
import type { StepTrace } from "./vm-operation.ts";
import { errorType, type VmTelemetry } from "./vm-telemetry.ts";

export interface BootAttempt {
  /** Of `vm.start`: the parent of all work on this attempt, handed to the guest. */
  readonly context: TraceContext;
  launched(machine: Machine): void;
  /** The guest is ready; records its boot. */
  ready(source: "guest" | "hypervisor", boot: GuestBoot | undefined, timeMs: number): void;
  /** It came to nothing. */
  failed(error: unknown, timeMs: number): void;
}

export interface BootAttemptOptions {
  readonly vmTelemetry: VmTelemetry;
  readonly capabilities: RuntimeCapabilities;
  readonly assignment: VmAssignment;
  readonly trace: StepTrace;
  /** The end of a guest that this attempt makes good. */
  readonly recoveryOf: VmExit | undefined;
  readonly restarts: number;
  readonly startTimeMs: number;
}

export function beginBootAttempt(options: BootAttemptOptions): BootAttempt {
  const { vmTelemetry, assignment, recoveryOf, startTimeMs } = options;
  const { metrics, tracing } = vmTelemetry.telemetry;
  const identity = vmTelemetry.identify(assignment);
  const recovery = recoveryOf === undefined ? undefined : startRecovery(options, recoveryOf);
  const start = tracing.startSpan(vmStart, {
    attributes: {
      ...identity,
      ...runtimeAttributes(options.capabilities),
      "blixard.operation.id": assignment.operationId,
      "blixard.vm.operation": recoveryOf === undefined ? assignment.operationKind : "recover",
      "blixard.vm.generation": assignment.generation,
      "blixard.image.name": assignment.spec.image,
      "blixard.image.digest": assignment.imageDigest,
    },
    startTimeMs,
    ...(recovery === undefined ? options.trace : { parent: recovery.context }),
  });
  let open = true;

  function end(timeMs: number, error?: unknown): void {
    open = false;
    if (error !== undefined) {
      start.setError(error);
      recovery?.setError(error);
    }
    start.end(timeMs);
    recovery?.end(timeMs);
    if (recoveryOf === undefined) return;
    metrics.bind(vmOperationActive, { "blixard.vm.operation": "recover" }).add(-1);
    metrics
      .bind(vmOperationDuration, { "blixard.vm.operation": "recover", ...errorType(error) })
      .record(Math.max(0, timeMs - recoveryOf.timeMs) / 1000, start.context);
  }

  return {
    context: start.context,
    launched(machine) {
      const process = { "blixard.vm.instance_id": machine.instanceId, "process.pid": machine.pid };
      start.setAttributes(process);
      recovery?.setAttributes(process);
    },
    ready(source, boot, timeMs) {
      if (!open) return;
      start.setAttributes({ "blixard.vm.readiness": source, "blixard.vm.state": "running" });
      if (boot !== undefined) recordGuestBoot(options, start.context, source, boot);
      end(timeMs);
      if (recoveryOf !== undefined) vmTelemetry.recovered(recoveryOf, timeMs, start.context);
    },
    failed(error, timeMs) {
      if (open) end(timeMs, error);
    },
  };
}

/** From the end of the guest, so that the pause before the next start is seen. */
function startRecovery(options: BootAttemptOptions, exit: VmExit): ManualSpan {
  const { vmTelemetry, assignment, restarts, startTimeMs, trace } = options;
  vmTelemetry.telemetry.metrics.bind(vmOperationActive, { "blixard.vm.operation": "recover" }).add(1);
  return vmTelemetry.telemetry.tracing.startSpan(vmRecover, {
    attributes: {
      ...vmTelemetry.identify(assignment),
      ...runtimeAttributes(options.capabilities),
      "blixard.vm.generation": assignment.generation,
      "blixard.vm.exit_cause": exit.cause,
      "blixard.vm.restart_count": restarts,
      "blixard.vm.restart_policy": assignment.spec.restartPolicy,
      "blixard.vm.restart_delay": Math.max(0, startTimeMs - exit.timeMs) / 1000,
      "blixard.image.digest": assignment.imageDigest,
    },
    startTimeMs: Math.min(exit.timeMs, startTimeMs),
    ...trace,
  });
}

function recordGuestBoot(
  options: BootAttemptOptions,
  parent: TraceContext,
  source: "guest" | "hypervisor",
  boot: GuestBoot,
): void {
  const { vmTelemetry, assignment } = options;
  const { tracing } = vmTelemetry.telemetry;
  const timeline = planBootTimeline(boot);
  const guest = { vmId: assignment.vmId, vmName: assignment.vmName };
  const bootId = { "blixard.guest.boot_id": boot.bootId };
  const context = tracing.recordSpan(guestBoot, {
    attributes: {
      ...vmTelemetry.identify(assignment),
      ...runtimeAttributes(options.capabilities),
      ...bootId,
      "blixard.vm.readiness": source,
      "blixard.guest.uptime": boot.uptimeSeconds,
      "blixard.guest.clock_offset": timeline.clockOffsetSeconds,
    },
    parent,
    startTimeMs: timeline.startTimeMs,
    endTimeMs: timeline.endTimeMs,
    guest,
  });
  for (const { part, mark, startTimeMs, endTimeMs } of timeline.parts) {
    const { descriptor, phase } = signalsOf(part);
    tracing.recordSpan(descriptor, {
      attributes: {
        "blixard.vm.id": assignment.vmId,
        "blixard.vm.name": assignment.vmName,
        ...bootId,
        "blixard.guest.mark": mark,
      },
      parent: context,
      startTimeMs,
      endTimeMs,
      guest,
    });
    vmTelemetry.phase(phase, endTimeMs - startTimeMs, undefined, context);
  }
}

function signalsOf(part: BootPart["part"]) {
  switch (part) {
    case "kernel":
      return { descriptor: guestKernel, phase: "kernel_boot" } as const;
    case "init":
      return { descriptor: guestInit, phase: "guest_init" } as const;
    case "ready":
      return { descriptor: guestReady, phase: "guest_ready" } as const;
  }
}

function runtimeAttributes({ driver, accelerator, machineType }: RuntimeCapabilities) {
  return {
    "blixard.runtime.driver": driver,
    "blixard.runtime.accelerator": accelerator,
    "blixard.runtime.machine_type": machineType,
  } as const;
}
