/**
 * The resource of a guest: a host of its own, whose spans a node records for it.
 *
 * Of the node's resource it keeps what holds for the guest as well: the cluster,
 * the environment, the architecture and what made the telemetry.
 */
import type { SpanAttributeValue, SpanResource } from "#model/recorded-span.ts";
import type { SpanGuest } from "../port.ts";
import { INSTANCE_ID_NAMESPACE } from "./resource.ts";
import { uuidV5 } from "./uuid-v5.ts";

const SERVICE_NAME = "blixard-guest";

const SHARED_WITH_NODE = [
  "service.namespace",
  "deployment.environment.name",
  "host.arch",
  "telemetry.sdk.name",
  "telemetry.sdk.language",
  "telemetry.sdk.version",
] as const;

export function createGuestResource(node: SpanResource, guest: SpanGuest): SpanResource {
  const shared: Record<string, SpanAttributeValue> = {};
  for (const key of SHARED_WITH_NODE) {
    const value = node.attributes[key];
    if (value !== undefined) shared[key] = value;
  }
  return {
    ...node,
    attributes: {
      ...shared,
      "service.name": SERVICE_NAME,
      // Of the VM, not of one boot: as a node's stays over its restarts.
      "service.instance.id": uuidV5(INSTANCE_ID_NAMESPACE, `guest/${guest.vmId}`),
      "host.id": guest.vmId,
      "host.name": guest.vmName,
      "os.type": "linux",
    },
  };
}
