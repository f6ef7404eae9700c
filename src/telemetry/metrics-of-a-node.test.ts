// Metrics as a running node has them: with the spans they were measured in, and with those of other libraries.
import assert from "node:assert/strict";
import { afterEach, describe, test, type TestContext } from "node:test";
import { context, metrics as globalMetrics, propagation, trace } from "@opentelemetry/api";
import { vmOperationDuration } from "#gen/telemetry/metrics.ts";
import { vmStart } from "#gen/telemetry/spans.ts";
import { createTelemetry, type TelemetryRuntime } from "./create-telemetry.ts";
import type { TelemetryOptions } from "./telemetry-options.ts";

const place = { attributes: { "blixard.vm.id": "vm-1" } } as const;
const created = { "blixard.vm.operation": "create" } as const;

function start(
  t: TestContext,
  samplingRatio: number,
  overrides: Partial<TelemetryOptions["metrics"]> & { readonly registerGlobally?: boolean } = {},
): TelemetryRuntime {
  const { registerGlobally, ...metrics } = overrides;
  const telemetry = createTelemetry({
    resource: {
      serviceName: "blixard",
      serviceVersion: "0.1.0",
      clusterName: "test",
      clusterId: "cluster-1",
      nodeId: "node-1",
    },
    tracing: { enabled: true, samplingRatio, destinations: [] },
    metrics: { enabled: true, runtimeMetrics: false, destinations: [], ...metrics },
    logging: { level: "error", format: "json", colour: false, destinations: [] },
    writeLog: () => {},
    ...(registerGlobally === undefined ? {} : { registerGlobally }),
  });
  t.after(() => telemetry.shutdown(1_000));
  return telemetry;
}

async function pageOf(telemetry: TelemetryRuntime): Promise<string> {
  await using server = await telemetry.startMetricsServer({
    bind: { host: "127.0.0.1", port: 0 },
    readiness: () => ({ ready: true, checks: [] }),
  });
  const response = await fetch(`http://127.0.0.1:${server.address.port}/metrics`, {
    headers: { accept: "application/openmetrics-text;version=1.0.0" },
  });
  return await response.text();
}

/** Trace ids of the exemplars on the page. */
function exemplarsOn(page: string): string[] {
  return [...page.matchAll(/trace_id="([0-9a-f]{32})"/g)].map(([, traceId]) => traceId ?? "");
}

/** Measures inside a span; returns its trace. */
async function measure(telemetry: TelemetryRuntime, error?: Error): Promise<string> {
  const { metrics, tracing } = telemetry;
  let traceId = "";
  const done = tracing.span(vmStart, place, async (span) => {
    ({ traceId } = span.context);
    metrics.bind(vmOperationDuration, created).record(0.3);
    if (error !== undefined) throw error;
  });
  await done.catch(() => undefined);
  return traceId;
}

describe("a measurement leads to its trace", () => {
  test("when the trace is exported", async (t) => {
    const telemetry = start(t, 1);
    const traceId = await measure(telemetry);
    assert.deepEqual(exemplarsOn(await pageOf(telemetry)), [traceId]);
    assert.equal(telemetry.recorder.trace(traceId)?.exported, true);
  });

  test("at ratio 0 only when the trace is promoted, though that was after the measurement", async (t) => {
    const ordinary = start(t, 0);
    await measure(ordinary);
    assert.deepEqual(exemplarsOn(await pageOf(ordinary)), []);
    const failing = start(t, 0);
    const traceId = await measure(failing, new Error("broken"));
    assert.deepEqual(exemplarsOn(await pageOf(failing)), [traceId]);
  });

  test("but not when its span has ended meanwhile: background work is not the span's that began it", async (t) => {
    const telemetry = start(t, 1);
    const cell = telemetry.metrics.bind(vmOperationDuration, created);
    let background: Promise<void> | undefined;
    const ended = Promise.withResolvers<void>();
    await telemetry.tracing.span(vmStart, place, async () => {
      background = ended.promise.then(() => cell.record(0.3));
    });
    ended.resolve();
    await background;
    assert.deepEqual(exemplarsOn(await pageOf(telemetry)), []);
  });

  test("unless the operator wants none", async (t) => {
    const telemetry = start(t, 1, { exemplars: "always_off" });
    await measure(telemetry);
    assert.deepEqual(exemplarsOn(await pageOf(telemetry)), []);
  });
});

describe("the metrics of other libraries", () => {
  afterEach(() => {
    for (const api of [globalMetrics, trace, context, propagation]) api.disable();
  });

  test("are on the same page and in the same report, once", async (t) => {
    const telemetry = start(t, 1, { registerGlobally: true });
    globalMetrics.getMeter("a-library").createCounter("cache.hits", { description: "Hits." }).add(3);
    const deadlineMs = performance.now() + 30_000;
    let page = await pageOf(telemetry);
    while (!page.includes("cache_hits_total") && performance.now() < deadlineMs) page = await pageOf(telemetry);
    assert.match(page, /^# TYPE cache_hits counter\n# HELP cache_hits Hits\.\ncache_hits_total 3\n/m);
    assert.equal(page.split("# TYPE cache_hits ").length, 2);
    const counted = telemetry.cardinality().metrics.find(({ name }) => name === "cache.hits");
    assert.equal(counted?.series, 1);
  });
});

test("the operator's limits hold, and what they cost is told", (t) => {
  const telemetry = start(t, 1, { cardinalityLimit: 50, seriesLimits: { [vmOperationDuration.name]: 4 } });
  const operations = ["create", "start", "stop", "restart", "delete"] as const;
  for (const operation of operations) {
    telemetry.metrics.bind(vmOperationDuration, { "blixard.vm.operation": operation }).record(1);
  }
  const { metrics } = telemetry.cardinality();
  const durations = metrics.find(({ name }) => name === vmOperationDuration.name);
  assert.deepEqual([durations?.series, durations?.limit, durations?.overflows], [4, 4, 2]);
  assert.equal(metrics.find(({ name }) => name === "blixard.telemetry.exemplars")?.limit ?? 50, 50);
});
