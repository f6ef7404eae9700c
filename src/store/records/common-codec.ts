/** Values that several records share: trace contexts, resources, times. */
import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type TraceContext as TraceContextMessage, TraceContextSchema } from "#gen/api/blixard/v1/common_pb.ts";
import {
  type MetricsEndpoint as MetricsEndpointMessage,
  MetricsEndpointSchema,
  type NodeResources as NodeResourcesMessage,
  NodeResourcesSchema,
} from "#gen/api/blixard/v1/node_pb.ts";
import type { MetricsEndpoint, NodeResources } from "#model/node.ts";
import type { TraceContext } from "#model/trace-context.ts";
import { keepUnknown, restoreUnknown } from "./record-codec.ts";

const noResources: NodeResources = { vcpus: 0, memoryBytes: 0, diskBytes: 0 };

/** undefined for an absent or empty context. */
export function traceContextFromMessage(message: TraceContextMessage | undefined): TraceContext | undefined {
  if (message === undefined || message.traceId === "") return undefined;
  const context: TraceContext = {
    traceId: message.traceId,
    spanId: message.spanId,
    sampled: message.sampled,
    ...(message.traceState === "" ? {} : { traceState: message.traceState }),
    ...(message.baggage === "" ? {} : { baggage: message.baggage }),
  };
  return keepUnknown(context, message);
}

export function traceContextToMessage(context: TraceContext | undefined): TraceContextMessage | undefined {
  if (context === undefined) return undefined;
  const { traceId, spanId, sampled, traceState = "", baggage = "" } = context;
  return restoreUnknown(context, create(TraceContextSchema, { traceId, spanId, sampled, traceState, baggage }));
}

export function resourcesFromMessage(message: NodeResourcesMessage | undefined): NodeResources {
  if (message === undefined) return noResources;
  const { vcpus, memoryBytes, diskBytes } = message;
  return keepUnknown({ vcpus, memoryBytes: Number(memoryBytes), diskBytes: Number(diskBytes) }, message);
}

export function resourcesToMessage(resources: NodeResources): NodeResourcesMessage {
  const message = create(NodeResourcesSchema, {
    vcpus: Math.trunc(resources.vcpus),
    memoryBytes: BigInt(Math.trunc(resources.memoryBytes)),
    diskBytes: BigInt(Math.trunc(resources.diskBytes)),
  });
  return restoreUnknown(resources, message);
}

/** undefined when absent, or of a scheme that nobody here can read. */
export function metricsEndpointFromMessage(message: MetricsEndpointMessage | undefined): MetricsEndpoint | undefined {
  if (message === undefined) return undefined;
  const { address, scheme, path, job, instance } = message;
  if (scheme !== "http" && scheme !== "https") return undefined;
  const endpoint: MetricsEndpoint = { address, scheme, path, job, instance };
  return keepUnknown(endpoint, message);
}

export function metricsEndpointToMessage(endpoint: MetricsEndpoint | undefined): MetricsEndpointMessage | undefined {
  if (endpoint === undefined) return undefined;
  const { address, scheme, path, job, instance } = endpoint;
  return restoreUnknown(endpoint, create(MetricsEndpointSchema, { address, scheme, path, job, instance }));
}

/** Unix ms; 0 when absent. */
export function timeFromMessage(message: Timestamp | undefined): number {
  return message === undefined ? 0 : timestampMs(message);
}

export function optionalTimeFromMessage(message: Timestamp | undefined): number | undefined {
  return message === undefined ? undefined : timestampMs(message);
}

/** Times are kept to the millisecond. */
export function timeToMessage(timeMs: number): Timestamp {
  return timestampFromMs(Math.round(timeMs));
}

export function optionalTimeToMessage(timeMs: number | undefined): Timestamp | undefined {
  return timeMs === undefined ? undefined : timeToMessage(timeMs);
}
