/**
 * Spans from another process are hostile input: ids and times must be right or the
 * span is left out, names and values are cut to size, and the source's service name
 * is ours to say, so that nobody can speak in a node's name.
 */
import type {
  RecordedSpan,
  RecordedSpanEvent,
  RecordedSpanLink,
  SpanAttributes,
  SpanAttributeValue,
  SpanResource,
} from "#model/recorded-span.ts";

export interface IngestSource {
  /** `service.name` of the sender, e.g. `blixard-cli`. */
  readonly serviceName: string;
}

/** Attributes of the node's resource that hold for whoever speaks to it: its cluster and environment. */
const PLACE_ATTRIBUTES = ["service.namespace", "deployment.environment.name"] as const;

export interface IngestResult {
  /** Valid spans, those already known included. */
  readonly accepted: number;
  readonly rejected: number;
}

export const ingestLimits = {
  spans: 256,
  attributes: 64,
  links: 16,
  events: 16,
  arrayElements: 32,
  keyLength: 128,
  nameLength: 256,
  valueLength: 1_024,
  /** Clocks differ and laptops sleep. */
  futureMs: 24 * 3_600_000,
  pastMs: 30 * 24 * 3_600_000,
} as const;

const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/;
const SPAN_ID = /^(?!0{16})[0-9a-f]{16}$/;

export function checkIngestedSpans(
  spans: readonly RecordedSpan[],
  source: IngestSource,
  nodeResource: SpanResource,
  nowMs: number,
): { readonly accepted: readonly RecordedSpan[]; readonly rejected: number } {
  const accepted: RecordedSpan[] = [];
  const place = Object.fromEntries(
    Object.entries(nodeResource.attributes).filter(([key]) => PLACE_ATTRIBUTES.some((own) => own === key)),
  );
  const resources = new Map<SpanResource, SpanResource>();
  for (const span of spans.slice(0, ingestLimits.spans)) {
    if (!isPlausible(span, nowMs)) continue;
    const resource = resources.getOrInsertComputed(span.resource, (given) => ({
      attributes: { ...trimAttributes(given.attributes), ...place, "service.name": source.serviceName },
    }));
    accepted.push(trimSpan(span, resource));
  }
  return { accepted, rejected: spans.length - accepted.length };
}

function isPlausible(span: RecordedSpan, nowMs: number): boolean {
  const startMs = Number(span.startUnixNano) / 1e6;
  const endMs = Number(span.endUnixNano) / 1e6;
  return (
    TRACE_ID.test(span.traceId) &&
    SPAN_ID.test(span.spanId) &&
    (span.parentSpanId === undefined || SPAN_ID.test(span.parentSpanId)) &&
    span.name !== "" &&
    span.startUnixNano <= span.endUnixNano &&
    startMs >= nowMs - ingestLimits.pastMs &&
    endMs <= nowMs + ingestLimits.futureMs
  );
}

function trimSpan(span: RecordedSpan, resource: SpanResource): RecordedSpan {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.parentSpanId === undefined ? {} : { parentSpanId: span.parentSpanId }),
    name: span.name.slice(0, ingestLimits.nameLength),
    kind: span.kind,
    startUnixNano: span.startUnixNano,
    endUnixNano: span.endUnixNano,
    status: {
      code: span.status.code,
      ...(span.status.message === undefined ? {} : { message: span.status.message.slice(0, ingestLimits.valueLength) }),
    },
    attributes: trimAttributes(span.attributes),
    links: span.links.filter(isLink).slice(0, ingestLimits.links).map(trimLink),
    events: span.events.slice(0, ingestLimits.events).map(trimEvent),
    resource,
    scope: { name: span.scope.name.slice(0, ingestLimits.nameLength) },
  };
}

function isLink(link: RecordedSpanLink): boolean {
  return TRACE_ID.test(link.traceId) && SPAN_ID.test(link.spanId);
}

function trimLink(link: RecordedSpanLink): RecordedSpanLink {
  return { traceId: link.traceId, spanId: link.spanId, attributes: trimAttributes(link.attributes) };
}

function trimEvent(event: RecordedSpanEvent): RecordedSpanEvent {
  return {
    name: event.name.slice(0, ingestLimits.nameLength),
    timeUnixNano: event.timeUnixNano > 0n ? BigInt.asUintN(63, event.timeUnixNano) : 0n,
    attributes: trimAttributes(event.attributes),
  };
}

function trimAttributes(attributes: SpanAttributes): SpanAttributes {
  const entries = Object.entries(attributes)
    .filter(([key]) => key !== "" && key.length <= ingestLimits.keyLength)
    .slice(0, ingestLimits.attributes)
    .map(([key, value]): [string, SpanAttributeValue] => [key, trimValue(value)]);
  return Object.fromEntries(entries);
}

function trimValue(value: SpanAttributeValue): SpanAttributeValue {
  if (typeof value === "string") return value.slice(0, ingestLimits.valueLength);
  if (typeof value !== "object") return value;
  const elements = value.slice(0, ingestLimits.arrayElements);
  return elements.every((element) => typeof element === "string")
    ? elements.map((element) => element.slice(0, ingestLimits.valueLength))
    : elements;
}
