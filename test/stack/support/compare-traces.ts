/** A trace as the node tells it and as a backend does, in one form, so that they can be held against each other. */
import assert from "node:assert/strict";
import type { GetTraceResponse, Span as ToldSpan } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { Status_StatusCode } from "#gen/otlp/opentelemetry/proto/trace/v1/trace_pb.ts";
import { plainAttributes, type PlainValue } from "#test/support/otlp-checks.ts";
import type { ReceivedSpan } from "#test/support/otlp-collect.ts";
import { waitFor } from "#test/support/wait-for.ts";
import type { TraceBackend } from "./trace-backends.ts";

const DEADLINE_MS = 120_000;

interface ComparedSpan {
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
function fromNode(span: ToldSpan): ComparedSpan {
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
    endUnixNano: endOf(span.startTimeUnixNano, span.endTimeUnixNano),
    failed: span.error,
    statusMessage: span.statusMessage,
    attributes: Object.fromEntries(attributes) as Record<string, unknown>,
    links: span.links.map(({ traceId, spanId, relation }) => ({ traceId, spanId, relation })),
  };
}

/** Jaeger gives a nanosecond to spans that took no time. */
function endOf(startUnixNano: bigint, endUnixNano: bigint): bigint {
  return endUnixNano === startUnixNano ? startUnixNano + 1n : endUnixNano;
}

export function linksOf({ links }: ReceivedSpan["message"]): ComparedSpan["links"] {
  return links.map((link) => ({
    traceId: Buffer.from(link.traceId).toString("hex"),
    spanId: Buffer.from(link.spanId).toString("hex"),
    relation: plainAttributes(link.attributes)["blixard.link.relation"] ?? "",
  }));
}

/** As a backend gives it back. */
function fromBackend({ spanId, parentSpanId, name, attributes, resource, message }: ReceivedSpan): ComparedSpan {
  return {
    spanId,
    parentSpanId,
    service: resource["service.name"],
    name,
    kind: message.kind,
    startUnixNano: message.startTimeUnixNano,
    endUnixNano: endOf(message.startTimeUnixNano, message.endTimeUnixNano),
    failed: message.status?.code === Status_StatusCode.ERROR,
    statusMessage: message.status?.message ?? "",
    // The node's API has no lists among its attributes: it writes them down as JSON. Jaeger adds remarks of its own.
    attributes: Object.fromEntries(
      Object.entries(attributes)
        .filter(([key]) => !key.startsWith("@jaeger@"))
        .map(([key, value]) => [key, Array.isArray(value) ? JSON.stringify(value) : value]),
    ),
    links: linksOf(message),
  };
}

/**
 * What the backend has of a trace, once it is as much as the node told: span for span the same, with services,
 * parents, links and statuses.
 * @throws AssertionError with the difference
 */
export async function assertSameTrace(told: GetTraceResponse, backend: TraceBackend): Promise<readonly ReceivedSpan[]> {
  const received = await waitFor(
    `the ${told.spans.length} spans of trace ${told.traceId} at ${backend.url}`,
    async () => {
      const spans = await backend.trace(told.traceId);
      return spans !== undefined && spans.length >= told.spans.length ? spans : undefined;
    },
    DEADLINE_MS,
  );
  assert.equal(told.droppedSpans, 0n);
  assert.deepEqual(inOrder(received.map(fromBackend)), inOrder(told.spans.map(fromNode)));
  assertWhole(received);
  return received;
}

/** One root, every other span's parent is there, none is there twice. @param caller whose span is not the backend's */
export function assertWhole(spans: readonly ReceivedSpan[], caller = ""): void {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  assert.equal(ids.size, spans.length, "a span is there twice");
  const tops = spans.filter(({ parentSpanId }) => !ids.has(parentSpanId));
  assert.deepEqual(
    tops.map(({ parentSpanId }) => parentSpanId),
    [caller],
    `spans without their parents: ${tops.map(({ name }) => name).join(", ")}`,
  );
}

function inOrder(spans: readonly ComparedSpan[]): readonly ComparedSpan[] {
  return spans.toSorted((left, right) => (left.spanId < right.spanId ? -1 : 1));
}
