/** `blixard vm resume` */
import { create } from "@bufbuild/protobuf";
import { ResumeVmRequestSchema, ResumeVmResponseSchema } from "#gen/api/blixard/v1/vm_pb.ts";
import { defineCommand } from "../../command.ts";
import { operationOptions, runVmOperation, vmArgument } from "./vm-operation.ts";

export const vmResume = defineCommand({
  arguments: { vm: vmArgument },
  options: { ...operationOptions },
  examples: [{ command: "blixard vm resume web", explanation: "Let it run on" }],
  run: async (context, { vm }, { operationId = "", wait, timeout }) =>
    runVmOperation(context, {
      goal: "running",
      schema: ResumeVmResponseSchema,
      wait,
      timeoutMs: timeout,
      call: (vms, signal) => vms.resumeVm(create(ResumeVmRequestSchema, { vm, operationId }), { signal }),
    }),
});
