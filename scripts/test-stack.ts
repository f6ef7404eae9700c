// `npm run test:stack`: what is shipped in deploy/, run word for word on the real Collector, Jaeger, Prometheus and
// their like, with a real node and real guests. `--help` says how.
//
// The programs are found, or built with Go and kept in the cache. Then the script runs itself again in private
// namespaces (network, mounts, processes), where services have the names and ports that the shipped files say and
// nothing is left behind. It fails when a test fails, when a backend is absent that is not allowed to be, and when
// one is there that no test used.

import { execFile } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { parseArgs, promisify } from "node:util";
import { type Backend, type BackendName, backendPurposes, type Backends } from "#test/stack/support/backends.ts";
import { buildBundle } from "./build.ts";
import { findCacheDir } from "./setup/cache-dir.mjs";
import { ensureProgram } from "./stack/ensure-program.ts";
import { parseBackendNames, parsePrograms, reportBackends } from "./test-stack/backend-report.ts";
import { arrangeNamespaces, enterNamespaces } from "./test-stack/private-namespaces.ts";

const repositoryDir = join(import.meta.dirname, "..");
const FILE_TIMEOUT_MS = 20 * 60_000;
const ALL_TESTS = "test/stack/**/*.test.ts";
const INSIDE = "BLIXARD_STACK_INSIDE";
const backendNames = Object.keys(backendPurposes) as BackendName[];

const HELP = `usage: npm run test:stack -- [options] [file or folder ...]

Runs what is shipped in deploy/ on the real programs, with a real node and real guests, in namespaces of its own
(needs root, or user namespaces). Without files: all of test/stack.

  --allow-missing=NAME,NAME  do not fail when these backends cannot be had
  --program NAME=PATH        use this program instead of building one; may be repeated
  --help                     this text

Backends: the programs are built with Go 1.26 or newer and kept in the cache; Debian's Prometheus is there by set-up.
${backendNames.map((name) => `  ${name.padEnd(18)} ${backendPurposes[name]}`).join("\n")}
`;

process.chdir(repositoryDir);
process.exitCode = await main();

async function main(): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        help: { type: "boolean", default: false },
        "allow-missing": { type: "string", default: "" },
        program: { type: "string", multiple: true, default: [] },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      return 0;
    }
    if (process.env[INSIDE] !== undefined) return await runTests(positionals);
    const allowedMissing = parseBackendNames(values["allow-missing"], backendNames);
    return await runEverything(positionals, allowedMissing, parsePrograms(values.program, backendNames));
  } catch (error) {
    console.error(`npm run test:stack: ${explain(error)}`);
    return 1;
  }
}

/** Outside, where there is a network: makes ready what the tests need, runs them inside, and says how it was. */
async function runEverything(
  parts: readonly string[],
  allowedMissing: ReadonlySet<BackendName>,
  programs: ReadonlyMap<BackendName, string>,
): Promise<number> {
  const backends = await findBackends(programs);
  await buildBundle(join(repositoryDir, "dist"));
  const directory = mkdtempSync(join(tmpdir(), "blixard-test-stack-"));
  try {
    const backendsFile = join(directory, "backends.json");
    const usedFile = join(directory, "used");
    writeFileSync(backendsFile, JSON.stringify(backends));
    writeFileSync(usedFile, "");
    const exitCode = await enterNamespaces([process.execPath, import.meta.filename, ...parts], {
      ...process.env,
      [INSIDE]: "1",
      BLIXARD_STACK_BACKENDS: backendsFile,
      BLIXARD_STACK_USED: usedFile,
    });
    const used = new Set(readFileSync(usedFile, "utf8").split("\n"));
    const report = reportBackends({ backends, used, allowedMissing, wholeRun: parts.length === 0 });
    console.log(`\n${report.lines.join("\n")}`);
    const failures = exitCode === 0 ? report.failures : ["tests failed", ...report.failures];
    for (const failure of failures) console.error(`npm run test:stack: ${failure}`);
    return failures.length === 0 ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Inside, in namespaces of our own: one file after the other. */
async function runTests(parts: readonly string[]): Promise<number> {
  arrangeNamespaces();
  const files = parts.length === 0 ? globSync(ALL_TESTS).toSorted() : parts.flatMap(listTests);
  if (files.length === 0) throw new Error(`no tests in ${parts.join(" ") || "test/stack"}`);
  let succeeded = false;
  const stream = run({ files, concurrency: 1, timeout: FILE_TIMEOUT_MS });
  stream.on("test:summary", ({ file, success }) => {
    if (file === undefined) succeeded = success; // one file; the whole run has none
  });
  for await (const text of stream.compose(spec)) process.stdout.write(text);
  return succeeded ? 0 : 1;
}

function listTests(part: string): string[] {
  const path = relative(repositoryDir, resolve(part));
  return part.endsWith(".ts") && existsSync(path) ? [path] : globSync(`${path}/**/*.test.ts`).toSorted();
}

async function findBackends(programs: ReadonlyMap<BackendName, string>): Promise<Backends> {
  const found: Partial<Record<BackendName, Backend>> = {};
  // One after the other: a build takes all the cores there are.
  for (const name of backendNames) found[name] = await findBackend(name, programs.get(name));
  return found as Backends;
}

async function findBackend(name: BackendName, given: string | undefined): Promise<Backend> {
  if (given !== undefined) return { path: given, version: "given" };
  if (name === "prometheus") return findDebianPrometheus();
  if (name === "systemd") return findSystemd();
  try {
    const { path, version } = await ensureProgram(name === "prometheus3" ? "prometheus" : name);
    return { path, version };
  } catch (error) {
    return { missing: explain(error) };
  }
}

async function findDebianPrometheus(): Promise<Backend> {
  const path = join(findCacheDir(process.env), "root/usr/bin/prometheus");
  if (!existsSync(path)) return { missing: `there is no ${path}: npm run setup` };
  const { stdout } = await promisify(execFile)(path, ["--version"]);
  return { path, version: /version ([^ +(]+)/.exec(stdout)?.[1] ?? "unknown" };
}

/** What a machine with a systemd of its own takes: see test/stack/support/systemd-machine.ts. */
async function findSystemd(): Promise<Backend> {
  const path = "/lib/systemd/systemd";
  if (!existsSync(path)) return { missing: `there is no ${path}` };
  if (process.getuid?.() !== 0) return { missing: "it takes root" };
  if (!readFileSync("/proc/self/mountinfo", "utf8").includes(" - cgroup2 "))
    return { missing: "no cgroup2 is mounted" };
  const { stdout } = await promisify(execFile)(path, ["--version"]);
  return { path, version: /^systemd (\d+)/.exec(stdout)?.[1] ?? "unknown" };
}

/** The causes too, in one line. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [line = ""] = error.message.split("\n");
  return error.cause === undefined ? line : `${line}: ${explain(error.cause)}`;
}
