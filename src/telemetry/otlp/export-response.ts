/** What a receiver answers: partial success, and the error details that carry a retry delay. */
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { ExportLogsServiceResponseSchema } from "#gen/otlp/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import { ExportMetricsServiceResponseSchema } from "#gen/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { ExportTraceServiceResponseSchema } from "#gen/otlp/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import type { OtlpSignal } from "./destination.ts";
import type { SendOutcome } from "./send-outcome.ts";

/** Answers are small; a larger one is not read. */
export const MAXIMUM_RESPONSE_BYTES = 64 * 1024;

/** The outcome of a request that was answered with success. Throws when `bytes` is not the signal's response. */
export function parseExportResponse(signal: OtlpSignal, bytes: Uint8Array): SendOutcome {
  const { rejected, message } = readPartialSuccess(signal, bytes);
  if (rejected > 0n) return { kind: "partial", rejectedItems: Number(rejected), reason: message };
  return message === "" ? { kind: "accepted" } : { kind: "accepted", note: message };
}

function readPartialSuccess(
  signal: OtlpSignal,
  bytes: Uint8Array,
): { readonly rejected: bigint; readonly message: string } {
  switch (signal) {
    case "traces": {
      const { partialSuccess } = fromBinary(ExportTraceServiceResponseSchema, bytes);
      return { rejected: partialSuccess?.rejectedSpans ?? 0n, message: partialSuccess?.errorMessage ?? "" };
    }
    case "metrics": {
      const { partialSuccess } = fromBinary(ExportMetricsServiceResponseSchema, bytes);
      return { rejected: partialSuccess?.rejectedDataPoints ?? 0n, message: partialSuccess?.errorMessage ?? "" };
    }
    case "logs": {
      const { partialSuccess } = fromBinary(ExportLogsServiceResponseSchema, bytes);
      return { rejected: partialSuccess?.rejectedLogRecords ?? 0n, message: partialSuccess?.errorMessage ?? "" };
    }
  }
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
