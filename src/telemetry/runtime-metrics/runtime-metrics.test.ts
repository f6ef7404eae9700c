import assert from "node:assert/strict";
import { totalmem } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { describe, test } from "node:test";
import * as allMetrics from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createMetricsEngine, type MetricsEngine } from "../metrics/metrics-engine.ts";
import type { MetricDescriptor } from "../port.ts";
import { observeRuntimeMetrics } from "./runtime-metrics.ts";

const clock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  delay: (delayMs, signal) => delay(delayMs, undefined, { signal }),
};

function namesOf(engine: MetricsEngine): Set<string> {
  return new Set(engine.families().map(({ descriptor }) => descriptor.name));
}

function total(engine: MetricsEngine, name: string): number {
  const family = engine.families().find(({ descriptor }) => descriptor.name === name);
  return (family?.series ?? []).reduce(
    (sum, series) => sum + (series.kind === "number" ? series.value : series.count),
    0,
  );
}

describe("runtime metrics", () => {
  test("every metric of the registry for Node.js, the process and the host has real values", async () => {
    const errors: unknown[] = [];
    const engine = createMetricsEngine({ clock, onCollectionError: (_, error) => errors.push(error) });
    using _observed = observeRuntimeMetrics({ metrics: engine, intervalMs: 20 });
    const expected = Object.values<MetricDescriptor>(allMetrics)
      .map(({ name }) => name)
      .filter((name) => /^(nodejs|v8js|process|system)\./.test(name))
      // A machine of which nothing is on a disk of its own, such as some containers, has none to show.
      .filter((name) => !/^(system\.disk|system\.filesystem|process\.disk)/.test(name));
    await waitFor("all of them", () => expected.every((name) => namesOf(engine).has(name)));
    assert.deepEqual(errors, []);
    assert.equal(total(engine, "system.memory.limit"), totalmem());
    assert.ok(Math.abs(total(engine, "system.memory.usage") - totalmem()) < totalmem() * 0.05);
    assert.ok(Math.abs(total(engine, "system.cpu.utilization") - 1) < 0.01);
    assert.ok(total(engine, "process.memory.usage") > 20e6);
    assert.ok(total(engine, "process.uptime") > 0);
    assert.ok(total(engine, "process.unix.file_descriptor.count") > 2);
    assert.ok(total(engine, "v8js.memory.heap.used") > 1e6);
    engine.stop();
  });

  test("a garbage collection is recorded", async () => {
    const engine = createMetricsEngine({ clock });
    using _observed = observeRuntimeMetrics({ metrics: engine });
    let garbage: unknown[] = [];
    await waitFor("a collection", () => {
      garbage = Array.from({ length: 100_000 }, (_, index) => ({ index }));
      return total(engine, "v8js.gc.duration") > 0;
    });
    assert.ok(garbage.length > 0);
    engine.stop();
  });

  test("disposing ends them all", async () => {
    const engine = createMetricsEngine({ clock });
    const observed = observeRuntimeMetrics({ metrics: engine, intervalMs: 20 });
    await waitFor("the first values", () => namesOf(engine).has("process.uptime"));
    observed[Symbol.dispose]();
    const left = [...namesOf(engine)].filter((name) => /^(nodejs|v8js|process|system)\./.test(name));
    assert.deepEqual(left, []);
    engine.stop();
  });
});
