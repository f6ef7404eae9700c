/** `blixard vm get` */
import { create } from "@bufbuild/protobuf";
import { GetVmRequestSchema, GetVmResponseSchema, VmService } from "#gen/api/blixard/v1/vm_pb.ts";
import { BlixardError } from "#model/errors.ts";
import { defineCommand } from "../../command.ts";
import { nodeOptions } from "../../node-options.ts";
import { vmArgument } from "./vm-operation.ts";
import { vmDetails } from "./vm-view.ts";

export const vmGet = defineCommand({
  description: "While it is pending: what each node lacks. After an exit: its cause and the hypervisor's last words.",
  arguments: { vm: vmArgument },
  options: { ...nodeOptions },
  examples: [
    { command: "blixard vm get web", explanation: "All about a VM" },
    { command: "blixard vm get web -o yaml", explanation: "The same as the API has it" },
  ],
  readOnly: true,
  run: async ({ node, io, printer, signal }, { vm: name }) => {
    const vms = await node.client(VmService);
    const response = await vms.getVm(create(GetVmRequestSchema, { vm: name }), { signal });
    const { vm } = response;
    if (vm === undefined) throw new BlixardError("INTERNAL", "the node's answer has no VM");
    await printer.message(GetVmResponseSchema, response, (layout) => vmDetails(vm, io.now(), layout));
  },
});
