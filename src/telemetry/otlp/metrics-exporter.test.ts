// The engine's metrics at a receiver.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { otelSdkExporterMetricDataPointExported, telemetryDestinationState } from "#gen/telemetry/metrics.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { startOtlpReceiver, type OtlpReceiver, type ReceivedPoint } from "#test/support/otlp-receiver.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createMetricsEngine, type MetricsEngine } from "../metrics/metrics-engine.ts";
import { createSystemClock } from "../system-clock.ts";
import type { HistogramAggregation, MetricTemporality, OtlpProtocol } from "../telemetry-options.ts";
import { resolveDestination } from "./destination.ts";
import { createExporterSignals } from "./exporter-signals.ts";
import { createMetricsExporter, type MetricsExporter } from "./metrics-exporter.ts";
import { createSignalSender, createTransport, type SignalSender } from "./signal-sender.ts";

const name = { type: "string", requirement: "required" } as const;
const base = { prometheusName: "", unit: "{thing}", brief: "Things.", attributes: { name } } as const;
const counter = {
  ...base,
  name: "blixard.test.things",
  instrument: "counter",
  valueType: "int",
  seriesLimit: 300_000,
} as const;
const gauge = { ...base, name: "blixard.test.level", instrument: "gauge" } as const;
const histogram = {
  ...base,
  name: "blixard.test.duration",
  instrument: "histogram",
  unit: "s",
  buckets: [0.1, 1],
} as const;

interface Setup {
  readonly engine: MetricsEngine;
  readonly exporter: MetricsExporter;
  readonly sender: SignalSender;
  readonly receiver: OtlpReceiver;
  /** All points received for a series since the last call, oldest first. */
  take(series: string): ReceivedPoint[];
}

async function start(t: TestContext, intervalMs = 60_000, unsupportedRetryMs = 60_000): Promise<Setup> {
  return startExporter(t, createMetricsEngine({ clock: createSystemClock() }), { intervalMs, unsupportedRetryMs });
}

interface ExporterOptions {
  readonly intervalMs?: number;
  readonly unsupportedRetryMs?: number;
  readonly protocol?: OtlpProtocol;
  readonly temporality?: MetricTemporality;
  readonly histogramAggregation?: HistogramAggregation;
}

/** One more destination of `engine`. */
async function startExporter(t: TestContext, engine: MetricsEngine, options: ExporterOptions): Promise<Setup> {
  const { intervalMs = 60_000, unsupportedRetryMs = 60_000, protocol = "grpc" } = options;
  const receiver = await startOtlpReceiver();
  const clock = createSystemClock();
  const endpoint = protocol === "grpc" ? receiver.grpcEndpoint : receiver.httpEndpoint;
  const destination = resolveDestination({ endpoint, protocol }, "metrics");
  const sender = createSignalSender({
    transport: createTransport(destination, "metrics", "blixard/test"),
    signals: createExporterSignals({
      destination,
      signal: "metrics",
      metrics: engine,
      stderrLogger: createMemoryTelemetry().logger,
      now: () => clock.now(),
    }),
    clock,
    random: Math.random,
    untraced: (fn) => fn(),
    timing: { backoff: { initialMs: 10, maximumMs: 20 }, unsupportedRetryMs },
  });
  const exporter = createMetricsExporter({
    reader: engine.createReader(),
    sender,
    metrics: engine,
    clock,
    encoder: {
      resource: { attributes: { "service.name": "blixard" } },
      scope: { name: "blixard", version: "0.1.0" },
      ...destination.requestLimits,
      ...(options.histogramAggregation === undefined ? {} : { histogramAggregation: options.histogramAggregation }),
    },
    ...(options.temporality === undefined ? {} : { temporality: options.temporality }),
    intervalMs,
  });
  t.after(async () => {
    exporter.stop();
    sender.abort();
    await exporter.flush();
    sender.close();
    engine.stop();
    await receiver[Symbol.asyncDispose]();
  });
  let seen = 0;
  return {
    engine,
    exporter,
    sender,
    receiver,
    take(series) {
      const fresh = receiver.points.slice(seen).filter((point) => point.series === series);
      seen = receiver.points.length;
      assert.deepEqual(receiver.problems, []);
      return fresh;
    },
  };
}

test("cells arrive with name, unit, kind and running totals", async (t) => {
  const { engine, exporter, receiver } = await start(t);
  const cell = engine.bind(counter, { name: "a" });
  cell.add(3);
  engine.bind(gauge, { name: "a" }).set(-1.5);
  const durations = engine.bind(histogram, { name: "a" });
  for (const value of [0.05, 0.5, 5, 0.1]) durations.record(value);
  await exporter.flush();
  cell.add(4);
  await exporter.flush();
  assert.deepEqual(receiver.problems, []);
  const values = receiver.points.filter((point) => point.series === "blixard.test.things{name=a}");
  assert.deepEqual(
    values.map((point) => [point.kind, point.monotonic, point.unit, point.value]),
    [
      ["sum", true, "{thing}", 3],
      ["sum", true, "{thing}", 7],
    ],
  );
  assert.equal(values[0]?.startUnixNano, values[1]?.startUnixNano);
  assert.equal(receiver.points.find((point) => point.name === "blixard.test.level")?.value, -1.5);
  const duration = receiver.points.find((point) => point.name === "blixard.test.duration");
  assert.deepEqual(duration?.bucketCounts, [2, 1, 1]);
  assert.equal(duration.sum, 0.05 + 0.5 + 5 + 0.1);
});

test("the first export comes within seconds of the start, and then one at each interval", async (t) => {
  const { engine, exporter, receiver } = await start(t, 100);
  engine.bind(counter, { name: "a" }).add(1);
  exporter.start();
  await receiver.waitFor(({ points }) => points.filter(({ name: which }) => which === counter.name).length >= 3, 5_000);
});

test("a series that ends is told of exactly once, also when the export that would tell it fails", async (t) => {
  const { engine, exporter, receiver, take } = await start(t, 50);
  const cell = engine.bind(counter, { name: "vm-1" });
  const series = "blixard.test.things{name=vm-1}";
  cell.add(1);
  await exporter.flush();
  assert.equal(take(series).length, 1);
  cell.remove();
  receiver.misbehave({ kind: "refuse" });
  await exporter.flush();
  assert.equal(take(series).length, 0);
  receiver.misbehave(undefined);
  await exporter.flush();
  assert.deepEqual(
    take(series).map((point) => point.noRecordedValue),
    [true],
  );
  await exporter.flush();
  assert.deepEqual(take(series), []);
});

test("a series that lives again is not told of as ended, and starts anew", async (t) => {
  const { engine, exporter, receiver, take } = await start(t, 50);
  const series = "blixard.test.things{name=vm-1}";
  engine.bind(counter, { name: "vm-1" }).add(5);
  await exporter.flush();
  const [before] = take(series);
  engine.bind(counter, { name: "vm-1" }).remove();
  receiver.misbehave({ kind: "refuse" });
  await exporter.flush();
  await waitFor(
    "the clock to move on",
    () => performance.timeOrigin + performance.now() > Number(before?.timeUnixNano) / 1e6 + 2,
  );
  engine.bind(counter, { name: "vm-1" }).add(1);
  receiver.misbehave(undefined);
  await exporter.flush();
  const after = take(series);
  assert.deepEqual(
    after.map((point) => [point.noRecordedValue, point.value]),
    [[false, 1]],
  );
  assert.ok((after[0]?.startUnixNano ?? 0n) > (before?.startUnixNano ?? 0n));
});

test("many series come in several messages that a receiver accepts, each series once", async (t) => {
  const { engine, exporter, receiver } = await start(t);
  for (let index = 0; index < 60_000; index++) engine.bind(counter, { name: `vm-${index}` }).add(index);
  await exporter.flush();
  assert.deepEqual(receiver.problems, []);
  const points = receiver.points.filter((point) => point.name === counter.name);
  assert.equal(points.length, 60_000);
  assert.equal(new Set(points.map((point) => point.series)).size, 60_000);
  assert.ok(receiver.requests.length >= 2);
  for (const { bodyBytes } of receiver.requests) assert.ok(bodyBytes < 4 * 1024 * 1024);
});

test("when a request fails, the rest of that export is left to the next", async (t) => {
  const { engine, exporter, receiver } = await start(t, 30);
  for (let index = 0; index < 60_000; index++) engine.bind(counter, { name: `vm-${index}` }).add(1);
  receiver.misbehave({ kind: "refuse", grpcCode: 3 });
  await exporter.flush();
  assert.equal(receiver.requests.length, 1);
  receiver.misbehave(undefined);
  await exporter.flush();
  assert.equal(receiver.points.filter((point) => point.name === counter.name).length, 60_000);
});

test("a backend that takes no metrics is left alone, and the ends it never saw begin are forgotten", async (t) => {
  const { engine, exporter, receiver, sender, take } = await start(t, 50, 150);
  const cell = engine.bind(counter, { name: "a" });
  cell.add(1);
  receiver.misbehave({ kind: "refuse", grpcCode: 12 }, { times: 1 });
  await exporter.flush();
  const state = {
    "blixard.telemetry.destination": `grpc ${receiver.grpcEndpoint}`,
    "blixard.telemetry.signal": "metrics",
    "blixard.telemetry.destination_state": "unsupported",
  };
  assert.equal(gaugeValue(engine, state), 1);
  cell.remove();
  await exporter.flush();
  assert.equal(receiver.requests.length, 1);
  await waitFor("the next try", () => sender.accepts());
  await exporter.flush();
  assert.equal(receiver.requests.length, 2);
  assert.deepEqual(take("blixard.test.things{name=a}"), []);
  const failed = receiver.points.filter(
    (point) =>
      point.name === otelSdkExporterMetricDataPointExported.name && point.attributes["error.type"] !== undefined,
  );
  assert.deepEqual(failed, [], "not a drop");
});

test("several destinations: each is told of an end once, also while another is away, and neither waits for the other", async (t) => {
  const first = await start(t);
  const { engine } = first;
  const second = await startExporter(t, engine, { intervalMs: 50 });
  const cell = engine.bind(counter, { name: "vm-1" });
  const series = "blixard.test.things{name=vm-1}";
  cell.add(1);
  await Promise.all([first.exporter.flush(), second.exporter.flush()]);
  assert.equal(first.take(series).length, 1);
  assert.equal(second.take(series).length, 1);
  cell.remove();
  second.receiver.misbehave({ kind: "refuse" });
  await Promise.all([first.exporter.flush(), second.exporter.flush()]);
  const ends = (setup: Setup): boolean[] => setup.take(series).map((point) => point.noRecordedValue);
  assert.deepEqual(ends(first), [true]);
  assert.deepEqual(ends(second), []);
  second.receiver.misbehave(undefined);
  await Promise.all([first.exporter.flush(), second.exporter.flush()]);
  assert.deepEqual(ends(first), []);
  assert.deepEqual(ends(second), [true]);
  await Promise.all([first.exporter.flush(), second.exporter.flush()]);
  assert.deepEqual([...ends(first), ...ends(second)], []);
});

test("one destination is told in deltas while another is told totals, of the same series", async (t) => {
  const totals = await start(t);
  const { engine } = totals;
  const deltas = await startExporter(t, engine, { intervalMs: 50, temporality: "delta", protocol: "http/protobuf" });
  const cell = engine.bind(counter, { name: "a" });
  const durations = engine.bind(histogram, { name: "a" });
  const series = "blixard.test.things{name=a}";
  const flush = (): Promise<unknown> => Promise.all([totals.exporter.flush(), deltas.exporter.flush()]);
  const values = (setup: Setup): number[] => setup.take(series).map((point) => point.value);
  cell.add(3);
  await flush();
  cell.add(4);
  durations.record(0.5);
  deltas.receiver.misbehave({ kind: "refuse" });
  await flush();
  deltas.receiver.misbehave(undefined);
  cell.add(1);
  await flush();
  assert.deepEqual(values(totals), [3, 7, 8]);
  assert.deepEqual(values(deltas), [3, 5]);
  // Nothing changed: nothing is told. Then the series ends: what was left is told, and that is all.
  await flush();
  assert.deepEqual(values(deltas), []);
  cell.add(2);
  cell.remove();
  await flush();
  assert.deepEqual(values(deltas), [2]);
  await flush();
  assert.deepEqual(values(deltas), []);
  const points = deltas.receiver.points.filter((point) => point.series === series);
  assert.deepEqual(
    points.map((point) => point.temporality),
    ["delta", "delta", "delta"],
  );
  assert.deepEqual(
    points.slice(1).map((point) => point.startUnixNano),
    points.slice(0, -1).map((point) => point.timeUnixNano),
    "each interval begins where the last delivered one ended",
  );
  const [duration] = deltas.receiver.points.filter((point) => point.name === histogram.name);
  assert.deepEqual([duration?.value, duration?.bucketCounts, duration?.temporality], [1, [0, 1, 0], "delta"]);
});

test("exemplars lead to their traces; a difference carries only those of its own interval", async (t) => {
  const totals = await start(t);
  const { engine } = totals;
  engine.keepExemplars({ filter: "trace_based", active: () => undefined, isPromoted: () => false });
  const deltas = await startExporter(t, engine, { temporality: "delta", protocol: "http/json" });
  const context = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", sampled: true };
  const cell = engine.bind(counter, { name: "a" });
  const durations = engine.bind(histogram, { name: "a" });
  const flush = (): Promise<unknown> => Promise.all([totals.exporter.flush(), deltas.exporter.flush()]);
  cell.add(3, context);
  durations.record(0.5, context);
  await flush();
  const before = performance.now();
  await waitFor("the clock to move on", () => performance.now() > before + 2);
  cell.add(1);
  durations.record(0.6);
  await flush();
  const exemplarsOf = ({ receiver }: Setup, which: string): (readonly string[])[] =>
    receiver.points
      .filter((point) => point.name === which)
      .map((point) => point.exemplars.map(({ traceId, value }) => `${traceId} ${value}`));
  const { traceId } = context;
  assert.deepEqual(exemplarsOf(totals, counter.name), [[`${traceId} 3`], [`${traceId} 3`]]);
  assert.deepEqual(exemplarsOf(deltas, counter.name), [[`${traceId} 3`], []]);
  assert.deepEqual(exemplarsOf(totals, histogram.name), [[`${traceId} 0.5`], [`${traceId} 0.5`]]);
  assert.deepEqual(exemplarsOf(deltas, histogram.name), [[`${traceId} 0.5`], []]);
  assert.deepEqual([...totals.receiver.problems, ...deltas.receiver.problems], []);
});

for (const protocol of ["grpc", "http/json"] as const) {
  test(`${protocol}: exponential histograms with their extremes, where they are asked for`, async (t) => {
    const engine = createMetricsEngine({ clock: createSystemClock() });
    const { exporter, receiver } = await startExporter(t, engine, {
      protocol,
      histogramAggregation: "base2_exponential_bucket_histogram",
    });
    const cell = engine.bind(histogram, { name: "a" });
    for (const value of [0, 0.25, 0.5, 4]) cell.record(value);
    await exporter.flush();
    assert.deepEqual(receiver.problems, []);
    const point = receiver.points.find(({ name: which }) => which === histogram.name);
    assert.equal(point?.kind, "exponentialHistogram");
    assert.deepEqual([point.value, point.sum, point.minimum, point.maximum], [4, 4.75, 0, 4]);
    assert.equal(point.exponential?.zeroCount, 1);
    assert.equal(
      point.bucketCounts.reduce((sum, each) => sum + each, 0),
      3,
    );
  });
}

test("http/json: many series come in requests small enough to be written without holding the node up", async (t) => {
  const engine = createMetricsEngine({ clock: createSystemClock() });
  const { exporter, receiver } = await startExporter(t, engine, { protocol: "http/json" });
  for (let index = 0; index < 12_000; index++) engine.bind(counter, { name: `vm-${index}` }).add(index + 0.5);
  await exporter.flush();
  assert.deepEqual(receiver.problems, []);
  const points = receiver.points.filter((point) => point.name === counter.name);
  assert.equal(new Set(points.map((point) => point.series)).size, 12_000);
  assert.equal(points.find((point) => point.attributes["name"] === "vm-7")?.value, 7.5);
  assert.ok(receiver.requests.length > 2);
  for (const { encoding } of receiver.requests) assert.equal(encoding, "json");
});

function gaugeValue(engine: MetricsEngine, wanted: Readonly<Record<string, string>>): number | undefined {
  const family = engine.families().find(({ descriptor }) => descriptor.name === telemetryDestinationState.name);
  const series = family?.series.find((one) => isDeepStrictEqual(Object.fromEntries(one.attributes), wanted));
  return series?.kind === "number" ? series.value : undefined;
}
