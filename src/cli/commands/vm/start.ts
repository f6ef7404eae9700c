/** `blixard vm start` */
import { create } from "@bufbuild/protobuf";
import { StartVmRequestSchema, StartVmResponseSchema } from "#gen/api/blixard/v1/vm_pb.ts";
import { defineCommand } from "../../command.ts";
import { operationOptions, runVmOperation, vmArgument } from "./vm-operation.ts";

export const vmStart = defineCommand({
  arguments: { vm: vmArgument },
  options: { ...operationOptions },
  examples: [{ command: "blixard vm start web --wait", explanation: "Start it and wait until its guest is ready" }],
  run: async (context, { vm }, { operationId = "", wait, timeout }) =>
    runVmOperation(context, {
      goal: "running",
      schema: StartVmResponseSchema,
      wait,
      timeoutMs: timeout,
      call: (vms, signal) => vms.startVm(create(StartVmRequestSchema, { vm, operationId }), { signal }),
    }),
});
