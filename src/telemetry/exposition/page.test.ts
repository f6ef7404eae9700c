import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  nodeFragmentation,
  rpcServerCallDuration,
  vmCount,
  vmDowntime,
  vmMemoryUsage,
  vmUptime,
} from "#gen/telemetry/metrics.ts";
import { createManualClock } from "#test/support/manual-clock.ts";
import { readPage } from "#test/support/openmetrics-validator.ts";
import { createMetricsEngine, type MetricsEngine } from "../metrics/metrics-engine.ts";
import { type PageOptions, renderPage } from "./page.ts";

const resource = { "service.name": "blixard", "host.name": 'a"b' };

function pageOf(engine: MetricsEngine, options: Partial<PageOptions> = {}): string {
  return Buffer.concat([...renderPage(engine.families(), { format: "openmetrics", resource, ...options })]).toString();
}

/** The lines of one family. */
function linesOf(page: string, family: string): string[] {
  return page
    .split("\n")
    .filter((line) => new RegExp(`^(# \\w+ )?${family}(_total|_bucket|_sum|_count|_created)?[ {]`).test(line));
}

function filledEngine(): MetricsEngine {
  const engine = createMetricsEngine({ clock: createManualClock(1_700_000_000_500) });
  engine.bind(vmCount, { "blixard.vm.state": "running" }).add(3);
  engine.bind(vmDowntime, { "blixard.vm.exit_cause": "panic" }).add(1.5);
  engine.bind(nodeFragmentation, {}).set(0.25);
  const calls = engine.bind(rpcServerCallDuration, { "rpc.system.name": "grpc", "rpc.method": "a.B/C" });
  for (const value of [0.001, 0.3, 100]) calls.record(value);
  return engine;
}

describe("the metrics page", () => {
  test("is valid in both formats", () => {
    const engine = filledEngine();
    assert.ok(readPage(pageOf(engine), "openmetrics").length > 4);
    assert.ok(readPage(pageOf(engine, { format: "prometheus_text" }), "prometheus_text").length > 4);
  });

  test("OpenMetrics: TYPE, UNIT, HELP; a counter's family has no _total", () => {
    assert.deepEqual(linesOf(pageOf(filledEngine()), "blixard_vm_downtime_seconds"), [
      "# TYPE blixard_vm_downtime_seconds counter",
      "# UNIT blixard_vm_downtime_seconds seconds",
      `# HELP blixard_vm_downtime_seconds ${vmDowntime.brief}`,
      'blixard_vm_downtime_seconds_total{blixard_vm_exit_cause="panic"} 1.5',
    ]);
  });

  test("text 0.0.4: TYPE and HELP; a counter's family has its _total", () => {
    const page = pageOf(filledEngine(), { format: "prometheus_text" });
    assert.deepEqual(linesOf(page, "blixard_vm_downtime_seconds"), [
      "# TYPE blixard_vm_downtime_seconds_total counter",
      `# HELP blixard_vm_downtime_seconds_total ${vmDowntime.brief}`,
      'blixard_vm_downtime_seconds_total{blixard_vm_exit_cause="panic"} 1.5',
    ]);
  });

  test("a series without attributes has no braces", () => {
    assert.equal(
      linesOf(pageOf(filledEngine()), "blixard_node_fragmentation_ratio").at(-1),
      "blixard_node_fragmentation_ratio 0.25",
    );
  });

  test("a histogram has canonical bounds, and the same in both formats", () => {
    for (const format of ["openmetrics", "prometheus_text"] as const) {
      const lines = linesOf(pageOf(filledEngine(), { format }), "rpc_server_call_duration_seconds");
      const labels = 'rpc_system_name="grpc",rpc_method="a.B/C"';
      assert.ok(lines.includes(`rpc_server_call_duration_seconds_bucket{${labels},le="0.005"} 1`));
      assert.ok(lines.includes(`rpc_server_call_duration_seconds_bucket{${labels},le="1.0"} 2`));
      assert.ok(lines.includes(`rpc_server_call_duration_seconds_bucket{${labels},le="+Inf"} 3`));
      assert.deepEqual(lines.slice(-2), [
        `rpc_server_call_duration_seconds_sum{${labels}} 100.301`,
        `rpc_server_call_duration_seconds_count{${labels}} 3`,
      ]);
    }
  });

  test("the resource is shown once, as target_info", () => {
    assert.match(
      pageOf(filledEngine()),
      /# TYPE target info\n# HELP target .*\ntarget_info\{service_name="blixard",host_name="a\\"b"\} 1\n# EOF\n$/,
    );
    const text = pageOf(filledEngine(), { format: "prometheus_text" });
    assert.match(
      text,
      /# TYPE target_info gauge\n# HELP target_info .*\ntarget_info\{service_name="blixard",host_name="a\\"b"\} 1\n$/,
    );
  });

  test("a gauge that was never set is absent, and so is a family without samples", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    engine.bind(vmUptime, { "blixard.vm.id": "a", "blixard.vm.name": "a" });
    assert.deepEqual(linesOf(pageOf(engine), "blixard_vm_uptime_seconds"), []);
  });

  test("a removed series is gone at once", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    const cell = engine.bind(vmUptime, { "blixard.vm.id": "a", "blixard.vm.name": "a" });
    cell.set(1);
    assert.equal(linesOf(pageOf(engine), "blixard_vm_uptime_seconds").length, 4);
    cell.remove();
    assert.deepEqual(linesOf(pageOf(engine), "blixard_vm_uptime_seconds"), []);
  });

  test("labels of the scope appear on every series when asked for", () => {
    const page = pageOf(filledEngine(), { scopeLabels: { name: "blixard" } });
    assert.ok(page.includes('blixard_vm_count{blixard_vm_state="running",otel_scope_name="blixard"} 3\n'));
    assert.ok(page.includes('blixard_node_fragmentation_ratio{otel_scope_name="blixard"} 0.25\n'));
    readPage(page, "openmetrics");
  });

  test("_created is there only when asked for, in seconds", () => {
    const engine = filledEngine();
    assert.ok(!pageOf(engine).includes("_created"));
    const page = pageOf(engine, { created: true });
    readPage(page, "openmetrics");
    assert.ok(page.includes('blixard_vm_downtime_seconds_created{blixard_vm_exit_cause="panic"} 1700000000.5\n'));
    assert.ok(!page.includes("blixard_vm_count_created"));
  });

  test("names stay in the old alphabet under every escaping scheme; dots doubles underscores", () => {
    const engine = filledEngine();
    const plain = pageOf(engine);
    for (const escaping of ["allow-utf-8", "underscores", "values"] as const) {
      assert.equal(pageOf(engine, { escaping }), plain);
    }
    assert.ok(pageOf(engine, { escaping: "dots" }).includes('blixard__vm__count{blixard__vm__state="running"} 3\n'));
    assert.equal(pageOf(engine), plain);
  });

  test("the merged series of a metric over its limit is marked", () => {
    const engine = createMetricsEngine({ clock: createManualClock(), seriesLimit: 1 });
    engine.bind(vmCount, { "blixard.vm.state": "running" }).add(1);
    assert.ok(pageOf(engine).includes('blixard_vm_count{otel_metric_overflow="true"} 1\n'));
  });

  test("comes in chunks whose size does not depend on the number of series", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    for (let index = 0; index < 2_000; index++) {
      engine.bind(vmUptime, { "blixard.vm.id": `vm-${index}`, "blixard.vm.name": `n-${index}` }).set(index);
    }
    const chunks = [...renderPage(engine.families(), { format: "openmetrics", resource, chunkBytes: 4_096 })];
    assert.ok(chunks.length > 20);
    assert.ok(chunks.every((chunk) => chunk.length <= 4_096));
    const family = readPage(Buffer.concat(chunks).toString(), "openmetrics").find(
      ({ name }) => name === "blixard_vm_uptime_seconds",
    );
    assert.equal(family?.samples.length, 2_000);
  });

  test("series that come and go while a slow scraper reads never spoil the page", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    const bind = (index: number) => engine.bind(vmUptime, { "blixard.vm.id": `vm-${index}`, "blixard.vm.name": "x" });
    const cells = Array.from({ length: 1_000 }, (_, index) => bind(index));
    for (const cell of cells) cell.set(1);
    let text = "";
    let added = 1_000;
    for (const chunk of renderPage(engine.families(), { format: "openmetrics", resource, chunkBytes: 512 })) {
      text += chunk.toString();
      cells.pop()?.remove();
      cells.shift()?.remove();
      bind(added++).set(2);
    }
    readPage(text, "openmetrics");
  });

  test("numbers of every kind are read back as they were", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    const values = [
      0,
      -0,
      1,
      9,
      10,
      999_999_999,
      1e9,
      2 ** 31,
      2 ** 53,
      1.5,
      -3,
      1e21,
      1e-7,
      Infinity,
      -Infinity,
      123_456_789.25,
    ];
    for (const [index, value] of values.entries()) {
      engine.bind(vmUptime, { "blixard.vm.id": `vm-${index}`, "blixard.vm.name": "x" }).set(value);
    }
    const family = readPage(pageOf(engine), "openmetrics").find(({ name }) => name === "blixard_vm_uptime_seconds");
    const read = new Map(family?.samples.map(({ labels, value }) => [labels.get("blixard_vm_id"), value]));
    for (const [index, value] of values.entries()) assert.equal(read.get(`vm-${index}`), value === 0 ? 0 : value);
  });

  test("attributes with the same label are joined, in the order of their names", () => {
    const engine = createMetricsEngine({ clock: createManualClock() });
    const clashing = {
      ...vmMemoryUsage,
      name: "third.party",
      prometheusName: "third_party",
      attributes: {
        "a.c": { type: "string", requirement: "required" },
        "a.b_x": { type: "string", requirement: "required" },
        "a.b.x": { type: "string", requirement: "required" },
      },
    } as const;
    engine.bind(clashing, { "a.c": "3", "a.b_x": "2", "a.b.x": "1" }).set(1);
    assert.ok(pageOf(engine).includes('third_party{a_c="3",a_b_x="1;2"} 1\n'));
  });
});
