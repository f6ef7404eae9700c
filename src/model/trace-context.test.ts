import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTraceState, parseTraceparent, UNDECIDED_TRACE_STATE, withoutDecision } from "./trace-context.ts";

const traceId = "1".repeat(32);
const spanId = "2".repeat(16);

test("a trace state with a malformed member is left out as a whole, the context is kept", () => {
  for (const state of [
    "Upper=1",
    "a",
    "=1",
    "a=",
    "a=b=c",
    "a=\u00e9",
    "a=1,a=2",
    Array.from({ length: 33 }, (_, index) => `k${index}=v`).join(","),
    `a=${"x".repeat(257)}`,
    `${"k".repeat(257)}=v`,
    "a=1,".repeat(10_000),
  ]) {
    assert.equal(parseTraceState(state), undefined, state.slice(0, 40));
    assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-01`, state), { traceId, spanId, sampled: true });
  }
});

test("a valid trace state is kept in its order, without blanks and empty members", () => {
  assert.equal(parseTraceState("a=1 ,\t b@c/d=x y ,,0z=~"), "a=1,b@c/d=x y,0z=~");
  assert.equal(parseTraceState(""), undefined);
});

test("a trace state that is too long loses long members first, then the last ones", () => {
  const long = `long=${"x".repeat(200)}`;
  const members = Array.from({ length: 20 }, (_, index) => `key${index}=${"v".repeat(20)}`);
  const kept = parseTraceState([long, ...members].join(","))?.split(",") ?? [];
  assert.deepEqual(kept, members.slice(0, kept.length));
  assert.ok(kept.join(",").length <= 512 && kept.length > 15);
});

test("leaving the decision to others puts our entry first and keeps the rest", () => {
  const context = withoutDecision({ traceId, spanId, sampled: true, traceState: "a=1,blixard=old,b=2" });
  assert.deepEqual(context, { traceId, spanId, sampled: false, traceState: `${UNDECIDED_TRACE_STATE},a=1,b=2` });
});

test("flags of the second level and versions to come are read", () => {
  assert.equal(parseTraceparent(`00-${traceId}-${spanId}-03`)?.sampled, true);
  assert.equal(parseTraceparent(`00-${traceId}-${spanId}-02`)?.sampled, false);
  assert.equal(parseTraceparent(`cc-${traceId}-${spanId}-01-what-comes`)?.sampled, true);
});
