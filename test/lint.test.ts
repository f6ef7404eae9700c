// Shows that the lint is alive: each rule that the design leans on is broken once, in a project of its own with
// our configuration, and must be reported. A linter that looks at nothing is as green as one that finds nothing.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";

const repositoryDir = join(import.meta.dirname, "..");

interface Fixture {
  what: string;
  file: string;
  text: string;
  /** The rule that must report it; none for what must pass. */
  rule: string | undefined;
  message?: RegExp;
}

const BOUNDARY = "eslint(no-restricted-imports)";

const forbidden: [room: string, specifier: string][] = [
  ["gen", "#model/a.ts"],
  ["model", "#process/a.ts"],
  ["model", "node:fs"],
  ["process", "#config/a.ts"],
  ["config", "#telemetry/port.ts"],
  ["telemetry", "#process/a.ts"],
  ["telemetry", "#gen/api/a.ts"],
  ["store", "#telemetry/metrics/a.ts"],
  ["store", "#control/a.ts"],
  ["runtime", "#store/a.ts"],
  ["guardian", "#runtime/a.ts"],
  ["image", "#store/a.ts"],
  ["peer", "#store/a.ts"],
  ["control", "#agent/a.ts"],
  ["control", "#runtime/a.ts"],
  ["agent", "#store/a.ts"],
  ["agent", "#control/a.ts"],
  ["api", "#daemon/a.ts"],
  ["api", "#runtime/a.ts"],
  ["daemon", "#cli/a.ts"],
  ["cli", "#daemon/a.ts"],
  ["cli", "#store/a.ts"],
  ["agent", "@opentelemetry/api"],
  ["daemon", "@opentelemetry/core"],
  ["runtime", "node:child_process"],
  ["daemon", "node:child_process"],
  ["store", "#test/support/a.ts"],
];

const permitted: [room: string, specifier: string][] = [
  ["telemetry", "@opentelemetry/api"],
  ["telemetry", "#gen/otlp/a.ts"],
  ["process", "node:child_process"],
  ["store", "#telemetry/port.ts"],
  ["store", "#gen/telemetry/a.ts"],
  ["store", "#gen/etcd/a.ts"],
  ["runtime", "#process/a.ts"],
  ["control", "#store/a.ts"],
  ["control", "#agent/control-plane.ts"],
  ["agent", "#image/a.ts"],
  ["api", "#control/a.ts"],
  ["daemon", "#telemetry/metrics/a.ts"],
  ["cli", "#config/a.ts"],
];

const otherRules: Omit<Fixture, "file">[] = [
  { what: "a default export", text: "export default 1;\n", rule: "import(no-default-export)" },
  { what: "any", text: "export const a = (b: any): unknown => b;\n", rule: "typescript(no-explicit-any)" },
  {
    what: "a silenced type error",
    text: "// @ts-ignore\nexport const a: 1 = 2;\n",
    rule: "typescript(ban-ts-comment)",
  },
  {
    what: "a forgotten promise",
    text: "export function a(): void {\n  Promise.resolve(1);\n}\n",
    rule: "typescript(no-floating-promises)",
  },
  {
    what: "a switch that forgets a case",
    text: 'export function a(b: "x" | "y"): number {\n  switch (b) {\n    case "x":\n      return 1;\n  }\n  return 2;\n}\n',
    rule: "typescript(switch-exhaustiveness-check)",
  },
  {
    what: "an assertion that a value is there",
    text: "export const a = [1][0]!;\n",
    rule: "typescript(no-non-null-assertion)",
  },
];

const fixtures: Fixture[] = [
  ...forbidden.map(([room, specifier], index) => ({
    what: `${room} imports ${specifier}`,
    file: `src/${room}/forbidden-${index}.ts`,
    text: `import { a } from "${specifier}";\nexport const b = a;\n`,
    rule: BOUNDARY,
  })),
  ...["export { a } from", "export const a = () => import(", "import type { A } from"].map((start, index) => ({
    what: `agent reaches the store by \`${start}\``,
    file: `src/agent/way-${index}.ts`,
    text: `${start} "#store/a.ts"${start.endsWith("(") ? ")" : ""};\n${start.startsWith("import") ? "export type B = A;\n" : ""}`,
    rule: BOUNDARY,
  })),
  ...permitted.map(([room, specifier], index) => ({
    what: `${room} imports ${specifier}`,
    file: `src/${room}/permitted-${index}.ts`,
    text: `import { a } from "${specifier}";\nexport const b = a;\n`,
    rule: undefined,
  })),
  {
    what: "the one command that runs the daemon imports it",
    file: "src/cli/commands/node/run.ts",
    text: 'export const load = (): Promise<unknown> => import("#daemon/a.ts");\n',
    rule: undefined,
  },
  ...otherRules.map((fixture, index) => ({ ...fixture, file: `src/control/rule-${index}.ts` })),
  {
    what: "a circle of imports",
    file: "src/control/circle-a.ts",
    text: 'import { b } from "./circle-b.ts";\nexport const a = (): unknown => b;\n',
    rule: "import(no-cycle)",
  },
  {
    what: "the other half of the circle",
    file: "src/control/circle-b.ts",
    text: 'import { a } from "./circle-a.ts";\nexport const b = (): unknown => a;\n',
    rule: "import(no-cycle)",
  },
];

interface Diagnostic {
  code: string;
  filename: string;
}

let projectDir: string;
let diagnostics: Diagnostic[];

before(() => {
  projectDir = mkdtempSync(join(tmpdir(), "blixard-lint-"));
  for (const file of [".oxlintrc.json", "package.json", "tsconfig.json"]) {
    cpSync(join(repositoryDir, file), join(projectDir, file));
  }
  symlinkSync(join(repositoryDir, "node_modules"), join(projectDir, "node_modules"));
  for (const { file, text } of fixtures) {
    mkdirSync(dirname(join(projectDir, file)), { recursive: true });
    writeFileSync(join(projectDir, file), text);
  }
  for (const { file, text } of fixtures) {
    assert.equal(readFileSync(join(projectDir, file), "utf8"), text, `two fixtures share ${file}`);
  }
  const oxlint = join(repositoryDir, "node_modules", ".bin", "oxlint");
  const result = spawnSync(oxlint, ["--type-aware", "--format", "json", "src"], { cwd: projectDir, encoding: "utf8" });
  assert.equal(result.status, 1, result.stderr);
  diagnostics = (JSON.parse(result.stdout) as { diagnostics: Diagnostic[] }).diagnostics;
});

after(() => rmSync(projectDir, { recursive: true, force: true }));

describe("the lint reports", () => {
  for (const { what, file, rule } of fixtures.filter((fixture) => fixture.rule !== undefined)) {
    test(what, () => {
      const codes = diagnostics.filter((diagnostic) => diagnostic.filename === file).map(({ code }) => code);
      assert.ok(codes.includes(rule ?? ""), `${rule} among [${codes.join(", ")}]`);
    });
  }
});

describe("the lint lets pass", () => {
  for (const { what, file } of fixtures.filter((fixture) => fixture.rule === undefined)) {
    test(what, () => {
      const codes = diagnostics.filter((diagnostic) => diagnostic.filename === file).map(({ code }) => code);
      assert.deepEqual(codes, []);
    });
  }
});
