/** Which VMs a list or a watch is about. */
import type { VmFilter as VmFilterMessage } from "#gen/api/blixard/v1/vm_pb.ts";
import { invalid, parseLabels, parseNodeId } from "#model/names.ts";
import type { Vm, VmState } from "#model/vm.ts";
import { vmStateCodec } from "#store/records/enum-codec.ts";

export interface VmFilter {
  /** undefined: on any node or none. */
  readonly nodeId: string | undefined;
  matches(vm: Vm): boolean;
}

/** @throws BlixardError INVALID_ARGUMENT */
export function parseVmFilter(message: VmFilterMessage | undefined): VmFilter {
  const labels = Object.entries(parseLabels(message?.labels, "filter.labels"));
  const states = new Set((message?.states ?? []).map(parseState));
  const nodeId =
    message === undefined || message.nodeId === "" ? undefined : parseNodeId(message.nodeId, "filter.nodeId");
  return {
    nodeId,
    matches: ({ intent, placement, status }) =>
      (nodeId === undefined || placement?.nodeId === nodeId) &&
      (states.size === 0 || states.has(status.state)) &&
      labels.every(([key, value]) => intent.spec.labels[key] === value),
  };
}

function parseState(wire: number, index: number): VmState {
  const state = vmStateCodec.fromWire(wire);
  if (state !== undefined) return state;
  throw invalid(`filter.states[${index}]`, `${wire} is not a state`, "Use the states that `VmState` lists.");
}
