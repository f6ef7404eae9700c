// All of telemetry, as the daemon gets it, against a receiver.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { nodeReady } from "#gen/telemetry/events.ts";
import { vmRestarts } from "#gen/telemetry/metrics.ts";
import { vmPlace, vmStart } from "#gen/telemetry/spans.ts";
import { BlixardError } from "#model/errors.ts";
import { Secret } from "#model/secret.ts";
import { startOtlpReceiver, type OtlpReceiver } from "#test/support/otlp-receiver.ts";
import { buildSpan } from "#test/support/spans.ts";
import { createTelemetry, type TelemetryRuntime } from "./create-telemetry.ts";
import type { OtlpOptions, TelemetryOptions } from "./telemetry-options.ts";

interface Overrides {
  readonly tracing?: Partial<TelemetryOptions["tracing"]>;
  readonly metrics?: Partial<TelemetryOptions["metrics"]>;
  readonly logging?: Partial<TelemetryOptions["logging"]>;
}

function start(t: TestContext, overrides: Overrides = {}): { telemetry: TelemetryRuntime; lines: string[] } {
  const lines: string[] = [];
  const telemetry = createTelemetry({
    resource: {
      serviceName: "blixard",
      serviceVersion: "0.1.0",
      clusterName: "test",
      clusterId: "cluster-1",
      nodeId: "node-1",
    },
    tracing: { enabled: true, samplingRatio: 1, destinations: [], ...overrides.tracing },
    metrics: { enabled: true, runtimeMetrics: false, destinations: [], ...overrides.metrics },
    logging: { level: "info", format: "json", colour: false, destinations: [], ...overrides.logging },
    writeLog: (line) => lines.push(line),
  });
  t.after(() => telemetry.shutdown(1_000));
  return { telemetry, lines };
}

async function startReceiver(t: TestContext): Promise<OtlpReceiver> {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver[Symbol.asyncDispose]());
  return receiver;
}

const place = { attributes: { "blixard.vm.id": "vm-1" } } as const;

for (const transport of ["grpc", "http"] as const) {
  test(`${transport}: spans, metrics and logs of a node arrive within seconds, under one resource, and belong together`, async (t) => {
    const receiver = await startReceiver(t);
    const otlp: OtlpOptions =
      transport === "grpc"
        ? { endpoint: receiver.grpcEndpoint }
        : { endpoint: receiver.httpEndpoint, protocol: "http/protobuf" };
    const { telemetry } = start(t, {
      tracing: { destinations: [otlp] },
      metrics: { destinations: [otlp] },
      logging: { destinations: [otlp] },
    });
    telemetry.metrics.bind(vmRestarts, { "blixard.vm.exit_cause": "crash" }).add(2);
    await telemetry.tracing.span(vmStart, place, async () => {
      await telemetry.tracing.span(vmPlace, place, async () => {
        telemetry.logger.event(nodeReady, "the node serves", { "blixard.node.id": "node-1" });
        telemetry.logger.error("odd", {}, new BlixardError("INTERNAL", "broken", { hint: "Look." }));
      });
    });
    await receiver.waitFor(
      ({ spans, points, logs }) => spans.length >= 2 && points.length > 0 && logs.length >= 2,
      10_000,
    );
    const [child, root] = receiver.spans;
    assert.equal(child?.parentSpanId, root?.spanId);
    assert.equal(child?.traceId, root?.traceId);
    const restarts = receiver.points.find((point) => point.name === vmRestarts.name);
    assert.equal(restarts?.value, 2);
    const [event, error] = receiver.logs;
    assert.equal(event?.eventName, "blixard.node.ready");
    assert.equal(event.traceId, root?.traceId);
    assert.equal(error?.severityText, "ERROR");
    assert.equal(error.attributes["exception.message"], "broken");
    assert.equal(error.attributes["blixard.error.hint"], "Look.");
    const instances = [child?.resource, restarts.resource, event.resource].map(
      (resource) => resource?.["service.instance.id"],
    );
    assert.equal(new Set(instances).size, 1);
    assert.match(String(instances[0]), /^[0-9a-f-]{36}$/);
  });
}

test("at ratio 0 nothing is exported, yet the whole trace can be read here", async (t) => {
  const receiver = await startReceiver(t);
  const { telemetry } = start(t, {
    tracing: { samplingRatio: 0, destinations: [{ endpoint: receiver.grpcEndpoint }] },
  });
  const traceId = await telemetry.tracing.span(vmStart, place, async (span) => {
    await telemetry.tracing.span(vmPlace, place, async () => undefined);
    return span.context.traceId;
  });
  assert.deepEqual(
    telemetry.recorder.trace(traceId)?.spans.map((span) => span.name),
    ["vm.start", "vm.place"],
  );
  await telemetry.shutdown(5_000);
  assert.equal(receiver.spans.length, 0);
});

test("at ratio 0 a failure exports the whole of its trace, and what comes later says so onwards", async (t) => {
  const receiver = await startReceiver(t);
  const { telemetry } = start(t, {
    tracing: { samplingRatio: 0, destinations: [{ endpoint: receiver.grpcEndpoint }] },
  });
  await telemetry.tracing.span(vmStart, place, async (root) => {
    assert.equal(root.context.sampled, false);
    await telemetry.tracing.span(vmPlace, { ...place, name: "fine" }, async () => undefined);
    await assert.rejects(
      telemetry.tracing.span(vmPlace, { ...place, name: "broken" }, async () => {
        throw new BlixardError("INTERNAL", "no");
      }),
    );
    await telemetry.tracing.span(vmPlace, { ...place, name: "later" }, async (span) => {
      assert.equal(span.context.sampled, true);
    });
  });
  await receiver.waitFor(({ spans }) => spans.length === 4);
  assert.deepEqual(
    receiver.spans.map((span) => span.name),
    ["fine", "broken", "later", "vm.start"],
  );
});

test("the CLI's spans go out under the CLI's own resource, in the node's trace", async (t) => {
  const receiver = await startReceiver(t);
  const { telemetry } = start(t, { tracing: { destinations: [{ endpoint: receiver.grpcEndpoint }] } });
  const cli = buildSpan({
    name: "blixard vm create",
    resource: { attributes: { "service.name": "x", "process.pid": 42 } },
  });
  const parent = { traceId: cli.traceId, spanId: cli.spanId, sampled: true };
  await telemetry.tracing.run(parent, () => telemetry.tracing.span(vmPlace, place, async () => undefined));
  telemetry.recorder.ingest([cli], { serviceName: "blixard-cli" });
  await receiver.waitFor(({ spans }) => spans.length === 2);
  const names = Object.fromEntries(receiver.spans.map((span) => [span.name, span.resource["service.name"]]));
  assert.deepEqual(names, { "vm.place": "blixard", "blixard vm create": "blixard-cli" });
  assert.equal(telemetry.recorder.trace(cli.traceId)?.spans.length, 2);
});

test("what was emitted last is sent before the end, and the end comes in time when nobody listens", async (t) => {
  const receiver = await startReceiver(t);
  const otlp = { endpoint: receiver.grpcEndpoint };
  const { telemetry } = start(t, { tracing: { destinations: [otlp] }, metrics: { destinations: [otlp] } });
  telemetry.metrics.bind(vmRestarts, { "blixard.vm.exit_cause": "crash" }).add(1);
  telemetry.tracing.startSpan(vmPlace, place).end();
  await telemetry.shutdown(5_000);
  assert.equal(receiver.spans.length, 1);
  assert.ok(receiver.points.some((point) => point.name === vmRestarts.name));
  assert.deepEqual(receiver.problems, []);

  receiver.misbehave({ kind: "hang" });
  const second = start(t, {
    tracing: { destinations: [otlp] },
    metrics: { destinations: [otlp] },
    logging: { destinations: [otlp] },
  }).telemetry;
  second.tracing.startSpan(vmPlace, place).end();
  second.logger.info("last words");
  const startedMs = performance.now();
  await second.shutdown(300);
  assert.ok(performance.now() - startedMs < 5_000, "the deadline, not the calls' own timeout of ten seconds");
});

test("a collector in trouble is spoken of on stderr and nowhere else", async (t) => {
  const receiver = await startReceiver(t);
  receiver.misbehave({ kind: "refuse", grpcCode: 7 }, { signal: "traces" });
  const otlp = { endpoint: receiver.grpcEndpoint, headers: { authorization: new Secret("Bearer hunter2") } };
  const { telemetry, lines } = start(t, { tracing: { destinations: [otlp] }, logging: { destinations: [otlp] } });
  telemetry.tracing.startSpan(vmPlace, place).end();
  telemetry.logger.info("unrelated");
  await receiver.waitFor(({ logs, requests }) => logs.length > 0 && requests.some(({ signal }) => signal === "traces"));
  await telemetry.shutdown(5_000);
  assert.equal(lines.filter((line) => line.includes("cannot export traces")).length, 1);
  assert.deepEqual(
    receiver.logs.map((log) => log.body),
    ["unrelated"],
  );
  assert.doesNotMatch(lines.join(""), /hunter2/);
});

test("with everything switched off the signals cost nothing and nothing breaks", async (t) => {
  const { telemetry, lines } = start(t, { tracing: { enabled: false }, metrics: { enabled: false } });
  telemetry.metrics.bind(vmRestarts, { "blixard.vm.exit_cause": "crash" }).add(1);
  const traceId = await telemetry.tracing.span(vmPlace, place, async (span) => {
    telemetry.logger.info("still logged");
    return span.context.traceId;
  });
  assert.equal(telemetry.recorder.trace(traceId), undefined);
  assert.equal(lines.length, 1);
});

test("an endpoint that cannot work is refused at the start, with what to do", (t) => {
  assert.throws(
    () => start(t, { tracing: { destinations: [{ endpoint: "localhost:4318", protocol: "http/protobuf" }] } }),
    {
      code: "CONFIG_INVALID",
    },
  );
});

test("the log level changes while the node runs", (t) => {
  const { telemetry, lines } = start(t);
  telemetry.logger.debug("one");
  telemetry.setLogLevel("debug");
  telemetry.logger.debug("two");
  assert.equal(lines.length, 1);
});
