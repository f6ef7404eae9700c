import assert from "node:assert/strict";
import { test } from "node:test";
import { cliCommand, rpcClient } from "#gen/telemetry/spans.ts";
import { parseTraceparent } from "#model/trace-context.ts";
import { FakeCliIo } from "#test/support/fake-cli-io.ts";
import { CommandTrace } from "./command-trace.ts";

const server = { transport: "tcp", address: "127.0.0.1", port: 7001 } as const;
const outcome = { exitCode: 0, processId: 1 };

test("without TRACEPARENT a command is the root of a new trace that is not sampled yet", () => {
  const trace = new CommandTrace("vm create", new FakeCliIo(), true);
  const headers = trace.startCall("x.Y/Z", server).headers;
  assert.notEqual(parseTraceparent(headers["traceparent"] ?? ""), undefined);
  assert.equal(headers["blixard-sampling"], "defer");
  assert.equal(trace.finish(outcome).at(-1)?.parentSpanId, "");
});

test("a trace that a command begins has an id with the time in it, as X-Ray wants it", () => {
  const io = new FakeCliIo();
  const { traceId } = new CommandTrace("vm create", io, true).context;
  assert.equal(Number.parseInt(traceId.slice(0, 8), 16), Math.floor(io.startTimeMs / 1_000));
  assert.match(traceId, /^[0-9a-f]{32}$/);
});

test("a malformed TRACEPARENT starts a new trace", () => {
  const trace = new CommandTrace("vm create", new FakeCliIo({ environment: { TRACEPARENT: "00-zz-zz-01" } }), true);
  assert.equal(trace.context.sampled, false);
  assert.match(trace.context.traceId, /^[0-9a-f]{32}$/);
});

test("a call is ended once, by what came first; calls left open end with the command", () => {
  const trace = new CommandTrace("vm create", new FakeCliIo(), true);
  const first = trace.startCall("x.Y/First", server);
  trace.startCall("x.Y/Open", server);
  first.end({ status: "NOT_FOUND", errorMessage: "no" });
  first.end({ status: "OK" });
  const [failed, left, own, ...none] = trace.finish({
    ...outcome,
    exitCode: 1,
    error: { code: "VM_NOT_FOUND", message: "no" },
  });
  assert.deepEqual(none, []);
  assert.equal(failed?.attributes["rpc.status_code"], "NOT_FOUND");
  assert.equal(failed?.errorMessage, "no");
  assert.equal(left?.attributes["rpc.status_code"], "CANCELLED");
  assert.equal(left?.errorMessage, undefined);
  assert.equal(own?.attributes["blixard.error.code"], "VM_NOT_FOUND");
  assert.ok([failed, left, own].every((span) => (span?.endTimeMs ?? 0) >= (span?.startTimeMs ?? 1)));
});

test("however many calls a command makes, it hands in at most 256 spans, its own among them", () => {
  const trace = new CommandTrace("vm create", new FakeCliIo(), true);
  for (let call = 0; call < 1_000; call++) trace.startCall("x.Y/Z", server).end({ status: "OK" });
  const spans = trace.finish(outcome);
  assert.equal(spans.length, 256);
  assert.equal(spans.at(-1)?.name, "blixard vm create");
});

test("the spans are those that the registry declares: every required attribute, and no other than declared", () => {
  const trace = new CommandTrace("vm create", new FakeCliIo(), true);
  trace.setAttribute("blixard.vm.name", "web");
  trace.setAttribute("blixard.image.name", "demo");
  trace.setAttribute("blixard.operation.id", "op");
  trace.startCall("x.Y/Z", server).end({ status: "UNAVAILABLE", errorMessage: "gone" });
  const error = { code: "NODE_UNREACHABLE", message: "gone" };
  const [call, own] = trace.finish({ ...outcome, exitCode: 3, error });
  for (const [span, declared] of [
    [call, rpcClient],
    [own, cliCommand],
  ] as const) {
    const given = Object.keys(span?.attributes ?? {});
    const attributes: Record<string, { requirement: string }> = declared.attributes;
    assert.deepEqual(
      given.filter((key) => !(key in attributes)),
      [],
    );
    const required = Object.keys(attributes).filter((key) => attributes[key]?.requirement === "required");
    assert.deepEqual(
      required.filter((key) => !given.includes(key)),
      [],
    );
  }
});
