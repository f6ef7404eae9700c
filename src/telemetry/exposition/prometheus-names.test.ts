import assert from "node:assert/strict";
import { test } from "node:test";
import * as registry from "#gen/telemetry/metrics.ts";
import type { MetricDescriptor } from "../port.ts";
import { prometheusLabelName, prometheusMetricName } from "./prometheus-names.ts";

const cases: readonly [
  name: string,
  unit: string,
  instrument: "counter" | "updowncounter" | "gauge" | "histogram",
  expected: string,
][] = [
  ["blixard.vm.count", "{vm}", "updowncounter", "blixard_vm_count"],
  ["blixard.vm.operation.duration", "s", "histogram", "blixard_vm_operation_duration_seconds"],
  ["blixard.vm.disk.io", "By", "counter", "blixard_vm_disk_io_bytes_total"],
  ["blixard.node.fragmentation", "1", "gauge", "blixard_node_fragmentation_ratio"],
  ["requests.share", "1", "counter", "requests_share_total"],
  ["blixard.raft.term", "{term}", "gauge", "blixard_raft_term"],
  ["wait_seconds", "s", "gauge", "wait_seconds"],
  ["starts_total", "{start}", "counter", "starts_total"],
  ["read_total", "By", "counter", "read_bytes_total"],
  ["speed", "By/s", "gauge", "speed_bytes_per_second"],
  ["rate", "{packet}/s", "gauge", "rate_per_second"],
  ["a..b--c", "{x}", "gauge", "a_b_c"],
  ["2xx", "{x}", "gauge", "_2xx"],
  ["frequency", "Hz", "gauge", "frequency_hertz"],
];

for (const [name, unit, instrument, expected] of cases) {
  test(`${instrument} ${name} in ${unit} is ${expected}`, () => {
    assert.equal(prometheusMetricName({ name, unit, instrument }), expected);
  });
}

test("a label has no dots, no colons and no leading digit", () => {
  assert.equal(prometheusLabelName("blixard.vm.state"), "blixard_vm_state");
  assert.equal(prometheusLabelName("a:b"), "a_b");
  assert.equal(prometheusLabelName("1st"), "key_1st");
  assert.equal(prometheusLabelName("__reserved"), "_reserved");
});

test("nothing is left without a name", () => {
  assert.equal(prometheusLabelName(""), "_");
  assert.equal(prometheusMetricName({ name: "", unit: "", instrument: "gauge" }), "_");
});

test("what the page calls an info, a receiver of OTLP calls it too", () => {
  const infos = Object.values<MetricDescriptor>(registry).filter(({ instrument }) => instrument === "info");
  assert.ok(infos.length > 0);
  for (const { name, unit, prometheusName } of infos) {
    // OTLP has no infos: what goes out is a sum that may fall.
    assert.equal(prometheusMetricName({ name, unit, instrument: "updowncounter" }), prometheusName);
  }
});
