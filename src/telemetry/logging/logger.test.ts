import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { Writable } from "node:stream";
import { test } from "node:test";
import { audit } from "#gen/telemetry/events.ts";
import { BlixardError } from "#model/errors.ts";
import { Secret } from "#model/secret.ts";
import { createHumanFormatter, formatJson, type LogFormatter } from "./format.ts";
import { isKnownAttribute } from "./known-attributes.ts";
import { createLogger, type LoggerOptions, type LoggerRuntime } from "./logger.ts";
import { createLineWriter } from "./stderr-writer.ts";

const human = createHumanFormatter({ colour: false });

function start(
  format: LogFormatter = human,
  overrides: Partial<LoggerOptions> = {},
): { log: LoggerRuntime; lines: string[] } {
  const lines: string[] = [];
  const log = createLogger({
    level: "info",
    sinks: [(record) => lines.push(format(record))],
    now: () => 1_700_000_000_000,
    activeContext: () => undefined,
    ...overrides,
  });
  return { log, lines };
}

const context = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", sampled: true };

test("a line for people has the time, the level, the message, the attributes and the span", () => {
  const { log, lines } = start(human, { activeContext: () => context });
  log.info("VM started", { "blixard.vm.name": "web 1", "blixard.vm.vcpus": 2 });
  assert.equal(
    lines[0],
    `2023-11-14T22:13:20.000Z INFO  VM started blixard.vm.name="web 1" blixard.vm.vcpus=2 trace_id=${context.traceId} span_id=${context.spanId}\n`,
  );
});

test("a line for machines is one JSON object with the same content", () => {
  const { log, lines } = start(formatJson, { activeContext: () => context });
  const event = { name: "blixard.vm.restarted", severity: "warn", brief: "", attributes: {} } as const;
  log.event(event, "VM restarted", {});
  assert.deepEqual(JSON.parse(lines[0] ?? ""), {
    time: "2023-11-14T22:13:20.000Z",
    level: "warn",
    message: "VM restarted",
    event_name: "blixard.vm.restarted",
    trace_id: context.traceId,
    span_id: context.spanId,
    trace_flags: "01",
  });
});

test("an error is logged with its code, its causes and what to do next", () => {
  const { log, lines } = start(formatJson);
  const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  log.error("cannot start", {}, new BlixardError("STORE_UNAVAILABLE", "no store", { cause, hint: "Start etcd." }));
  log.warn("odd", {}, cause);
  const [first, second] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(first?.["error.type"], "STORE_UNAVAILABLE");
  assert.equal(first["exception.message"], "no store: connect ECONNREFUSED");
  assert.equal(first["blixard.error.hint"], "Start etcd.");
  assert.equal(first["exception.stacktrace"], undefined, "an expected error needs no stack");
  assert.equal(second?.["error.type"], "ECONNREFUSED");
  assert.match(String(second["exception.stacktrace"]), /logger\.test\.ts/);
});

test("the level decides what is said, and can change while the node runs", () => {
  const { log, lines } = start();
  log.debug("one");
  log.setLevel("debug");
  log.debug("two");
  log.setLevel("error");
  log.warn("three");
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /DEBUG two/);
});

test("text from a guest cannot forge a line, move the cursor or turn the writing direction", () => {
  const hostile = "a\nERROR forged\r\u001b[2J\u0007\u009b31m\u202eevil\u2028\u0000\ud800é";
  for (const format of [human, createHumanFormatter({ colour: false }), formatJson]) {
    const { log, lines } = start(format);
    log.info(hostile, { [`key${hostile}`]: hostile });
    const line = lines[0] ?? "";
    assert.equal(line.indexOf("\n"), line.length - 1, "one line");
    assert.doesNotMatch(line.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u2028\u202e]/);
    assert.ok(line.isWellFormed());
    assert.match(line, /é/, "harmless text stays readable");
  }
});

test("colours are only there when asked for", () => {
  const coloured = start(createHumanFormatter({ colour: true }));
  coloured.log.info("hello");
  assert.match(coloured.lines[0] ?? "", /\u001b\[36mINFO/);
});

test("a secret is never shown, neither as a value, nor inside an object, nor in an error", () => {
  const secret = new Secret("hunter2");
  for (const format of [human, formatJson]) {
    const { log, lines } = start(format);
    const attributes = { token: secret, nested: { token: secret } } as unknown as Record<string, string>;
    log.error(`with ${String(secret)}`, attributes, new Error(`bad token ${String(secret)}`));
    assert.doesNotMatch(lines.join(""), /hunter2/);
    assert.match(lines.join(""), /\[redacted\]/);
  }
});

test("a message that repeats is cut off, the others are not, and the drops are said", () => {
  let nowMs = 1_000_000;
  const rateLimit = { windowMs: 10_000, messagesPerWindow: 2, maximumKinds: 10 };
  const { log, lines } = start(human, { now: () => nowMs, rateLimit });
  for (let index = 0; index < 100; index++) log.warn("noisy");
  log.warn("important");
  assert.equal(lines.length, 3);
  nowMs += 10_000;
  log.warn("noisy");
  assert.match(lines[3] ?? "", /noisy blixard\.telemetry\.item_count=98/);
  for (let index = 0; index < 5; index++) log.warn("other");
  log.flush();
  assert.match(lines.at(-1) ?? "", /dropped messages that repeat: other .*item_count=3/);
});

test("the memory of repeated messages is bounded", () => {
  const { log, lines } = start(human, { rateLimit: { windowMs: 10_000, messagesPerWindow: 1, maximumKinds: 3 } });
  for (let index = 0; index < 50; index++) log.info(`message ${index}`);
  log.info("message 0");
  assert.equal(lines.length, 51);
});

test("whatever is logged, the caller goes on", () => {
  const circular: Record<string, unknown> = {};
  circular["self"] = circular;
  const { log, lines } = start(human, {
    sinks: [
      () => {
        throw new Error("disk full");
      },
      (record) => lines.push(human(record)),
    ],
  });
  log.info("x".repeat(1_000_000), { circular } as unknown as Record<string, string>);
  log.error(
    "hostile",
    {},
    {
      toJSON() {
        throw new Error("gotcha");
      },
    },
  );
  const thrower = {
    get key(): string {
      throw new Error("getter");
    },
  };
  log.info("getter", thrower);
  assert.ok((lines[0] ?? "").length < 10_000);
});

test("a pipe that its reader closed silences the log and nothing else", async () => {
  const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const stream = connect(address.port, "127.0.0.1");
  const write = createLineWriter(stream);
  const closed = once(stream, "close");
  write("first\n");
  await closed;
  for (let index = 0; index < 1_000; index++) write("after\n");
  assert.equal(stream.destroyed, true);
  server.close();
});

test("a reader that hangs costs lines, not memory, and is told how many", () => {
  const waiting: (() => void)[] = [];
  const taken: string[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      taken.push(chunk);
      waiting.push(done);
    },
  });
  const write = createLineWriter(stream, { maximumBufferedBytes: 100 });
  for (let index = 0; index < 1_000; index++) write("0123456789\n");
  assert.ok(stream.writableLength < 200);
  for (let done = waiting.pop(); done !== undefined; done = waiting.pop()) done();
  write("last\n");
  for (let done = waiting.pop(); done !== undefined; done = waiting.pop()) done();
  assert.match(taken.join(""), /\(990 log lines were dropped: their reader was too slow\)\nlast\n$/);
});

test("an attribute that the registry does not know is left out, counted, and named once", () => {
  let dropped = 0;
  const { log, lines } = start(formatJson, { isKnownAttribute, onDropped: (_, count) => (dropped += count) });
  for (let index = 0; index < 3; index++)
    log.info(`message ${index}`, {
      "blixard.vm.nmae": "web",
      "blixard.vm.name": "web",
      "baggage.user": "a",
      baggage: "b",
    });
  const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const warnings = records.filter((record) => record["level"] === "warn");
  assert.deepEqual(
    warnings.map((record) => record["blixard.telemetry.attribute"]),
    ["blixard.vm.nmae", "baggage"],
  );
  for (const record of records.filter((one) => one["level"] === "info")) {
    assert.deepEqual([record["blixard.vm.name"], record["baggage.user"]], ["web", "a"]);
    assert.ok(!("blixard.vm.nmae" in record) && !("baggage" in record));
  }
  assert.equal(dropped, 6);
});

test("an audit event is logged whatever the level and however often", () => {
  const dropped: string[] = [];
  const { log, lines } = start(formatJson, { level: "error", onDropped: (what) => dropped.push(what) });
  const attributes = {
    "blixard.audit.action": "blixard.v1.VmService/StopVm",
    "blixard.grpc.listener": "unix",
  } as const;
  for (let index = 0; index < 50; index++) log.event(audit, "StopVm web: accepted", attributes);
  assert.equal(lines.length, 50);
  for (let index = 0; index < 50; index++) log.error("the same");
  assert.equal(lines.length, 70);
  assert.equal(dropped.filter((what) => what === "records").length, 30);
});

test("limits of a record are exact when they were configured", () => {
  let dropped = 0;
  const limits = { attributeCount: 2, attributeValueLength: 3 };
  const { log, lines } = start(formatJson, { limits, onDropped: (_, count) => (dropped += count) });
  log.info("hello", { "a.a": "12345", "a.b": undefined, "a.c": 7, "a.d": "x", "a.e": "y" });
  const record = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
  assert.deepEqual([record["a.a"], record["a.c"], record["a.d"]], ["123", 7, undefined]);
  assert.equal(dropped, 2);
});

test("what a context carries stands on its records, and what is said of it more exactly wins", () => {
  const context = { traceId: "1".repeat(32), spanId: "2".repeat(16), sampled: true, baggage: "user=a" };
  const { log, lines } = start(formatJson, {
    activeContext: () => context,
    contextAttributes: ({ baggage }) => ({ "baggage.user": baggage ?? "", "a.b": "context" }),
  });
  log.info("hello", { "a.b": "own" });
  const record = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
  assert.deepEqual([record["baggage.user"], record["a.b"]], ["user=a", "own"]);
});
