/** What a receiver of OTLP answers: its responses in both encodings, and a request for patience. */
import { create, toBinary, toJsonString, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { ExportLogsServiceResponseSchema } from "#gen/otlp/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import { ExportMetricsServiceResponseSchema } from "#gen/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { ExportTraceServiceResponseSchema } from "#gen/otlp/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import type { OtlpSignal } from "#telemetry/otlp/destination.ts";

export type BodyEncoding = "protobuf" | "json";

export function exportResponse(
  signal: OtlpSignal,
  encoding: BodyEncoding = "protobuf",
  rejected = 0,
  errorMessage = "",
): Buffer {
  const count = BigInt(rejected);
  const isWhole = rejected === 0 && errorMessage === "";
  const encode = <D extends DescMessage>(schema: D, message: MessageShape<D>): Buffer =>
    Buffer.from(encoding === "json" ? toJsonString(schema, message) : toBinary(schema, message));
  switch (signal) {
    case "traces": {
      const init = isWhole ? {} : { partialSuccess: { rejectedSpans: count, errorMessage } };
      return encode(ExportTraceServiceResponseSchema, create(ExportTraceServiceResponseSchema, init));
    }
    case "metrics": {
      const init = isWhole ? {} : { partialSuccess: { rejectedDataPoints: count, errorMessage } };
      return encode(ExportMetricsServiceResponseSchema, create(ExportMetricsServiceResponseSchema, init));
    }
    case "logs": {
      const init = isWhole ? {} : { partialSuccess: { rejectedLogRecords: count, errorMessage } };
      return encode(ExportLogsServiceResponseSchema, create(ExportLogsServiceResponseSchema, init));
    }
  }
}

/** `google.rpc.Status` with code 8 and a RetryInfo of whole seconds below 128, written by hand. */
export function retryInfoStatus(delaySeconds: number): Buffer {
  const nested = (field: number, content: Buffer): Buffer =>
    Buffer.concat([Buffer.from([field * 8 + 2, content.length]), content]);
  const retryInfo = nested(1, Buffer.from([8, delaySeconds]));
  const any = Buffer.concat([nested(1, Buffer.from("type.googleapis.com/google.rpc.RetryInfo")), nested(2, retryInfo)]);
  return Buffer.concat([Buffer.from([8, 8]), nested(3, any)]);
}
