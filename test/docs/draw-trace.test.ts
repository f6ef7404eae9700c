import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { GetTraceResponseSchema } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { drawTrace } from "../../scripts/draw-trace.ts";

const span = (
  spanId: string,
  parentSpanId: string,
  name: string,
  fromMs: number,
  toMs: number,
  service = "blixard",
) => ({
  traceId: "t",
  spanId,
  parentSpanId,
  name,
  service,
  startTimeUnixNano: BigInt(fromMs) * 1_000_000n,
  endTimeUnixNano: BigInt(toMs) * 1_000_000n,
});
const trace = create(GetTraceResponseSchema, {
  traceId: "0123abcd",
  spans: [
    span("a", "", "blixard vm create <web>", 0, 2000, "blixard-cli"),
    span("b", "a", "blixard.v1.VmService/CreateVm", 100, 150),
    span("c", "b", "guest.boot", 500, 1500),
  ],
});
const barOf = (svg: string, part: string): string =>
  new RegExp(`<rect class="${part}" [^>]*><title>`).exec(svg)?.[0] ?? "";
const number = (bar: string, attribute: string): number => Number(new RegExp(` ${attribute}="([^"]+)"`).exec(bar)?.[1]);

test("the picture shows every span by name and its share of the time", () => {
  const svg = drawTrace(trace);
  for (const text of ["blixard vm create &lt;web&gt;", ">CreateVm<", ">guest.boot<", "trace 0123abcd", "2.00s"]) {
    assert.ok(svg.includes(text), text);
  }
  const [whole, guest] = [barOf(svg, "cli"), barOf(svg, "guest")];
  assert.ok(Math.abs(number(guest, "width") / number(whole, "width") - 0.5) < 0.01);
  assert.ok(number(guest, "x") > number(whole, "x"));
});

test("the picture is well-formed and shows in light and in dark", () => {
  const svg = drawTrace(trace);
  assert.match(svg, /prefers-color-scheme:dark/);
  const open: string[] = [];
  for (const [, close = "", name = "", own = ""] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
    if (close !== "") assert.equal(open.pop(), name);
    else if (own === "") open.push(name);
  }
  assert.deepEqual(open, []);
});

test("a trace without spans is refused", () => {
  assert.throws(() => drawTrace(create(GetTraceResponseSchema, { traceId: "t" })), TypeError);
});
