import assert from "node:assert/strict";
import { test } from "node:test";
import { otlpVendorOf } from "./otlp-vendors.ts";

test("vendors are known by the host of their endpoint, however it is written", () => {
  const grafana = { protocol: "http/protobuf", basePath: "/otlp" };
  const datadog = { temporality: "delta" };
  for (const [endpoint, vendor] of [
    ["https://otlp-gateway-prod-us-central-0.grafana.net:443", grafana],
    ["https://OTLP-GATEWAY-prod-eu-west-2.grafana.net/otlp", grafana],
    ["otlp-gateway-prod-us-central-0.grafana.net:443", grafana],
    ["http://datadog-agent:4317", datadog],
    ["datadog-agent:4317", datadog],
    ["http://datadog-agent.monitoring.svc.cluster.local:4318", datadog],
  ] as const) {
    assert.partialDeepStrictEqual(otlpVendorOf(endpoint), vendor, endpoint);
  }
});

test("who only looks like a vendor is none", () => {
  for (const endpoint of [
    "https://otlp-gateway-prod.grafana.net.evil.example",
    "https://grafana.net",
    "http://not-datadog-agent:4317",
    "http://datadog-agents:4317",
    "http://collector:4317/datadog-agent",
    "http://[::1]:4317",
    "not a URL",
    "",
  ]) {
    assert.equal(otlpVendorOf(endpoint), undefined, endpoint);
  }
});
