// A destination with delta temporality, whatever fails on the way to it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ExportMetricsServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { createManualClock, type ManualClock } from "#test/support/manual-clock.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { collectPoints, type ReceivedPoint } from "#test/support/otlp-collect.ts";
import { checkMetrics } from "#test/support/otlp-checks.ts";
import { createMetricsEngine, type MetricsEngine } from "../metrics/metrics-engine.ts";
import type { HistogramSeries, MetricsSource, NumberSeries } from "../metrics/snapshot.ts";
import type { MetricTemporality, HistogramAggregation } from "../telemetry-options.ts";
import { DeltaTracker } from "./delta-tracker.ts";
import type { EncodedRequest } from "./encoded-request.ts";
import { createMetricsExporter, type MetricsExporter } from "./metrics-exporter.ts";
import type { SignalSender } from "./signal-sender.ts";

const name = { type: "string", requirement: "required" } as const;
const base = { prometheusName: "", unit: "{thing}", brief: "Things.", attributes: { name } } as const;
const counter = { ...base, name: "blixard.test.things", instrument: "counter", valueType: "int" } as const;
const level = { ...base, name: "blixard.test.level", instrument: "updowncounter", valueType: "int" } as const;
const histogram = { ...base, name: "blixard.test.duration", instrument: "histogram", buckets: [1, 10] } as const;

interface Receiver {
  readonly exporter: MetricsExporter;
  readonly points: readonly ReceivedPoint[];
  /** What the next requests meet, in turn; then all are taken. */
  fail(...outcomes: readonly boolean[]): void;
}

interface ReceiverOptions {
  readonly temporality: MetricTemporality;
  readonly aggregation?: HistogramAggregation;
  readonly targetBytes?: number;
}

function createReceiver(source: MetricsSource, clock: ManualClock, options: ReceiverOptions): Receiver {
  const points: ReceivedPoint[] = [];
  let outcomes: boolean[] = [];
  const sender: Pick<SignalSender, "accepts" | "abandon" | "deliver"> = {
    accepts: () => true,
    abandon: (items, reason) => assert.fail(`${items} ${reason}`),
    async deliver(request: EncodedRequest) {
      if (outcomes.shift() === true) return "failed";
      const message = fromBinary(ExportMetricsServiceRequestSchema, request.bytes);
      assert.deepEqual(checkMetrics(message), []);
      points.push(...collectPoints(message));
      return "delivered";
    },
  };
  const exporter = createMetricsExporter({
    reader: source.createReader(),
    sender: sender as SignalSender,
    metrics: createMemoryTelemetry().metrics,
    clock,
    encoder: {
      resource: { attributes: { "service.name": "blixard" } },
      scope: { name: "blixard" },
      ...(options.aggregation === undefined ? {} : { histogramAggregation: options.aggregation }),
      ...(options.targetBytes === undefined ? {} : { targetBytes: options.targetBytes }),
    },
    temporality: options.temporality,
    intervalMs: 10_000,
  });
  return { exporter, points, fail: (...next) => void (outcomes = [...next]) };
}

type Step =
  | { readonly kind: "add"; readonly series: number; readonly value: number }
  | { readonly kind: "record"; readonly series: number; readonly value: number }
  | { readonly kind: "remove"; readonly series: number }
  | { readonly kind: "export"; readonly failures: readonly boolean[] };

const series = fc.integer({ min: 0, max: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("add" as const), series, value: fc.integer({ min: 0, max: 1_000 }) }),
  fc.record({ kind: fc.constant("record" as const), series, value: fc.integer({ min: 0, max: 100 }) }),
  fc.record({ kind: fc.constant("remove" as const), series }),
  fc.record({ kind: fc.constant("export" as const), failures: fc.array(fc.boolean(), { maxLength: 4 }) }),
);

/** Does the steps; a series that ends before any export saw it is exported first: nobody could know of it. */
async function perform(
  engine: MetricsEngine,
  clock: ManualClock,
  receiver: Receiver,
  steps: readonly Step[],
): Promise<{ readonly added: Map<string, number>; readonly recorded: Map<string, number> }> {
  const added = new Map<string, number>();
  const recorded = new Map<string, number>();
  const sum = (map: Map<string, number>, key: string, value: number): void =>
    void map.set(key, (map.get(key) ?? 0) + value);
  for (const one of steps) {
    await clock.advance(1_000);
    switch (one.kind) {
      case "add":
        engine.bind(counter, { name: `${one.series}` }).add(one.value);
        engine.bind(level, { name: `${one.series}` }).add(one.value);
        sum(added, `${one.series}`, one.value);
        break;
      case "record":
        engine.bind(histogram, { name: `${one.series}` }).record(one.value);
        sum(recorded, `${one.series}`, one.value);
        break;
      case "remove":
        receiver.fail(true);
        await receiver.exporter.flush();
        engine.bind(counter, { name: `${one.series}` }).remove();
        engine.bind(histogram, { name: `${one.series}` }).remove();
        break;
      case "export":
        receiver.fail(...one.failures);
        await receiver.exporter.flush();
    }
  }
  await clock.advance(1_000);
  receiver.fail();
  await receiver.exporter.flush();
  return { added, recorded };
}

function totals(points: readonly ReceivedPoint[], valueOf: (point: ReceivedPoint) => number): Map<string, number> {
  const sums = new Map<string, number>();
  for (const point of points) {
    const key = String(point.attributes["name"]);
    sums.set(key, (sums.get(key) ?? 0) + valueOf(point));
  }
  return sums;
}

function withoutZeros(map: ReadonlyMap<string, number>): Readonly<Record<string, number>> {
  return Object.fromEntries([...map].filter(([, value]) => value !== 0));
}

/** Each begins at or after the end of the one before, and before its own end. */
function assertIntervalsDoNotOverlap(points: readonly ReceivedPoint[]): void {
  const ends = new Map<string, bigint>();
  for (const point of points) {
    assert.ok(point.startUnixNano <= point.timeUnixNano);
    assert.ok(point.startUnixNano >= (ends.get(point.series) ?? 0n), `${point.series} tells an interval twice`);
    ends.set(point.series, point.timeUnixNano);
  }
}

const aggregations = ["explicit_bucket_histogram", "base2_exponential_bucket_histogram"] as const;
for (const aggregation of aggregations) {
  test(`${aggregation}: what is told in deltas adds up to what was counted, whatever fails, ends and lives again`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25 }),
        fc.constantFrom(1, 2_000_000),
        fc.constantFrom("delta", "lowmemory"),
        async (steps, targetBytes, temporality) => {
          const clock = createManualClock();
          const engine = createMetricsEngine({ clock });
          const receiver = createReceiver(engine, clock, { temporality, aggregation, targetBytes });
          const { added, recorded } = await perform(engine, clock, receiver, steps);
          const things = receiver.points.filter((point) => point.name === counter.name);
          const durations = receiver.points.filter((point) => point.name === histogram.name);
          assert.deepEqual(withoutZeros(totals(things, (point) => point.value)), withoutZeros(added));
          assert.deepEqual(withoutZeros(totals(durations, (point) => point.sum ?? Number.NaN)), withoutZeros(recorded));
          for (const point of [...things, ...durations]) assert.equal(point.temporality, "delta");
          assertIntervalsDoNotOverlap([...things, ...durations]);
          // Up-down counters stay what they are.
          const levels = receiver.points.filter((point) => point.name === level.name && !point.noRecordedValue);
          for (const point of levels) assert.equal(point.temporality, "cumulative");
          engine.stop();
        },
      ),
      { numRuns: 60 },
    );
  });
}

test("an export's retries end with its own deadline, or when the next export is due", async () => {
  const budgets: number[] = [];
  for (const [intervalMs, timeoutMs] of [
    [10_000, 30_000],
    [60_000, 30_000],
  ] as const) {
    const clock = createManualClock();
    const engine = createMetricsEngine({ clock });
    for (let index = 0; index < 3; index++) engine.bind(counter, { name: `${index}` }).add(1);
    const sender = {
      accepts: () => true,
      abandon: () => {},
      async deliver(_request: EncodedRequest, retryForMs: number) {
        budgets.push(retryForMs);
        await clock.advance(4_000);
        return "delivered" as const;
      },
    };
    const exporter = createMetricsExporter({
      reader: engine.createReader(),
      sender: sender as unknown as SignalSender,
      metrics: createMemoryTelemetry().metrics,
      clock,
      encoder: { resource: { attributes: { "service.name": "blixard" } }, scope: { name: "blixard" }, targetBytes: 1 },
      intervalMs,
      timeoutMs,
    });
    await exporter.flush();
    engine.stop();
  }
  assert.deepEqual(budgets.slice(0, 4), [10_000, 6_000, 2_000, 0]);
  assert.ok(budgets.includes(30_000) && Math.max(...budgets) === 30_000);
});

function numberSeries(
  value: number,
  startTimeMs: number,
  group?: object,
): NumberSeries & { value: number; startTimeMs: number; removed: boolean } {
  return {
    kind: "number",
    value,
    startTimeMs,
    attributes: [],
    removed: false,
    encodedAttributes: undefined,
    prefix: undefined,
    exemplar: undefined,
    group,
  };
}

function tracker(temporality: MetricTemporality = "delta"): DeltaTracker {
  return new DeltaTracker({
    temporality,
    histogramAggregation: "explicit_bucket_histogram",
    identityOf: () => "",
    maximumEnded: 2,
    onForgotten: () => {},
  });
}

test("a foreign total that begins anew is told whole, with what was owed of the old one", () => {
  const total = numberSeries(10, 1_000);
  const deltas = tracker();
  const delta = deltas.of({ descriptor: counter }, total);
  assert.equal(delta.kind === "number" && delta.read(), 10);
  delta.commit(2_000);
  total.value = 14;
  assert.equal(delta.kind === "number" && delta.read(), 4);
  // Not delivered; then the other program starts again.
  Object.assign(total, { value: 3, startTimeMs: 3_000 });
  assert.equal(delta.kind === "number" && delta.read(), 7);
  assert.equal(delta.sinceMs, 2_000);
  delta.commit(4_000);
  total.value = 5;
  assert.equal(delta.kind === "number" && delta.read(), 2);
});

test("lowmemory leaves what is observed cumulative, and tells counters and histograms in deltas", () => {
  const deltas = tracker("lowmemory");
  assert.equal(deltas.isDelta(counter, numberSeries(1, 1)), true);
  assert.equal(deltas.isDelta(counter, numberSeries(1, 1, {})), false);
  assert.equal(deltas.isDelta(level, numberSeries(1, 1)), false);
  assert.equal(deltas.isDelta(histogram, { kind: "histogram", group: {} } as HistogramSeries), true);
  assert.equal(tracker("delta").isDelta(counter, numberSeries(1, 1, {})), true);
  assert.equal(tracker("cumulative").isDelta(counter, numberSeries(1, 1)), false);
});

test("ended series are kept while they owe something, within a limit, and no longer", () => {
  const deltas = tracker();
  const settled = numberSeries(0, 1);
  const owing = [1, 2, 3].map((value) => numberSeries(value, 1));
  for (const one of [settled, ...owing]) deltas.of({ descriptor: counter }, one);
  assert.equal(deltas.size, 4);
  for (const one of [settled, ...owing]) one.removed = true;
  const ended = deltas.takeEnded([]);
  assert.deepEqual(
    ended.map(({ series: one }) => one.kind === "number" && one.value),
    [2, 3],
    "the oldest is forgotten",
  );
  deltas.commit(
    ended.filter((delta) => delta.kind !== "number" || delta.read() > 0),
    5,
  );
  assert.deepEqual(deltas.takeEnded([]), []);
  assert.equal(deltas.size, 0);
});
