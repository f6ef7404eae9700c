/** A node from the model to the API's message. */
import { create } from "@bufbuild/protobuf";
import { NodeSchema, NodeState, type Node as NodeMessage } from "#gen/api/blixard/v1/node_pb.ts";
import type { Node } from "#model/node.ts";
import { metricsEndpointToMessage, resourcesToMessage, timeToMessage } from "#store/records/common-codec.ts";
import type { NodeAllocation } from "#store/store-view.ts";

export function nodeToMessage(node: Node, allocation: NodeAllocation): NodeMessage {
  return create(NodeSchema, {
    id: node.id,
    state: node.alive ? NodeState.READY : NodeState.DOWN,
    schedulable: !node.cordoned,
    capacity: resourcesToMessage(node.capacity),
    allocated: resourcesToMessage(allocation),
    version: node.version,
    driver: node.driver,
    accelerator: node.accelerator,
    acceleratorReason: node.acceleratorReason,
    hypervisorVersion: node.hypervisorVersion,
    startTime: timeToMessage(node.startTimeMs),
    server: node.server,
    vmCount: allocation.vmCount,
    metrics: metricsEndpointToMessage(node.metrics),
  });
}
