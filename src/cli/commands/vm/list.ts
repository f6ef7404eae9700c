/** `blixard vm list` */
import { create } from "@bufbuild/protobuf";
import { ListVmsRequestSchema, ListVmsResponseSchema, VmService } from "#gen/api/blixard/v1/vm_pb.ts";
import { defineCommand } from "../../command.ts";
import { nodeOptions } from "../../node-options.ts";
import { createFilter, filterOptions } from "./vm-filter.ts";
import { vmTable } from "./vm-view.ts";

export const vmList = defineCommand({
  description: "With -o json, all pages as one ListVmsResponse.",
  arguments: {},
  options: { ...filterOptions, ...nodeOptions },
  examples: [
    { command: "blixard vm list", explanation: "All VMs" },
    { command: "blixard vm list --label tier=web --state failed", explanation: "Those with a label that failed" },
    { command: "blixard vm list -o json | jq -r '.vms[].name'", explanation: "For scripts" },
  ],
  readOnly: true,
  run: async ({ node, io, printer, signal }, _arguments, options) => {
    const vms = await node.client(VmService);
    const all = create(ListVmsResponseSchema);
    const filter = createFilter(options);
    let pageToken = "";
    do {
      const page = await vms.listVms(create(ListVmsRequestSchema, { filter, pageToken }), { signal });
      all.vms.push(...page.vms);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    await printer.message(ListVmsResponseSchema, all, (layout) =>
      all.vms.length === 0 ? ["There are no VMs."] : vmTable(all.vms, io.now(), layout),
    );
  },
});
