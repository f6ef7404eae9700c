import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatBaggage } from "../baggage.ts";
import { type TraceContext, UNDECIDED_TRACE_STATE } from "../trace-context.ts";
import type { HeaderReader } from "./headers.ts";
import { createPropagation, type PropagatorName } from "./propagators.ts";

const hex = (length: number): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom(...Array.from("0123456789abcdef")), { minLength: length, maxLength: length })
    .map((digits) => digits.join(""))
    .filter((text) => !/^0+$/.test(text));
const context: fc.Arbitrary<TraceContext> = fc
  .tuple(hex(32), hex(16), fc.boolean())
  .map(([traceId, spanId, sampled]) => ({ traceId, spanId, sampled }));
const formats = ["tracecontext", "b3", "b3multi", "jaeger", "xray"] as const satisfies readonly PropagatorName[];

function reader(headers: Readonly<Record<string, string>>): HeaderReader {
  return { get: (name) => headers[name], names: () => Object.keys(headers) };
}

function extract(names: readonly PropagatorName[], headers: Readonly<Record<string, string>>) {
  return createPropagation(names).extract(reader(headers));
}

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const undecided = { traceId, spanId, sampled: false, traceState: UNDECIDED_TRACE_STATE };

test("every format reads what it wrote", () => {
  fc.assert(
    fc.property(context, fc.constantFrom(...formats), (written, name) => {
      const propagation = createPropagation([name]);
      assert.deepEqual(propagation.extract(reader(propagation.inject(written))).context, written);
    }),
  );
});

test("any header is taken without failing; what is no context begins a new trace", () => {
  const names = ["traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"];
  const all = [...names, "uber-trace-id", "uberctx-a", "x-amzn-trace-id", "baggage"];
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f:;=%-]*$/), fc.constantFrom("0", "1", "d", "?"));
  const headers = fc.dictionary(fc.constantFrom(...all), text);
  fc.assert(
    fc.property(headers, (given) => {
      const { context: found } = extract([...formats, "baggage"], given);
      if (found === undefined) return;
      assert.match(found.traceId, /^(?!0{32})[0-9a-f]{32}$/);
      assert.match(found.spanId, /^(?!0{16})[0-9a-f]{16}$/);
    }),
  );
});

test("B3 in one header: the states, debug, a parent, 64 bits, and no state at all", () => {
  const b3 = (text: string): TraceContext | undefined => extract(["b3"], { b3: text }).context;
  assert.deepEqual(b3(`${traceId}-${spanId}-1`), { traceId, spanId, sampled: true });
  assert.deepEqual(b3(`${traceId}-${spanId}-d-${spanId}`), { traceId, spanId, sampled: true });
  assert.deepEqual(b3(`${traceId}-${spanId}-0`), { traceId, spanId, sampled: false });
  assert.deepEqual(b3(`${traceId}-${spanId}`), undecided);
  assert.deepEqual(b3(`${spanId.toUpperCase()}-${spanId}-1`)?.traceId, `${"0".repeat(16)}${spanId}`);
  for (const broken of ["0", "1", "d", "", traceId, `${traceId}-${spanId}-x`, `${traceId}-${"0".repeat(16)}-1`, "-"])
    assert.equal(b3(broken), undefined, broken);
});

test("B3 in several headers; one header goes before several", () => {
  const ids = { "x-b3-traceid": traceId, "x-b3-spanid": spanId };
  const b3 = (headers: Record<string, string>): TraceContext | undefined =>
    extract(["b3multi"], { ...ids, ...headers }).context;
  assert.deepEqual(b3({ "x-b3-sampled": "1" }), { traceId, spanId, sampled: true });
  assert.deepEqual(b3({ "x-b3-sampled": "false" }), { traceId, spanId, sampled: false });
  assert.deepEqual(b3({ "x-b3-flags": "1" }), { traceId, spanId, sampled: true });
  assert.deepEqual(b3({}), undecided);
  assert.equal(b3({ "x-b3-spanid": "zz" }), undefined);
  assert.equal(b3({ b3: `${"9".repeat(32)}-${spanId}-1` })?.traceId, "9".repeat(32));
});

test("Jaeger: short ids, encoded colons, the debug flag, and what is malformed", () => {
  const read = (text: string): TraceContext | undefined => extract(["jaeger"], { "uber-trace-id": text }).context;
  assert.deepEqual(read(`${traceId}:${spanId}:0:1`), { traceId, spanId, sampled: true });
  assert.deepEqual(read(`abc:1%3A0%3a0`), {
    traceId: "abc".padStart(32, "0"),
    spanId: "1".padStart(16, "0"),
    sampled: false,
  });
  assert.equal(read(`${traceId}:${spanId}:${spanId}:3`)?.sampled, true);
  for (const broken of [
    "",
    "1:2:3",
    "0:1:0:1",
    `${traceId}:${spanId}:0:zz`,
    `${traceId}:${spanId}:0:1:1`,
    "x".repeat(9999),
  ])
    assert.equal(read(broken), undefined, broken.slice(0, 20));
});

test("Jaeger's baggage becomes W3C's and back", () => {
  const propagation = createPropagation(["jaeger"]);
  const { baggage } = propagation.extract(reader({ "uberctx-user": "al%20ice", "uberctx-bad": "%", other: "x" }));
  assert.equal(baggage, "user=al%20ice");
  const headers = propagation.inject({ traceId, spanId, sampled: true, baggage: "user=al%20ice,a!=1,x-bin=2" });
  assert.deepEqual(headers, { "uber-trace-id": `${traceId}:${spanId}:0:1`, "uberctx-user": "al%20ice" });
});

test("X-Ray: root, parent and sampled in any order; asking for a decision is saying nothing", () => {
  const read = (text: string): TraceContext | undefined => extract(["xray"], { "x-amzn-trace-id": text }).context;
  const root = `Root=1-${traceId.slice(0, 8)}-${traceId.slice(8)}`;
  assert.deepEqual(read(`${root};Parent=${spanId};Sampled=1`), { traceId, spanId, sampled: true });
  assert.deepEqual(read(`Sampled=0; Parent=${spanId}; ${root};Lineage=a:1`), { traceId, spanId, sampled: false });
  assert.deepEqual(read(`${root};Parent=${spanId};Sampled=?`), undecided);
  assert.deepEqual(read(`${root};Parent=${spanId}`), undecided);
  for (const broken of [
    "",
    root,
    `Root=2-1-1;Parent=${spanId}`,
    `${root};Parent=1`,
    ";;;===",
    `${root}${";".repeat(2000)}`,
  ])
    assert.equal(read(broken), undefined, broken.slice(0, 60));
});

test("formats are asked in the order that was chosen, and all of them are written", () => {
  const headers = { traceparent: `00-${traceId}-${spanId}-01`, b3: `${"9".repeat(32)}-${spanId}-0` };
  assert.equal(extract(["b3", "tracecontext"], headers).context?.traceId, "9".repeat(32));
  assert.equal(extract(["tracecontext", "b3"], headers).context?.traceId, traceId);
  const written = createPropagation(["xray", "tracecontext", "b3"]).inject({ traceId, spanId, sampled: true });
  assert.deepEqual(Object.keys(written).toSorted(), ["b3", "traceparent", "x-amzn-trace-id"]);
});

test("W3C is read whatever was chosen, unless nothing was; it is written only when chosen, or to a process of ours", () => {
  const headers = { traceparent: `00-${traceId}-${spanId}-01`, baggage: "a=1" };
  assert.equal(extract(["b3"], headers).context?.traceId, traceId);
  assert.equal(extract(["b3"], headers).baggage, undefined);
  assert.deepEqual(extract([], headers), { context: undefined, baggage: undefined });
  assert.deepEqual(createPropagation([]).inject({ traceId, spanId, sampled: true, baggage: "a=1" }), {});
  assert.deepEqual(createPropagation([]).injectWithin({ traceId, spanId, sampled: true, baggage: "a=1" }), {});
  const b3 = createPropagation(["b3"]);
  assert.deepEqual(Object.keys(b3.inject({ traceId, spanId, sampled: true })), ["b3"]);
  assert.deepEqual(Object.keys(b3.injectWithin({ traceId, spanId, sampled: true })), ["b3", "traceparent"]);
  const { header: baggage = "" } = formatBaggage([{ key: "a", value: "1", properties: "" }]);
  assert.equal(createPropagation().inject({ traceId, spanId, sampled: true, baggage })["baggage"], "a=1");
});
