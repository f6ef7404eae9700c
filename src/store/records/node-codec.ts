/** nodes/<node>, node-policies/<node>, live/<node> and leadership/<role> between model and wire. */
import { create } from "@bufbuild/protobuf";
import {
  LivenessRecordSchema,
  NodePolicyRecordSchema,
  type NodeRecord,
  NodeRecordSchema,
} from "#gen/store/blixard/store/v1/records_pb.ts";
import type { NodeRegistration } from "#model/node.ts";
import {
  metricsEndpointFromMessage,
  metricsEndpointToMessage,
  resourcesFromMessage,
  resourcesToMessage,
  timeFromMessage,
  timeToMessage,
} from "./common-codec.ts";
import { createRecordCodec } from "./record-codec.ts";
import { acceleratorFrom, driverFrom } from "./vm-status-codec.ts";

export interface NodePolicy {
  readonly cordoned: boolean;
}

/** Who holds a lease: a node, in one run of its daemon. */
export interface LeaseHolder {
  readonly nodeId: string;
  /** Fresh for every start of the daemon. */
  readonly instanceId: string;
}

export const nodeCodec = createRecordCodec(NodeRecordSchema, nodeFromMessage, nodeToMessage);

export const nodePolicyCodec = createRecordCodec(
  NodePolicyRecordSchema,
  (message): NodePolicy => ({ cordoned: message.cordoned }),
  (policy: NodePolicy) => create(NodePolicyRecordSchema, { cordoned: policy.cordoned }),
);

export const leaseHolderCodec = createRecordCodec(
  LivenessRecordSchema,
  (message): LeaseHolder => ({ nodeId: message.nodeId, instanceId: message.instanceId }),
  (holder: LeaseHolder) => create(LivenessRecordSchema, { nodeId: holder.nodeId, instanceId: holder.instanceId }),
);

function nodeFromMessage(message: NodeRecord): NodeRegistration {
  return {
    id: message.id,
    capacity: resourcesFromMessage(message.capacity),
    version: message.version,
    driver: driverFrom(message.driver) ?? "qemu",
    accelerator: acceleratorFrom(message.accelerator) ?? "none",
    acceleratorReason: message.acceleratorReason,
    hypervisorVersion: message.hypervisorVersion,
    startTimeMs: timeFromMessage(message.startTime),
    server: message.server,
    metrics: metricsEndpointFromMessage(message.metrics),
  };
}

function nodeToMessage(node: NodeRegistration): NodeRecord {
  return create(NodeRecordSchema, {
    id: node.id,
    capacity: resourcesToMessage(node.capacity),
    version: node.version,
    driver: node.driver,
    accelerator: node.accelerator,
    acceleratorReason: node.acceleratorReason,
    hypervisorVersion: node.hypervisorVersion,
    startTime: timeToMessage(node.startTimeMs),
    server: node.server,
    metrics: metricsEndpointToMessage(node.metrics),
  });
}
