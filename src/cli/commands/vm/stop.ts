/** `blixard vm stop` */
import { create } from "@bufbuild/protobuf";
import { StopVmRequestSchema, StopVmResponseSchema } from "#gen/api/blixard/v1/vm_pb.ts";
import { defineCommand } from "../../command.ts";
import { forceOption, operationOptions, runVmOperation, vmArgument } from "./vm-operation.ts";

export const vmStop = defineCommand({
  arguments: { vm: vmArgument },
  options: { force: forceOption, ...operationOptions },
  examples: [
    {
      command: "blixard vm stop web --wait",
      explanation: "Ask the guest to power off; force it after its stop timeout",
    },
    { command: "blixard vm stop web --force", explanation: "Switch it off at once" },
  ],
  run: async (context, { vm }, { force, operationId = "", wait, timeout }) =>
    runVmOperation(context, {
      goal: "stopped",
      schema: StopVmResponseSchema,
      wait,
      timeoutMs: timeout,
      call: (vms, signal) => vms.stopVm(create(StopVmRequestSchema, { vm, force, operationId }), { signal }),
    }),
});
