/** `blixard vm watch` */
import { create } from "@bufbuild/protobuf";
import { VmService, WatchVmsRequestSchema, WatchVmsResponseSchema, type Vm } from "#gen/api/blixard/v1/vm_pb.ts";
import { defineCommand } from "../../command.ts";
import { nodeOptions } from "../../node-options.ts";
import { createFilter, filterOptions } from "./vm-filter.ts";
import { printable } from "../../output/text.ts";
import { vmSentence } from "./vm-view.ts";

export const vmWatch = defineCommand({
  description: "Runs until Ctrl-C. With -o json one WatchVmsResponse a line.",
  arguments: { vm: { description: "Only this VM, by name or id.", optional: true, complete: "vm" } },
  options: { ...filterOptions, ...nodeOptions },
  examples: [
    { command: "blixard vm watch", explanation: "All VMs, then every change" },
    { command: "blixard vm watch web -o json", explanation: "One VM, one JSON object a line" },
  ],
  readOnly: true,
  run: async ({ node, io, printer, signal }, { vm = "" }, options) => {
    const vms = await node.client(VmService);
    const names = new Map<string, string>();
    const request = create(WatchVmsRequestSchema, { vm, filter: createFilter(options) });
    for await (const message of vms.watchVms(request, { signal, timeoutMs: 0 })) {
      const { event } = message;
      if (event.case === "changed") names.set(event.value.id, event.value.name);
      const time = new Date(io.now()).toISOString().slice(11, 23);
      await printer.streamed(WatchVmsResponseSchema, message, () => {
        if (event.case === "changed") return [`${time}  ${changeText(event.value)}`];
        if (event.case === "deleted") return [`${time}  ${names.get(event.value) ?? event.value} is gone`];
        return names.size === 0 ? [`${time}  there are no VMs yet`] : [];
      });
      if (event.case === "deleted") names.delete(event.value);
    }
  },
});

function changeText(vm: Vm): string {
  return printable(vmSentence(vm));
}
