import assert from "node:assert/strict";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type BackendName, backendPurposes, type Backends, missingBackends } from "#test/stack/support/backends.ts";
import { parseBackendNames, parsePrograms, reportBackends } from "./backend-report.ts";

const names = Object.keys(backendPurposes) as BackendName[];
const there = { path: "/bin/true", version: "1.2.3" };
const missing = { missing: "there is no Go" };

function backendsWithout(...absent: readonly BackendName[]): Backends {
  return Object.fromEntries(
    names.map((name) => [name, absent.includes(name) ? missing : there]),
  ) as unknown as Backends;
}

function report(backends: Backends, more: { used?: readonly string[]; allowed?: string; wholeRun?: boolean } = {}) {
  const { used = names, allowed = "", wholeRun = true } = more;
  const allowedMissing = parseBackendNames(allowed, names);
  return reportBackends({ backends, used: new Set(used), allowedMissing, wholeRun });
}

test("a run in which every backend was used succeeds, with a line for each", () => {
  const { lines, failures } = report(backendsWithout());
  assert.deepEqual(failures, []);
  assert.equal(lines.length, names.length);
  assert.match(lines[names.indexOf("jaeger")] ?? "", /^jaeger +1\.2\.3 +ran$/);
});

test("a missing backend fails the run and says why, unless it may be missing", () => {
  const { lines, failures } = report(backendsWithout("loki", "tempo"), { allowed: "loki" });
  assert.deepEqual(failures, ["tempo is missing; --allow-missing=tempo goes without it"]);
  assert.match(lines[names.indexOf("loki")] ?? "", /skipped: there is no Go$/);
});

test("a backend that no test used fails a whole run, but not that of one file", () => {
  const used = names.filter((name) => name !== "jaeger");
  assert.deepEqual(report(backendsWithout(), { used }).failures, ["jaeger is there, but no test used it"]);
  assert.deepEqual(report(backendsWithout(), { used, wholeRun: false }).failures, []);
});

test("a backend that does not exist cannot be allowed to be missing", () => {
  assert.throws(() => parseBackendNames("jaeger,zipkin", names), /no backend is called zipkin; there are collector, /);
});

test("a program that is named must be there to be run", () => {
  const { execPath } = process;
  assert.deepEqual([...parsePrograms([`jaeger=${execPath}`], names)], [["jaeger", execPath]]);
  assert.throws(() => parsePrograms(["jaeger=/nonexistent/jaeger"], names), /jaeger=\/nonexistent\/jaeger: no program/);
  assert.throws(() => parsePrograms([`jaeger=${import.meta.filename}`], names), /no program can be run there/);
  assert.throws(() => parsePrograms(["jaeger"], names), /NAME=PATH/);
  assert.throws(() => parsePrograms(["jager=/bin/true"], names), /no backend is called jager/);
});

test("tests that stand on several backends are skipped when one of them may be missing", (context) => {
  const directory = mkdtempSync(join(tmpdir(), "blixard-backends-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "backends.json");
  writeFileSync(file, JSON.stringify(backendsWithout("loki")));
  const environment = { BLIXARD_STACK_BACKENDS: file };
  assert.equal(missingBackends(["jaeger", "tempo"], environment), false);
  assert.equal(missingBackends(["jaeger", "loki"], environment), "loki is missing: there is no Go");
  for (const path of globSync(join(import.meta.dirname, "../../test/stack/*.test.ts"))) {
    const text = readFileSync(path, "utf8");
    if (text.includes("Stack.start(")) assert.match(text, /^const skip = missingBackends\(/m, path);
  }
});
