import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { metrics as globalMetrics, type Meter } from "@opentelemetry/api";
import { processThreadCount, telemetryCollectionAge, vmUptime } from "#gen/telemetry/metrics.ts";
import { createManualClock, type ManualClock } from "#test/support/manual-clock.ts";
import { createMemoryTelemetry, type MemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { createMetricsEngine, type MetricsEngine } from "../metrics/metrics-engine.ts";
import type { MetricFamily, NumberSeries } from "../metrics/snapshot.ts";
import { createThirdPartyMetrics, type ThirdPartyMetrics } from "./third-party-metrics.ts";

interface Fixture extends Disposable {
  readonly clock: ManualClock;
  readonly engine: MetricsEngine;
  readonly thirdParty: ThirdPartyMetrics;
  readonly telemetry: MemoryTelemetry;
  readonly meter: Meter;
  /** Lets the next collection come and end. */
  collect(): Promise<void>;
}

const INTERVAL_MS = 10_000;

function createFixture(timeoutMs?: number): Fixture {
  const clock = createManualClock();
  const engine = createMetricsEngine({ clock });
  const telemetry = createMemoryTelemetry();
  const thirdParty = createThirdPartyMetrics({
    engine,
    logger: telemetry.logger,
    intervalMs: INTERVAL_MS,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  return {
    clock,
    engine,
    thirdParty,
    telemetry,
    meter: thirdParty.provider.getMeter("a-library", "1.2.3", { schemaUrl: "https://example.org/schema" }),
    async collect() {
      await clock.advance(INTERVAL_MS);
      await clock.advance(0);
    },
    [Symbol.dispose]() {
      thirdParty[Symbol.dispose]();
      engine.stop();
    },
  };
}

function family(engine: MetricsEngine, name: string): MetricFamily | undefined {
  return engine.families().find(({ descriptor }) => descriptor.name === name);
}

/** Values by the attributes' values. */
function values(engine: MetricsEngine, name: string): Record<string, number> {
  const series = (family(engine, name)?.series ?? []) as readonly NumberSeries[];
  return Object.fromEntries(series.map((one) => [one.attributes.map(([, value]) => value).join(), one.value]));
}

describe("third-party instrumentation", () => {
  afterEach(() => globalMetrics.disable());

  test("every instrument comes out with its name, unit, scope and value", async () => {
    using fixture = createFixture();
    const { meter, engine } = fixture;
    meter.createCounter("cache.hits", { unit: "{hit}", description: "Hits." }).add(3, { tier: "memory" });
    meter.createUpDownCounter("cache.items").add(-2);
    meter.createGauge("cache.temperature", { unit: "Cel" }).record(21.5);
    meter.createObservableGauge("cache.load", { unit: "1" }).addCallback((result) => result.observe(0.5));
    const histogram = meter.createHistogram("cache.wait", {
      unit: "s",
      advice: { explicitBucketBoundaries: [0.1, 1] },
    });
    for (const value of [0.05, 0.5, 0.7, 5]) histogram.record(value);
    await fixture.collect();

    const shown = engine.families().filter(({ scope }) => scope?.name === "a-library");
    assert.deepEqual(
      shown.map(({ descriptor }) => [descriptor.prometheusName, descriptor.instrument]),
      [
        ["cache_hits_total", "counter"],
        ["cache_items", "updowncounter"],
        ["cache_load_ratio", "gauge"],
        ["cache_temperature_celsius", "gauge"],
        ["cache_wait_seconds", "histogram"],
      ],
    );
    assert.deepEqual(shown[0]?.scope, {
      name: "a-library",
      version: "1.2.3",
      schemaUrl: "https://example.org/schema",
    });
    assert.equal(shown[0].descriptor.brief, "Hits.");
    assert.deepEqual(values(engine, "cache.hits"), { memory: 3 });
    assert.deepEqual(values(engine, "cache.items"), { "": -2 });
    assert.deepEqual(values(engine, "cache.load"), { "": 0.5 });
    const wait = family(engine, "cache.wait")?.series[0];
    assert.ok(wait?.kind === "histogram");
    assert.deepEqual([...wait.bounds], [0.1, 1]);
    assert.deepEqual([...wait.bucketCounts], [1, 2, 1]);
    assert.equal(wait.count, 4);
    assert.equal(wait.sum, 6.25);
  });

  test("totals go on from one collection to the next, whether they are added to or observed", async () => {
    using fixture = createFixture();
    const counter = fixture.meter.createCounter("cache.hits");
    let misses = 10;
    fixture.meter.createObservableCounter("cache.misses").addCallback((result) => result.observe(misses));
    let items = 4;
    fixture.meter.createObservableUpDownCounter("cache.items").addCallback((result) => result.observe(items));
    counter.add(1);
    await fixture.collect();
    counter.add(2);
    misses = 25;
    items = 1;
    await fixture.collect();
    await fixture.collect();
    assert.deepEqual(values(fixture.engine, "cache.hits"), { "": 3 });
    assert.deepEqual(values(fixture.engine, "cache.misses"), { "": 25 });
    assert.deepEqual(values(fixture.engine, "cache.items"), { "": 1 });
  });

  test("a series that is no longer observed ends, and readers are told", async () => {
    using fixture = createFixture();
    let queues = ["a", "b"];
    fixture.meter.createObservableGauge("queue.depth").addCallback((result) => {
      for (const queue of queues) result.observe(1, { queue });
    });
    fixture.meter.createObservableCounter("queue.messages").addCallback((result) => {
      for (const queue of queues) result.observe(100, { queue });
    });
    using reader = fixture.engine.createReader();
    await fixture.collect();
    reader.read();
    queues = ["b"];
    await fixture.collect();
    assert.deepEqual(Object.keys(values(fixture.engine, "queue.depth")), ["b"]);
    assert.deepEqual(
      reader.read().ended.map(({ descriptor, scope, series }) => [descriptor.name, scope?.name, series.attributes]),
      [
        ["queue.depth", "a-library", [["queue", "a"]]],
        ["queue.messages", "a-library", [["queue", "a"]]],
      ],
    );
  });

  test("a counter that is observed again counts from its new start, an up-down counter says what is", async () => {
    using fixture = createFixture();
    let observed: number | undefined = 100;
    const observe = (result: { observe(value: number): void }): void => {
      if (observed !== undefined) result.observe(observed);
    };
    fixture.meter.createObservableCounter("queue.messages").addCallback(observe);
    fixture.meter.createObservableUpDownCounter("queue.items").addCallback(observe);
    await fixture.collect();
    const firstStartMs = family(fixture.engine, "queue.messages")?.series[0]?.startTimeMs;
    observed = undefined;
    await fixture.collect();
    assert.equal(family(fixture.engine, "queue.messages"), undefined);
    observed = 130;
    await fixture.collect();
    assert.deepEqual(values(fixture.engine, "queue.messages"), { "": 30 });
    assert.deepEqual(values(fixture.engine, "queue.items"), { "": 130 });
    assert.ok((family(fixture.engine, "queue.messages")?.series[0]?.startTimeMs ?? 0) >= (firstStartMs ?? Infinity));
  });

  test("a name that Blixard has is left out, and said once", async () => {
    using fixture = createFixture();
    fixture.engine.bind(vmUptime, { "blixard.vm.id": "vm-a", "blixard.vm.name": "a" }).set(1);
    fixture.meter.createGauge(vmUptime.name, { unit: "s" }).record(99);
    fixture.meter.createUpDownCounter(processThreadCount.name).add(99);
    await fixture.collect();
    await fixture.collect();
    assert.deepEqual(values(fixture.engine, vmUptime.name), { "vm-a,a": 1 });
    assert.equal(family(fixture.engine, processThreadCount.name), undefined);
    assert.deepEqual(
      fixture.telemetry.logs.map(({ level, attributes }) => [level, attributes["blixard.telemetry.metric"]]),
      [
        ["warn", vmUptime.name],
        ["warn", processThreadCount.name],
      ],
    );
  });

  test("two metrics that read alike on the page: the later one is left out", async () => {
    using fixture = createFixture();
    fixture.meter.createHistogram("cache.wait", { unit: "s" }).record(1);
    fixture.meter.createGauge("cache_wait_seconds.count").record(5);
    fixture.thirdParty.provider.getMeter("b-library").createHistogram("cache.wait", { unit: "s" }).record(7);
    fixture.meter.createGauge("target.info").record(1);
    await fixture.collect();
    const names = fixture.engine.families().flatMap(({ descriptor, scope }) => (scope ? [descriptor.name] : []));
    assert.deepEqual(names, ["cache.wait"]);
    assert.equal(fixture.telemetry.logs.length, 3);
  });

  test("an observation that hangs shows an age and keeps the last values", async () => {
    using fixture = createFixture(1_000);
    let hangs = false;
    fixture.meter.createObservableGauge("cache.load").addCallback((result) => {
      result.observe(1);
      return hangs ? new Promise(() => {}) : undefined;
    });
    await fixture.collect();
    hangs = true;
    for (let round = 0; round < 3; round++) await fixture.collect();
    assert.deepEqual(values(fixture.engine, "cache.load"), { "": 1 });
    const ages = family(fixture.engine, telemetryCollectionAge.name)?.series as readonly NumberSeries[];
    assert.ok((ages.find(({ attributes }) => attributes[0]?.[1] === "third_party")?.value ?? 0) >= 20);
  });

  test("attributes of any kind become labels; the same ones in another order are the same series", async () => {
    using fixture = createFixture();
    const counter = fixture.meter.createCounter("cache.hits");
    counter.add(1, { b: true, a: ["x", "y"], c: undefined });
    counter.add(1, { a: ["x", "y"], b: true });
    await fixture.collect();
    assert.deepEqual(values(fixture.engine, "cache.hits"), { '["x","y"],true': 2 });
  });

  test("instrumentation of the runtime, as its users write it, works with the global API", async () => {
    using fixture = createFixture();
    fixture.thirdParty.registerGlobally();
    const meter = globalMetrics.getMeter("runtime-instrumentation", "0.1.0");
    const delay = monitorEventLoopDelay({ resolution: 10 });
    delay.enable();
    const mean = meter.createObservableGauge("runtime.loop.delay.mean", { unit: "s" });
    const greatest = meter.createObservableGauge("runtime.loop.delay.max", { unit: "s" });
    meter.addBatchObservableCallback(
      (result) => {
        result.observe(mean, (Number.isNaN(delay.mean) ? 0 : delay.mean) / 1e9);
        result.observe(greatest, delay.max / 1e9);
      },
      [mean, greatest],
    );
    meter
      .createObservableUpDownCounter("runtime.heap.usage", { unit: "By" })
      .addCallback((result) => result.observe(process.memoryUsage().heapUsed, { "heap.space": "all" }));
    await fixture.collect();
    delay.disable();
    const shown = fixture.engine.families().filter(({ scope }) => scope?.name === "runtime-instrumentation");
    assert.deepEqual(
      shown.map(({ descriptor, series }) => [descriptor.prometheusName, series.length]),
      [
        ["runtime_heap_usage_bytes", 1],
        ["runtime_loop_delay_max_seconds", 1],
        ["runtime_loop_delay_mean_seconds", 1],
      ],
    );
    assert.ok((values(fixture.engine, "runtime.heap.usage")["all"] ?? 0) > 1e6);
  });
});
