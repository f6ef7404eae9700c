import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type CreateTraceRuleRequest, LogLevel, TraceRuleSchema } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { FakeCliIo } from "#test/support/fake-cli-io.ts";
import { FakeNode } from "#test/support/fake-node.ts";
import { runCli } from "../../run-cli.ts";

const ruleId = "0b0f7c52-7f0e-4c1e-9a51-1f2d3c4b5a69";
const rule = create(TraceRuleSchema, {
  ruleId,
  vmId: "11111111-1111-4111-8111-111111111111",
  vmName: "web",
  createTime: timestampFromMs(Date.UTC(2026, 0, 1)),
  expireTime: timestampFromMs(Date.UTC(2026, 0, 1, 0, 10)),
});

test("a VM's traces are asked for by name and time, and the answer says until when and how to end it", async () => {
  const requests: CreateTraceRuleRequest[] = [];
  await using node = await FakeNode.start({
    telemetry: {
      createTraceRule: (request) => {
        requests.push(request);
        return { rule };
      },
    },
  });
  const io = new FakeCliIo({ environment: node.environment });
  assert.equal(await runCli(["telemetry", "trace", "--vm", "web", "--for", "90s"], io), 0);
  assert.equal(io.output, `traces of web are exported until 2026-01-01T00:10:00.000Z (rule ${ruleId})\n`);
  assert.deepEqual([requests[0]?.vm, requests[0]?.duration?.seconds], ["web", 90n]);
  const json = new FakeCliIo({ environment: node.environment });
  assert.equal(await runCli(["telemetry", "trace", "--vm", "web", "-o", "json"], json), 0);
  assert.equal(JSON.parse(json.output).rule.ruleId, ruleId);
  assert.equal(requests[1]?.duration?.seconds, 600n);
});

test("rules are listed with what is left of them, and ended by their id", async () => {
  const deleted: string[] = [];
  await using node = await FakeNode.start({
    telemetry: {
      listTraceRules: () => ({ rules: deleted.length === 0 ? [rule] : [] }),
      deleteTraceRule: (request) => {
        deleted.push(request.ruleId);
        return {};
      },
    },
  });
  const run = async (...argv: readonly string[]): Promise<string> => {
    const io = new FakeCliIo({ environment: node.environment });
    assert.equal(await runCli(["telemetry", "trace", ...argv], io), 0, io.errors);
    return io.output;
  };
  assert.match(await run("--list"), new RegExp(`^VM +ENDS IN +RULE ID\nweb .* ${ruleId}\n$`));
  assert.match(await run("--stop", ruleId), /has ended/);
  assert.deepEqual(deleted, [ruleId]);
  assert.match(await run("--list"), /There are no rules/);
});

test("what cannot be meant is refused before any call", async () => {
  for (const argv of [
    [],
    ["--list", "--vm", "web"],
    ["--for", "10m"],
    ["--list", "--for", "1m"],
    ["--vm", "web", "--for", "soon"],
  ]) {
    const io = new FakeCliIo();
    assert.equal(await runCli(["telemetry", "trace", ...argv], io), 2, argv.join(" "));
    assert.match(io.errors, /\(USAGE\)/);
  }
  const io = new FakeCliIo();
  assert.equal(await runCli(["telemetry", "log-level", "loud"], io), 2);
  assert.match(io.errors, /none of debug, info, warn, error/);
});

test("the log level is shown and changed", async () => {
  let level: LogLevel = LogLevel.INFO;
  await using node = await FakeNode.start({
    telemetry: {
      getLogLevel: () => ({ level }),
      setLogLevel: (request) => {
        const previousLevel = level;
        ({ level } = request);
        return { previousLevel };
      },
    },
  });
  const run = async (...argv: readonly string[]): Promise<string> => {
    const io = new FakeCliIo({ environment: node.environment });
    assert.equal(await runCli(["telemetry", "log-level", ...argv], io), 0, io.errors);
    return io.output;
  };
  assert.equal(await run(), "info\n");
  assert.equal(await run("debug"), "the node logs debug and above (was info)\n");
  assert.equal(await run(), "debug\n");
  assert.deepEqual(JSON.parse(await run("-o", "json")), { level: "LOG_LEVEL_DEBUG" });
});

test("a change of a node's telemetry is part of a trace; looking at it is not", async () => {
  await using node = await FakeNode.start({
    telemetry: { getLogLevel: () => ({ level: LogLevel.INFO }), setLogLevel: () => ({ previousLevel: LogLevel.INFO }) },
  });
  const environment = { ...node.environment, BAGGAGE: "user=alice,bro ken, team = a b" };
  await runCli(["telemetry", "log-level", "warn"], new FakeCliIo({ environment }));
  await runCli(["telemetry", "log-level"], new FakeCliIo({ environment }));
  const [set, , get] = node.calls.filter(({ method }) => !method.endsWith("Unknown"));
  assert.match(set?.headers.get("traceparent") ?? "", /^00-/);
  assert.equal(set?.headers.get("baggage"), "user=alice");
  assert.equal(get?.headers.get("traceparent"), null);
  assert.deepEqual(
    node.spans.map((span) => span.name),
    ["blixard.v1.TelemetryService/SetLogLevel", "blixard telemetry log-level"],
  );
});
