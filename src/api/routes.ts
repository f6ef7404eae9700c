/** Every service the node serves, as Connect sees them: one definition, three protocols. */
import type { DescService } from "@bufbuild/protobuf";
import { createConnectRouter, type ConnectRouterOptions, type ServiceImpl } from "@connectrpc/connect";
import { compressionGzip } from "@connectrpc/connect-node";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { Health } from "#gen/grpc/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "#gen/grpc/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as OldServerReflection } from "#gen/grpc/grpc/reflection/v1alpha/reflection_pb.ts";
import type { Logger } from "#telemetry/port.ts";
import { gateCall } from "./call/call-gate.ts";
import { createCallInterceptor } from "./call/call-interceptor.ts";
import { createHealthHandler, type HealthHandler } from "./handlers/health-handler.ts";
import { createReflectionHandler } from "./handlers/reflection-handler.ts";

export interface ServedService<S extends DescService = DescService> {
  readonly descriptor: S;
  readonly implementation: Partial<ServiceImpl<S>>;
}

/** Ties an implementation to its descriptor's type. */
export function serve<S extends DescService>(descriptor: S, implementation: Partial<ServiceImpl<S>>): ServedService {
  return { descriptor, implementation };
}

export interface Routes {
  readonly handlers: readonly UniversalHandler[];
  readonly unknown: { readonly unary: UniversalHandler; readonly stream: UniversalHandler };
  readonly health: HealthHandler;
}

export interface RoutesOptions {
  readonly services: readonly ServedService[];
  readonly maximumMessageBytes: number;
  readonly logger: Logger;
}

/** Local callers gain nothing from compressing small answers. */
const COMPRESS_FROM_BYTES = 64 * 1024;

export function createRoutes({ services, maximumMessageBytes, logger }: RoutesOptions): Routes {
  const options: ConnectRouterOptions = {
    requestGate: gateCall,
    interceptors: [createCallInterceptor(logger)],
    readMaxBytes: maximumMessageBytes,
    acceptCompression: [compressionGzip],
    compressMinBytes: COMPRESS_FROM_BYTES,
    // A mistyped field is an error that says so, not a silent default.
    jsonOptions: { ignoreUnknownFields: false },
  };
  const descriptors = services.map((service) => service.descriptor);
  const health = createHealthHandler(descriptors.map((descriptor) => descriptor.typeName));
  const reflection = createReflectionHandler([...descriptors, Health, ServerReflection, OldServerReflection]);
  const router = createConnectRouter(options);
  for (const { descriptor, implementation } of services) router.service(descriptor, implementation);
  router.service(Health, health.service);
  router.service(ServerReflection, reflection.v1);
  router.service(OldServerReflection, reflection.v1alpha);
  return { handlers: router.handlers, unknown: createUnknown(options), health };
}

/**
 * Calls of methods that do not exist are refused before they are decoded; any method's
 * handler can do that, in whichever protocol the caller speaks.
 */
function createUnknown(options: ConnectRouterOptions): Routes["unknown"] {
  const { handlers } = createConnectRouter(options).service(Health, {});
  const [unary, stream] = ["check", "watch"].map((name) =>
    handlers.find((handler) => handler.method.localName === name),
  );
  if (unary === undefined || stream === undefined) throw new Error("the health service has lost its methods");
  return { unary, stream };
}
