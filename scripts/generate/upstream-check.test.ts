import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isFailure } from "./finding.ts";
import { parseRegistry } from "./registry.ts";
import { checkAgainstUpstream } from "./upstream-check.ts";
import { buildUpstreamTable, formatUpstreamTable, overlayRelease, parseReleasedNames } from "./upstream-model.ts";

/** A small upstream, in both of the forms that upstream uses. */
const upstream = buildUpstreamTable(
  [
    {
      groups: [
        {
          id: "registry.http",
          type: "attribute_group",
          attributes: [
            { id: "http.route", type: "string", stability: "stable" },
            { id: "http.status_code", type: "int", stability: "development", deprecated: { renamed_to: "http.code" } },
            { id: "http.code", type: "int", stability: "stable" },
            { id: "http.method", stability: "stable", type: { members: [{ value: "GET" }, { value: "PUT" }] } },
            { id: "http.header", type: "template[string]", stability: "stable" },
            { id: "http.draft", type: "string", stability: "development" },
          ],
        },
        {
          id: "attributes.http",
          type: "attribute_group",
          attributes: [
            { ref: "http.method", requirement_level: "required" },
            { ref: "http.route", requirement_level: { conditionally_required: "if known" } },
            { ref: "http.draft", requirement_level: "opt_in" },
          ],
        },
        {
          id: "metric.http.time",
          type: "metric",
          metric_name: "http.time",
          stability: "stable",
          instrument: "histogram",
          unit: "s",
          extends: "attributes.http",
          attributes: [{ ref: "http.code" }],
        },
        { id: "span.http.server", type: "span", span_kind: "server", stability: "stable" },
        { id: "event.http.gone", type: "event", name: "http.gone", stability: "stable" },
      ],
    },
    {
      file_format: "definition/2",
      entities: [{ type: "host", stability: "stable", identity: [{ ref: "host.id", requirement_level: "required" }] }],
      attributes: [{ key: "host.id", type: "string", stability: "stable" }],
    },
  ],
  { version: "1", commit: "c" },
);

interface Attribute {
  readonly id?: string;
  readonly type?: string;
  readonly stability?: string;
}

const attribute = ({ id = "http.route", type = "string", stability = "stable" }: Attribute): string => `
  - id: registry.one.${id}
    type: attribute_group
    display_name: Test
    brief: Test.
    attributes:
      - { id: ${id}, type: ${type}, stability: ${stability}, brief: Test., examples: [a] }`;

const members = "{ members: [{ id: a, value: FETCH, brief: Test., stability: stable }] }";
const full = ["http.method, requirement_level: required", "http.route", "http.code", "http.draft"];

interface Metric {
  readonly name?: string;
  readonly instrument?: string;
  readonly unit?: string;
  readonly stability?: string;
  readonly attributes?: readonly string[];
  readonly omits?: string;
}

const metric = (given: Metric): string => `
  - id: metric.${given.name ?? "http.time"}
    type: metric
    metric_name: ${given.name ?? "http.time"}
    stability: ${given.stability ?? "stable"}
    brief: Test.
    instrument: ${given.instrument ?? "histogram"}
    unit: ${given.unit ?? "s"}
    annotations: { blixard: { omits: ${given.omits ?? "{}"} } }
    attributes: [${(given.attributes ?? full).map((one) => `{ ref: ${one} }`).join(", ")}]`;

const span = (id: string, kind: string): string => `
  - id: span.${id}
    type: span
    span_kind: ${kind}
    stability: stable
    brief: Test.
    annotations: { blixard: { span_name: ${id} } }`;

const event = (name: string): string => `
  - id: event.${name}
    type: event
    name: ${name}
    stability: stable
    brief: Test.
    annotations: { blixard: { severity: info } }`;

const entity = (name: string, attributes = "[{ ref: host.id, requirement_level: required }]"): string => `
  - id: entity.${name}
    type: entity
    name: ${name}
    stability: stable
    brief: Test.
    attributes: ${attributes}`;

function check(group: string): readonly { id: string; level: string }[] {
  const registry = parseRegistry(new Map([["opentelemetry/test.yaml", `groups:${group}\n`]]));
  return checkAgainstUpstream(registry, upstream);
}

describe("what goes under upstream's names", () => {
  for (const [what, group] of [
    ["an attribute", attribute({})],
    ["a metric", metric({})],
    ["a span", span("http.server", "server")],
    ["an event", event("http.gone")],
    ["an entity", entity("host")],
    [
      "a metric that says why it has no route",
      metric({ attributes: full.toSpliced(1, 1), omits: "{ http.route: none }" }),
    ],
  ] as const) {
    test(`${what} as upstream has it is right`, () => assert.deepEqual(check(group), []));
  }

  const without = (name: string): string[] => full.filter((one) => !one.startsWith(name));
  const bad: readonly (readonly [what: string, group: string, id: string, level?: string])[] = [
    ["an attribute that upstream lacks", attribute({ id: "file.colour" }), "missing_attribute"],
    ["a metric that upstream lacks", metric({ name: "http.speed" }), "missing_metric"],
    ["a span that upstream lacks", span("http.proxy", "server"), "missing_span"],
    ["an event that upstream lacks", event("http.lost"), "missing_event"],
    ["an entity that upstream lacks", entity("rack"), "missing_entity"],
    [
      "a deprecated attribute",
      attribute({ id: "http.status_code", type: "int", stability: "development" }),
      "deprecated",
    ],
    ["an attribute of another type", attribute({ type: "int" }), "type_mismatch"],
    ["a metric with another unit", metric({ unit: "ms" }), "unit_mismatch"],
    ["a metric of another instrument", metric({ instrument: "counter" }), "unexpected_instrument"],
    ["a span of another kind", span("http.server", "client"), "unexpected_kind"],
    ["a stability that is not upstream's", metric({ stability: "development" }), "stability_mismatch"],
    [
      "a required attribute that is optional here",
      metric({ attributes: ["http.method", ...without("http.method")] }),
      "requirement_mismatch",
    ],
    ["a required attribute left out", metric({ attributes: without("http.method") }), "required_attribute_not_present"],
    [
      "a conditional attribute left out",
      metric({ attributes: without("http.route") }),
      "conditionally_required_attribute_not_present",
    ],
    ["a reason for an attribute that is there", metric({ omits: "{ http.route: none }" }), "unnecessary_omission"],
    ["a reason for an attribute that upstream lacks", metric({ omits: "{ http.size: none }" }), "unnecessary_omission"],
    ["an entity without what identifies it", entity("host", "[]"), "entity_required_attribute_not_present"],
    [
      "a recommended attribute left out",
      metric({ attributes: without("http.code") }),
      "recommended_attribute_not_present",
      "information",
    ],
    [
      "an opt-in attribute left out",
      metric({ attributes: without("http.draft") }),
      "opt_in_attribute_not_present",
      "information",
    ],
    ["what is not stable", attribute({ id: "http.draft", stability: "development" }), "not_stable", "information"],
    ["a name below a template", attribute({ id: "http.header.host" }), "template_attribute", "information"],
    ["a name in a namespace of upstream's", attribute({ id: "http.colour" }), "extends_namespace", "information"],
    [
      "a value that upstream does not list",
      attribute({ id: "http.method", type: members }),
      "undefined_enum_variant",
      "information",
    ],
  ];
  for (const [what, group, id, level] of bad) {
    test(`${what} is ${id}`, () => {
      const findings = check(group);
      const found = findings.find((one) => one.id === id);
      assert.ok(found, `${JSON.stringify(findings)} lacks ${id}`);
      if (level !== undefined) assert.equal(found.level, level);
    });
  }

  test("what is only told fails nothing", () => {
    const findings = checkAgainstUpstream(
      parseRegistry(
        new Map([["opentelemetry/test.yaml", `groups:${attribute({ id: "http.draft", stability: "development" })}\n`]]),
      ),
      upstream,
    );
    assert.ok(findings.length > 0 && !findings.some(isFailure));
  });
});

describe("the table of upstream's names", () => {
  test("resolves what a signal inherits, and has one line a name", () => {
    assert.deepEqual(upstream.metrics["http.time"]?.attributes, {
      "http.method": "required",
      "http.route": "conditionally_required",
      "http.draft": "opt_in",
      "http.code": "recommended",
    });
    assert.deepEqual(JSON.parse(formatUpstreamTable(upstream)), upstream);
  });

  test("a newer release's renames are laid over an older checkout", () => {
    const names = parseReleasedNames(
      [
        '/**\n * @experimental\n *\n * @deprecated Replaced by `http.path`.\n */\ndeclare const ATTR_HTTP_ROUTE: "http.route";',
        '/**\n * Path.\n */\ndeclare const ATTR_HTTP_PATH: "http.path";',
        '/**\n * Draft.\n */\ndeclare const ATTR_HTTP_DRAFT: "http.draft";',
      ].join("\n"),
    );
    const table = overlayRelease(upstream, names, "2");
    assert.equal(table.attributes["http.route"]?.deprecated, "http.path");
    assert.deepEqual(table.attributes["http.path"], { type: "string", stability: "stable" });
    assert.equal(table.attributes["http.draft"]?.stability, "stable");
    assert.equal(table.metrics["http.time"]?.attributes["http.path"], "conditionally_required");
  });
});
