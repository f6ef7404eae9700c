/**
 * Spans as OTLP export requests. Field numbers: opentelemetry/proto/trace/v1.
 *
 * Spans of one resource and scope stand together; a request is cut before it would
 * grow over the limit, and a span that alone is over it is left out and counted.
 */
import type { RecordedSpan, RecordedSpanEvent, RecordedSpanLink, SpanKind } from "#model/recorded-span.ts";
import { writeAttributes, writeResource, writeScope } from "./encode-common.ts";
import {
  MAXIMUM_REQUEST_BYTES,
  type EncodedBatch,
  type EncodedRequest,
  type RequestLimits,
} from "./encoded-request.ts";
import { ProtobufWriter } from "./protobuf-writer.ts";

const KIND_NUMBER: Readonly<Record<SpanKind, number>> = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 };
const STATUS_NUMBER = { unset: 0, ok: 1, error: 2 } as const;
const FLAG_SAMPLED = 0x01;
const FLAG_HAS_IS_REMOTE = 0x100;
const FLAG_IS_REMOTE = 0x200;

const DEFAULT_LIMITS: RequestLimits = { targetBytes: MAXIMUM_REQUEST_BYTES, maximumBytes: MAXIMUM_REQUEST_BYTES };

export function encodeSpans(spans: readonly RecordedSpan[], limits = DEFAULT_LIMITS): EncodedBatch {
  const builder = new SpanRequestBuilder(limits);
  for (const group of groupSpans(spans)) for (const span of group) builder.add(span);
  return builder.finish();
}

/** By resource, then by scope, each in the order of arrival. */
function groupSpans(spans: readonly RecordedSpan[]): Iterable<readonly RecordedSpan[]> {
  const groups = Map.groupBy(spans, (span) => span.resource);
  return groups.values().flatMap((group) => Map.groupBy(group, scopeKey).values());
}

function scopeKey(span: RecordedSpan): string {
  return JSON.stringify([span.scope.name, span.scope.version]);
}

class SpanRequestBuilder {
  readonly #limits: RequestLimits;
  readonly #writer = new ProtobufWriter();
  readonly #requests: EncodedRequest[] = [];
  #oversized = 0;
  #items = 0;
  /** The last span's resource and scope, while their messages are open. */
  #open: { readonly like: RecordedSpan; readonly resourceMark: number; readonly scopeMark: number } | undefined;

  constructor(limits: RequestLimits) {
    this.#limits = limits;
  }

  add(span: RecordedSpan): void {
    if (this.#tryAdd(span)) return;
    if (this.#items > 0) {
      this.#closeRequest();
      if (this.#tryAdd(span)) return;
    }
    this.#oversized++;
  }

  finish(): EncodedBatch {
    if (this.#items > 0) this.#closeRequest();
    return { requests: this.#requests, oversized: this.#oversized };
  }

  #tryAdd(span: RecordedSpan): boolean {
    const before = this.#writer.length;
    const openBefore = this.#open;
    if (openBefore !== undefined && !belongTogether(openBefore.like, span)) this.#closeGroup();
    const afterClose = this.#writer.length;
    if (this.#open === undefined) this.#openGroup(span);
    writeSpan(this.#writer, 2, span);
    if (this.#writer.length <= (this.#items === 0 ? this.#limits.maximumBytes : this.#limits.targetBytes)) {
      this.#items++;
      return true;
    }
    // Undo: back to what was there, which is complete if its group was closed above.
    if (openBefore !== undefined && this.#open === openBefore) this.#writer.truncate(before);
    else {
      this.#writer.truncate(afterClose);
      this.#open = undefined;
    }
    return false;
  }

  #openGroup(span: RecordedSpan): void {
    const resourceMark = this.#writer.begin(1);
    writeResource(this.#writer, 1, span.resource);
    const scopeMark = this.#writer.begin(2);
    writeScope(this.#writer, span.scope);
    this.#open = { like: span, resourceMark, scopeMark };
  }

  #closeGroup(): void {
    if (this.#open === undefined) return;
    this.#writer.end(this.#open.scopeMark);
    this.#writer.end(this.#open.resourceMark);
    this.#open = undefined;
  }

  #closeRequest(): void {
    this.#closeGroup();
    this.#requests.push({ bytes: this.#writer.toBytes(), items: this.#items });
    this.#writer.truncate(0);
    this.#items = 0;
  }
}

function belongTogether(one: RecordedSpan, other: RecordedSpan): boolean {
  return (
    one.resource === other.resource && one.scope.name === other.scope.name && one.scope.version === other.scope.version
  );
}

function writeSpan(writer: ProtobufWriter, field: number, span: RecordedSpan): void {
  const mark = writer.begin(field);
  writer.hex(1, span.traceId);
  writer.hex(2, span.spanId);
  if (span.traceState !== undefined) writer.string(3, span.traceState);
  if (span.parentSpanId !== undefined) writer.hex(4, span.parentSpanId);
  writer.string(5, span.name);
  writer.uint(6, KIND_NUMBER[span.kind]);
  writer.fixed64(7, span.startUnixNano);
  writer.fixed64(8, span.endUnixNano);
  writeAttributes(writer, 9, span.attributes);
  for (const event of span.events) writeEvent(writer, 11, event);
  for (const link of span.links) writeLink(writer, 13, link);
  if (span.status.code !== "unset") writeStatus(writer, 15, span.status);
  writer.fixed32(16, flagsOf(span));
  writer.end(mark);
}

/** What is exported counts as sampled: a promoted span has no other flag to say so. */
function flagsOf(span: RecordedSpan): number {
  if (span.parentIsRemote === undefined) return FLAG_SAMPLED;
  return FLAG_SAMPLED | FLAG_HAS_IS_REMOTE | (span.parentIsRemote ? FLAG_IS_REMOTE : 0);
}

function writeEvent(writer: ProtobufWriter, field: number, event: RecordedSpanEvent): void {
  const mark = writer.begin(field);
  writer.fixed64(1, event.timeUnixNano);
  writer.string(2, event.name);
  writeAttributes(writer, 3, event.attributes);
  writer.end(mark);
}

function writeLink(writer: ProtobufWriter, field: number, link: RecordedSpanLink): void {
  const mark = writer.begin(field);
  writer.hex(1, link.traceId);
  writer.hex(2, link.spanId);
  writeAttributes(writer, 4, link.attributes);
  writer.end(mark);
}

function writeStatus(writer: ProtobufWriter, field: number, status: RecordedSpan["status"]): void {
  const mark = writer.begin(field);
  if (status.message !== undefined) writer.string(2, status.message);
  writer.uint(3, STATUS_NUMBER[status.code]);
  writer.end(mark);
}
