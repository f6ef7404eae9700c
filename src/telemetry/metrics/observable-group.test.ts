import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  raftLeaderChanges,
  raftWalFsyncDuration,
  telemetryCollectionAge,
  telemetryCollectionDuration,
  telemetryMeasurementsDropped,
  vmPanics,
  vmUptime,
} from "#gen/telemetry/metrics.ts";
import { createManualClock } from "#test/support/manual-clock.ts";
import type { MetricDescriptor, Observer } from "../port.ts";
import { createMetricsEngine, type MetricsEngine } from "./metrics-engine.ts";
import type { Series } from "./snapshot.ts";

const vm = (name: string) => ({ "blixard.vm.id": `vm-${name}`, "blixard.vm.name": name });
const schedule = { name: "test", intervalMs: 10_000, timeoutMs: 1_000 };

function seriesOf(engine: MetricsEngine, descriptor: MetricDescriptor): readonly Series[] {
  return engine.families().find((family) => family.descriptor.name === descriptor.name)?.series ?? [];
}

function numberOf(engine: MetricsEngine, descriptor: MetricDescriptor): number | undefined {
  const [series] = seriesOf(engine, descriptor);
  return series?.kind === "number" ? series.value : undefined;
}

function names(engine: MetricsEngine): string[] {
  return seriesOf(engine, vmUptime).map((series) => String(series.attributes[1]?.[1]));
}

describe("a group that is collected in the background", () => {
  test("is collected at once and then at every interval", async () => {
    const clock = createManualClock();
    const engine = createMetricsEngine({ clock });
    let collections = 0;
    using _group = engine.observeGroup({
      ...schedule,
      metrics: [vmUptime],
      async collect(observer) {
        observer.observe(vmUptime, ++collections, vm("a"));
      },
    });
    await clock.advance(0);
    assert.equal(numberOf(engine, vmUptime), 1);
    await clock.advance(30_000);
    assert.equal(numberOf(engine, vmUptime), 4);
  });

  test("ends the series that a collection no longer observes", async () => {
    const clock = createManualClock();
    const engine = createMetricsEngine({ clock });
    let present = ["a", "b"];
    using _group = engine.observeGroup({
      ...schedule,
      metrics: [vmUptime],
      async collect(observer) {
        for (const name of present) observer.observe(vmUptime, 1, vm(name));
      },
    });
    await clock.advance(0);
    assert.deepEqual(names(engine), ["a", "b"]);
    present = ["b"];
    await clock.advance(10_000);
    assert.deepEqual(names(engine), ["b"]);
  });

  test("ends the series about what is gone before they are read again", async () => {
    const clock = createManualClock();
    const engine = createMetricsEngine({ clock });
    const reader = engine.createReader();
    const present = new Set(["vm-a", "vm-b"]);
    using _group = engine.observeGroup({
      ...schedule,
      metrics: [vmUptime, raftLeaderChanges],
      async collect(observer) {
        for (const name of ["a", "b"]) observer.observe(vmUptime, 1, vm(name));
        observer.observe(raftLeaderChanges, 1, {});
      },
      subjects: { attribute: "blixard.vm.id", present: () => present },
    });
    await clock.advance(0);
    reader.read();
    present.delete("vm-a");
    assert.deepEqual(names(engine), ["b"]);
    assert.equal(reader.read().ended.length, 1, "ended by OTLP, too");
    assert.equal(numberOf(engine, raftLeaderChanges), 1, "what is about no VM stays");
  });

  test("keeps the last values while it hangs, shows their age, is never asked twice at a time, and recovers", async () => {
    const clock = createManualClock();
    const errors: string[] = [];
    const engine = createMetricsEngine({ clock, onCollectionError: (group) => errors.push(group) });
    const gate = Promise.withResolvers<void>();
    let calls = 0;
    let late: Observer | undefined;
    using _group = engine.observeGroup({
      ...schedule,
      metrics: [vmUptime],
      async collect(observer) {
        calls++;
        observer.observe(vmUptime, calls, vm("a"));
        if (calls !== 2) return;
        late = observer;
        await gate.promise;
      },
    });
    await clock.advance(10_000);
    assert.equal(calls, 2);
    await clock.advance(50_000);
    assert.equal(calls, 2);
    assert.deepEqual(names(engine), ["a"]);
    assert.equal(numberOf(engine, telemetryCollectionAge), 60);
    assert.deepEqual(errors, ["test"]);
    const failed = seriesOf(engine, telemetryCollectionDuration).find((series) => series.attributes.length === 2);
    assert.deepEqual(failed?.attributes[1], ["error.type", "timeout"]);
    late?.observe(vmUptime, 99, vm("late"));
    assert.deepEqual(names(engine), ["a"]);
    gate.resolve();
    await clock.advance(10_000);
    assert.equal(numberOf(engine, vmUptime), calls);
    assert.ok((numberOf(engine, telemetryCollectionAge) ?? 99) <= 10);
  });

  test("is told to give up when its deadline has passed", async () => {
    const clock = createManualClock();
    const engine = createMetricsEngine({ clock });
    let aborted = false;
    using _group = engine.observeGroup({
      ...schedule,
      metrics: [vmUptime],
      collect: (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted = true;
            reject(signal.reason);
          });
        }),
    });
    await clock.advance(999);
    assert.equal(aborted, false);
    await clock.advance(1);
    assert.equal(aborted, true);
  });

  test("keeps the last values when it fails, and tells of the error", async () => {
    const clock = createManualClock();
    const errors: unknown[] = [];
    const engine = createMetricsEngine({ clock, onCollectionError: (_, error) => errors.push(error) });
    let calls = 0;
    using _group = engine.observeGroup({
      ...schedule,
      metrics: [vmUptime],
      async collect(observer) {
        if (++calls > 1) throw new Error("no answer");
        observer.observe(vmUptime, 7, vm("a"));
      },
    });
    await clock.advance(20_000);
    assert.equal(numberOf(engine, vmUptime), 7);
    assert.equal(errors.length, 2);
  });

  test("takes its series with it when it is disposed, and leaves bound cells alone", async () => {
    const clock = createManualClock();
    const engine = createMetricsEngine({ clock });
    engine.bind(vmUptime, vm("bound")).set(1);
    const group = engine.observeGroup({
      ...schedule,
      metrics: [vmUptime],
      async collect(observer) {
        observer.observe(vmUptime, 1, vm("observed"));
      },
    });
    await clock.advance(0);
    assert.deepEqual(names(engine).toSorted(), ["bound", "observed"]);
    group[Symbol.dispose]();
    await clock.advance(60_000);
    assert.deepEqual(names(engine), ["bound"]);
    assert.deepEqual(seriesOf(engine, telemetryCollectionAge), []);
    assert.equal(clock.pending, 0);
  });

  test("may only observe the metrics it has named", async () => {
    const clock = createManualClock();
    const engine = createMetricsEngine({ clock });
    using _group = engine.observeGroup({
      ...schedule,
      metrics: [vmUptime],
      async collect(observer) {
        observer.observe(vmPanics, 1, {});
      },
    });
    await clock.advance(0);
    assert.equal(numberOf(engine, vmPanics), undefined);
    assert.equal(numberOf(engine, telemetryMeasurementsDropped), 1);
  });

  test("stopping the engine ends every group", async () => {
    const clock = createManualClock();
    const engine = createMetricsEngine({ clock });
    let calls = 0;
    engine.observeGroup({ ...schedule, metrics: [vmUptime], collect: async () => void calls++ });
    await clock.advance(0);
    engine.stop();
    await clock.advance(60_000);
    assert.equal(calls, 1);
    assert.equal(clock.pending, 0);
  });
});

describe("foreign counts", () => {
  async function observeInTurn(collections: readonly ((observer: Observer) => void)[]): Promise<{
    engine: MetricsEngine;
    clock: ReturnType<typeof createManualClock>;
  }> {
    const clock = createManualClock();
    const engine = createMetricsEngine({ clock });
    let turn = 0;
    engine.observeGroup({
      ...schedule,
      metrics: [raftLeaderChanges, raftWalFsyncDuration],
      collect: async (observer) => collections[turn++]?.(observer),
    });
    for (const _ of collections.slice(1)) await clock.advance(10_000);
    await clock.advance(0);
    engine.stop();
    return { engine, clock };
  }

  test("a total that grows keeps its start time; one that falls has started anew", async () => {
    const grown = await observeInTurn([
      (observer) => observer.observe(raftLeaderChanges, 3, {}),
      (observer) => observer.observe(raftLeaderChanges, 5, {}),
    ]);
    assert.equal(numberOf(grown.engine, raftLeaderChanges), 5);
    assert.equal(seriesOf(grown.engine, raftLeaderChanges)[0]?.startTimeMs, grown.clock.now() - 10_000);

    const fallen = await observeInTurn([
      (observer) => observer.observe(raftLeaderChanges, 3, {}),
      (observer) => observer.observe(raftLeaderChanges, 1, {}),
    ]);
    assert.equal(numberOf(fallen.engine, raftLeaderChanges), 1);
    assert.equal(seriesOf(fallen.engine, raftLeaderChanges)[0]?.startTimeMs, fallen.clock.now());
  });

  test("cumulative buckets become buckets, with or without +Inf", async () => {
    for (const bounds of [
      [0.001, 0.002],
      [0.001, 0.002, Infinity],
    ]) {
      const { engine } = await observeInTurn([
        (observer) =>
          observer.observeHistogram(
            raftWalFsyncDuration,
            { sum: 0.5, count: 10, bounds, cumulativeCounts: [4, 9, 10] },
            {},
          ),
      ]);
      const [series] = seriesOf(engine, raftWalFsyncDuration);
      assert.ok(series?.kind === "histogram");
      assert.deepEqual([...series.bounds], [0.001, 0.002]);
      assert.deepEqual([...series.bucketCounts], [4, 5, 1]);
      assert.equal(series.sum, 0.5);
      assert.equal(series.count, 10);
    }
  });

  test("a histogram that makes no sense is refused and counted", async () => {
    const good = { sum: 1, count: 2, bounds: [1, 2], cumulativeCounts: [1, 2] };
    const { engine } = await observeInTurn([
      (observer) => {
        observer.observeHistogram(raftWalFsyncDuration, { ...good, sum: Number.NaN }, {});
        observer.observeHistogram(raftWalFsyncDuration, { ...good, count: -1 }, {});
        observer.observeHistogram(raftWalFsyncDuration, { ...good, bounds: [2, 1] }, {});
        observer.observeHistogram(raftWalFsyncDuration, { ...good, cumulativeCounts: [1] }, {});
      },
    ]);
    assert.equal(numberOf(engine, telemetryMeasurementsDropped), 4);
  });

  test("a histogram of an infinite sum keeps its buckets", async () => {
    const { engine } = await observeInTurn([
      (observer) =>
        observer.observeHistogram(
          raftWalFsyncDuration,
          { sum: Number.POSITIVE_INFINITY, count: 3, bounds: [1, 2], cumulativeCounts: [1, 2] },
          {},
        ),
    ]);
    const [series] = seriesOf(engine, raftWalFsyncDuration);
    assert.ok(series?.kind === "histogram");
    assert.deepEqual([series.sum, ...series.bucketCounts], [Infinity, 1, 1, 1]);
  });

  test("falling cumulative counts never give a negative bucket", async () => {
    const { engine } = await observeInTurn([
      (observer) =>
        observer.observeHistogram(
          raftWalFsyncDuration,
          { sum: 1, count: 5, bounds: [1, 2, 3], cumulativeCounts: [4, 2, 9] },
          {},
        ),
    ]);
    const [series] = seriesOf(engine, raftWalFsyncDuration);
    assert.ok(series?.kind === "histogram");
    assert.deepEqual([...series.bucketCounts], [4, 0, 1, 0]);
  });
});
