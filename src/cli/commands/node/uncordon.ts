/** `blixard node uncordon` */
import { create } from "@bufbuild/protobuf";
import { UncordonNodeRequestSchema, UncordonNodeResponseSchema, NodeService } from "#gen/api/blixard/v1/node_pb.ts";
import { defineCommand } from "../../command.ts";
import { nodeOptions } from "../../node-options.ts";
import { printable } from "../../output/text.ts";

export const nodeUncordon = defineCommand({
  description: "Pending VMs are tried there again.",
  arguments: { node: { description: "The node's id.", complete: "node" } },
  options: { ...nodeOptions },
  examples: [{ command: "blixard node uncordon node-1", explanation: "Take VMs there again" }],
  run: async ({ node: connection, printer, signal }, { node }) => {
    const nodes = await connection.client(NodeService);
    const response = await nodes.uncordonNode(create(UncordonNodeRequestSchema, { node }), { signal });
    await printer.message(UncordonNodeResponseSchema, response, () => [printable(`${node} takes VMs again`)]);
  },
});
