/** `blixard vm logs` */
import { create } from "@bufbuild/protobuf";
import { ReadVmLogRequestSchema, ReadVmLogResponseSchema, VmService } from "#gen/api/blixard/v1/vm_pb.ts";
import { defineCommand, flag, option } from "../../command.ts";
import { nodeOptions } from "../../node-options.ts";
import { createTerminalFilter } from "../../output/terminal-filter.ts";
import { sizeBytes } from "../../values.ts";
import { vmArgument } from "./vm-operation.ts";

export const vmLogs = defineCommand({
  description:
    "What the guest wrote to its serial console. On a terminal, control sequences of the guest are taken out; in a pipe every byte is kept.",
  arguments: { vm: vmArgument },
  options: {
    follow: flag("Go on with new output, until Ctrl-C.", { short: "f" }),
    tail: option("SIZE", "Only the last bytes, e.g. 4KiB.", sizeBytes),
    raw: flag("Keep control sequences on a terminal too."),
    ...nodeOptions,
  },
  examples: [
    { command: "blixard vm logs web --tail 4KiB", explanation: "The end of the log" },
    { command: "blixard vm logs web -f", explanation: "Everything, then new output as it comes" },
  ],
  readOnly: true,
  run: async ({ node, io, printer, signal }, { vm }, { follow, tail = 0, raw }) => {
    const vms = await node.client(VmService);
    const request = create(ReadVmLogRequestSchema, { vm, follow, tailBytes: BigInt(tail) });
    const filter = io.stdout.isTerminal && !raw ? createTerminalFilter() : undefined;
    for await (const message of vms.readVmLog(request, { signal, timeoutMs: 0 })) {
      if (printer.format !== "table") {
        await printer.streamed(ReadVmLogResponseSchema, message, () => []);
        continue;
      }
      if (message.skippedBytes > 0n) await io.stderr.write(`… ${message.skippedBytes} bytes are no longer there …\n`);
      await io.stdout.write(filter === undefined ? message.data : filter(message.data));
    }
  },
});
