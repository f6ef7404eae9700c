/** What a receiver answers: partial success, and the error details that carry a retry delay. */
import { create, fromBinary, fromJson, type DescMessage, type JsonValue, type MessageShape } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { ExportLogsServiceResponseSchema } from "#gen/otlp/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import { ExportMetricsServiceResponseSchema } from "#gen/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { ExportTraceServiceResponseSchema } from "#gen/otlp/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import type { OtlpSignal } from "./destination.ts";
import type { SendOutcome } from "./send-outcome.ts";

/** A larger answer is not read, and counts as a refusal. Source: OTLP 1.x, "OTLP/HTTP Response". */
export const MAXIMUM_RESPONSE_BYTES = 4 * 1024 * 1024;

export type BodyEncoding = "protobuf" | "json";

/** Texts of a receiver go to logs. */
const MAXIMUM_MESSAGE_LENGTH = 500;

/** The outcome of a request that was answered with success. Throws when `bytes` is not the signal's response. */
export function parseExportResponse(
  signal: OtlpSignal,
  bytes: Uint8Array,
  encoding: BodyEncoding = "protobuf",
): SendOutcome {
  const { rejected, message } = readPartialSuccess(signal, bytes, encoding);
  const text = bounded(message);
  if (rejected > 0n) return { kind: "partial", rejectedItems: Number(rejected), reason: text };
  return text === "" ? { kind: "accepted" } : { kind: "accepted", note: text };
}

function bounded(text: string): string {
  return text
    .slice(0, MAXIMUM_MESSAGE_LENGTH)
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim();
}

function readPartialSuccess(
  signal: OtlpSignal,
  bytes: Uint8Array,
  encoding: BodyEncoding,
): { readonly rejected: bigint; readonly message: string } {
  switch (signal) {
    case "traces": {
      const { partialSuccess } = parse(ExportTraceServiceResponseSchema, bytes, encoding);
      return { rejected: partialSuccess?.rejectedSpans ?? 0n, message: partialSuccess?.errorMessage ?? "" };
    }
    case "metrics": {
      const { partialSuccess } = parse(ExportMetricsServiceResponseSchema, bytes, encoding);
      return { rejected: partialSuccess?.rejectedDataPoints ?? 0n, message: partialSuccess?.errorMessage ?? "" };
    }
    case "logs": {
      const { partialSuccess } = parse(ExportLogsServiceResponseSchema, bytes, encoding);
      return { rejected: partialSuccess?.rejectedLogRecords ?? 0n, message: partialSuccess?.errorMessage ?? "" };
    }
  }
}

function parse<D extends DescMessage>(schema: D, bytes: Uint8Array, encoding: BodyEncoding): MessageShape<D> {
  if (encoding === "protobuf") return fromBinary(schema, bytes);
  const text = Buffer.from(bytes).toString("utf8").trim();
  if (text === "") return create(schema);
  const json = JSON.parse(text) as JsonValue;
  const members = typeof json === "object" && json !== null ? Object.keys(json) : [];
  // Newer receivers may say more than is known here; one that says nothing that is known, such as the page of a health
  // check, answers something else.
  if (members.length > 0 && !members.some((member) => /^partial_?success$/i.test(member))) {
    throw new Error("no member of an OTLP response");
  }
  return fromJson(schema, json, { ignoreUnknownFields: true });
}

interface RpcStatus {
  readonly message: string;
  /** From a `google.rpc.RetryInfo` detail. */
  readonly retryDelayMs: number | undefined;
}

/** `google.rpc.Status`, as far as it matters here; undefined when `bytes` is not one. */
export function parseRpcStatus(bytes: Uint8Array): RpcStatus | undefined {
  try {
    let message = "";
    let retryDelayMs: number | undefined;
    for (const field of readFields(bytes)) {
      if (field.number === 2) message = Buffer.from(field.bytes).toString("utf8");
      if (field.number === 3) retryDelayMs ??= readRetryDelayMs(field.bytes);
    }
    return { message, retryDelayMs };
  } catch {
    return undefined;
  }
}

/** The message of a `google.rpc.Status` in JSON; undefined when `bytes` is not one. */
export function parseRpcStatusMessage(bytes: Uint8Array): string | undefined {
  try {
    const json: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    const isStatus = typeof json === "object" && json !== null && "message" in json;
    return isStatus && typeof json.message === "string" ? json.message : undefined;
  } catch {
    return undefined;
  }
}

/** A `google.protobuf.Any` that may be a RetryInfo, whose field 1 is a Duration. */
function readRetryDelayMs(any: Uint8Array): number | undefined {
  let typeUrl = "";
  let value: Uint8Array = new Uint8Array();
  for (const field of readFields(any)) {
    if (field.number === 1) typeUrl = Buffer.from(field.bytes).toString("utf8");
    if (field.number === 2) value = field.bytes;
  }
  if (!typeUrl.endsWith("/google.rpc.RetryInfo")) return undefined;
  let delayMs = 0;
  for (const duration of readFields(value)) {
    if (duration.number !== 1) continue;
    for (const part of readFields(duration.bytes)) {
      if (part.number === 1) delayMs += part.integer * 1_000;
      if (part.number === 2) delayMs += part.integer / 1e6;
    }
  }
  return Math.max(0, delayMs);
}

interface WireField {
  readonly number: number;
  /** Of a length-delimited field. */
  readonly bytes: Uint8Array;
  /** Of a varint field. */
  readonly integer: number;
}

function* readFields(bytes: Uint8Array): Generator<WireField> {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType === WireType.LengthDelimited) yield { number, bytes: reader.bytes(), integer: 0 };
    else if (wireType === WireType.Varint) yield { number, bytes: new Uint8Array(), integer: Number(reader.int64()) };
    else reader.skip(wireType, number);
  }
}
