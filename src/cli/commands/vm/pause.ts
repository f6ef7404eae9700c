/** `blixard vm pause` */
import { create } from "@bufbuild/protobuf";
import { PauseVmRequestSchema, PauseVmResponseSchema } from "#gen/api/blixard/v1/vm_pb.ts";
import { defineCommand } from "../../command.ts";
import { operationOptions, runVmOperation, vmArgument } from "./vm-operation.ts";

export const vmPause = defineCommand({
  arguments: { vm: vmArgument },
  options: { ...operationOptions },
  examples: [{ command: "blixard vm pause web", explanation: "Stop its virtual CPUs; memory stays" }],
  run: async (context, { vm }, { operationId = "", wait, timeout }) =>
    runVmOperation(context, {
      goal: "paused",
      schema: PauseVmResponseSchema,
      wait,
      timeoutMs: timeout,
      call: (vms, signal) => vms.pauseVm(create(PauseVmRequestSchema, { vm, operationId }), { signal }),
    }),
});
