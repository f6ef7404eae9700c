/** The report that an observation makes. Pure. */
import type { Accelerator, RuntimeDriver, VmStatus } from "#model/vm.ts";
import type { VmObservation } from "./vm-observation.ts";

export interface StatusIdentity {
  readonly vmId: string;
  readonly nodeId: string;
  readonly driver: RuntimeDriver;
  readonly accelerator: Accelerator;
}

export function statusOf(identity: StatusIdentity, observed: VmObservation): VmStatus {
  const { machine, rest } = observed;
  return {
    ...identity,
    state: observed.state,
    reason: observed.reason,
    message: observed.message,
    stateTimeMs: observed.stateTimeMs,
    observedGeneration: observed.observedGeneration,
    observedRestartGeneration: observed.observedRestartGeneration,
    restarts: observed.restarts,
    readiness: machine?.readiness,
    startTimeMs: machine?.startTimeMs,
    publishedPorts: machine?.publishedPorts ?? [],
    lastExit: observed.lastExit,
    nextRestartTimeMs: rest?.kind === "waiting" ? rest.untilMs : undefined,
    errorCode: observed.errorCode,
    removed: observed.removed,
  };
}

/** Whether two reports of one VM tell a reader the same. */
export function sameStatus(left: VmStatus, right: VmStatus): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}
