/** A span in one form, whether the node tells of it or a backend: so that two traces can be compared. */
import type { Span as ToldSpan } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { Status_StatusCode } from "#gen/otlp/opentelemetry/proto/trace/v1/trace_pb.ts";
import { plainAttributes, type PlainValue } from "#test/support/otlp-checks.ts";
import type { ReceivedSpan } from "#test/support/otlp-collect.ts";

export interface ComparedSpan {
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly service: PlainValue;
  readonly name: string;
  /** Both count them alike. */
  readonly kind: number;
  readonly startUnixNano: bigint;
  readonly endUnixNano: bigint;
  readonly failed: boolean;
  readonly statusMessage: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string; readonly relation: PlainValue }[];
}

/** As `blixard vm trace -o json` has it. */
export function fromNode(span: ToldSpan): ComparedSpan {
  const attributes = Object.entries(span.attributes).map(([key, { value }]) => [
    key,
    typeof value.value === "bigint" ? Number(value.value) : value.value,
  ]);
  return {
    spanId: span.spanId,
    parentSpanId: span.parentSpanId,
    service: span.service,
    name: span.name,
    kind: span.kind,
    startUnixNano: span.startTimeUnixNano,
    endUnixNano: span.endTimeUnixNano,
    failed: span.error,
    statusMessage: span.statusMessage,
    attributes: Object.fromEntries(attributes) as Record<string, unknown>,
    links: span.links.map(({ traceId, spanId, relation }) => ({ traceId, spanId, relation })),
  };
}

/** As a backend gives it back. */
export function fromBackend({ spanId, parentSpanId, name, attributes, resource, message }: ReceivedSpan): ComparedSpan {
  return {
    spanId,
    parentSpanId,
    service: resource["service.name"],
    name,
    kind: message.kind,
    startUnixNano: message.startTimeUnixNano,
    endUnixNano: message.endTimeUnixNano,
    failed: message.status?.code === Status_StatusCode.ERROR,
    statusMessage: message.status?.message ?? "",
    // The node's API has no lists among its attributes: it writes them down as JSON. Jaeger adds remarks of its own.
    attributes: Object.fromEntries(
      Object.entries(attributes)
        .filter(([key]) => !key.startsWith("@jaeger@"))
        .map(([key, value]) => [key, Array.isArray(value) ? JSON.stringify(value) : value]),
    ),
    links: message.links.map((link) => ({
      traceId: Buffer.from(link.traceId).toString("hex"),
      spanId: Buffer.from(link.spanId).toString("hex"),
      relation: plainAttributes(link.attributes)["blixard.link.relation"] ?? "",
    })),
  };
}

/** In an order of their own, so that two lists are equal when they hold the same. */
export function inOrder(spans: readonly ComparedSpan[]): readonly ComparedSpan[] {
  return spans.toSorted((left, right) => (left.spanId < right.spanId ? -1 : 1));
}
