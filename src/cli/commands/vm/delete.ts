/** `blixard vm delete` */
import { create } from "@bufbuild/protobuf";
import { DeleteVmRequestSchema, DeleteVmResponseSchema } from "#gen/api/blixard/v1/vm_pb.ts";
import { defineCommand } from "../../command.ts";
import { forceOption, operationOptions, runVmOperation, vmArgument } from "./vm-operation.ts";

export const vmDelete = defineCommand({
  arguments: { vm: vmArgument },
  options: { force: forceOption, ...operationOptions },
  examples: [
    {
      command: "blixard vm delete web --wait",
      explanation: "Stop it, remove its disks and wait until nothing is left",
    },
  ],
  run: async (context, { vm }, { force, operationId = "", wait, timeout }) =>
    runVmOperation(context, {
      goal: "deleted",
      schema: DeleteVmResponseSchema,
      wait,
      timeoutMs: timeout,
      call: (vms, signal) => vms.deleteVm(create(DeleteVmRequestSchema, { vm, force, operationId }), { signal }),
    }),
});
