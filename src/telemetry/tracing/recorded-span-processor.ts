/**
 * The SDK's span processor: knows the spans that are open in this process and hands
 * finished ones on as plain values.
 */
import { SpanStatusCode, TraceFlags, type Attributes, type HrTime, type SpanContext } from "@opentelemetry/api";
import type { ReadableSpan, Span, SpanProcessor } from "@opentelemetry/sdk-trace";
import { otelSdkSpanLive, otelSdkSpanStarted } from "#gen/telemetry/metrics.ts";
import {
  spanKinds,
  type RecordedSpan,
  type RecordedSpanEvent,
  type RecordedSpanLink,
  type SpanAttributes,
  type SpanAttributeValue,
  type SpanResource,
  type SpanScope,
  type SpanStatus,
} from "#model/recorded-span.ts";
import type { CounterCell, Metrics, UpDownCounterCell } from "../port.ts";

type InstrumentationScope = ReadableSpan["instrumentationScope"];

export interface RecordedSpanProcessor extends SpanProcessor {
  /** The open span of this process with this id, or undefined: then the context came from elsewhere. */
  openSpan(traceId: string, spanId: string): Span | undefined;
  /** The span is not this process's own. */
  setResource(span: object, resource: SpanResource): void;
}

/** Spans that are never ended are a bug; it must not become a leak. */
const MAXIMUM_OPEN_SPANS = 50_000;

const MAXIMUM_JSON_LENGTH = 4_096;

export function createRecordedSpanProcessor(
  resource: SpanResource,
  record: (span: RecordedSpan, sampled: boolean) => void,
  metrics: Metrics,
): RecordedSpanProcessor {
  const open = new Map<string, Span>();
  const foreign = new WeakMap<object, SpanResource>();
  const scopes = new WeakMap<InstrumentationScope, SpanScope>();
  const cells = { sampled: bindSpanCells(metrics, "RECORD_AND_SAMPLE"), held: bindSpanCells(metrics, "RECORD_ONLY") };
  const cellsOf = (context: SpanContext): SpanCells => (isSampled(context) ? cells.sampled : cells.held);
  return {
    openSpan(traceId, spanId) {
      const span = open.get(spanId);
      return span?.spanContext().traceId === traceId ? span : undefined;
    },
    setResource: (span, of) => void foreign.set(span, of),
    onStart(span) {
      const context = span.spanContext();
      if (open.size < MAXIMUM_OPEN_SPANS) open.set(context.spanId, span);
      const { started, live } = cellsOf(context);
      started[originOf(span.parentSpanContext)].add(1);
      live.add(1);
    },
    onEnd(span) {
      const context = span.spanContext();
      open.delete(context.spanId);
      cellsOf(context).live.add(-1);
      const scope = scopes.getOrInsertComputed(span.instrumentationScope, toScope);
      record(toRecordedSpan(span, foreign.get(span) ?? resource, scope), isSampled(context));
    },
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  };
}

type ParentOrigin = "none" | "local" | "remote";

/** `otel.sdk.span.*` for one sampling result. */
interface SpanCells {
  readonly started: Readonly<Record<ParentOrigin, CounterCell>>;
  readonly live: UpDownCounterCell;
}

function bindSpanCells(metrics: Metrics, result: "RECORD_ONLY" | "RECORD_AND_SAMPLE"): SpanCells {
  const started = (origin: ParentOrigin): CounterCell =>
    metrics.bind(otelSdkSpanStarted, { "otel.span.sampling_result": result, "otel.span.parent.origin": origin });
  return {
    started: { none: started("none"), local: started("local"), remote: started("remote") },
    live: metrics.bind(otelSdkSpanLive, { "otel.span.sampling_result": result }),
  };
}

function originOf(parent: SpanContext | undefined): ParentOrigin {
  if (parent === undefined) return "none";
  return parent.isRemote === true ? "remote" : "local";
}

function isSampled(context: SpanContext): boolean {
  return (context.traceFlags & TraceFlags.SAMPLED) !== 0;
}

/** Shares what it can: this runs for every span. The SDK's objects do not change after the end. */
function toRecordedSpan(span: ReadableSpan, resource: SpanResource, scope: SpanScope): RecordedSpan {
  const context = span.spanContext();
  const parent = span.parentSpanContext;
  const traceState = context.traceState?.serialize();
  return {
    traceId: context.traceId,
    spanId: context.spanId,
    ...(parent === undefined ? undefined : { parentSpanId: parent.spanId, parentIsRemote: parent.isRemote === true }),
    ...(traceState === undefined || traceState === "" ? undefined : { traceState }),
    name: span.name,
    kind: spanKinds[span.kind] ?? "internal",
    startUnixNano: toUnixNano(span.startTime),
    endUnixNano: toUnixNano(span.endTime),
    status: toStatus(span.status),
    attributes: toAttributes(span.attributes),
    links: span.links.length === 0 ? none : span.links.map(toLink),
    events: span.events.length === 0 ? none : span.events.map(toEvent),
    resource,
    scope,
  };
}

const none: readonly never[] = Object.freeze([]);
const unset: SpanStatus = Object.freeze({ code: "unset" });
const ok: SpanStatus = Object.freeze({ code: "ok" });

function toLink(link: ReadableSpan["links"][number]): RecordedSpanLink {
  return { traceId: link.context.traceId, spanId: link.context.spanId, attributes: toAttributes(link.attributes) };
}

function toEvent(event: ReadableSpan["events"][number]): RecordedSpanEvent {
  return { name: event.name, timeUnixNano: toUnixNano(event.time), attributes: toAttributes(event.attributes) };
}

function toScope({ name, version, schemaUrl }: InstrumentationScope): SpanScope {
  return {
    name,
    ...(version === undefined ? {} : { version }),
    ...(schemaUrl === undefined || schemaUrl === "" ? {} : { schemaUrl }),
  };
}

function toUnixNano([seconds, nanos]: HrTime): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
}

function toStatus(status: ReadableSpan["status"]): SpanStatus {
  if (status.code === SpanStatusCode.UNSET) return unset;
  if (status.code === SpanStatusCode.OK) return ok;
  return status.message === undefined ? { code: "error" } : { code: "error", message: status.message };
}

function toAttributes(attributes: Attributes | undefined): SpanAttributes {
  if (attributes === undefined) return {};
  if (isPlain(attributes)) return attributes;
  const plain: Record<string, SpanAttributeValue> = {};
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) plain[key] = toAttributeValue(value);
  }
  return plain;
}

function isPlain(attributes: Attributes): attributes is Record<string, string | number | boolean> {
  for (const key in attributes) {
    const type = typeof attributes[key];
    if (type !== "string" && type !== "number" && type !== "boolean") return false;
  }
  return true;
}

/** Third-party instrumentation may set any value of OpenTelemetry's; what is not simple becomes JSON. */
function toAttributeValue(value: unknown): SpanAttributeValue {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  if (Array.isArray(value)) {
    if (isArrayOf(value, (element) => typeof element === "string")) return value;
    if (isArrayOf(value, (element) => typeof element === "number")) return value;
    if (isArrayOf(value, (element) => typeof element === "boolean")) return value;
  }
  return (JSON.stringify(value) ?? "").slice(0, MAXIMUM_JSON_LENGTH);
}

function isArrayOf<T>(values: readonly unknown[], is: (element: unknown) => element is T): values is readonly T[] {
  return values.every(is);
}
