/**
 * A finished span as a plain value: what the recorder keeps, the API serves, the
 * CLI renders and the OTLP client sends, without any telemetry library.
 */

export const spanKinds = ["internal", "server", "client", "producer", "consumer"] as const;
export type SpanKind = (typeof spanKinds)[number];

export type SpanAttributeValue = string | number | boolean | readonly string[] | readonly number[] | readonly boolean[];
export type SpanAttributes = Readonly<Record<string, SpanAttributeValue>>;

export interface SpanStatus {
  readonly code: "unset" | "ok" | "error";
  /** Only with `error`. */
  readonly message?: string;
}

export interface RecordedSpanLink {
  /** 32 and 16 lower-case hex digits. */
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes: SpanAttributes;
}

export interface RecordedSpanEvent {
  readonly name: string;
  readonly timeUnixNano: bigint;
  readonly attributes: SpanAttributes;
}

/** The entity a span comes from: this node, a CLI, a guest. */
export interface SpanResource {
  /** OpenTelemetry resource attributes; `service.name` is always there. */
  readonly attributes: SpanAttributes & { readonly "service.name": string };
  /** Of the conventions that the attributes' names are from. */
  readonly schemaUrl?: string;
}

/** The library that made a span. */
export interface SpanScope {
  readonly name: string;
  readonly version?: string;
  readonly schemaUrl?: string;
}

export interface RecordedSpan {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string;
  /** Absent on the root. */
  readonly parentSpanId?: string;
  /** The parent is in another process. */
  readonly parentIsRemote?: boolean;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: SpanKind;
  readonly startUnixNano: bigint;
  /** Never before `startUnixNano`. */
  readonly endUnixNano: bigint;
  readonly status: SpanStatus;
  readonly attributes: SpanAttributes;
  readonly links: readonly RecordedSpanLink[];
  readonly events: readonly RecordedSpanEvent[];
  readonly resource: SpanResource;
  readonly scope: SpanScope;
}
