/** What an agent counts and tells of its VMs: states, exits, restarts, phases. */
import {
  vmCount,
  vmDowntime,
  vmFailed,
  vmPanics,
  vmPhaseDuration,
  vmRecoveries,
  vmRecoveryDuration,
  vmRestarts,
  vmStateTransitions,
} from "#gen/telemetry/metrics.ts";
import { vmAdopted, vmExited, vmRestarted, vmStateChanged } from "#gen/telemetry/events.ts";
import { BlixardError } from "#model/errors.ts";
import type { TraceContext } from "#model/trace-context.ts";
import { type VmExit, type VmState, vmStates } from "#model/vm.ts";
import type { Attributes, CounterCell, GaugeCell, Telemetry } from "#telemetry/port.ts";
import type { VmObservation } from "./vm-observation.ts";

export interface VmIdentity {
  readonly vmId: string;
  readonly vmName: string;
}

export interface VmTelemetry {
  readonly telemetry: Telemetry;
  /** Attributes that every span of this VM carries. */
  identify(vm: VmIdentity): { "blixard.vm.id": string; "blixard.vm.name": string; "blixard.node.id": string };
  /** The VM came under this node's care; without a name it was found here, and nobody wants it. */
  appeared(vm: VmIdentity | undefined, observed: VmObservation): void;
  /** It is no longer this node's. */
  disappeared(vmId: string, observed: VmObservation): void;
  changed(vm: VmIdentity, before: VmObservation, after: VmObservation): void;
  exited(vm: VmIdentity, instanceId: string | undefined, exit: VmExit): void;
  restarted(
    vm: VmIdentity,
    observed: VmObservation,
    exit: VmExit,
    delayMs: number,
    policy: "never" | "on-failure" | "always",
  ): void;
  recovered(exit: VmExit, readyTimeMs: number, span: TraceContext): void;
  adopted(vm: VmIdentity, instanceId: string, pid: number | undefined): void;
  phase(
    phase: "image" | "kernel_boot" | "guest_init" | "guest_ready",
    durationMs: number,
    error?: unknown,
    /** Default the active one. */
    span?: TraceContext,
  ): void;
}

export function createVmTelemetry(telemetry: Telemetry, nodeId: string): VmTelemetry {
  const { metrics, logger } = telemetry;
  // `pending` VMs have no node: the leader counts them.
  for (const state of vmStates) if (state !== "pending") count(state, 0);
  // A rate sees the first restart only if it saw the zero before.
  for (const cause of vmRestarts.attributes["blixard.vm.exit_cause"].values) {
    metrics.bind(vmRestarts, { "blixard.vm.exit_cause": cause }).add(0);
    metrics.bind(vmDowntime, { "blixard.vm.exit_cause": cause }).add(0);
  }
  metrics.bind(vmPanics, {}).add(0);

  function count(state: VmState, difference: number): void {
    metrics.bind(vmCount, { "blixard.vm.state": state }).add(difference);
  }

  const identify: VmTelemetry["identify"] = ({ vmId, vmName }) => ({
    "blixard.vm.id": vmId,
    "blixard.vm.name": vmName,
    "blixard.node.id": nodeId,
  });

  /** Each VM's own series. They end with it, like those of what it uses. */
  const series = new Map<string, { readonly failed: GaugeCell; readonly recoveries: CounterCell }>();

  function beginSeries({ vmId, vmName }: VmIdentity, observed: VmObservation): void {
    const attributes = { "blixard.vm.id": vmId, "blixard.vm.name": vmName };
    const cells = { failed: metrics.bind(vmFailed, attributes), recoveries: metrics.bind(vmRecoveries, attributes) };
    cells.failed.set(isFailed(observed));
    cells.recoveries.add(observed.restarts);
    series.set(vmId, cells);
  }

  function followSeries(vmId: string, before: VmObservation, after: VmObservation): void {
    if (after.removed) return endSeries(vmId);
    const cells = series.get(vmId);
    cells?.failed.set(isFailed(after));
    cells?.recoveries.add(Math.max(0, after.restarts - before.restarts));
  }

  function endSeries(vmId: string): void {
    const cells = series.get(vmId);
    cells?.failed.remove();
    cells?.recoveries.remove();
    series.delete(vmId);
  }

  return {
    telemetry,
    identify,
    appeared(vm, observed) {
      count(observed.state, 1);
      if (vm !== undefined && !observed.removed) beginSeries(vm, observed);
    },
    disappeared(vmId, observed) {
      count(observed.state, -1);
      endSeries(vmId);
    },
    changed(vm, before, after) {
      followSeries(vm.vmId, before, after);
      if (before.state === after.state) return;
      count(before.state, -1);
      count(after.state, 1);
      const change = {
        "blixard.vm.previous_state": before.state,
        "blixard.vm.state": after.state,
        "blixard.vm.state_reason": after.reason,
      } as const;
      metrics.bind(vmStateTransitions, change).add(1);
      logger.event(vmStateChanged, `VM ${vm.vmName} is ${after.state}: ${after.message}`, {
        ...identify(vm),
        ...change,
        "blixard.vm.generation": after.observedGeneration,
        "error.type": after.errorCode,
      });
    },
    exited(vm, instanceId, exit) {
      if (exit.cause === "panic") metrics.bind(vmPanics, {}).add(1);
      logger.event(vmExited, `the guest of VM ${vm.vmName} ended: ${exit.cause}`, {
        ...identify(vm),
        "blixard.vm.instance_id": instanceId,
        "blixard.vm.exit_cause": exit.cause,
        "blixard.vm.exit_code": exit.exitCode,
        "blixard.vm.exit_signal": exit.signal,
      });
    },
    restarted(vm, observed, exit, delayMs, policy) {
      metrics.bind(vmRestarts, { "blixard.vm.exit_cause": exit.cause }).add(1);
      logger.event(vmRestarted, `VM ${vm.vmName} is started again, its guest ended: ${exit.cause}`, {
        ...identify(vm),
        "blixard.vm.exit_cause": exit.cause,
        "blixard.vm.restart_count": observed.restarts,
        "blixard.vm.restart_policy": policy,
        "blixard.vm.restart_delay": Math.max(0, delayMs) / 1000,
      });
    },
    recovered(exit, readyTimeMs, span) {
      const seconds = Math.max(0, readyTimeMs - exit.timeMs) / 1000;
      metrics.bind(vmRecoveryDuration, { "blixard.vm.exit_cause": exit.cause }).record(seconds, span);
      metrics.bind(vmDowntime, { "blixard.vm.exit_cause": exit.cause }).add(seconds, span);
    },
    adopted(vm, instanceId, pid) {
      logger.event(vmAdopted, `VM ${vm.vmName} was found running and kept`, {
        ...identify(vm),
        "blixard.vm.instance_id": instanceId,
        "process.pid": pid,
      });
    },
    phase(phase, durationMs, error, span) {
      metrics
        .bind(vmPhaseDuration, { "blixard.vm.phase": phase, ...errorType(error) })
        .record(Math.max(0, durationMs) / 1000, span);
    },
  };
}

function isFailed({ state }: VmObservation): 0 | 1 {
  return state === "failed" ? 1 : 0;
}

/** `error.type` of a failed measurement, nothing of a good one. */
export function errorType(error: unknown): Attributes & { "error.type"?: string } {
  if (error === undefined) return {};
  return { "error.type": error instanceof BlixardError ? error.code : "INTERNAL" };
}
