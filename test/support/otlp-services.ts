/** OTLP's gRPC services, for receivers of tests that read the messages themselves. */
import type { ServiceDefinition } from "@grpc/grpc-js";
import type { OtlpSignal } from "#telemetry/otlp/destination.ts";

const names: Readonly<Record<OtlpSignal, string>> = {
  traces: "opentelemetry.proto.collector.trace.v1.TraceService",
  metrics: "opentelemetry.proto.collector.metrics.v1.MetricsService",
  logs: "opentelemetry.proto.collector.logs.v1.LogsService",
};

/** Its one method takes and gives bytes. */
export function otlpService(signal: OtlpSignal): ServiceDefinition {
  const passBytes = (bytes: Buffer): Buffer => bytes;
  return {
    Export: {
      path: `/${names[signal]}/Export`,
      requestStream: false,
      responseStream: false,
      requestSerialize: passBytes,
      requestDeserialize: passBytes,
      responseSerialize: passBytes,
      responseDeserialize: passBytes,
    },
  };
}
