import assert from "node:assert/strict";
import { test } from "node:test";
import { attributes } from "#gen/telemetry/attributes.ts";
import * as events from "#gen/telemetry/events.ts";
import * as metrics from "#gen/telemetry/metrics.ts";
import * as spans from "#gen/telemetry/spans.ts";
import type { EventDescriptor, MetricDescriptor, SpanDescriptor } from "../port.ts";

test("the generated signals are the port's descriptors", () => {
  const allMetrics = metrics satisfies Readonly<Record<string, MetricDescriptor>>;
  const allSpans = spans satisfies Readonly<Record<string, SpanDescriptor>>;
  const allEvents = events satisfies Readonly<Record<string, EventDescriptor>>;
  for (const signals of [allMetrics, allSpans, allEvents]) assert.ok(Object.keys(signals).length > 0);
});

test("every attribute of a signal is in the table of attributes, with the same values", () => {
  const table: Readonly<Record<string, { readonly type: string; readonly values?: readonly string[] }>> = attributes;
  const signals: readonly (MetricDescriptor | SpanDescriptor | EventDescriptor)[] = [
    ...Object.values(metrics),
    ...Object.values(spans),
    ...Object.values(events),
  ];
  for (const signal of signals) {
    for (const [key, { type, values }] of Object.entries(signal.attributes)) {
      assert.equal(table[key]?.type, type, `${signal.name}: ${key}`);
      assert.deepEqual(table[key]?.values, values, `${signal.name}: ${key}`);
    }
  }
});

test("the five families of the integration guide are there", () => {
  const names = Object.values<MetricDescriptor>(metrics).map(({ prometheusName }) => prometheusName);
  for (const family of ["raft", "vm", "grpc", "peer", "node"]) {
    assert.ok(
      names.some((name) => name.startsWith(`blixard_${family}_`)),
      family,
    );
  }
});
