/** Finished spans between model and the API's messages. */
import { create } from "@bufbuild/protobuf";
import {
  SpanKind as SpanKindEnum,
  SpanSchema,
  type AttributeValue as AttributeValueMessage,
  type RecordSpansRequest,
  type Span as SpanMessage,
} from "#gen/api/blixard/v1/telemetry_pb.ts";
import type { RecordedSpan, SpanAttributes, SpanAttributeValue, SpanKind } from "#model/recorded-span.ts";

const kinds: Readonly<Record<SpanKind, SpanKindEnum>> = {
  internal: SpanKindEnum.INTERNAL,
  server: SpanKindEnum.SERVER,
  client: SpanKindEnum.CLIENT,
  producer: SpanKindEnum.PRODUCER,
  consumer: SpanKindEnum.CONSUMER,
};
const wordsByKind = new Map<SpanKindEnum, SpanKind>(
  Object.entries(kinds).map(([word, kind]) => [kind, word as SpanKind]),
);
const RELATION = "blixard.link.relation";

/** @param exported whether the trace goes to the OTLP endpoint */
export function spanToMessage(span: RecordedSpan, exported: boolean): SpanMessage {
  return create(SpanSchema, {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId ?? "",
    name: span.name,
    kind: kinds[span.kind],
    startTimeUnixNano: span.startUnixNano,
    endTimeUnixNano: span.endUnixNano,
    attributes: Object.fromEntries(
      Object.entries(span.attributes).map(([key, value]) => [key, { value: toWire(value) }]),
    ),
    links: span.links.map(({ traceId, spanId, attributes }) => ({ traceId, spanId, relation: relationOf(attributes) })),
    error: span.status.code === "error",
    statusMessage: span.status.message ?? "",
    service: span.resource.attributes["service.name"],
    sampled: exported,
  });
}

/** Nothing is judged here: the recorder trims and refuses. */
export function spansFromRequest({ spans, resource }: RecordSpansRequest): RecordedSpan[] {
  const attributes = attributesFrom(resource);
  return spans.map((message) => spanFromMessage(message, attributes));
}

function spanFromMessage(message: SpanMessage, resource: SpanAttributes): RecordedSpan {
  return {
    traceId: message.traceId,
    spanId: message.spanId,
    ...(message.parentSpanId === "" ? {} : { parentSpanId: message.parentSpanId }),
    name: message.name,
    kind: wordsByKind.get(message.kind) ?? "internal",
    startUnixNano: message.startTimeUnixNano,
    endUnixNano: message.endTimeUnixNano,
    status: message.error ? { code: "error", message: message.statusMessage } : { code: "unset" },
    attributes: attributesFrom(message.attributes),
    links: message.links.map(({ traceId, spanId, relation }) => ({
      traceId,
      spanId,
      attributes: relation === "" ? {} : { [RELATION]: relation },
    })),
    events: [],
    resource: { attributes: { ...resource, "service.name": message.service } },
    scope: { name: "blixard" },
  };
}

function toWire(value: SpanAttributeValue): AttributeValueMessage["value"] {
  switch (typeof value) {
    case "string":
      return { case: "stringValue", value };
    case "boolean":
      return { case: "boolValue", value };
    case "number":
      return Number.isSafeInteger(value) ? { case: "intValue", value: BigInt(value) } : { case: "doubleValue", value };
    default:
      return { case: "stringValue", value: JSON.stringify(value) };
  }
}

function attributesFrom(messages: Readonly<Record<string, AttributeValueMessage>>): SpanAttributes {
  const entries = Object.entries(messages).flatMap(([key, { value }]) =>
    value.case === undefined
      ? []
      : [[key, typeof value.value === "bigint" ? Number(value.value) : value.value] as const],
  );
  return Object.fromEntries(entries);
}

function relationOf(attributes: SpanAttributes): string {
  const relation = attributes[RELATION];
  return typeof relation === "string" ? relation : "";
}
