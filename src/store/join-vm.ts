/** One VM as a reader sees it: intent, placement and status joined. Pure. */
import type { PlacementRefusal, Vm, VmIntent, VmPlacement, VmStatus } from "#model/vm.ts";

const REFUSALS_IN_MESSAGE = 3;

/**
 * @param status what the node of the placement reported; without it the state is the reader's:
 * `pending` with the reasons why no node took it, or `scheduled`
 */
export function joinVm(intent: VmIntent, placement: VmPlacement | undefined, status: VmStatus | undefined): Vm {
  return { intent, placement, status: status ?? statusWithoutReport(intent, placement) };
}

function statusWithoutReport(intent: VmIntent, placement: VmPlacement | undefined): VmStatus {
  const scheduled = placement?.nodeId !== undefined;
  return {
    vmId: intent.id,
    nodeId: placement?.nodeId,
    state: scheduled ? "scheduled" : "pending",
    stateTimeMs: placement?.timeMs ?? intent.createTimeMs,
    ...(scheduled
      ? { reason: "scheduled", message: `placed on ${placement.nodeId}, which has not reported yet` }
      : reasonOfPending(placement?.refusals ?? [])),
    observedGeneration: 0,
    observedRestartGeneration: 0,
    restarts: 0,
    driver: undefined,
    accelerator: undefined,
    readiness: undefined,
    startTimeMs: undefined,
    publishedPorts: [],
    lastExit: undefined,
    nextRestartTimeMs: undefined,
    errorCode: undefined,
    removed: false,
  };
}

/** The reason most nodes gave, and what the first few said. */
function reasonOfPending(refusals: readonly PlacementRefusal[]): { reason: string; message: string } {
  if (refusals.length === 0) return { reason: "not_scheduled", message: "waits for the scheduler" };
  const counts = new Map<string, number>();
  for (const { reason } of refusals) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const [reason] = [...counts].reduce((most, next) => (next[1] > most[1] ? next : most));
  const shown = refusals
    .slice(0, REFUSALS_IN_MESSAGE)
    .map((refusal) => refusal.message)
    .join("; ");
  const more = refusals.length - REFUSALS_IN_MESSAGE;
  return { reason, message: more > 0 ? `${shown}; and ${more} more` : shown };
}
