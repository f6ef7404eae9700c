/** Parts that all signals share. Field numbers: opentelemetry/proto/{common,resource}/v1. */
import type { SpanAttributes, SpanAttributeValue, SpanResource, SpanScope } from "#model/recorded-span.ts";
import { attributes as registry } from "#gen/telemetry/attributes.ts";
import type { ProtobufWriter } from "./protobuf-writer.ts";

/** Registry attributes that are doubles, so that 2.0 does not become the int 2. */
const doubleKeys: ReadonlySet<string> = new Set(
  Object.entries(registry).flatMap(([key, { type }]) => (type === "double" ? [key] : [])),
);

/** Repeated `KeyValue` as `field`. */
export function writeAttributes(writer: ProtobufWriter, field: number, attributes: SpanAttributes): void {
  for (const key in attributes) {
    const value = attributes[key];
    if (value !== undefined) writeAttribute(writer, field, key, value);
  }
}

/** One `KeyValue` as `field`. */
export function writeAttribute(writer: ProtobufWriter, field: number, key: string, value: SpanAttributeValue): void {
  const mark = writer.begin(field);
  writer.string(1, key);
  writeAnyValue(writer, 2, value, doubleKeys.has(key));
  writer.end(mark);
}

/** `AnyValue` as `field`. Whole numbers are ints unless the registry says double. */
export function writeAnyValue(
  writer: ProtobufWriter,
  field: number,
  value: SpanAttributeValue,
  isDouble = false,
): void {
  const any = writer.begin(field);
  if (typeof value === "string") writer.string(1, value);
  else if (typeof value === "boolean") writer.bool(2, value);
  else if (typeof value === "number") writeNumber(writer, value, isDouble);
  else {
    const array = writer.begin(5);
    for (const element of value) writeAnyValue(writer, 1, element);
    writer.end(array);
  }
  writer.end(any);
}

function writeNumber(writer: ProtobufWriter, value: number, isDouble: boolean): void {
  if (!isDouble && Number.isSafeInteger(value)) writer.int64(3, value);
  else writer.double(4, value);
}

const SCOPE_FIELD = 1;
const SCHEMA_URL_FIELD = 3;

/** `Resource` as `field`, and its schema, the same field in ResourceSpans, ResourceMetrics and ResourceLogs. */
export function writeResource(writer: ProtobufWriter, field: number, resource: SpanResource): void {
  const mark = writer.begin(field);
  writeAttributes(writer, 1, resource.attributes);
  writer.end(mark);
  if (resource.schemaUrl !== undefined) writer.string(SCHEMA_URL_FIELD, resource.schemaUrl);
}

/** `InstrumentationScope` and its schema, the same fields in ScopeSpans, ScopeMetrics and ScopeLogs. */
export function writeScope(writer: ProtobufWriter, scope: SpanScope): void {
  const mark = writer.begin(SCOPE_FIELD);
  writer.string(1, scope.name);
  if (scope.version !== undefined) writer.string(2, scope.version);
  writer.end(mark);
  if (scope.schemaUrl !== undefined) writer.string(SCHEMA_URL_FIELD, scope.schemaUrl);
}
