// A collector goes away and comes back: what was meant for it meanwhile, in all three signals.
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { status } from "@grpc/grpc-js";
import { vmRestarts } from "#gen/telemetry/metrics.ts";
import { vmPlace } from "#gen/telemetry/spans.ts";
import type { Clock } from "#model/clock.ts";
import { createManualClock, type ManualClock } from "#test/support/manual-clock.ts";
import { startOtlpReceiver, type OtlpReceiver } from "#test/support/otlp-receiver.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createTelemetry, type TelemetryRuntime } from "../create-telemetry.ts";
import type { BatchOptions, OtlpOptions, SpoolOptions } from "../telemetry-options.ts";
import type { OtlpSignal } from "./destination.ts";
import type { DestinationStatus } from "./destination-status.ts";

const place = { attributes: { "blixard.vm.id": "vm-1" } } as const;

interface Node {
  readonly telemetry: TelemetryRuntime;
  readonly lines: string[];
  status(signal: OtlpSignal, index?: number): DestinationStatus;
  /** A span, a log record and a restart of a VM. Returns the span's id. */
  live(name: string): string;
}

interface NodeOptions {
  readonly destinations: readonly OtlpOptions[];
  readonly spool?: SpoolOptions;
  readonly clock?: Clock;
  readonly logBatch?: BatchOptions;
}

function startNode(t: TestContext, { destinations, spool, clock, logBatch }: NodeOptions): Node {
  const lines: string[] = [];
  const telemetry = createTelemetry({
    resource: {
      serviceName: "blixard",
      serviceVersion: "0.1.0",
      clusterName: "test",
      clusterId: "cluster-1",
      nodeId: "node-1",
    },
    tracing: { enabled: true, samplingRatio: 1, destinations },
    metrics: { enabled: true, runtimeMetrics: false, destinations },
    logging: {
      level: "info",
      format: "json",
      colour: false,
      destinations,
      ...(logBatch === undefined ? {} : { batch: logBatch }),
    },
    writeLog: (line) => lines.push(line),
    ...(spool === undefined ? {} : { spool }),
    ...(clock === undefined ? {} : { clock }),
  });
  t.after(() => telemetry.shutdown(1_000));
  const restarts = telemetry.metrics.bind(vmRestarts, { "blixard.vm.exit_cause": "crash" });
  return {
    telemetry,
    lines,
    status(signal, index = 0) {
      const found = telemetry.destinations().find((one) => one.signal === signal && one.index === index);
      assert.ok(found !== undefined);
      return found;
    },
    live(name) {
      const span = telemetry.tracing.startSpan(vmPlace, { ...place, name });
      span.end();
      telemetry.logger.info(name);
      restarts.add(1);
      return span.context.spanId;
    },
  };
}

async function startReceiver(t: TestContext): Promise<OtlpReceiver> {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver[Symbol.asyncDispose]());
  return receiver;
}

async function makeSpool(t: TestContext, replayMetrics = false): Promise<SpoolOptions> {
  const directory = await mkdtemp(join(tmpdir(), "blixard-spool-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return { directory, maximumBytes: 64 << 20, replayMetrics };
}

/** Turns the clock until it is so: what happens at the clock's times needs real time on the network. */
async function turnUntil(clock: ManualClock, what: string, condition: () => boolean): Promise<void> {
  await waitFor(what, async () => {
    if (condition()) return true;
    await clock.advance(500);
    return condition();
  });
}

for (const transport of ["grpc", "http"] as const) {
  test(`${transport}: after five minutes without its collector a node has lost nothing, and says what happened`, async (t) => {
    const receiver = await startReceiver(t);
    const clock = createManualClock();
    const endpoint = transport === "grpc" ? receiver.grpcEndpoint : receiver.httpEndpoint;
    const otlp: OtlpOptions = { endpoint, protocol: transport === "grpc" ? "grpc" : "http/protobuf" };
    const node = startNode(t, { destinations: [otlp], spool: await makeSpool(t), clock });
    node.live("before");
    await turnUntil(clock, "all signals", () => receiver.spans.length === 1 && receiver.logs.length === 1);
    await turnUntil(
      clock,
      "the first points",
      () => receiver.points.length > 0 && node.status("metrics").state === "ok",
    );

    receiver.misbehave({ kind: "refuse" });
    const downMs = clock.now();
    const times = new Map<string, number>([["before", downMs]]);
    for (let minute = 0; minute < 5; minute++) {
      for (let second = 0; second < 60; second += 10) {
        const name = `outage ${minute}:${second}`;
        times.set(name, clock.now());
        node.live(name);
        await clock.advance(10_000);
      }
    }
    await turnUntil(
      clock,
      "all to be on disk",
      () => (node.status("traces").spool?.items ?? 0) === 30 && (node.status("logs").spool?.items ?? 0) === 30,
    );
    for (const signal of ["traces", "metrics", "logs"] as const) assert.equal(node.status(signal).state, "failing");
    const refusal = transport === "grpc" ? "UNAVAILABLE" : "503";
    await turnUntil(clock, "the refusal", () => node.status("traces").lastError?.errorType === refusal);
    assert.equal(receiver.spans.length, 1);

    receiver.misbehave(undefined);
    const gapsOf = (): string[] =>
      receiver.logs
        .filter((log) => log.eventName === "blixard.telemetry.gap")
        .map((log) => String(log.attributes["blixard.telemetry.signal"]));
    await turnUntil(clock, "all to be there", () => receiver.spans.length === 31 && new Set(gapsOf()).size === 3);
    node.live("after");
    await turnUntil(clock, "what is new", () => receiver.spans.length === 32 && receiver.logs.length >= 35);
    await turnUntil(clock, "the total", () =>
      receiver.points.some((point) => point.name === vmRestarts.name && point.value === 32),
    );

    const spans = receiver.spans.filter((span) => times.has(span.name) && span.name !== "before");
    assert.equal(spans.length, 30);
    for (const span of spans) {
      const startMs = Number(span.message.startTimeUnixNano / 1_000_000n);
      assert.equal(startMs, times.get(span.name), `${span.name} has its own time`);
    }
    assert.equal(new Set(receiver.spans.map((span) => span.spanId)).size, 32, "nothing twice");
    const bodies = receiver.logs.map((log) => String(log.body)).filter((body) => body.startsWith("outage"));
    assert.deepEqual(bodies.toSorted(), [...times.keys()].filter((name) => name !== "before").toSorted());

    assert.deepEqual([...new Set(gapsOf())].toSorted(), ["logs", "metrics", "traces"]);
    const gap = receiver.logs.find(
      (log) => log.eventName === "blixard.telemetry.gap" && log.attributes["blixard.telemetry.signal"] === "traces",
    );
    const fromMs = Date.parse(String(gap?.attributes["blixard.telemetry.gap.from"]));
    const toMs = Date.parse(String(gap?.attributes["blixard.telemetry.gap.to"]));
    assert.ok(fromMs >= downMs && fromMs <= downMs + 20_000, "from when it failed first");
    assert.ok(toMs >= downMs + 300_000 && toMs <= clock.now());
    assert.equal(gap?.attributes["blixard.telemetry.gap.lost"], 0);
    assert.ok(node.lines.filter((line) => line.includes("blixard.telemetry.gap.from")).length >= 3, "on stderr too");
    for (const signal of ["traces", "logs"] as const) {
      await turnUntil(clock, "nothing on disk", () => node.status(signal).spool?.items === 0);
      assert.equal(node.status(signal).state, "ok");
      assert.equal(node.status(signal).failedItems, 0);
    }
    assert.equal(node.status("metrics").spool, undefined, "metrics resume with what is true now");
    assert.deepEqual(receiver.problems, []);
  });
}

test("metrics are replayed where the operator asks for it, with the times at which they were read", async (t) => {
  const receiver = await startReceiver(t);
  const clock = createManualClock();
  const destinations = [{ endpoint: receiver.grpcEndpoint }];
  const node = startNode(t, { destinations, spool: await makeSpool(t, true), clock });
  receiver.misbehave({ kind: "refuse" });
  for (let number = 0; number < 6; number++) {
    node.live(`step ${number}`);
    await clock.advance(10_000);
  }
  const downUntilMs = clock.now();
  await turnUntil(clock, "points on disk", () => (node.status("metrics").spool?.items ?? 0) > 0);
  receiver.misbehave(undefined);
  await turnUntil(clock, "the old points", () =>
    receiver.points.some(
      (point) => point.name === vmRestarts.name && Number(point.timeUnixNano / 1_000_000n) <= downUntilMs,
    ),
  );
});

test("what a node that stops cannot deliver in time is kept, and delivered by the next one to the same place only", async (t) => {
  const receiver = await startReceiver(t);
  const other = await startReceiver(t);
  const spool = await makeSpool(t);
  receiver.misbehave({ kind: "hang" });
  const first = startNode(t, { destinations: [{ endpoint: receiver.grpcEndpoint }], spool });
  const spanIds = Array.from({ length: 200 }, (_, index) => first.live(`last words ${index}`));
  await first.telemetry.shutdown(300);
  assert.equal(first.status("traces").failedItems, 0);
  assert.equal(first.status("traces").spool?.items, 200);

  const elsewhere = startNode(t, { destinations: [{ endpoint: other.grpcEndpoint }], spool });
  const ownId = elsewhere.live("elsewhere");
  await other.waitFor(({ spans }) => spans.length > 0);
  await elsewhere.telemetry.shutdown(5_000);
  assert.deepEqual(
    other.spans.map((span) => span.spanId),
    [ownId],
  );

  receiver.misbehave(undefined);
  const second = startNode(t, { destinations: [{ endpoint: receiver.grpcEndpoint }], spool });
  await receiver.waitFor(({ spans, logs }) => spans.length === 200 && logs.length >= 200);
  assert.deepEqual(new Set(receiver.spans.map((span) => span.spanId)), new Set(spanIds));
  await receiver.waitFor(({ logs }) =>
    logs.some(
      (log) => log.eventName === "blixard.telemetry.gap" && log.attributes["blixard.telemetry.signal"] === "traces",
    ),
  );
  await waitFor("an empty spool", () => second.status("traces").spool?.items === 0);
  const folders = await readdir(join(spool.directory, "traces"));
  assert.equal(folders.length, 1, "the other place's folder was empty and is gone");
});

for (const protocol of ["grpc", "http/protobuf"] as const) {
  test(`${protocol}: what is replayed does not hold up what is fresh, even when it hangs`, async (t) => {
    const receiver = await startReceiver(t);
    const spool = await makeSpool(t);
    const endpoint = protocol === "grpc" ? receiver.grpcEndpoint : receiver.httpEndpoint;
    const destinations: OtlpOptions[] = [{ endpoint, protocol, timeoutMs: 60_000 }];
    receiver.misbehave({ kind: "refuse" }, { signal: "traces" });
    const first = startNode(t, { destinations, spool });
    first.live("old");
    await first.telemetry.shutdown(5_000);
    assert.equal(first.status("traces").spool?.items, 1);

    const before = receiver.requests.filter(({ signal }) => signal === "traces").length;
    receiver.misbehave({ kind: "hang" }, { signal: "traces", times: 1 });
    const second = startNode(t, { destinations, spool });
    await receiver.waitFor(({ requests }) => requests.filter(({ signal }) => signal === "traces").length > before);
    second.live("fresh");
    await receiver.waitFor(({ spans }) => spans.some(({ name }) => name === "fresh"));
    assert.equal(second.status("traces").spool?.items, 1, "the old one still waits for its answer");
    await second.telemetry.shutdown(300);
    const third = startNode(t, { destinations, spool });
    await receiver.waitFor(({ spans }) => spans.some(({ name }) => name === "old"));
    await waitFor("an empty spool", () => third.status("traces").spool?.items === 0);
  });
}

test("log records that find the queue full are counted, and the gap says how many", async (t) => {
  const receiver = await startReceiver(t);
  receiver.misbehave({ kind: "hang" }, { signal: "logs", times: 1 });
  const destinations = [{ endpoint: receiver.grpcEndpoint, timeoutMs: 1_000 }];
  const node = startNode(t, { destinations, logBatch: { maximumQueueItems: 5, maximumBatchItems: 1 } });
  node.telemetry.logger.info("the one that hangs");
  await receiver.waitFor(({ requests }) => requests.some(({ signal }) => signal === "logs"));
  for (let number = 0; number < 15; number++) node.telemetry.logger.info(`record ${number}`);
  assert.equal(node.status("logs").queue.items, 5);
  assert.equal(node.status("logs").droppedItems, 10);
  await receiver.waitFor(({ logs }) => logs.some((log) => log.eventName === "blixard.telemetry.gap"));
  const gap = receiver.logs.find((log) => log.eventName === "blixard.telemetry.gap");
  assert.equal(gap?.attributes["blixard.telemetry.gap.lost"], 10);
  await receiver.waitFor(({ points }) =>
    points.some(
      (point) =>
        point.name === "otel.sdk.processor.log.processed" &&
        point.attributes["error.type"] === "queue_full" &&
        point.value === 10,
    ),
  );
});

test("two destinations share nothing: one that hangs delays the other by nothing and is told apart from it", async (t) => {
  const good = await startReceiver(t);
  const hanging = await startReceiver(t);
  hanging.misbehave({ kind: "hang" });
  const tenant = (name: string): OtlpOptions => ({ endpoint: good.grpcEndpoint, headers: { "x-scope-orgid": name } });
  const destinations = [{ endpoint: hanging.grpcEndpoint }, tenant("a"), tenant("b")];
  const node = startNode(t, { destinations, spool: await makeSpool(t) });
  const spanId = node.live("one");
  await good.waitFor(({ spans, points, logs }) => spans.length === 2 && logs.length === 2 && points.length > 0);
  assert.deepEqual(
    good.spans.map((span) => span.spanId),
    [spanId, spanId],
  );
  const traces = node.telemetry.destinations().filter(({ signal }) => signal === "traces");
  assert.deepEqual(
    traces.map(({ index }) => index),
    [0, 1, 2],
  );
  assert.equal(new Set(traces.map(({ destination }) => destination)).size, 3);
  await waitFor(
    "both to be well",
    () => node.status("traces", 1).state === "ok" && node.status("traces", 2).state === "ok",
  );
  assert.equal(node.status("traces", 0).state, "starting");
  await good.waitFor(({ points }) => {
    const names = points
      .filter((point) => point.name === "otel.sdk.exporter.span.exported")
      .map((point) => point.attributes["otel.component.name"]);
    return names.includes("otlp_grpc_span_exporter/1") && names.includes("otlp_grpc_span_exporter/2");
  });
});

test("a burst of twenty thousand spans arrives whole", async (t) => {
  const receiver = await startReceiver(t);
  const node = startNode(t, { destinations: [{ endpoint: receiver.grpcEndpoint }] });
  for (let number = 0; number < 20_000; number++) {
    node.telemetry.tracing.startSpan(vmPlace, { ...place, name: `span ${number}` }).end();
  }
  await receiver.waitFor(({ spans }) => spans.length === 20_000, 60_000);
  assert.equal(node.status("traces").droppedItems, 0);
  assert.equal(new Set(receiver.spans.map((span) => span.spanId)).size, 20_000);
});

test("what a backend does not take is not kept for it", async (t) => {
  const receiver = await startReceiver(t);
  receiver.misbehave({ kind: "refuse", grpcCode: status.UNIMPLEMENTED }, { signal: "logs" });
  const node = startNode(t, { destinations: [{ endpoint: receiver.grpcEndpoint }], spool: await makeSpool(t) });
  node.live("one");
  await waitFor("the answer", () => node.status("logs").state === "unsupported");
  node.live("two");
  await receiver.waitFor(({ spans }) => spans.length === 2);
  assert.equal(node.status("logs").spool?.items, 0);
  assert.equal(node.status("logs").failedItems + node.status("logs").droppedItems, 0);
});
