/** `blixard node cordon` */
import { create } from "@bufbuild/protobuf";
import { CordonNodeRequestSchema, CordonNodeResponseSchema, NodeService } from "#gen/api/blixard/v1/node_pb.ts";
import { defineCommand } from "../../command.ts";
import { nodeOptions } from "../../node-options.ts";
import { printable } from "../../output/text.ts";

export const nodeCordon = defineCommand({
  description: "VMs that run there run on.",
  arguments: { node: { description: "The node's id.", complete: "node" } },
  options: { ...nodeOptions },
  examples: [{ command: "blixard node cordon node-1", explanation: "Take no new VM there" }],
  run: async ({ node: connection, printer, signal }, { node }) => {
    const nodes = await connection.client(NodeService);
    const response = await nodes.cordonNode(create(CordonNodeRequestSchema, { node }), { signal });
    await printer.message(CordonNodeResponseSchema, response, () => [
      printable(`${node} is cordoned: no new VM is placed there`),
    ]);
  },
});
