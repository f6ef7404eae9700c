/** Log records as OTLP export requests. Field numbers: opentelemetry/proto/logs/v1. */
import type { SpanResource, SpanScope } from "#model/recorded-span.ts";
import type { LogRecord } from "../logging/log-record.ts";
import type { LogLevel } from "../port.ts";
import { writeAnyValue, writeAttribute, writeAttributes, writeResource, writeScope } from "./encode-common.ts";
import {
  MAXIMUM_REQUEST_BYTES,
  type EncodedBatch,
  type EncodedRequest,
  type RequestLimits,
} from "./encoded-request.ts";
import { ProtobufWriter } from "./protobuf-writer.ts";

/** SeverityNumber: the first of the four grades of each level. */
const SEVERITY_NUMBER: Readonly<Record<LogLevel, number>> = { debug: 5, info: 9, warn: 13, error: 17 };
const ATTRIBUTES_FIELD = 6;

const DEFAULT_LIMITS: RequestLimits = { targetBytes: MAXIMUM_REQUEST_BYTES, maximumBytes: MAXIMUM_REQUEST_BYTES };

export function createLogEncoder(
  resource: SpanResource,
  scope: SpanScope,
  limits = DEFAULT_LIMITS,
): (records: readonly LogRecord[]) => EncodedBatch {
  const writer = new ProtobufWriter();

  /** As many records as fit, from `first`; undefined when not even that one does. */
  function encodeFrom(records: readonly LogRecord[], first: number): EncodedRequest | undefined {
    writer.truncate(0);
    const resourceMark = writer.begin(1);
    writeResource(writer, 1, resource);
    const scopeMark = writer.begin(2);
    writeScope(writer, scope);
    let items = 0;
    for (const record of records.slice(first)) {
      const before = writer.length;
      writeLogRecord(writer, 2, record);
      if (writer.length > (items === 0 ? limits.maximumBytes : limits.targetBytes)) {
        writer.truncate(before);
        break;
      }
      items++;
    }
    if (items === 0) return undefined;
    writer.end(scopeMark);
    writer.end(resourceMark);
    return { bytes: writer.toBytes(), items };
  }

  return (records) => {
    const requests: EncodedRequest[] = [];
    let oversized = 0;
    for (let next = 0; next < records.length;) {
      const request = encodeFrom(records, next);
      if (request === undefined) oversized++;
      else requests.push(request);
      next += request?.items ?? 1;
    }
    return { requests, oversized };
  };
}

/** About what a record holds in memory. */
export function estimateLogBytes(record: LogRecord): number {
  let bytes =
    200 + 2 * record.message.length + 2 * (record.error?.message.length ?? 0) + 2 * (record.error?.stack?.length ?? 0);
  for (const key in record.attributes) {
    const value = record.attributes[key];
    bytes += 48 + 2 * key.length + (typeof value === "string" ? 2 * value.length : 8);
  }
  return bytes;
}

function writeLogRecord(writer: ProtobufWriter, field: number, record: LogRecord): void {
  const { context, error } = record;
  const mark = writer.begin(field);
  writer.integer64(1, record.timeMs * 1e6);
  writer.uint(2, SEVERITY_NUMBER[record.level]);
  writer.string(3, record.level.toUpperCase());
  writeAnyValue(writer, 5, record.message);
  writeAttributes(writer, ATTRIBUTES_FIELD, record.attributes);
  if (error !== undefined) {
    writeAttribute(writer, ATTRIBUTES_FIELD, "exception.type", error.type);
    writeAttribute(writer, ATTRIBUTES_FIELD, "exception.message", error.message);
    if (error.hint !== undefined) writeAttribute(writer, ATTRIBUTES_FIELD, "blixard.error.hint", error.hint);
    if (error.stack !== undefined) writeAttribute(writer, ATTRIBUTES_FIELD, "exception.stacktrace", error.stack);
  }
  if (context !== undefined) {
    writer.fixed32(8, context.sampled ? 1 : 0);
    writer.hex(9, context.traceId);
    writer.hex(10, context.spanId);
  }
  writer.integer64(11, record.timeMs * 1e6);
  if (record.eventName !== undefined) writer.string(12, record.eventName);
  writer.end(mark);
}
