import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ExportTraceServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import type { AnyValue, KeyValue } from "#gen/otlp/opentelemetry/proto/common/v1/common_pb.ts";
import type { Span } from "#gen/otlp/opentelemetry/proto/trace/v1/trace_pb.ts";
import { spanKinds, type RecordedSpan, type SpanAttributes, type SpanAttributeValue } from "#model/recorded-span.ts";
import { encodeSpans } from "./encode-spans.ts";
import type { EncodedRequest } from "./encoded-request.ts";

const id = (bytes: number): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .filter((value) => value.some((byte) => byte !== 0))
    .map((value) => Buffer.from(value).toString("hex"));
const text = fc.string({ unit: "grapheme", maxLength: 300 }).filter((value) => value.isWellFormed());
const time = fc.bigInt({ min: 1n, max: (1n << 63n) - 1n });
// The sign of zero is not kept: whole numbers are ints.
const double = fc.double().map((number) => number + 0);
const scalar = fc.oneof(text, fc.boolean(), fc.maxSafeInteger(), double);
const value: fc.Arbitrary<SpanAttributeValue> = fc.oneof(
  scalar,
  fc.array(text, { maxLength: 5 }),
  fc.array(fc.oneof(fc.maxSafeInteger(), double), { maxLength: 5 }),
  fc.array(fc.boolean(), { maxLength: 5 }),
);
const attributes: fc.Arbitrary<SpanAttributes> = fc.dictionary(text, value, { maxKeys: 6, noNullPrototype: true });
const plain = { noNullPrototype: true } as const;
const resources = ["blixard", "blixard-cli"].map((name) => ({ attributes: { "service.name": name, "host.cpu": 2 } }));
const scopes = [{ name: "blixard", version: "0.1.0" }, { name: "blixard" }, { name: "other" }];

const span: fc.Arbitrary<RecordedSpan> = fc.record(
  {
    traceId: id(16),
    spanId: id(8),
    parentSpanId: id(8),
    parentIsRemote: fc.boolean(),
    traceState: text.filter((state) => state !== ""),
    name: text,
    kind: fc.constantFrom(...spanKinds),
    startUnixNano: time,
    endUnixNano: time,
    status: fc.oneof(
      fc.constant({ code: "unset" } as const),
      fc.constant({ code: "ok" } as const),
      text.map((message) => ({ code: "error", message }) as const),
    ),
    attributes,
    links: fc.array(fc.record({ traceId: id(16), spanId: id(8), attributes }, plain), { maxLength: 3 }),
    events: fc.array(fc.record({ name: text, timeUnixNano: time, attributes }, plain), { maxLength: 3 }),
    resource: fc.constantFrom(...resources),
    scope: fc.constantFrom(...scopes),
  },
  {
    ...plain,
    requiredKeys: [
      "traceId",
      "spanId",
      "name",
      "kind",
      "startUnixNano",
      "endUnixNano",
      "status",
      "attributes",
      "links",
      "events",
      "resource",
      "scope",
    ],
  },
);

test("what is sent decodes to the spans that were recorded, each under its own resource and scope", () => {
  fc.assert(
    fc.property(fc.array(span, { maxLength: 12 }), (spans) => {
      const { requests, oversized } = encodeSpans(spans);
      assert.equal(oversized, 0);
      assert.deepEqual(sortById(decode(requests)), sortById(spans));
    }),
    { numRuns: 200 },
  );
});

test("however requests are cut, none is over the limit and no span is lost or doubled", () => {
  fc.assert(
    fc.property(fc.array(span, { maxLength: 12 }), fc.integer({ min: 0, max: 6_000 }), (spans, maximumBytes) => {
      const { requests, oversized } = encodeSpans(spans, { targetBytes: maximumBytes, maximumBytes });
      // The enclosing lengths are written last: two levels, a few bytes each.
      for (const { bytes } of requests) assert.ok(bytes.length <= maximumBytes + 16);
      const decoded = decode(requests);
      assert.equal(decoded.length + oversized, spans.length);
      assert.equal(
        requests.reduce((sum, { items }) => sum + items, 0),
        decoded.length,
      );
      const known = new Map(spans.map((one) => [one.spanId, one]));
      for (const one of decoded) assert.deepEqual(one, known.get(one.spanId));
    }),
    { numRuns: 200 },
  );
});

function sortById(spans: readonly RecordedSpan[]): RecordedSpan[] {
  return spans.toSorted((left, right) => (left.spanId < right.spanId ? -1 : 1));
}

/** Back to recorded spans, with generated code that knows nothing of the encoder. */
function decode(requests: readonly EncodedRequest[]): RecordedSpan[] {
  return requests.flatMap(({ bytes }) =>
    fromBinary(ExportTraceServiceRequestSchema, bytes).resourceSpans.flatMap((group) => {
      const resource = { attributes: decodeAttributes(group.resource?.attributes ?? []) } as RecordedSpan["resource"];
      return group.scopeSpans.flatMap(({ scope, spans }) => {
        const { name = "", version = "" } = scope ?? {};
        return spans.map((one) => decodeSpan(one, resource, version === "" ? { name } : { name, version }));
      });
    }),
  );
}

function decodeSpan(one: Span, resource: RecordedSpan["resource"], scope: RecordedSpan["scope"]): RecordedSpan {
  assert.equal(one.flags & 1, 1);
  return {
    traceId: hex(one.traceId),
    spanId: hex(one.spanId),
    ...(one.parentSpanId.length === 0 ? {} : { parentSpanId: hex(one.parentSpanId) }),
    ...((one.flags & 0x100) === 0 ? {} : { parentIsRemote: (one.flags & 0x200) !== 0 }),
    ...(one.traceState === "" ? {} : { traceState: one.traceState }),
    name: one.name,
    kind: spanKinds[one.kind - 1] ?? "internal",
    startUnixNano: one.startTimeUnixNano,
    endUnixNano: one.endTimeUnixNano,
    status: decodeStatus(one.status),
    attributes: decodeAttributes(one.attributes),
    links: one.links.map((link) => ({
      traceId: hex(link.traceId),
      spanId: hex(link.spanId),
      attributes: decodeAttributes(link.attributes),
    })),
    events: one.events.map((event) => ({
      name: event.name,
      timeUnixNano: event.timeUnixNano,
      attributes: decodeAttributes(event.attributes),
    })),
    resource,
    scope,
  };
}

function decodeStatus(status: Span["status"]): RecordedSpan["status"] {
  if (status === undefined) return { code: "unset" };
  return status.code === 2 ? { code: "error", message: status.message } : { code: "ok" };
}

function decodeAttributes(pairs: readonly KeyValue[]): SpanAttributes {
  return Object.fromEntries(pairs.map((pair) => [pair.key, decodeValue(pair.value)]));
}

function decodeValue(any: AnyValue | undefined): SpanAttributeValue {
  switch (any?.value.case) {
    case "stringValue":
    case "boolValue":
    case "doubleValue":
      return any.value.value;
    case "intValue":
      return Number(any.value.value);
    case "arrayValue":
      return any.value.value.values.map(decodeValue) as string[];
    case "kvlistValue":
    case "bytesValue":
    case undefined:
      throw new Error(`unexpected ${any?.value.case}`);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
