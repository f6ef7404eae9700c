import assert from "node:assert/strict";
import { test } from "node:test";
import { UNDECIDED_TRACE_STATE } from "#model/trace-context.ts";
import { planSpanPlace } from "./trace-headers.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const traceparent = `00-${traceId}-${spanId}-01`;
const place = (headers: Readonly<Record<string, string>>, authenticated = true) =>
  planSpanPlace((name) => headers[name], authenticated);

test("a known caller's trace is continued with its decision and state", () => {
  assert.deepEqual(place({ traceparent, tracestate: "vendor=1" }), {
    parent: { traceId, spanId, sampled: true, traceState: "vendor=1" },
    links: [],
  });
});

test("a caller that defers gets its ids continued and the decision left to the node", () => {
  const headers = { traceparent: traceparent.replace(/01$/, "00"), "blixard-sampling": "defer" };
  assert.deepEqual(place(headers).parent, { traceId, spanId, sampled: false, traceState: UNDECIDED_TRACE_STATE });
  assert.equal(place({ ...headers, tracestate: "vendor=1" }).parent?.traceState, `${UNDECIDED_TRACE_STATE},vendor=1`);
});

test("a stranger's trace is linked from a new one, and cannot force sampling", () => {
  const { parent, links } = place({ traceparent, "blixard-sampling": "defer" }, false);
  assert.equal(parent, null);
  assert.deepEqual(links, [{ context: { traceId, spanId, sampled: true }, relation: "caller" }]);
});

test("without a header, or with a broken one, a new trace begins", () => {
  for (const broken of [
    undefined,
    "",
    "garbage",
    `00-${"0".repeat(32)}-${spanId}-01`,
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}`,
  ]) {
    assert.deepEqual(place(broken === undefined ? {} : { traceparent: broken }), { parent: null, links: [] });
  }
});
