/** `blixard vm restart` */
import { create } from "@bufbuild/protobuf";
import { RestartVmRequestSchema, RestartVmResponseSchema } from "#gen/api/blixard/v1/vm_pb.ts";
import { defineCommand } from "../../command.ts";
import { forceOption, operationOptions, runVmOperation, vmArgument } from "./vm-operation.ts";

export const vmRestart = defineCommand({
  arguments: { vm: vmArgument },
  options: { force: forceOption, ...operationOptions },
  examples: [
    { command: "blixard vm restart web --wait", explanation: "Stop it, start it again and wait until it is ready" },
  ],
  run: async (context, { vm }, { force, operationId = "", wait, timeout }) =>
    runVmOperation(context, {
      goal: "restarted",
      schema: RestartVmResponseSchema,
      wait,
      timeoutMs: timeout,
      call: (vms, signal) => vms.restartVm(create(RestartVmRequestSchema, { vm, force, operationId }), { signal }),
    }),
});
