/**
 * Reads OTLP/JSON as a strict receiver does, and says what is wrong with it: names that
 * are not lowerCamelCase, enums by name, 64-bit integers as numbers, ids that are not hex.
 * Source: OTLP 1.x, "JSON Protobuf Encoding".
 */
import {
  fromJson,
  ScalarType,
  type DescField,
  type DescMessage,
  type JsonValue,
  type MessageShape,
} from "@bufbuild/protobuf";

const ID = /^(trace|span|parentSpan)Id$/;
const LONG: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
  ScalarType.SINT64,
]);

/** @throws Error that names every problem */
export function readOtlpJson<D extends DescMessage>(schema: D, text: string): MessageShape<D> {
  const problems: string[] = [];
  const json = normalised(schema, JSON.parse(text) as JsonValue, schema.name, problems);
  if (problems.length > 0) throw new Error(problems.slice(0, 10).join("; "));
  return fromJson(schema, json);
}

/** As protobuf's own mapping has it: ids in base64. */
function normalised(schema: DescMessage, json: JsonValue, where: string, problems: string[]): JsonValue {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    problems.push(`${where} is not an object`);
    return {};
  }
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => {
      const field = schema.fields.find(({ jsonName }) => jsonName === name);
      if (field === undefined) problems.push(`${where} has no field ${name}`);
      return [name, field === undefined ? value : normalisedField(field, value, `${where}.${name}`, problems)];
    }),
  );
}

function normalisedField(field: DescField, value: JsonValue, where: string, problems: string[]): JsonValue {
  if (field.fieldKind === "list") {
    if (!Array.isArray(value)) problems.push(`${where} is not a list`);
    const elements = Array.isArray(value) ? value : [];
    return elements.map((element) => normalisedElement(field, element, where, problems));
  }
  return normalisedElement(field, value, where, problems);
}

function normalisedElement(field: DescField, value: JsonValue, where: string, problems: string[]): JsonValue {
  if (field.message !== undefined) return normalised(field.message, value, where, problems);
  if (field.enum !== undefined) {
    if (typeof value !== "number") problems.push(`${where} is an enum by name`);
  } else if (field.scalar !== undefined && LONG.has(field.scalar)) {
    if (typeof value !== "string") problems.push(`${where} is a 64-bit integer as a number`);
  } else if (field.scalar === ScalarType.BYTES && ID.test(field.jsonName)) {
    const isId = typeof value === "string" && /^([0-9a-f]{2})*$/i.test(value);
    if (!isId) problems.push(`${where} is not a hex id`);
    return isId ? Buffer.from(value, "hex").toString("base64") : "";
  }
  return value;
}
