/** Hands a command's finished spans to the node, so that one trace runs from the first line typed. Best effort. */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { basename } from "node:path";
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
import { version } from "../version.ts";
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
    const request = create(RecordSpansRequestSchema, {
      spans: spans.map((span) => toWire(span, sampled)),
      resource: toWireAttributes(resourceOfThisProcess()),
    });
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
    attributes: toWireAttributes(span.attributes),
    error: span.errorMessage !== undefined,
    statusMessage: span.errorMessage ?? "",
    service: SERVICE_NAME,
    sampled,
  });
}

/** Who runs the command: the least that tells one from another, at no cost worth measuring. */
function resourceOfThisProcess(): Record<string, string | number> {
  return {
    "service.version": version,
    "service.instance.id": randomUUID(),
    "host.name": hostname(),
    "os.type": "linux",
    "process.pid": process.pid,
    "process.creation.time": new Date(performance.timeOrigin).toISOString(),
    "process.executable.name": basename(process.execPath),
    "process.runtime.name": "nodejs",
    "process.runtime.version": process.versions.node,
    "telemetry.sdk.name": "blixard",
    "telemetry.sdk.language": "nodejs",
    "telemetry.sdk.version": version,
  };
}

function toWireAttributes(attributes: Readonly<Record<string, string | number>>) {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, attributeValue(value)]));
}

function attributeValue(value: string | number) {
  return create(AttributeValueSchema, {
    value: typeof value === "string" ? { case: "stringValue", value } : { case: "intValue", value: BigInt(value) },
  });
}

function nanoseconds(timeMs: number): bigint {
  return BigInt(Math.round(timeMs * 1000)) * 1000n;
}
