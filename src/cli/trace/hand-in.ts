/** Hands a command's finished spans to the node, so that one trace runs from the first line typed. Best effort. */
import { create } from "@bufbuild/protobuf";
import {
  AttributeValueSchema,
  RecordSpansRequestSchema,
  SpanKind,
  SpanSchema,
  type Span,
  TelemetryService,
} from "#gen/api/blixard/v1/telemetry_pb.ts";
import type { NodeConnection } from "../client/node-connection.ts";
import type { FinishedSpan } from "./command-trace.ts";

const TIMEOUT_MS = 200;
const SERVICE_NAME = "blixard-cli";

/** Never fails, and takes 200 ms at most. */
export async function handInSpans(
  node: NodeConnection,
  spans: readonly FinishedSpan[],
  sampled: boolean,
): Promise<void> {
  try {
    const client = await node.client(TelemetryService);
    const request = create(RecordSpansRequestSchema, { spans: spans.map((span) => toWire(span, sampled)) });
    await client.recordSpans(request, { timeoutMs: TIMEOUT_MS });
  } catch {
    // The command's own outcome is all that matters to who typed it.
  }
}

function toWire(span: FinishedSpan, sampled: boolean): Span {
  return create(SpanSchema, {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId,
    name: span.name,
    kind: SpanKind.CLIENT,
    startTimeUnixNano: nanoseconds(span.startTimeMs),
    endTimeUnixNano: nanoseconds(Math.max(span.startTimeMs, span.endTimeMs)),
    attributes: Object.fromEntries(
      Object.entries(span.attributes).map(([name, value]) => [name, attributeValue(value)]),
    ),
    error: span.errorMessage !== undefined,
    statusMessage: span.errorMessage ?? "",
    service: SERVICE_NAME,
    sampled,
  });
}

function attributeValue(value: string | number) {
  return create(AttributeValueSchema, {
    value: typeof value === "string" ? { case: "stringValue", value } : { case: "intValue", value: BigInt(value) },
  });
}

function nanoseconds(timeMs: number): bigint {
  return BigInt(Math.round(timeMs * 1000)) * 1000n;
}
