// Rules of the repository that no linter knows. The table of layers itself is in .oxlintrc.json, one override a
// room; here it is read back, checked for holes, and applied to the imports that oxlint does not see.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, test } from "node:test";

const repositoryDir = join(import.meta.dirname, "..");
const MAX_LINES = 500;

interface Restriction {
  group: string[];
  message: string;
}

interface LintOverride {
  files: string[];
  rules: { "no-restricted-imports"?: "off" | ["error", { patterns: Restriction[] }] };
}

const overrides = (JSON.parse(read(".oxlintrc.json")) as { overrides: LintOverride[] }).overrides;
const rooms = readdirSync(join(repositoryDir, "src"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);
const tracked = listTracked();
const sources = tracked.filter((file) => /^src\/.*\.ts$/.test(file) && !file.startsWith("src/gen/"));
const code = tracked.filter((file) => /\.(ts|mjs)$/.test(file) && !file.startsWith("src/gen/"));

describe("rooms", () => {
  for (const room of rooms) {
    test(`${room} has its line in the table of layers`, () => {
      const patterns = restrictionsOf(`src/${room}/**`);
      assert.ok(patterns.length > 0, `add an override for src/${room}/** to .oxlintrc.json`);
      const banned = patterns.flatMap((pattern) => pattern.group);
      if (room !== "telemetry") assert.ok(banned.includes("@opentelemetry/**"), `${room} must not use OpenTelemetry`);
      if (room !== "process") assert.ok(banned.includes("node:child_process"), `${room} must not spawn`);
    });
  }

  test("the table has no circle: imports go down only", () => {
    const allowed = new Map(rooms.map((room) => [room, rooms.filter((other) => mayImportRoom(room, other))]));
    const done = new Set<string>();
    const visit = (room: string, path: string[]): void => {
      assert.ok(!path.includes(room), `a circle: ${[...path, room].join(" → ")}`);
      if (done.has(room)) return;
      for (const other of allowed.get(room) ?? []) visit(other, [...path, room]);
      done.add(room);
    };
    for (const room of rooms) visit(room, []);
  });

  test("a room imports another by its name, never by a relative path", () => {
    assertNone(sources, (file, text) =>
      specifiersOf(text)
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => normalize(join(dirname(file), specifier)))
        .filter((target) => target.startsWith("src/") && roomOf(target) !== roomOf(file)),
    );
  });

  test("every import that names a room is in the table, in types too", () => {
    assertNone(
      sources.filter((file) => !isTest(file)),
      (file, text) =>
        specifiersOf(text)
          .filter((specifier) => specifier.startsWith("#") && !specifier.startsWith(`#${roomOf(file)}/`))
          .filter((specifier) => !isAllowed(file, specifier)),
    );
  });

  test("a room names its own files by relative paths", () => {
    assertNone(sources, (file, text) =>
      specifiersOf(text).filter((specifier) => specifier.startsWith(`#${roomOf(file)}/`)),
    );
  });

  test("OpenTelemetry is known to telemetry only", () => {
    assertNone(
      sources.filter((file) => roomOf(file) !== "telemetry" && !isTest(file)),
      (_, text) => specifiersOf(text).filter((specifier) => specifier.startsWith("@opentelemetry/")),
    );
  });

  test("processes are spawned in process only", () => {
    assertNone(
      sources.filter((file) => roomOf(file) !== "process" && !isTest(file)),
      (_, text) => specifiersOf(text).filter((specifier) => /^(node:)?(child_process|cluster)$/.test(specifier)),
    );
  });

  test("model and control take clock, timers and randomness as parameters", () => {
    const ambient =
      /\bDate\.now\b|\bnew Date\(\)|\bset(?:Timeout|Interval|Immediate)\(|\bperformance\.now\b|\bMath\.random\b|\brandom(?:UUID|Bytes|Int)\b|["']node:timers/g;
    assertNone(
      sources.filter((file) => ["model", "control"].includes(roomOf(file)) && !isTest(file)),
      (_, text) => withoutComments(text).match(ambient) ?? [],
    );
  });
});

describe("files", () => {
  test("names are kebab-case", () => {
    const named = tracked.filter((file) => /^(src|test|scripts|images|bench)\//.test(file));
    const generated = /^src\/gen\/.*_pb\.ts$/;
    const plain = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-zA-Z0-9]+)*$|^README\.md$/;
    assert.deepEqual(
      named.filter((file) => !generated.test(file) && !file.split("/").every((name) => plain.test(name))),
      [],
    );
  });

  test("nothing is called utils, helpers, misc or index", () => {
    const vague = /(^|\/)(utils?|helpers?|misc|index)(\.[a-z.]+)?(\/|$)/;
    assert.deepEqual(
      tracked.filter((file) => vague.test(file) && !/^(src\/gen|proto)\//.test(file) && !/\.(cgi|html)$/.test(file)),
      [],
    );
  });

  test("no file is a barrel: each says something of its own", () => {
    assertNone(code, (_, text) => {
      const stars = text.match(/^export \* from .*$/gm) ?? [];
      const own = withoutComments(text).replaceAll(/^(?:export|import)\b[^;]*\bfrom\s*["'][^"']*["'];?$/gm, "");
      return own.trim() === "" ? ["only passes on what others say"] : stars;
    });
  });

  test(`no source is longer than ${MAX_LINES} lines`, () => {
    assertNone(code, (_, text) => {
      const lines = text.split("\n").length;
      return lines > MAX_LINES ? [`${lines} lines`] : [];
    });
  });

  test("no path of a machine and no package registry is written down", () => {
    const registry = ["registry", "npmjs", "org"].join("\\.");
    const machine = new RegExp(`${registry}|/(?:work|root)/`, "g");
    assertNone(
      tracked.filter((file) => !/\.(png|svg|ico|bin)$/.test(file)),
      (_, text) => text.match(machine) ?? [],
    );
  });

  test("the lockfile records no download addresses", () => {
    assert.doesNotMatch(read("package-lock.json"), /"resolved":/);
    assert.match(read(".npmrc"), /^omit-lockfile-registry-resolved=true$/m);
  });

  test("dependencies are pinned exactly", () => {
    const manifest = JSON.parse(read("package.json")) as Record<string, Record<string, string>>;
    for (const group of ["dependencies", "devDependencies", "optionalDependencies"]) {
      for (const [name, version] of Object.entries(manifest[group] ?? {})) {
        assert.match(version, /^\d+\.\d+\.\d+$/, `${name} in ${group}`);
      }
    }
  });

  test("no check is silenced and no test is switched off", () => {
    const silenced =
      /@ts-(?:ignore|expect-error|nocheck)|(?:oxlint|eslint)-disable|\b(?:test|it|describe)\.(?:only|todo)\(/g;
    assertNone(
      code.filter((file) => file !== "test/tidy.test.ts" && file !== "test/lint.test.ts"),
      (_, text) => text.match(silenced) ?? [],
    );
  });
});

/** Fails with one line for each finding, so that all of them can be mended at once. */
function assertNone(files: string[], find: (file: string, text: string) => readonly string[]): void {
  const findings = files.flatMap((file) => find(file, read(file)).map((finding) => `${file}: ${finding}`));
  assert.deepEqual(findings, []);
}

/** Static, re-exporting, dynamic and type imports: whatever stands in quotes after from, import or import(. */
function specifiersOf(text: string): string[] {
  const pattern = /\b(?:from\s+|import\s*\(?\s*)["']([^"'\n]+)["']/g;
  return [...text.matchAll(pattern)].map((match) => match[1] ?? "");
}

function restrictionsOf(files: string): Restriction[] {
  const rule = overrides.find((override) => override.files.includes(files))?.rules["no-restricted-imports"];
  return rule === undefined || rule === "off" ? [] : rule[1].patterns;
}

function isAllowed(file: string, specifier: string): boolean {
  const own = restrictionsOf(file);
  const patterns = own.length > 0 ? own : restrictionsOf(`src/${roomOf(file)}/**`);
  return patterns.every(({ group }) => !matchesGroup(group, specifier));
}

/** The notation of .gitignore, as far as the table uses it: the last pattern that matches decides. */
function matchesGroup(group: string[], specifier: string): boolean {
  let matched = false;
  for (const entry of group) {
    const pattern = entry.replace(/^!/, "");
    const expression = pattern
      .replaceAll(".", "\\.")
      .replaceAll("/**", "/.+")
      .replaceAll(/\*(?!\*)/g, "[^/]*");
    if (new RegExp(`^${expression}$`).test(specifier)) matched = !entry.startsWith("!");
  }
  return matched;
}

function mayImportRoom(room: string, other: string): boolean {
  return room !== other && isAllowed(`src/${room}/any.ts`, `#${other}/any.ts`);
}

function roomOf(file: string): string {
  return /^src\/([^/]+)\//.exec(file)?.[1] ?? "";
}

function isTest(file: string): boolean {
  return file.endsWith(".test.ts");
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
}

function read(file: string): string {
  return readFileSync(join(repositoryDir, file), "utf8");
}

/** What git tracks, or would track: new files count before they are committed. */
function listTracked(): string[] {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
  const result = spawnSync("git", args, { cwd: repositoryDir, encoding: "utf8" });
  assert.equal(result.status, 0, result.stderr);
  const files = [...new Set(result.stdout.split("\0"))].filter((file) => file !== "");
  assert.ok(files.length > 100, "git lists the files of the repository");
  return files;
}
