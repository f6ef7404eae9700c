import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BlixardError } from "#model/errors.ts";
import type { VmStatus } from "#model/vm.ts";
import { createManualClock } from "#test/support/manual-clock.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { aStatus } from "#test/support/store-fixtures.ts";
import { createStatusReporter } from "./status-reporter.ts";

function createBench(t: { after(fn: () => Promise<void>): void }) {
  const clock = createManualClock();
  const telemetry = createMemoryTelemetry({ now: () => clock.now() });
  const stored: VmStatus[] = [];
  let failure: Error | undefined;
  let hold: Promise<void> | undefined;
  const reporter = createStatusReporter({
    clock,
    telemetry,
    async reportStatus(status) {
      await hold;
      if (failure !== undefined) throw failure;
      stored.push(status);
    },
  });
  t.after(() => reporter.stop());
  return {
    clock,
    telemetry,
    reporter,
    stored,
    failWith: (error: Error | undefined) => void (failure = error),
    holdUntil: (promise: Promise<void>) => void (hold = promise),
  };
}

describe("reports of statuses", () => {
  test("are stored in order for each VM, the newest in place of those not sent yet", async (t) => {
    const bench = createBench(t);
    const gate = Promise.withResolvers<void>();
    bench.holdUntil(gate.promise);
    for (const state of ["preparing", "starting", "running"] as const) {
      bench.reporter.report(aStatus({ vmId: "a", state }), undefined);
      await bench.clock.advance(1);
    }
    gate.resolve();
    await bench.reporter.flush(new AbortController().signal);
    assert.deepEqual(
      bench.stored.map((status) => status.state),
      ["preparing", "running"],
    );
  });

  test("are tried again over an outage, and only the last is stored after it", async (t) => {
    const bench = createBench(t);
    bench.failWith(new BlixardError("STORE_UNAVAILABLE", "no store"));
    bench.reporter.report(aStatus({ state: "starting" }), undefined);
    await bench.clock.advance(10_000);
    bench.reporter.report(aStatus({ state: "running" }), undefined);
    await bench.clock.advance(10_000);
    bench.failWith(undefined);
    await bench.clock.advance(10_000);
    assert.deepEqual(
      bench.stored.map((status) => status.state),
      ["running"],
    );
  });

  test("that the control plane refuses for good are dropped, and said so", async (t) => {
    const bench = createBench(t);
    bench.failWith(new BlixardError("INVALID_ARGUMENT", "too large"));
    bench.reporter.report(aStatus(), undefined);
    await bench.reporter.flush(new AbortController().signal);
    assert.equal(bench.telemetry.logs.filter((log) => log.level === "warn").length, 1);
  });

  test("of a forgotten VM are not sent", async (t) => {
    const bench = createBench(t);
    bench.failWith(new BlixardError("STORE_UNAVAILABLE", "no store"));
    bench.reporter.report(aStatus({ vmId: "a" }), undefined);
    await bench.clock.advance(100);
    bench.reporter.forget("a");
    bench.failWith(undefined);
    await bench.clock.advance(10_000);
    assert.deepEqual(bench.stored, []);
  });

  test("wait no longer than a flush may take", async (t) => {
    const bench = createBench(t);
    bench.failWith(new BlixardError("STORE_UNAVAILABLE", "no store"));
    bench.reporter.report(aStatus(), undefined);
    const deadline = new AbortController();
    const flushed = bench.reporter.flush(deadline.signal);
    deadline.abort();
    await flushed;
    assert.deepEqual(bench.stored, []);
  });
});
