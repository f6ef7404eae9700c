import assert from "node:assert/strict";
import { test } from "node:test";
import { type TraceContext, UNDECIDED_TRACE_STATE } from "#model/trace-context.ts";
import { planSpanPlace } from "./trace-headers.ts";

const context: TraceContext = { traceId: "1".repeat(32), spanId: "2".repeat(16), sampled: true };
const baggage = "user=alice";

test("a known caller's trace is continued, with its decision, its vendors' state and its baggage", () => {
  const carried = { ...context, traceState: "vendor=1", baggage };
  assert.deepEqual(planSpanPlace({ context: carried, baggage }, true, undefined), {
    parent: carried,
    baggage,
    links: [],
  });
});

test("a known caller may leave the sampling decision to the node", () => {
  const place = planSpanPlace({ context: { ...context, traceState: "vendor=1" }, baggage: undefined }, true, "defer");
  assert.equal(place.parent?.traceState, `${UNDECIDED_TRACE_STATE},vendor=1`);
});

test("a stranger's trace is linked from a new one, and cannot force sampling or bring baggage", () => {
  for (const sampling of [undefined, "defer"]) {
    assert.deepEqual(planSpanPlace({ context, baggage }, false, sampling), {
      parent: null,
      baggage: undefined,
      links: [{ context, relation: "caller" }],
    });
  }
});

test("without a context a new trace begins; a known caller's baggage travels in it", () => {
  assert.deepEqual(planSpanPlace({ context: undefined, baggage }, true, undefined), {
    parent: null,
    baggage,
    links: [],
  });
});
