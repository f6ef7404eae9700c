import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTraceparent } from "#model/trace-context.ts";
import { toSpanContext, toTraceContext } from "./span-contexts.ts";

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

function stateOf(header: string) {
  const context = parseTraceparent(traceparent, header);
  assert.ok(context !== undefined);
  return { context, state: toSpanContext(context).traceState };
}

test("every trace state that is let in goes on whole, whoever's keys are in it", () => {
  for (const header of ["a=1,b=2", "1a=1,b=2", "tenant@vendor=1", "a@b@c=1", "a=x y;z"]) {
    const { context } = stateOf(header);
    assert.equal(context.traceState, header);
    assert.deepEqual(toTraceContext(toSpanContext(context)), context);
  }
});

test("OpenTelemetry's API finds, adds and removes members; what is no member changes nothing", () => {
  const { state } = stateOf("a=1,ab=2");
  assert.deepEqual([state?.get("a"), state?.get("ab"), state?.get("b")], ["1", "2", undefined]);
  assert.equal(state?.set("ab", "3").serialize(), "ab=3,a=1");
  assert.equal(state.set("c", "4").serialize(), "c=4,a=1,ab=2");
  for (const [key, value] of [
    ["C", "4"],
    ["c", "4,d=5"],
    ["c", ""],
    ["", "4"],
  ] as const)
    assert.equal(state.set(key, value).serialize(), "a=1,ab=2", `${key}=${value}`);
  assert.equal(state.unset("a").serialize(), "ab=2");
  assert.equal(state.unset("a").unset("ab").serialize(), "");
  assert.equal(state.serialize(), "a=1,ab=2");
});
