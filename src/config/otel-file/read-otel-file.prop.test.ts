import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseConfig } from "../config.ts";
import { ConfigError } from "../problem.ts";
import { renderConfig } from "../show.ts";
import { readOtelFile } from "./read-otel-file.ts";

const host = { hostName: "host-1", isRoot: true, workingDirectory: "/" };

const valid = `file_format: "1.1"
disabled: false
log_level: info
resource:
  attributes:
    - name: service.name
      value: edge
    - { name: count, value: 3, type: int }
  attributes_list: a=b
attribute_limits:
  attribute_count_limit: 100
propagator:
  composite: [{ tracecontext: }, { baggage: }]
tracer_provider:
  processors:
    - batch:
        schedule_delay: 500
        max_queue_size: 2048
        exporter:
          otlp_http:
            endpoint: https://traces.example/v1/traces
            headers:
              - name: authorization
                value: Bearer \${TOKEN}
            tls: { ca_file: /ca.pem }
            timeout: 5000
    - simple: { exporter: { otlp_grpc: { endpoint: "collector:4317" } } }
  limits:
    event_count_limit: 5
  sampler:
    parent_based:
      root:
        trace_id_ratio_based: { ratio: 0.5 }
meter_provider:
  readers:
    - periodic:
        interval: 1000
        exporter: { otlp_grpc: { temporality_preference: delta } }
    - pull: { exporter: { prometheus/development: { port: 9464 } } }
logger_provider:
  processors:
    - batch: { exporter: { otlp_http: { encoding: json } } }
`;

/** Loads or fails with a ConfigError whose problems have places; anything else is a bug. Nothing shows the secret. */
function loadsOrExplains(text: string): void {
  const environment = { TOKEN: "swordfish", OTEL_CONFIG_FILE: "otel.yaml" };
  const otelFile = readOtelFile({
    path: "/otel.yaml",
    variable: "OTEL_CONFIG_FILE",
    text,
    environment,
    readSubstitute: () => "swordfish",
  });
  try {
    const { config, entries, fileDestinations, warnings } = parseConfig({ environment, host, otelFile });
    assert.ok(Object.isFrozen(config));
    assert.ok(warnings.length <= 51);
    assert.doesNotMatch(warnings.join("\n"), /swordfish/);
    // What a mutation has made a name or an address is told to everybody anyway.
    const shown = renderConfig(entries, fileDestinations).replaceAll(
      /^(resource_attributes|service_name|bind) .*$/gm,
      "",
    );
    assert.doesNotMatch(shown, /swordfish/);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    assert.ok(error.problems.length > 0);
    assert.doesNotMatch(error.message, /swordfish/);
    for (const { place, message } of error.problems) {
      assert.ok(message.length > 0);
      if (place.kind === "file") assert.ok(place.line >= 1 && place.column >= 1);
    }
  }
}

const lines = valid.split("\n");
const lineIndex = fc.nat({ max: lines.length - 1 });

test("a declarative configuration changed in any byte loads or is explained", () => {
  loadsOrExplains(valid);
  const change = fc.tuple(
    fc.nat({ max: valid.length - 1 }),
    fc.oneof(
      fc.string({ maxLength: 3 }),
      fc.string({ unit: "binary", maxLength: 2 }),
      fc.constantFrom("\n", "  ", "*a", "&a ", "- "),
    ),
    fc.nat({ max: 3 }),
  );
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
      let text = valid;
      for (const [at, insert, cut] of changes) text = text.slice(0, at) + insert + text.slice(at + cut);
      loadsOrExplains(text);
    }),
    { numRuns: 300 },
  );
});

test("a declarative configuration with any value in the place of another loads or is explained", () => {
  const odd = fc.constantFrom(
    "",
    "null",
    "~",
    "-1",
    "0",
    "1e999",
    ".nan",
    ".inf",
    "0xff",
    "99999999999999999999",
    "true",
    "[]",
    "[[]]",
    "{}",
    "{ a: { b: 1 } }",
    "[{ batch: }]",
    "[{ pull: { exporter: { prometheus/development: { host: 'a b', port: 99999 } } } }]",
    '""',
    '"\\0"',
    "!!binary aGk=",
    "!custom x",
    "&x [*x]",
    "*nowhere",
    "2026-01-01",
    "${TOKEN}",
    "${NOWHERE}",
    "${1}",
    "${file:x}",
    "$${TOKEN}",
    "| \n   block",
    `"${"x".repeat(70_000)}"`,
    "[".repeat(2_000),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(lineIndex, odd), { minLength: 1, maxLength: 4 }), (changes) => {
      const changed = [...lines];
      for (const [index, value] of changes)
        changed[index] = (changed[index] ?? "").replace(/:( .*)?$/, () => `: ${value}`);
      loadsOrExplains(changed.join("\n"));
    }),
    { numRuns: 300 },
  );
});

test("a declarative configuration with lines dropped, doubled, moved or indented loads or is explained", () => {
  const mutation = fc.record({
    kind: fc.constantFrom("drop", "double", "move", "indent", "rename"),
    line: lineIndex,
    to: lineIndex,
  });
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 5 }), (mutations) => {
      const changed = [...lines];
      for (const { kind, line, to } of mutations) {
        const text = changed[line] ?? "";
        if (kind === "double") changed.splice(line, 0, text);
        else if (kind === "indent") changed[line] = `  ${text}`;
        else if (kind === "rename") changed[line] = text.replace(/[\w/]+:/, "__proto__:");
        else changed.splice(line, 1);
        if (kind === "move") changed.splice(to, 0, text);
      }
      loadsOrExplains(changed.join("\n"));
    }),
    { numRuns: 300 },
  );
});
