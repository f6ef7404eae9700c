/** `blixard node list` */
import { ListNodesResponseSchema, NodeService } from "#gen/api/blixard/v1/node_pb.ts";
import { defineCommand } from "../../command.ts";
import { nodeOptions } from "../../node-options.ts";
import { nodeTable } from "./node-view.ts";

export const nodeList = defineCommand({
  description: "VCPUS, MEMORY and DISK: given to VMs / there for VMs.",
  arguments: {},
  options: { ...nodeOptions },
  examples: [{ command: "blixard node list", explanation: "All nodes and what they have left" }],
  readOnly: true,
  run: async ({ node, io, printer, signal }) => {
    const nodes = await node.client(NodeService);
    const response = await nodes.listNodes({}, { signal });
    await printer.message(ListNodesResponseSchema, response, (layout) => nodeTable(response.nodes, io.now(), layout));
  },
});
