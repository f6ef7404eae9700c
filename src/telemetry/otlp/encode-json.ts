/**
 * An export request as OTLP/JSON, from its protobuf bytes: there is one encoder. What is
 * queued and kept is protobuf; it becomes JSON on its way out.
 *
 * The mapping is protobuf's own (64-bit integers as text, lowerCamelCase, base64) with two
 * exceptions: ids are hex and enums are numbers. Source: OTLP 1.x, "JSON Protobuf Encoding".
 */
import { fromBinary, toJson, type DescMessage, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { ExportLogsServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import { ExportMetricsServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { ExportTraceServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import type { OtlpSignal } from "./destination.ts";

const REQUEST_SCHEMA = {
  traces: ExportTraceServiceRequestSchema,
  metrics: ExportMetricsServiceRequestSchema,
  logs: ExportLogsServiceRequestSchema,
} as const satisfies Record<OtlpSignal, DescMessage>;

const ID_FIELDS: ReadonlySet<string> = new Set(["traceId", "spanId", "parentSpanId"]);
/** What users name: no ids of ours below these. */
const FOREIGN_FIELDS: ReadonlySet<string> = new Set(["attributes", "body", "filteredAttributes"]);

/** Blocks for about 20 ms for each 256 KiB. */
export function encodeJson(signal: OtlpSignal, bytes: Uint8Array): Buffer {
  const message = fromBinary(REQUEST_SCHEMA[signal], bytes);
  const json = toJson(REQUEST_SCHEMA[signal] as DescMessage, message, { enumAsInteger: true });
  writeIdsAsHex(json);
  return Buffer.from(JSON.stringify(json));
}

function writeIdsAsHex(json: JsonValue): void {
  if (Array.isArray(json)) {
    for (const element of json) writeIdsAsHex(element);
  } else if (typeof json === "object" && json !== null) {
    writeIdsOfObject(json as JsonObject);
  }
}

function writeIdsOfObject(json: JsonObject): void {
  for (const key in json) {
    const value = json[key];
    if (typeof value === "string") {
      if (ID_FIELDS.has(key)) json[key] = Buffer.from(value, "base64").toString("hex");
    } else if (value !== undefined && !FOREIGN_FIELDS.has(key)) writeIdsAsHex(value);
  }
}
