import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Span_SpanKind, SpanSchema } from "#gen/otlp/opentelemetry/proto/trace/v1/trace_pb.ts";
import { parseRegistry } from "../../scripts/generate/registry.ts";
import { checkLive, type LiveTelemetry } from "./live-check.ts";
import type { ReceivedLog, ReceivedPoint } from "./otlp-collect.ts";

const registry = parseRegistry(
  new Map([
    [
      "test.yaml",
      `
groups:
  - id: registry.test
    type: attribute_group
    display_name: Test
    brief: Test.
    attributes:
      - { id: a.required, type: string, stability: stable, brief: Test., examples: [a] }
      - { id: a.count, type: int, stability: stable, brief: Test., examples: [1] }
      - { id: a.elsewhere, type: string, stability: stable, brief: Test., examples: [a] }
      - id: a.state
        stability: stable
        brief: Test.
        type: { members: [{ id: on, value: on, brief: Test., stability: stable }] }
  - id: metric.a.things
    type: metric
    metric_name: a.things
    stability: stable
    brief: Test.
    instrument: counter
    unit: "{thing}"
    attributes: [{ ref: a.required, requirement_level: required }, { ref: a.count }, { ref: a.state }]
  - id: span.a.work
    type: span
    span_kind: internal
    stability: stable
    brief: Test.
    annotations: { blixard: { span_name: a.work } }
    attributes: [{ ref: a.count }]
  - id: event.a.happened
    type: event
    name: a.happened
    stability: stable
    brief: Test.
    annotations: { blixard: { severity: info } }
    attributes: [{ ref: a.count }]
  - id: entity.a
    type: entity
    name: a
    stability: stable
    brief: Test.
    attributes: [{ ref: a.required, requirement_level: required }, { ref: a.count }]
`,
    ],
  ]),
);

const resource = { "a.required": "x" };

function point(given: Partial<ReceivedPoint> = {}): LiveTelemetry {
  const base: ReceivedPoint = {
    name: "a.things",
    unit: "{thing}",
    kind: "sum",
    monotonic: true,
    temporality: "cumulative",
    scopeName: "test",
    series: "",
    attributes: { "a.required": "x" },
    value: 1,
    sum: undefined,
    bucketCounts: [],
    exponential: undefined,
    minimum: undefined,
    maximum: undefined,
    noRecordedValue: false,
    startUnixNano: 1n,
    timeUnixNano: 2n,
    exemplars: [],
    resource,
  };
  return { spans: [], logs: [], points: [{ ...base, ...given }] };
}

function span(
  name = "a.work",
  kind: Span_SpanKind = Span_SpanKind.INTERNAL,
  events: readonly string[] = [],
): LiveTelemetry {
  const message = create(SpanSchema, { name, kind, events: events.map((event) => ({ name: event })) });
  return { points: [], logs: [], spans: [{ name, attributes: {}, resource, scopeName: "test", message }] };
}

function log(given: Partial<ReceivedLog> = {}): LiveTelemetry {
  const base = { body: "x", severityText: "INFO", eventName: "a.happened", traceId: "", attributes: {}, resource };
  return { points: [], spans: [], logs: [{ ...base, ...given }] };
}

describe("the live check", () => {
  for (const [what, telemetry] of [
    ["a metric", point()],
    ["a span", span()],
    ["an event", log()],
    ["a log record", log({ eventName: "", attributes: { "a.elsewhere": "x" } })],
    ["an overflow series", point({ attributes: { "otel.metric.overflow": true } })],
  ] as const) {
    test(`${what} as it is registered is right`, () => assert.deepEqual(checkLive(registry, telemetry).findings, []));
  }

  const attributes = (more: Record<string, string | number>) => point({ attributes: { "a.required": "x", ...more } });
  const bad: readonly (readonly [what: string, telemetry: LiveTelemetry, id: string])[] = [
    ["an unregistered metric", point({ name: "a.thing" }), "missing_metric"],
    ["another unit", point({ unit: "1" }), "unit_mismatch"],
    ["another instrument", point({ kind: "gauge", monotonic: false }), "unexpected_instrument"],
    ["a sum that may fall", point({ monotonic: false }), "unexpected_instrument"],
    ["a required attribute left out", point({ attributes: {} }), "required_attribute_not_present"],
    ["an unregistered attribute", attributes({ "a.colour": "red" }), "missing_attribute"],
    ["an attribute of another signal", attributes({ "a.elsewhere": "x" }), "missing_attribute"],
    ["a text for a number", attributes({ "a.count": "1" }), "type_mismatch"],
    ["a fraction for a whole number", attributes({ "a.count": 1.5 }), "type_mismatch"],
    ["a value that is not in the set", attributes({ "a.state": "off" }), "undefined_enum_variant"],
    ["an unregistered span", span("a.play"), "missing_span"],
    ["a span of another kind", span("a.work", Span_SpanKind.SERVER), "unexpected_kind"],
    ["an unregistered span event", span("a.work", Span_SpanKind.INTERNAL, ["oops"]), "missing_event"],
    ["an unregistered event", log({ eventName: "a.lost" }), "missing_event"],
    ["an event of another severity", log({ severityText: "ERROR" }), "unexpected_severity"],
    ["an unregistered log attribute", log({ eventName: "", attributes: { colour: "red" } }), "missing_attribute"],
    ["an unregistered resource attribute", log({ resource: { ...resource, team: "x" } }), "missing_attribute"],
    ["an entity without its id", log({ resource: { "a.count": 1 } }), "entity_required_attribute_not_present"],
  ];
  for (const [what, telemetry, id] of bad) {
    test(`${what} is ${id}`, () => {
      const ids = checkLive(registry, telemetry).findings.map((finding) => finding.id);
      assert.deepEqual(ids, [id]);
    });
  }

  test("says what it saw", () => {
    const { seen } = checkLive(registry, point());
    assert.deepEqual([...seen].toSorted(), ["attribute a.required", "entity a", "metric a.things"]);
  });
});
