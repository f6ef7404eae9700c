import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { dbClient, rpcServer, vmStart } from "#gen/telemetry/spans.ts";
import { BlixardError } from "#model/errors.ts";
import type { LogRecord } from "../logging/log-record.ts";
import type { SpanDescriptor } from "../port.ts";
import type { ExceptionSignal } from "../telemetry-options.ts";
import { createExceptions, type Exceptions } from "./exceptions.ts";

const context = { traceId: "1".repeat(32), spanId: "2".repeat(16), sampled: true };
const failed = (descriptor: SpanDescriptor = vmStart) => ({ descriptor, name: descriptor.name, context });

function scene(signal?: ExceptionSignal, logsLeave = true): { exceptions: Exceptions; records: LogRecord[] } {
  const records: LogRecord[] = [];
  const emit = (record: LogRecord): void => void records.push(record);
  return { records, exceptions: createExceptions({ signal, logsLeave: () => logsLeave, emit, now: () => 5 }) };
}

describe("an exception", () => {
  test("is a log record in its span's context, with type, message and stack", () => {
    const { exceptions, records } = scene();
    const error = new TypeError("no such thing", { cause: new Error("below") });
    assert.equal(exceptions.tell(error, failed()), undefined);
    const [record] = records;
    assert.equal(record?.eventName, "exception");
    assert.equal(record?.level, "error");
    assert.deepEqual(record?.context, context);
    assert.equal(record?.timeMs, 5);
    assert.deepEqual(record?.error, { type: "TypeError", message: "no such thing: below", stack: error.stack });
  });

  test("has the event name and the severity that the conventions give to its operation", () => {
    const { exceptions, records } = scene();
    exceptions.tell(new Error("a"), failed(rpcServer));
    exceptions.tell(new Error("b"), failed(dbClient));
    assert.deepEqual(
      records.map(({ eventName, level }) => [eventName, level]),
      [
        ["rpc.server.call.exception", "error"],
        ["db.client.operation.exception", "warn"],
      ],
    );
  });

  test("is told once, although it passes several spans and is wrapped on its way", () => {
    const { exceptions, records } = scene("both");
    const inner = new Error("the socket closed");
    const outer = new BlixardError("STORE_UNAVAILABLE", "no answer", { cause: inner });
    assert.ok(exceptions.tell(inner, failed(dbClient)));
    assert.equal(exceptions.tell(outer, failed()), undefined);
    assert.equal(exceptions.tell(new Error("again", { cause: outer }), failed(rpcServer)), undefined);
    assert.equal(records.length, 1);
    exceptions.tell(new Error("another"), failed());
    assert.equal(records.length, 2);
  });

  test("that was logged is not told again", () => {
    const { exceptions, records } = scene();
    const error = new Error("x");
    exceptions.note(error);
    exceptions.tell(error, failed());
    assert.deepEqual(records, []);
  });

  test("that causes itself ends", () => {
    const { exceptions, records } = scene();
    const error = new Error("loop");
    error.cause = error;
    exceptions.tell(error, failed());
    assert.equal(records.length, 1);
  });

  test("is none when a user was wrong, when it was called off, and when it is no error", () => {
    const { exceptions, records } = scene("both");
    for (const error of [new BlixardError("VM_NOT_FOUND", "none"), AbortSignal.abort().reason, "text", undefined]) {
      assert.equal(exceptions.tell(error, failed(rpcServer)), undefined);
    }
    assert.deepEqual(records, []);
  });

  test("of an operator's making has a hint and no stack; of ours both", () => {
    const { exceptions, records } = scene();
    exceptions.tell(new BlixardError("PORT_TAKEN", "taken", { hint: "Use another." }), failed());
    exceptions.tell(new BlixardError("STORE_UNAVAILABLE", "gone", { hint: "Wait." }), failed());
    const [operator, system] = records.map(({ error }) => error);
    assert.deepEqual(operator, { type: "PORT_TAKEN", message: "taken", hint: "Use another." });
    assert.ok(system?.hint === "Wait." && system.stack !== undefined);
  });

  test("with a message and a stack without end is cut", () => {
    const { exceptions, records } = scene();
    exceptions.tell(new Error("x".repeat(1_000_000)), failed());
    assert.ok((records[0]?.error?.message.length ?? 0) <= 4_096);
    assert.ok((records[0]?.error?.stack?.length ?? 0) <= 8_192);
  });
});

describe("where exceptions go (OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN)", () => {
  const cases: readonly [ExceptionSignal | undefined, logsLeave: boolean, record: boolean, event: boolean][] = [
    [undefined, true, true, false],
    [undefined, false, true, true],
    ["logs", true, true, false],
    ["logs", false, true, false],
    ["both", true, true, true],
    ["span_events", true, false, true],
  ];
  for (const [signal, logsLeave, record, event] of cases) {
    const told = [...(record ? ["a log record"] : []), ...(event ? ["a span event"] : [])].join(" and ");
    test(`${signal ?? "nothing said"}${logsLeave ? "" : ", no logs leave"}: ${told}`, () => {
      const { exceptions, records } = scene(signal, logsLeave);
      const attributes = exceptions.tell(new Error("x"), failed());
      assert.equal(records.length, record ? 1 : 0);
      assert.equal(attributes?.["exception.type"], event ? "Error" : undefined);
      assert.equal(attributes?.["exception.message"], event ? "x" : undefined);
    });
  }
});
