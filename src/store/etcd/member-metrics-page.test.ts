import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { sumHistograms } from "./member-facts.ts";
import { parseMetricsPage } from "./member-metrics-page.ts";

const page = `
# HELP etcd_server_apply_duration_seconds The latency distributions of v2 apply called by backend.
# TYPE etcd_server_apply_duration_seconds histogram
etcd_server_apply_duration_seconds_bucket{op="Txn",success="true",version="v3",le="0.0001"} 3
etcd_server_apply_duration_seconds_bucket{op="Txn",success="true",version="v3",le="0.0002"} 5
etcd_server_apply_duration_seconds_bucket{op="Txn",success="true",version="v3",le="+Inf"} 6
etcd_server_apply_duration_seconds_sum{op="Txn",success="true",version="v3"} 0.5
etcd_server_apply_duration_seconds_count{op="Txn",success="true",version="v3"} 6
etcd_server_apply_duration_seconds_bucket{op="LeaseGrant",success="true",version="v3",le="0.0001"} 1
etcd_server_apply_duration_seconds_bucket{op="LeaseGrant",success="true",version="v3",le="0.0002"} 1
etcd_server_apply_duration_seconds_bucket{op="LeaseGrant",success="true",version="v3",le="+Inf"} 1
etcd_server_apply_duration_seconds_sum{op="LeaseGrant",success="true",version="v3"} 0.25
etcd_server_apply_duration_seconds_count{op="LeaseGrant",success="true",version="v3"} 1
etcd_server_quota_backend_bytes 2.147483648e+09
odd{label="a \\"quoted\\" value, with = and }"} 1 1700000000000
`;

test("samples are read with their labels, whatever is in them", () => {
  const samples = parseMetricsPage(page, (name) => name === "etcd_server_quota_backend_bytes" || name === "odd");
  assert.deepEqual(
    samples.map(({ name, value }) => [name, value]),
    [
      ["etcd_server_quota_backend_bytes", 2_147_483_648],
      ["odd", 1],
    ],
  );
  assert.equal(samples[1]?.labels.get("label"), 'a "quoted" value, with = and }');
});

test("a histogram that etcd splits by operation is one histogram for us", () => {
  const samples = parseMetricsPage(page, () => true);
  assert.deepEqual(sumHistograms(samples, "etcd_server_apply_duration_seconds"), {
    sum: 0.75,
    count: 7,
    bounds: [0.0001, 0.0002],
    cumulativeCounts: [4, 6],
  });
  assert.equal(sumHistograms(samples, "etcd_absent_seconds"), undefined);
});

test("no page, however broken, stops the reader", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string(), fc.constantFrom(...page.split("\n")))), (lines) => {
      for (const { value } of parseMetricsPage(lines.join("\n"), () => true)) assert.ok(!Number.isNaN(value));
    }),
  );
});
