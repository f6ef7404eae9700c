import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { rpcServerCallDuration, telemetryExemplars, vmPanics } from "#gen/telemetry/metrics.ts";
import type { TraceContext } from "#model/trace-context.ts";
import { createManualClock, type ManualClock } from "#test/support/manual-clock.ts";
import type { MetricDescriptor } from "../port.ts";
import type { ExemplarFilter } from "../telemetry-options.ts";
import { createMetricsEngine, type MetricsEngine } from "./metrics-engine.ts";
import type { Exemplar, Series } from "./snapshot.ts";

const call = { "rpc.system.name": "grpc", "rpc.method": "a/B" } as const;
let spans = 0;

function contextOf(trace: string, sampled: boolean): TraceContext {
  return { traceId: trace.padEnd(32, "0"), spanId: (++spans).toString(16).padStart(16, "0"), sampled };
}

interface Fixture {
  readonly clock: ManualClock;
  readonly engine: MetricsEngine;
  readonly promoted: Set<string>;
  readonly looks: () => number;
  active: TraceContext | undefined;
}

function createFixture(filter: ExemplarFilter = "trace_based"): Fixture {
  const clock = createManualClock();
  const engine = createMetricsEngine({ clock });
  const promoted = new Set<string>();
  let looks = 0;
  const fixture: Fixture = { clock, engine, promoted, looks: () => looks, active: undefined };
  engine.keepExemplars({
    filter,
    active() {
      looks++;
      return fixture.active;
    },
    isPromoted: (traceId) => promoted.has(traceId),
  });
  return fixture;
}

function seriesOf(engine: MetricsEngine, descriptor: MetricDescriptor): Series | undefined {
  return engine.families().find((family) => family.descriptor.name === descriptor.name)?.series[0];
}

function counterExemplar(engine: MetricsEngine): Exemplar | undefined {
  const series = seriesOf(engine, vmPanics);
  return series?.kind === "number" ? series.exemplar : undefined;
}

function bucketExemplars(engine: MetricsEngine): readonly (Exemplar | undefined)[] {
  const series = seriesOf(engine, rpcServerCallDuration);
  assert.ok(series?.kind === "histogram");
  return series.exemplars;
}

describe("exemplars", () => {
  test("a counter keeps the exported span of a measurement", () => {
    const fixture = createFixture();
    fixture.active = contextOf("a", true);
    fixture.engine.bind(vmPanics, {}).add(2);
    assert.deepEqual(counterExemplar(fixture.engine), {
      value: 2,
      timeMs: fixture.clock.now(),
      traceId: fixture.active.traceId,
      spanId: fixture.active.spanId,
    });
    const kept = seriesOf(fixture.engine, telemetryExemplars);
    assert.equal(kept?.kind === "number" ? kept.value : undefined, 1);
  });

  test("a histogram keeps one for each bucket, with a value that lies in it", () => {
    const { engine } = createFixture();
    const cell = engine.bind(rpcServerCallDuration, call);
    const values = [0.001, 0.02, 0.03, 3, 100];
    for (const value of values) cell.record(value, contextOf("a", true));
    const kept = bucketExemplars(engine).flatMap((exemplar) => (exemplar === undefined ? [] : [exemplar.value]));
    assert.deepEqual(kept, [0.001, 0.02, 0.03, 3, 100]);
    const bounds: readonly number[] = rpcServerCallDuration.buckets;
    for (const [bucket, exemplar] of bucketExemplars(engine).entries()) {
      if (exemplar === undefined) continue;
      assert.ok(exemplar.value <= (bounds[bucket] ?? Infinity) && exemplar.value > (bounds[bucket - 1] ?? -1));
    }
  });

  test("a span that is not exported is none, until its trace is promoted", () => {
    const fixture = createFixture();
    const context = contextOf("b", false);
    fixture.engine.bind(vmPanics, {}).add(1, context);
    assert.equal(counterExemplar(fixture.engine), undefined);
    fixture.promoted.add(context.traceId);
    assert.equal(counterExemplar(fixture.engine)?.traceId, context.traceId);
  });

  test("one that has waited for a minute is forgotten", async () => {
    const fixture = createFixture();
    const context = contextOf("b", false);
    fixture.engine.bind(vmPanics, {}).add(1, context);
    await fixture.clock.advance(61_000);
    fixture.engine.families();
    fixture.promoted.add(context.traceId);
    assert.equal(counterExemplar(fixture.engine), undefined);
    fixture.engine.stop();
  });

  test("the newest is kept, one look a second at most", async () => {
    const fixture = createFixture();
    const cell = fixture.engine.bind(vmPanics, {});
    const [first, second] = [contextOf("a", true), contextOf("c", true)];
    fixture.active = first;
    cell.add(1);
    fixture.active = second;
    for (let call = 0; call < 1_000; call++) cell.add(1);
    assert.equal(counterExemplar(fixture.engine)?.spanId, first.spanId);
    assert.equal(fixture.looks(), 1);
    await fixture.clock.advance(1_000);
    cell.add(1);
    assert.equal(counterExemplar(fixture.engine)?.spanId, second.spanId);
    fixture.engine.stop();
  });

  test("a promoted trace is not displaced by an ordinary one for a minute, but by a promoted one", async () => {
    const fixture = createFixture();
    const cell = fixture.engine.bind(vmPanics, {});
    const failed = contextOf("f", false);
    fixture.promoted.add(failed.traceId);
    cell.add(1, failed);
    await fixture.clock.advance(2_000);
    cell.add(1, contextOf("a", true));
    assert.equal(counterExemplar(fixture.engine)?.spanId, failed.spanId);

    const failedAgain = contextOf("e", false);
    fixture.promoted.add(failedAgain.traceId);
    cell.add(1, contextOf("a", true));
    cell.add(1, failedAgain);
    assert.equal(counterExemplar(fixture.engine)?.spanId, failedAgain.spanId);

    await fixture.clock.advance(61_000);
    const ordinary = contextOf("a", true);
    cell.add(1, ordinary);
    assert.equal(counterExemplar(fixture.engine)?.spanId, ordinary.spanId);
    fixture.engine.stop();
  });

  test("a measurement outside of any span leaves what is there", async () => {
    const fixture = createFixture();
    const cell = fixture.engine.bind(vmPanics, {});
    const context = contextOf("a", true);
    cell.add(1, context);
    await fixture.clock.advance(1_000);
    cell.add(1);
    assert.equal(counterExemplar(fixture.engine)?.spanId, context.spanId);
    fixture.engine.stop();
  });

  test("the operator may have all spans or none", () => {
    const all = createFixture("always_on");
    all.engine.bind(vmPanics, {}).add(1, contextOf("b", false));
    assert.notEqual(counterExemplar(all.engine), undefined);
    const none = createFixture("always_off");
    const cell = none.engine.bind(rpcServerCallDuration, call);
    cell.record(1, contextOf("a", true));
    cell.record(1, contextOf("a", true));
    assert.deepEqual(bucketExemplars(none.engine), []);
    assert.equal(none.looks(), 0);
  });

  test("measurements that wait are bounded", () => {
    const { engine, promoted } = createFixture();
    const contexts = Array.from({ length: 2_001 }, () => contextOf(`d${++spans}x`, false));
    for (const [index, context] of contexts.entries()) {
      engine
        .bind({ ...rpcServerCallDuration, seriesLimit: 10_000 }, { ...call, "rpc.method": `${index}` })
        .record(1, context);
      promoted.add(context.traceId);
    }
    const family = engine.families().find(({ descriptor }) => descriptor.name === rpcServerCallDuration.name);
    const kept = family?.series.filter((series) => series.kind === "histogram" && series.exemplars.length > 0);
    assert.equal(kept?.length, 2_000);
  });
});
