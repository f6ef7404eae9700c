// What `npm test` runs after set-up:
//
//   npm test                      everything
//   npm test -- checks            types, lint, format, dead code, generated code
//   npm test -- unit integration  some groups of tests
//   npm test -- src/store         the tests below a folder, or one file
//
// What needs the real Collector, Jaeger and others is not here: `npm run test:stack` (scripts/test-stack.ts).
//
// All tests go through one run of node:test, so that its closing lines count all of them. The run fails when a
// check or a test fails, when fewer tests ran than `.ci/minimum-tests` says, and when a process that a test
// started is still there afterwards.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, globSync, readFileSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { setTimeout as pause } from "node:timers/promises";
import { buildBundle } from "./build.ts";

const repositoryDir = join(import.meta.dirname, "..");
const FILE_TIMEOUT_MS = 4 * 60_000;
const SURVIVOR_GRACE_MS = 5_000;
const RUN_MARK = "BLIXARD_TEST_RUN";
// Set by CI, where one race of a busy machine must not hide whether a change is sound: what fails only beside other
// tests is told as unstable. More failed files than this are no accident.
const SECOND_RUN_FILES = Number(process.env["BLIXARD_TEST_SECOND_RUN_FILES"] ?? 0);

const CHECKS: Record<string, string[]> = {
  types: ["tsc", "--noEmit"],
  lint: ["oxlint", "--type-aware", "--deny-warnings"],
  format: ["oxfmt", "--check"],
  "dead code": ["knip"],
  "generated code": ["node", "scripts/generate.ts", "--check"],
};

/** The long ones first: two of them share the cores, and the short ones fill the end. */
const GROUPS: Record<string, string[]> = {
  e2e: ["test/docs/**/*.test.ts", "test/e2e/**/*.test.ts"],
  integration: ["test/integration/**/*.test.ts", "test/simulation/**/*.test.ts"],
  deploy: ["test/deploy/**/*.test.ts"],
  unit: ["{src,scripts,images,bench}/**/*.test.ts", "test/*.test.ts", "test/support/**/*.test.ts"],
};

process.chdir(repositoryDir);
process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;

async function main(parts: string[]): Promise<boolean> {
  const everything = parts.length === 0;
  const failures: string[] = [];
  if (everything || parts.includes("checks")) failures.push(...(await runChecks()));

  const files = everything ? listGroups(Object.keys(GROUPS)) : parts.flatMap(listPart);
  if (files.length > 0) {
    failures.push(...(await build()));
    failures.push(...(await runTests(files, everything ? readMinimum() : 1)));
  } else if (parts.some((part) => part !== "checks")) {
    failures.push(`no tests in ${parts.join(" ")} (those of test/stack are run by \`npm run test:stack\`)`);
  }
  for (const failure of failures) console.error(`npm test: ${failure}`);
  return failures.length === 0;
}

/** Tests of the launcher and of whole nodes run what we ship. */
async function build(): Promise<string[]> {
  try {
    await buildBundle(join(repositoryDir, "dist"));
    return [];
  } catch (error) {
    return [`the bundle cannot be built: ${error instanceof Error ? error.message : String(error)}`];
  }
}

function listGroups(names: string[]): string[] {
  return names.flatMap((name) => globSync(GROUPS[name] ?? []).toSorted());
}

function listPart(part: string): string[] {
  if (part === "checks") return [];
  if (part in GROUPS) return listGroups([part]);
  const path = relative(repositoryDir, part);
  const files = part.endsWith(".ts") && existsSync(path) ? [path] : globSync(`${path}/**/*.test.ts`).toSorted();
  return files.filter((file) => !file.startsWith("test/stack/"));
}

function readMinimum(): number {
  return Number(readFileSync(join(repositoryDir, ".ci", "minimum-tests"), "utf8"));
}

async function runChecks(): Promise<string[]> {
  const failures: string[] = [];
  for (const [name, [command = "", ...args]] of Object.entries(CHECKS)) {
    const startedAt = performance.now();
    const { code, output } = await capture(join("node_modules", ".bin", command), args);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    console.log(`${code === 0 ? "✔" : "✖"} ${name} (${seconds} s)`);
    if (code === 0) continue;
    console.log(output);
    failures.push(`the check of ${name} failed`);
  }
  return failures;
}

function capture(command: string, args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    }
    child.on("error", reject).on("close", (code) => resolve({ code, output }));
  });
}

async function runTests(files: string[], minimum: number): Promise<string[]> {
  const first = await runOnce(files, Math.max(2, availableParallelism()));
  if (first.ran < minimum) return [...first.failures, `${first.ran} tests ran, of at least ${minimum}`];
  const { failedFiles } = first;
  if (failedFiles.length === 0 || failedFiles.length > SECOND_RUN_FILES) return first.failures;

  console.log(`\nnpm test: a second run, alone, of ${failedFiles.join(" ")}`);
  const second = await runOnce(failedFiles, 1);
  if (second.failures.length > 0) return [...first.failures, ...second.failures];
  console.error(`npm test: UNSTABLE ${failedFiles.join(" ")}: failed at first; that is a defect to mend`);
  return [];
}

interface Outcome {
  /** Without those skipped. */
  readonly ran: number;
  readonly failures: string[];
  /** Whose second run could tell more; none when something else than tests went wrong. */
  readonly failedFiles: readonly string[];
}

async function runOnce(files: readonly string[], concurrency: number): Promise<Outcome> {
  const failures: string[] = [];
  const failedFiles = new Set<string>();
  const mark = randomUUID();
  let ran = 0;
  const stream = run({
    files: [...files],
    concurrency,
    timeout: FILE_TIMEOUT_MS,
    env: { ...process.env, [RUN_MARK]: mark },
  });
  stream.on("test:fail", ({ file, name }) => failedFiles.add(relative(repositoryDir, file ?? name)));
  stream.on("test:summary", ({ file, counts, success }) => {
    if (file !== undefined) return; // one file; the whole run has none
    ran = counts.tests - counts.skipped - counts.todo;
    if (!success) failures.push(`${ran - counts.passed} tests failed`);
  });
  for await (const text of stream.compose(spec)) process.stdout.write(text);
  const survivors = await findSurvivors(mark);
  failures.push(...survivors);
  return { ran, failures, failedFiles: survivors.length > 0 ? [] : [...failedFiles] };
}

/** What a test starts it ends: whoever still carries the mark of this run was forgotten, and is ended here. */
async function findSurvivors(mark: string): Promise<string[]> {
  const deadline = performance.now() + SURVIVOR_GRACE_MS;
  let survivors = listMarkedProcesses(mark);
  while (survivors.length > 0 && performance.now() < deadline) {
    await pause(100);
    survivors = listMarkedProcesses(mark);
  }
  for (const { pid } of survivors) process.kill(pid, "SIGKILL");
  return survivors.map(({ pid, command }) => `process ${pid} was left running: ${command}`);
}

function listMarkedProcesses(mark: string): { pid: number; command: string }[] {
  const found = [];
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      if (!readFileSync(`/proc/${name}/environ`, "latin1").includes(`${RUN_MARK}=${mark}\0`)) continue;
      const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ").slice(0, 200);
      found.push({ pid: Number(name), command });
    } catch {
      // ended meanwhile, or belongs to another user
    }
  }
  return found;
}
