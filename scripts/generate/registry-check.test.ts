import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { checkRegistry } from "./registry-check.ts";
import { exportName, generateRegistryCode } from "./registry-code.ts";
import { isFailure } from "./finding.ts";
import { parseRegistry, readRegistry } from "./registry.ts";
import { readUpstreamTable, type UpstreamTable } from "./upstream.ts";

const root = join(import.meta.dirname, "../..");

const declared = `
  - id: registry.blixard.test
    type: attribute_group
    display_name: Test
    brief: Test.
    attributes:
      - { id: blixard.vm.id, type: string, stability: development, brief: Id., examples: [a], annotations: { blixard: { per_vm_attribute: true } } }
      - { id: blixard.vm.state, type: string, stability: development, brief: State., examples: [a] }
      - { id: blixard.vm.mood, stability: development, brief: Mood., type: { members: [{ id: a, value: a, brief: A., stability: development }] } }
`;

const noUpstream: UpstreamTable = {
  version: "",
  commit: "",
  attributes: {},
  metrics: {
    "process.thread.count": { instrument: "updowncounter", unit: "{vm}", stability: "development", attributes: {} },
  },
  spans: {},
  events: {},
  entities: {},
};

interface MetricText {
  readonly name?: string;
  readonly instrument?: string;
  readonly unit?: string;
  readonly attributes?: readonly string[];
  readonly annotations?: string;
}

function metric(text: MetricText): string {
  const { name = "blixard.vm.count", instrument = "updowncounter", unit = "{vm}" } = text;
  return [
    `  - id: metric.${name}`,
    "    type: metric",
    `    metric_name: ${name}`,
    "    stability: development",
    "    brief: Test.",
    `    instrument: ${instrument}`,
    `    unit: "${unit}"`,
    ...(text.annotations === undefined ? [] : [`    annotations: { blixard: ${text.annotations} }`]),
    "    attributes:",
    ...(text.attributes ?? ["blixard.vm.state"]).map((attribute) => `      - ref: ${attribute}`),
  ].join("\n");
}

/** Finding ids for a registry of these groups. */
function findings(...groups: readonly string[]): string[] {
  return findingsIn("blixard/test.yaml", ...groups);
}

function findingsIn(file: string, ...groups: readonly string[]): string[] {
  const text = `groups:${declared}\n${groups.join("\n")}\n`;
  const other = file === "blixard/test.yaml" ? [] : [["blixard/attributes.yaml", `groups:${declared}`] as const];
  const files = new Map([...other, [file, other.length === 0 ? text : `groups:\n${groups.join("\n")}\n`]]);
  return [
    ...new Set(
      checkRegistry(parseRegistry(files), noUpstream)
        .filter(isFailure)
        .map(({ id }) => id),
    ),
  ];
}

describe("the naming rules", () => {
  test("a good metric breaks none", () => assert.deepEqual(findings(metric({})), []));

  test("a good stateset and a good info break none", () => {
    const mood = { name: "blixard.vm.mood", unit: "{state}", attributes: ["blixard.vm.mood"] };
    assert.deepEqual(findings(metric({ ...mood, annotations: "{ kind: stateset }" })), []);
    assert.deepEqual(
      findings(metric({ name: "blixard.vm.build", unit: "{build}", annotations: "{ kind: info }" })),
      [],
    );
  });

  const histogram = { instrument: "histogram", unit: "s", annotations: "{ buckets: [1, 2] }" };
  const bad: readonly [rule: string, groups: readonly string[], id: string][] = [
    ["upper case", [metric({ name: "blixard.vm.Count" })], "invalid_format"],
    ["a dash", [metric({ name: "blixard.vm.cold-starts", instrument: "counter" })], "invalid_format"],
    ["two underscores", [metric({ name: "blixard.vm.cold__start.count" })], "invalid_format"],
    ["a plural up-down counter", [metric({ name: "blixard.vm.guests" })], "invalid_format"],
    ["a name without a namespace", [metric({ name: "guests" })], "missing_namespace"],
    ["a name of nobody's namespace", [metric({ name: "vm.count" })], "missing_namespace"],
    ["an unknown subsystem", [metric({ name: "blixard.kernel.count" })], "unknown_subsystem"],
    [
      "a unit in the name",
      [metric({ name: "blixard.vm.wait_seconds", instrument: "gauge", unit: "s" })],
      "unit_in_name",
    ],
    ["total in the name", [metric({ name: "blixard.vm.starts_total", instrument: "counter" })], "unit_in_name"],
    [
      "a unit that is not UCUM",
      [metric({ name: "blixard.vm.wait", instrument: "gauge", unit: "seconds" })],
      "invalid_unit",
    ],
    ["a bare count", [metric({ unit: "1" })], "unit_mismatch"],
    [
      "a 0/1 gauge with unit 1",
      [metric({ name: "blixard.vm.is_alive", instrument: "gauge", unit: "1" })],
      "unit_mismatch",
    ],
    [
      "a duration in milliseconds",
      [metric({ ...histogram, name: "blixard.vm.boot.duration", unit: "By" })],
      "unit_mismatch",
    ],
    [
      "a duration as a gauge",
      [metric({ name: "blixard.vm.boot.duration", instrument: "gauge", unit: "s" })],
      "unexpected_instrument",
    ],
    [
      "a histogram without buckets",
      [metric({ name: "blixard.vm.boot.duration", instrument: "histogram", unit: "s" })],
      "missing_buckets",
    ],
    [
      "falling buckets",
      [metric({ ...histogram, name: "blixard.vm.boot.duration", annotations: "{ buckets: [2, 1] }" })],
      "invalid_buckets",
    ],
    [
      "buckets on a counter",
      [metric({ name: "blixard.vm.starts", instrument: "counter", annotations: "{ buckets: [1] }" })],
      "unexpected_buckets",
    ],
    ["a VM's id on a common metric", [metric({ attributes: ["blixard.vm.id"] })], "per_vm_attribute"],
    [
      "a VM's id on a histogram, even when marked",
      [
        metric({
          ...histogram,
          name: "blixard.vm.boot.duration",
          attributes: ["blixard.vm.id"],
          annotations: "{ per_vm: true, buckets: [1] }",
        }),
      ],
      "per_vm_attribute",
    ],
    ["an attribute that nobody declares", [metric({ attributes: ["blixard.vm.colour"] })], "missing_attribute"],
    [
      "an attribute named twice",
      [metric({ attributes: ["blixard.vm.state", "blixard.vm.state"] })],
      "duplicate_attribute",
    ],
    ["a metric declared twice", [metric({}), metric({})], "duplicate_definition"],
    [
      "a name that is a namespace too",
      [
        metric({ name: "blixard.raft.log", instrument: "gauge", unit: "{entry}" }),
        metric({ name: "blixard.raft.log.backlog", instrument: "gauge", unit: "{entry}" }),
      ],
      "illegal_namespace",
    ],
    [
      "two metrics with one Prometheus name",
      [
        metric({ name: "blixard.vm.cold_start", instrument: "gauge" }),
        metric({ name: "blixard.vm.cold.start", instrument: "gauge" }),
      ],
      "prometheus_name_collision",
    ],
    [
      "a count beside a histogram of that name",
      [metric({ ...histogram, name: "blixard.vm.boot", unit: "{vm}" }), metric({ name: "blixard.vm.boot_count" })],
      "prometheus_name_collision",
    ],
    [
      "a stateset without an attribute of its own name",
      [metric({ name: "blixard.vm.mood", unit: "{state}", annotations: "{ kind: stateset }" })],
      "invalid_stateset",
    ],
    [
      "a stateset of any text",
      [
        metric({
          name: "blixard.vm.state",
          unit: "{state}",
          attributes: ["blixard.vm.state"],
          annotations: "{ kind: stateset }",
        }),
      ],
      "invalid_stateset",
    ],
    [
      "a stateset with a unit",
      [
        metric({
          name: "blixard.vm.mood",
          unit: "s",
          attributes: ["blixard.vm.mood"],
          annotations: "{ kind: stateset }",
        }),
      ],
      "unit_mismatch",
    ],
    [
      "an info that is declared as a counter",
      [metric({ name: "blixard.vm.build", instrument: "counter", unit: "{build}", annotations: "{ kind: info }" })],
      "unexpected_instrument",
    ],
    [
      "a gauge beside an info of that name",
      [
        metric({ name: "blixard.vm.build", unit: "{build}", annotations: "{ kind: info }" }),
        metric({ name: "blixard.vm_build", instrument: "gauge", unit: "{build}" }),
      ],
      "prometheus_name_collision",
    ],
    [
      "a gauge with a counter's ending",
      [metric({ name: "blixard.vm.sum", instrument: "gauge" })],
      "prometheus_reserved_suffix",
    ],
  ];
  for (const [rule, groups, id] of bad) {
    test(`${rule} is found`, () =>
      assert.ok(findings(...groups).includes(id), `${findings(...groups).join()} lacks ${id}`));
  }

  test("two attributes with one label are found", () => {
    const clash = `
  - id: registry.blixard.clash
    type: attribute_group
    display_name: Clash
    brief: Clash.
    attributes:
      - { id: blixard.vm_state, type: string, stability: development, brief: State., examples: [a] }
`;
    assert.deepEqual(findings(clash, metric({ attributes: ["blixard.vm.state", "blixard.vm_state"] })), [
      "prometheus_label_collision",
    ]);
  });

  test("our own names live in blixard/, upstream's in opentelemetry/", () => {
    assert.deepEqual(findingsIn("opentelemetry/test.yaml", metric({})), ["missing_namespace", "missing_metric"]);
    assert.deepEqual(findingsIn("opentelemetry/test.yaml", metric({ name: "process.thread.count" })), []);
  });

  test("a string attribute without examples is found", () => {
    const bare = declared.replaceAll(", examples: [a]", "").replaceAll("blixard.vm", "blixard.node");
    assert.deepEqual(findings(bare), ["missing_examples"]);
  });
});

describe("reading the registry", () => {
  test("a misspelt key is an error that names the file", () => {
    const text = `groups:\n${metric({}).replace("instrument:", "instrumnt:")}\n`;
    assert.throws(() => parseRegistry(new Map([["blixard/test.yaml", text]])), /blixard\/test\.yaml/);
  });
});

describe("the registry of this repository", () => {
  test("breaks no rule, upstream's names and definitions included", async () => {
    const upstream = await readUpstreamTable(join(root, "telemetry/upstream.json"));
    const registry = await readRegistry(join(root, "telemetry/registry"));
    assert.deepEqual(checkRegistry(registry, upstream).filter(isFailure), []);
  });

  test("gives every signal of a kind an export of its own", async () => {
    const registry = await readRegistry(join(root, "telemetry/registry"));
    for (const text of generateRegistryCode(registry).values()) {
      const names = [...text.matchAll(/^export const (\w+)/gm)].map((match) => match[1]);
      assert.equal(new Set(names).size, names.length);
    }
  });

  test("names exports after the signal", () => {
    assert.equal(exportName("vm.operation.duration"), "vmOperationDuration");
    assert.equal(exportName("node.kvm.usable_now"), "nodeKvmUsableNow");
  });
});
