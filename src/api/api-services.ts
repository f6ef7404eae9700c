/** Blixard's own services over the ports that the composition root gives them. */
import { ClusterService } from "#gen/api/blixard/v1/cluster_pb.ts";
import { ImageService } from "#gen/api/blixard/v1/image_pb.ts";
import { NodeService } from "#gen/api/blixard/v1/node_pb.ts";
import { TelemetryService } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { VmService } from "#gen/api/blixard/v1/vm_pb.ts";
import type { Admission } from "#control/admission.ts";
import type { WatchCache } from "#store/watch-cache.ts";
import { createClusterHandler, type ClusterHandlerOptions } from "./handlers/cluster-handler.ts";
import { createImageHandler, type ImageHandlerOptions } from "./handlers/image-handler.ts";
import { createNodeHandler } from "./handlers/node-handler.ts";
import { createTelemetryHandler, type TelemetryHandlerOptions } from "./handlers/telemetry-handler.ts";
import { createVmHandler, type VmHandlerOptions } from "./handlers/vm-handler.ts";
import { serve, type ServedService } from "./routes.ts";

export interface ApiServicesOptions
  extends Omit<VmHandlerOptions, "admission">, ImageHandlerOptions, ClusterHandlerOptions, TelemetryHandlerOptions {
  readonly admission: Admission;
  readonly cache: Pick<WatchCache, "snapshot" | "subscribe" | "waitForRevision">;
}

export function createApiServices(options: ApiServicesOptions): readonly ServedService[] {
  return [
    serve(VmService, createVmHandler(options)),
    serve(ImageService, createImageHandler(options)),
    serve(NodeService, createNodeHandler(options)),
    serve(ClusterService, createClusterHandler(options)),
    serve(TelemetryService, createTelemetryHandler(options)),
  ];
}
