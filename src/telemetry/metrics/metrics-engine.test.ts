import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  nodeBuildInfo,
  nodeState,
  rpcServerCallDuration,
  telemetryMeasurementsDropped,
  telemetrySeriesCount,
  telemetrySeriesOverflows,
  vmCount,
  vmPanics,
  vmRestarts,
  vmUptime,
} from "#gen/telemetry/metrics.ts";
import { createManualClock } from "#test/support/manual-clock.ts";
import type { MetricDescriptor } from "../port.ts";
import { createMetricsEngine, type MetricsEngine, type MetricsEngineOptions } from "./metrics-engine.ts";
import type { NumberSeries, Series } from "./snapshot.ts";

const vmA = { "blixard.vm.id": "vm-a", "blixard.vm.name": "a" };
const vmB = { "blixard.vm.id": "vm-b", "blixard.vm.name": "b" };

function seriesOf(engine: MetricsEngine, descriptor: MetricDescriptor): readonly Series[] {
  return engine.families().find((family) => family.descriptor.name === descriptor.name)?.series ?? [];
}

function valuesOf(engine: MetricsEngine, descriptor: MetricDescriptor): number[] {
  return seriesOf(engine, descriptor).map((series) => (series.kind === "number" ? series.value : series.sum));
}

function valueWith(engine: MetricsEngine, descriptor: MetricDescriptor, value: string | boolean): number | undefined {
  const found = seriesOf(engine, descriptor).find((series) => series.attributes.some((pair) => pair[1] === value));
  return found?.kind === "number" ? found.value : undefined;
}

describe("cells", () => {
  test("the same attributes give the same cell, in whatever order they are written", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    const one = engine.bind(vmUptime, { "blixard.vm.id": "vm-a", "blixard.vm.name": "a" });
    const two = engine.bind(vmUptime, { "blixard.vm.name": "a", "blixard.vm.id": "vm-a" });
    assert.equal(one, two);
  });

  test("values that only look alike once joined stay apart", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    engine.bind(vmUptime, { "blixard.vm.id": "ab", "blixard.vm.name": "c" }).set(1);
    engine.bind(vmUptime, { "blixard.vm.id": "a", "blixard.vm.name": "bc" }).set(2);
    assert.deepEqual(
      valuesOf(engine, vmUptime).toSorted((a, b) => a - b),
      [1, 2],
    );
  });

  test("an optional attribute that is undefined is absent", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    const method = { "rpc.system.name": "grpc", "rpc.method": "a/B" } as const;
    assert.equal(
      engine.bind(rpcServerCallDuration, { ...method, "error.type": undefined }),
      engine.bind(rpcServerCallDuration, method),
    );
  });

  test("a counter starts at zero and is there before it first counts", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    engine.bind(vmPanics, {});
    assert.deepEqual(valuesOf(engine, vmPanics), [0]);
  });

  test("a gauge that was never set has no value", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    engine.bind(vmUptime, vmA);
    assert.deepEqual(valuesOf(engine, vmUptime), [Number.NaN]);
  });

  test("an up-down counter goes up and down", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    const running = engine.bind(vmCount, { "blixard.vm.state": "running" });
    running.add(3);
    running.add(-1);
    assert.deepEqual(valuesOf(engine, vmCount), [2]);
  });

  test("a histogram counts a value in the first bucket whose bound it does not exceed", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    const cell = engine.bind(rpcServerCallDuration, { "rpc.system.name": "grpc", "rpc.method": "a/B" });
    for (const value of [0, 0.005, 0.0051, 10, 11]) cell.record(value);
    const [series] = seriesOf(engine, rpcServerCallDuration);
    assert.ok(series?.kind === "histogram");
    const bounds = rpcServerCallDuration.buckets;
    assert.deepEqual([...series.bounds], [...bounds]);
    const expected = Array.from({ length: bounds.length + 1 }, () => 0);
    expected[0] = 2;
    expected[1] = 1;
    expected[bounds.length - 1] = 1;
    expected[bounds.length] = 1;
    assert.deepEqual([...series.bucketCounts], expected);
    assert.equal(series.count, 5);
    assert.equal(series.sum, 21.0101);
  });

  test("what no instrument can take changes nothing and is counted", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    const counter = engine.bind(vmPanics, {});
    const gauge = engine.bind(vmUptime, vmA);
    const histogram = engine.bind(rpcServerCallDuration, { "rpc.system.name": "grpc", "rpc.method": "a/B" });
    counter.add(2);
    for (const value of [-1, Number.NaN, Infinity]) {
      counter.add(value);
      histogram.record(value);
    }
    gauge.set(5);
    gauge.set(Number.NaN);
    assert.deepEqual(valuesOf(engine, vmPanics), [2]);
    assert.deepEqual(valuesOf(engine, vmUptime), [5]);
    assert.deepEqual(valuesOf(engine, rpcServerCallDuration), [0]);
    assert.equal(valueWith(engine, telemetryMeasurementsDropped, "negative"), 2);
    assert.equal(valueWith(engine, telemetryMeasurementsDropped, "not_finite"), 5);
  });
});

describe("removal", () => {
  test("a removed series is gone, and its cell is harmless", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    const cell = engine.bind(vmUptime, vmA);
    engine.bind(vmUptime, vmB).set(2);
    cell.set(1);
    cell.remove();
    cell.remove();
    cell.set(3);
    assert.deepEqual(valuesOf(engine, vmUptime), [2]);
  });

  test("the rest stays whole when series are removed in any order", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    const cells = Array.from({ length: 10 }, (_, index) => {
      const cell = engine.bind(vmUptime, { "blixard.vm.id": `vm-${index}`, "blixard.vm.name": "x" });
      cell.set(index);
      return cell;
    });
    for (const index of [0, 9, 4, 5, 1]) cells[index]?.remove();
    assert.deepEqual(
      valuesOf(engine, vmUptime).toSorted((a, b) => a - b),
      [2, 3, 6, 7, 8],
    );
  });

  test("a series that comes back counts from zero with a new start time", async () => {
    const clock = createManualClock();
    const engine = createMetricsEngine({ clock });
    const cell = engine.bind(vmRestarts, { "blixard.vm.exit_cause": "panic" });
    cell.add(4);
    const first = seriesOf(engine, vmRestarts)[0]?.startTimeMs;
    cell.remove();
    await clock.advance(1_000);
    engine.bind(vmRestarts, { "blixard.vm.exit_cause": "panic" }).add(1);
    const [series] = seriesOf(engine, vmRestarts);
    assert.deepEqual(valuesOf(engine, vmRestarts), [1]);
    assert.equal(series?.startTimeMs, (first ?? 0) + 1_000);
  });
});

describe("readers", () => {
  test("each reader is told once of a series that it has seen and that has ended", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    using one = engine.createReader();
    using two = engine.createReader();
    const cell = engine.bind(vmUptime, vmA);
    cell.set(1);
    one.read();
    two.read();
    cell.remove();
    assert.deepEqual(
      one.read().ended.map(({ descriptor, series }) => [descriptor.name, series.attributes[0]?.[1]]),
      [[vmUptime.name, "vm-a"]],
    );
    assert.deepEqual(one.read().ended, []);
    assert.equal(two.read().ended.length, 1);
  });

  test("a series that came and went between two reads is not mentioned", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    using reader = engine.createReader();
    reader.read();
    const cell = engine.bind(vmUptime, vmA);
    cell.set(1);
    cell.remove();
    assert.deepEqual(reader.read().ended, []);
  });

  test("a series that came back before the read has not ended", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    using reader = engine.createReader();
    const cell = engine.bind(vmUptime, vmA);
    cell.set(1);
    reader.read();
    cell.remove();
    engine.bind(vmUptime, vmA).set(2);
    assert.deepEqual(reader.read().ended, []);
  });

  test("a gauge that was never set ends without a word", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    using reader = engine.createReader();
    const cell = engine.bind(vmUptime, vmA);
    reader.read();
    cell.remove();
    assert.deepEqual(reader.read().ended, []);
  });

  test("ends are bounded: a reader that never reads costs a fixed amount, and the loss is counted", () => {
    const engine = createMetricsEngine({ clock: createManualClock(), maximumEnded: 10 });
    using reader = engine.createReader();
    const cells = Array.from({ length: 100 }, (_, index) =>
      engine.bind(vmUptime, { "blixard.vm.id": `vm-${index}`, "blixard.vm.name": "x" }),
    );
    for (const cell of cells) cell.set(1);
    reader.read();
    for (const cell of cells) cell.remove();
    const told = reader.read().ended.length;
    const lost = engine.families().find(({ descriptor }) => descriptor.name === "blixard.telemetry.tombstones.dropped");
    assert.ok(told <= 10);
    assert.equal((lost?.series[0] as NumberSeries | undefined)?.value, 100 - told);
  });
});

describe("the limit on series", () => {
  const limited = { ...vmUptime, seriesLimit: 3 };
  const bindNumber = (engine: MetricsEngine, index: number) =>
    engine.bind(limited, { "blixard.vm.id": `vm-${index}`, "blixard.vm.name": "x" });

  test("further series are merged into one that says so, and each refusal is counted", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    for (let index = 0; index < 5; index++) bindNumber(engine, index).set(index);
    assert.equal(seriesOf(engine, limited).length, 3);
    const overflow = seriesOf(engine, limited).find((series) => series.attributes[0]?.[0] === "otel.metric.overflow");
    assert.deepEqual(overflow?.attributes, [["otel.metric.overflow", true]]);
    assert.equal(valueWith(engine, telemetrySeriesOverflows, vmUptime.name), 3);
    assert.equal(valueWith(engine, telemetrySeriesCount, vmUptime.name), 3);
  });

  test("one that was refused cannot end the merged series", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    for (let index = 0; index < 5; index++) bindNumber(engine, index).set(index);
    bindNumber(engine, 4).remove();
    assert.equal(seriesOf(engine, limited).length, 3);
  });

  test("a limit on all metrics hides neither what each has nor which overflow", () => {
    const engine = createMetricsEngine({ clock: createManualClock(), seriesLimit: 2 });
    const metrics = [0, 1, 2, 3].map((index) => ({ ...vmUptime, name: `blixard.test.gauge_${index}` }));
    for (const metric of metrics) {
      for (const id of ["a", "b", "c"]) engine.bind(metric, { "blixard.vm.id": id, "blixard.vm.name": "x" }).set(1);
    }
    for (const { name } of metrics) {
      assert.equal(valueWith(engine, telemetrySeriesCount, name), 2);
      assert.equal(valueWith(engine, telemetrySeriesOverflows, name), 2);
    }
  });

  test("there is room again when series end", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    const first = bindNumber(engine, 0);
    for (let index = 1; index < 5; index++) bindNumber(engine, index);
    first.remove();
    bindNumber(engine, 9).set(42);
    assert.equal(valueWith(engine, limited, "vm-9"), 42);
  });
});

test("two metrics of one name and different instruments: the second counts nothing and says so", () => {
  const engine = createMetricsEngine({ clock: createManualClock() });
  engine.bind(vmUptime, vmA).set(1);
  engine.bind({ ...vmUptime, instrument: "histogram" } as const, vmA).record(1);
  assert.deepEqual(valuesOf(engine, vmUptime), [1]);
  assert.equal(valueWith(engine, telemetryMeasurementsDropped, "type"), 1);
});

describe("infos and statesets", () => {
  const build = {
    "blixard.node.id": "node-1",
    "service.version": "1.0",
    "process.runtime.name": "nodejs",
    "process.runtime.version": "26",
  };

  test("an info is 1 until it is removed", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    const cell = engine.bind(nodeBuildInfo, build);
    assert.deepEqual(valuesOf(engine, nodeBuildInfo), [1]);
    cell.remove();
    assert.deepEqual(valuesOf(engine, nodeBuildInfo), []);
  });

  test("a stateset is silent until it is set, then has one series a state of which one is 1", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    const cell = engine.bind(nodeState, {});
    assert.ok(valuesOf(engine, nodeState).every(Number.isNaN));
    cell.set("starting");
    engine.bind(nodeState, {}).set("ready");
    const states = seriesOf(engine, nodeState).map(({ attributes }) => attributes[0]?.[1]);
    assert.deepEqual(states, ["starting", "ready", "stopping", "down"]);
    assert.deepEqual(valuesOf(engine, nodeState), [0, 1, 0, 0]);
    cell.remove();
    assert.deepEqual(seriesOf(engine, nodeState), []);
  });

  test("a state that the registry does not list changes nothing and is counted", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    const cell = engine.bind(nodeState, {});
    cell.set("ready");
    cell.set("asleep");
    assert.equal(valueWith(engine, nodeState, "ready"), 1);
    assert.equal(valueWith(engine, telemetryMeasurementsDropped, "type"), 1);
  });

  test("a stateset has all its states or none", () => {
    const engine = createMetricsEngine({ clock: createManualClock(), seriesLimits: { [nodeState.name]: 4 } });
    engine.bind(nodeState, {}).set("ready");
    assert.deepEqual(seriesOf(engine, nodeState), []);
    assert.equal(valueWith(engine, telemetrySeriesOverflows, nodeState.name), 1);
  });
});

describe("cardinality", () => {
  test("the operator's limit for one metric goes before that for all, and both before the registry's", () => {
    const limitsWith = (options: Omit<MetricsEngineOptions, "clock">): (number | undefined)[] => {
      const engine = createMetricsEngine({ clock: createManualClock(), ...options });
      engine.bind(vmUptime, vmA);
      engine.bind(vmPanics, {});
      const limits = new Map(engine.cardinality().metrics.map(({ name, limit }) => [name, limit]));
      return [vmUptime, vmPanics].map(({ name }) => limits.get(name));
    };
    assert.deepEqual(limitsWith({}), [50_000, 2_000]);
    assert.deepEqual(limitsWith({ seriesLimit: 700 }), [700, 700]);
    assert.deepEqual(limitsWith({ seriesLimit: 700, seriesLimits: { [vmUptime.name]: 90_000 } }), [90_000, 700]);
  });

  test("says who costs what: series, lines of the page, refusals, values of each attribute", () => {
    const engine = createMetricsEngine({ clock: createManualClock(), seriesLimits: { [vmUptime.name]: 4 } });
    for (let index = 0; index < 5; index++) {
      engine.bind(vmUptime, { "blixard.vm.id": `vm-${index}`, "blixard.vm.name": "same" }).set(1);
    }
    for (const method of ["a/B", "a/C"]) {
      engine.bind(rpcServerCallDuration, { "rpc.system.name": "grpc", "rpc.method": method }).record(1);
    }
    const report = engine.cardinality();
    assert.deepEqual(
      report.metrics.find(({ name }) => name === vmUptime.name),
      {
        name: vmUptime.name,
        prometheusName: vmUptime.prometheusName,
        instrument: "gauge",
        series: 4,
        samples: 4,
        limit: 4,
        overflows: 2,
        attributes: [
          { name: "blixard.vm.id", distinctValues: 3 },
          { name: "blixard.vm.name", distinctValues: 1 },
          { name: "otel.metric.overflow", distinctValues: 1 },
        ],
        perVm: true,
      },
    );
    const calls = report.metrics.find(({ name }) => name === rpcServerCallDuration.name);
    assert.equal(calls?.series, 2);
    assert.equal(calls.samples, 2 * (rpcServerCallDuration.buckets.length + 3));
    assert.equal(calls.perVm, false);
    assert.equal(
      report.series,
      engine.families().reduce((sum, { series }) => sum + series.length, 0),
    );
    assert.ok(report.metrics.every(({ series }, index) => series <= (report.metrics[index - 1]?.series ?? Infinity)));
  });
});

describe("exponential buckets", () => {
  const call = { "rpc.system.name": "grpc", "rpc.method": "a/B" } as const;
  const record = (engine: MetricsEngine): Series | undefined => {
    const cell = engine.bind(rpcServerCallDuration, call);
    for (const value of [0, 0.2, 0.3, 40]) cell.record(value);
    return seriesOf(engine, rpcServerCallDuration)[0];
  };

  test("hold the same measurements as the explicit ones", () => {
    const series = record(createMetricsEngine({ clock: createManualClock() }));
    assert.ok(series?.kind === "histogram" && series.exponential !== undefined);
    const { zeroCount, positiveCounts, minimum, maximum } = series.exponential;
    assert.equal(zeroCount, 1);
    assert.equal(
      Array.from(positiveCounts).reduce((sum, count) => sum + count, 0),
      3,
    );
    assert.deepEqual([minimum, maximum], [0, 40]);
  });

  test("are not kept when nobody wants them", () => {
    const engine = createMetricsEngine({ clock: createManualClock(), exponentialHistograms: false });
    const series = record(engine);
    assert.ok(series?.kind === "histogram");
    assert.equal(series.exponential, undefined);
    assert.equal(series.count, 4);
  });
});
