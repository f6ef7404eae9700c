import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseConfig } from "./config.ts";
import { otelVariables } from "./otel-variables.ts";
import { ConfigError } from "./problem.ts";
import { renderConfig } from "./show.ts";

const host = { hostName: "host-1", isRoot: true, workingDirectory: "/" };

const valid = `[cluster]
name = "home"
[node]
id = "node-1"
data_dir = "/var/lib/blixard"
bind = "127.0.0.1:7001"
capacity = { vcpus = 4, memory = "8GiB" }
[runtime]
driver = "qemu"
accelerator = "auto"
[store]
endpoints = ["https://10.0.0.5:2379", "https://10.0.0.6:2379"]
[observability.metrics]
enabled = true
runtime_metrics = true
[observability.metrics.http_server]
enabled = true
bind = "0.0.0.0:9090"
[observability.tracing]
enabled = true
otlp_endpoint = "http://localhost:4317"
service_name = "blixard"
sampling_ratio = 1.0
basic_auth = { username = "123456", password = "\${env:TOKEN}" }
headers = { "X-Scope-OrgID" = "team-a" }
timeout = "10s"
[observability.logging]
level = "info"
`;

/** Loads or fails with a ConfigError whose problems have places; anything else is a bug. */
function loadsOrExplains(text: string): void {
  try {
    const { config, entries } = parseConfig({
      file: { path: "node.toml", text },
      environment: { TOKEN: "swordfish" },
      host,
    });
    assert.ok(Object.isFrozen(config));
    assert.doesNotMatch(renderConfig(entries), /swordfish/);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    assert.ok(error.problems.length > 0);
    assert.doesNotMatch(error.message, /swordfish/);
    assert.doesNotMatch(error.message, /\n\s+at /, "no stack trace");
    for (const { place, message } of error.problems) {
      assert.ok(message.length > 0);
      if (place.kind === "file") assert.ok(place.line >= 1 && place.column >= 1);
    }
  }
}

const lines = valid.split("\n");
const lineIndex = fc.nat({ max: lines.length - 1 });
const odd = fc.constantFrom(
  "",
  "0",
  "-1",
  "1e999",
  "nan",
  "inf",
  "true",
  "[]",
  "[[]]",
  "{}",
  '""',
  '"\\u0000"',
  "''",
  "1979-05-27",
  "07:32:00",
  '"127.0.0.1:99999"',
  '"x".y',
  "[1, [2, [3]]]",
  "{ a = { b = { c = 1 } } }",
  '"${env:}"',
  '"${env:TOKEN}"',
  '"${env:NOWHERE}"',
  "99999999999999999999",
  '"""\nx\n"""',
  `"${"x".repeat(70_000)}"`,
  "[".repeat(3_000),
  `${"[".repeat(40)}${"]".repeat(40)}`,
  `{ a${".a".repeat(50)} = 1 }`,
);

test("a file changed in any byte loads or is explained", () => {
  const change = fc.tuple(
    fc.nat({ max: valid.length - 1 }),
    fc.oneof(fc.string({ maxLength: 3 }), fc.string({ unit: "binary", maxLength: 2 })),
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

test("a file with any value in the place of another loads or is explained", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(lineIndex, odd), { minLength: 1, maxLength: 4 }), (changes) => {
      const changed = [...lines];
      for (const [index, value] of changes) changed[index] = (changed[index] ?? "").replace(/=.*/, () => `= ${value}`);
      loadsOrExplains(changed.join("\n"));
    }),
    { numRuns: 300 },
  );
});

test("a file with keys and tables renamed, doubled, moved or dropped loads or is explained", () => {
  const key = fc.constantFrom(
    "__proto__",
    "constructor",
    "toString",
    '"a b"',
    "node.id",
    "observability",
    "x",
    "enabled",
    '""',
    "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q",
  );
  const mutation = fc.oneof(
    fc.record({ kind: fc.constant("rename" as const), line: lineIndex, key }),
    fc.record({ kind: fc.constant("double" as const), line: lineIndex }),
    fc.record({ kind: fc.constant("drop" as const), line: lineIndex }),
    fc.record({ kind: fc.constant("move" as const), line: lineIndex, to: lineIndex }),
  );
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 5 }), (mutations) => {
      const changed = [...lines];
      for (const step of mutations) {
        const line = changed[step.line] ?? "";
        if (step.kind === "rename")
          changed[step.line] = line.startsWith("[") ? `[${step.key}]` : line.replace(/^[^=]*/, () => `${step.key} `);
        else if (step.kind === "double") changed.splice(step.line, 0, line);
        else changed.splice(step.line, 1);
        if (step.kind === "move") changed.splice(step.to, 0, line);
      }
      loadsOrExplains(changed.join("\n"));
    }),
    { numRuns: 300 },
  );
});

test("any text in any environment variable of ours loads or is explained", () => {
  const { entries } = parseConfig({ environment: {}, host });
  const variable = fc.constantFrom(
    ...entries.map(({ path }) => `BLIXARD_${path.replaceAll(".", "__").toUpperCase()}`),
    ...otelVariables.map(({ name }) => name),
  );
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.constantFrom(
      "otlp",
      "none",
      "a{b=c}[d=e];",
      "traceidratio",
      "always_off",
      "b3,none",
      "0",
      "::",
      "a=b",
      "%",
      "=",
      "__proto__=x",
      "http://x",
      "1s",
      "1GiB",
      "true",
    ),
  );
  fc.assert(
    fc.property(fc.dictionary(variable, text, { maxKeys: 4 }), (environment) => {
      try {
        parseConfig({ environment, host });
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
      }
    }),
    { numRuns: 300 },
  );
});

test("every value that loads is printed so that it loads again as the same", () => {
  const size = fc.integer({ min: 64, max: 1 << 20 }).map((mebibytes) => mebibytes * 1024 ** 2);
  const record = fc.record({
    memoryBytes: size,
    timeoutMs: fc.integer({ min: 100, max: 600_000 }),
    ratio: fc.double({ min: 0, max: 1, noNaN: true }),
    name: fc.stringMatching(/^[ -~]{1,40}$/),
  });
  fc.assert(
    fc.property(record, ({ memoryBytes, timeoutMs, ratio, name }) => {
      const text = `[node.reserved]\nmemory = "${memoryBytes}"\n[observability.tracing]\nservice_name = ${JSON.stringify(name.replaceAll("$", "S"))}\nsampling_ratio = ${ratio.toFixed(9)}\ntimeout = "${timeoutMs}ms"\n`;
      const first = parseConfig({ file: { path: "/a.toml", text }, environment: {}, host });
      const second = parseConfig({
        file: { path: "/a.toml", text: renderConfig(first.entries) },
        environment: {},
        host,
      });
      assert.equal(first.config.node.reserved.memoryBytes, memoryBytes);
      assert.equal(first.config.observability.tracing.timeoutMs, timeoutMs);
      assert.equal(JSON.stringify(second.config), JSON.stringify(first.config));
    }),
  );
});
