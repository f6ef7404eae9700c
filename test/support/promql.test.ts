import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { readRegistry } from "../../scripts/generate/registry.ts";
import { checkPromql, createCatalogue, gaugeWith } from "./promql.ts";
import { parsePromql } from "./promql-parser.ts";

const catalogue = createCatalogue(await readRegistry(join(import.meta.dirname, "../../telemetry/registry")));

function problemsOf(expression: string): readonly string[] {
  return checkPromql(expression, catalogue).problems;
}

describe("expressions that the registry bears out", () => {
  const good = [
    "sum by (job) (rate(blixard_vm_restarts_total[5m])) > 0",
    "sum(rate(blixard_vm_restarts_total[$__rate_interval])) by (job)",
    'histogram_quantile(0.99, sum by (le) (rate(blixard_vm_operation_duration_seconds_bucket{le=~"30|30.0"}[5m])))',
    'blixard_vm_count{blixard_vm_state=~"failed|lost", instance="$instance"}',
    "histogram_quantile(0.9, sum by (job) (rate(blixard_vm_placement_duration_seconds[5m]))) or sum(histogram_count(rate(blixard_vm_placement_duration_seconds[5m])))",
    'absent(blixard_vm_operation_duration_seconds_count{error_type=""}) or up @ end() offset -5m unless up == bool 1 or vector(1)',
    "avg_over_time(up[5m:30s]) * on (job, instance) group_left (service_version) blixard_node_build_info",
    'rate({__name__=~"blixard_telemetry_.*_dropped_total"}[5m])',
    'sum by (job) ((blixard_vm_restarts_total{job="a"} unless blixard_vm_restarts_total{job="a"} offset 5m) or increase(blixard_vm_restarts_total{job="a"}[5m]))',
    "-2 ^ 2 % 0x1F + .5e3 * time() - Inf # a comment",
  ];
  for (const expression of good) {
    test(expression, () => assert.deepEqual(problemsOf(expression), []));
  }
});

describe("what an expression gets wrong is said", () => {
  const bad: readonly (readonly [expression: string, problem: RegExp])[] = [
    ["blixard_vm_counts", /no metric blixard_vm_counts/],
    ['{__name__=~"blixard_nothing_.*"}', /names no metric/],
    ['blixard_vm_count{state="failed"}', /no label state/],
    ['blixard_vm_count{blixard_vm_state=~"failed|lots"}', /never "lots"/],
    ['increase(blixard_vm_operation_duration_seconds_bucket{le="20"}[5m])', /never "20"/],
    ["blixard_vm_operation_duration_seconds", /is a histogram/],
    ["sum(blixard_vm_restarts_total)", /only grows/],
    ["blixard_vm_restarts_total unless blixard_vm_restarts_total", /only grows/],
    ["blixard_vm_restarts_total unless blixard_vm_downtime_seconds_total offset 5m", /only grows/],
    ["blixard_vm_count unless blixard_vm_count offset 5m", /is a gauge/],
    ["rate(blixard_vm_count[5m])", /is a gauge/],
    ["histogram_quantile(0.9, sum(rate(blixard_vm_placement_duration_seconds_bucket[5m])))", /le is lost/],
    ["sum by (node) (blixard_vm_count)", /names node/],
    ["sum by (job) (up) / blixard_vm_count", /never match/],
    ["sum by (job) (up) * on (instance) up", /names instance/],
    ["up * on (job, instance) group_left (zone) blixard_node_build_info", /names zone/],
    ["sum(up", /\) expected/],
    ["up{job=~web}", /a string expected/],
    ["up up", /too much/],
    ["up § 1", /cannot be read/],
  ];
  for (const [expression, problem] of bad) {
    test(expression, () => assert.match(problemsOf(expression).join("\n"), problem));
  }
});

test("the labels of a result are those that its series can have", () => {
  const labelsOf = (expression: string): readonly string[] => [...checkPromql(expression, catalogue).labels].toSorted();
  assert.deepEqual(labelsOf("sum by (job, blixard_vm_state) (blixard_vm_count)"), ["blixard_vm_state", "job"]);
  assert.deepEqual(labelsOf("sum without (instance) (up)"), ["job"]);
  assert.deepEqual(labelsOf('absent(up{job="a", instance!="b"})'), ["job"]);
  assert.deepEqual(labelsOf("sum(up)"), []);
  assert.deepEqual(labelsOf("topk(3, up)"), ["instance", "job"]);
  assert.deepEqual(labelsOf('label_replace(up, "host", "$1", "instance", "(.*):.*")'), ["host", "instance", "job"]);
  assert.deepEqual(labelsOf("sum by (job) (up) or up"), ["instance", "job"]);
});

test("a recorded series counts as a metric once it is known", () => {
  const recorded = catalogue.with("blixard:vms:sum", gaugeWith(["job"]));
  assert.deepEqual(checkPromql('blixard:vms:sum{job="a"} > 0', recorded).problems, []);
  assert.notDeepEqual(problemsOf("blixard:vms:sum"), []);
});

test("multiplication binds closer than addition, and that closer than comparison", () => {
  const tree = parsePromql("a + b * c > d");
  assert.ok(tree.kind === "binary" && tree.operator === ">");
  assert.ok(tree.left.kind === "binary" && tree.left.operator === "+");
  assert.ok(tree.left.right.kind === "binary" && tree.left.right.operator === "*");
});
