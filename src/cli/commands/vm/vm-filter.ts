/** Options that choose VMs, and the filter they make. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type VmFilter, VmFilterSchema, VmState } from "#gen/api/blixard/v1/vm_pb.ts";
import { vmStates } from "#model/vm.ts";
import { anyText, option, repeated, usageError } from "../../command.ts";
import { keyValue, type KeyValue } from "../../values.ts";

export const filterOptions = {
  label: repeated("KEY=VALUE", "Only VMs with this label.", keyValue, { short: "l" }),
  state: repeated("STATE", "Only VMs in this state.", stateOf, { values: vmStates }),
  node: option("NODE", "Only VMs on this node.", anyText, { complete: "node" }),
};

const STATES: Readonly<Record<string, VmState>> = Object.fromEntries(
  vmStates.map((name) => [name, VmState[name.toUpperCase() as Uppercase<typeof name>]]),
);

function stateOf(text: string): VmState {
  return STATES[text] ?? usageError(`"${text}" is no state`, `States: ${vmStates.join(", ")}.`);
}

export function createFilter(options: {
  readonly label: readonly KeyValue[];
  readonly state: readonly VmState[];
  readonly node: string | undefined;
}): VmFilter {
  const init: MessageInitShape<typeof VmFilterSchema> = {
    labels: Object.fromEntries(options.label.map(({ key, value }) => [key, value])),
    states: [...options.state],
    nodeId: options.node ?? "",
  };
  return create(VmFilterSchema, init);
}
