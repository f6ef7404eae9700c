/** NodeService: the machines of the cluster, and whether they take new VMs. */
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { NodeService } from "#gen/api/blixard/v1/node_pb.ts";
import type { Admission } from "#control/admission.ts";
import { BlixardError } from "#model/errors.ts";
import { parseNodeId } from "#model/names.ts";
import type { Node } from "#model/node.ts";
import type { WatchCache } from "#store/watch-cache.ts";
import { nodeToMessage } from "../codec/node-message.ts";

export interface NodeHandlerOptions {
  readonly admission: Pick<Admission, "setNodeCordoned">;
  readonly cache: Pick<WatchCache, "snapshot">;
}

export function createNodeHandler({ admission, cache }: NodeHandlerOptions): ServiceImpl<typeof NodeService> {
  const toMessage = (node: Node) => nodeToMessage(node, cache.snapshot().allocation(node.id));

  const setCordoned = (cordoned: boolean) => async (request: { node: string }, context: HandlerContext) => ({
    node: toMessage(await admission.setNodeCordoned(request.node, cordoned, context.signal)),
  });

  return {
    getNode(request) {
      const id = parseNodeId(request.node);
      const node = cache.snapshot().node(id);
      if (node !== undefined) return { node: toMessage(node) };
      throw new BlixardError("NODE_NOT_FOUND", `there is no node ${id}`, {
        field: "node",
        hint: "See `blixard node list`.",
      });
    },
    listNodes() {
      const nodes = cache
        .snapshot()
        .nodes()
        .toSorted((left, right) => (left.id < right.id ? -1 : 1));
      return { nodes: nodes.map(toMessage) };
    },
    cordonNode: setCordoned(true),
    uncordonNode: setCordoned(false),
  };
}
