/** Runs `blixard telemetry doctor` as an operator does, and reads what it says. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CliResult, runCli, type TestNode } from "#test/support/test-node.ts";

export interface DoctorsWord {
  readonly exitCode: number;
  readonly checks: readonly DoctorsCheck[];
  readonly outcome: string;
  readonly traceId: string;
  /** The findings, each once. */
  readonly findings: readonly string[];
  /** All of it, for a failing test. */
  readonly text: string;
}

export interface DoctorsCheck {
  readonly target: string;
  readonly signal?: string;
  readonly step: string;
  readonly outcome: string;
  readonly message?: string;
  readonly finding?: string;
  readonly fix?: string;
}

interface Line {
  readonly check?: DoctorsCheck;
  readonly diagnosis?: { readonly outcome: string; readonly traceId: string };
}

const TIMEOUT_MS = 180_000;
const ARGUMENTS = ["telemetry", "doctor", "-o", "json", "--timeout", "2m"];

/** The doctor of a node that runs. */
export async function askDoctorOf(node: TestNode): Promise<DoctorsWord> {
  return understand(await node.cli(ARGUMENTS, { timeoutMs: TIMEOUT_MS }));
}

/** Without a node: what it says of a configuration. */
export async function askDoctor(
  toml: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<DoctorsWord> {
  const directory = await mkdtemp(join(tmpdir(), "blixard-doctor-"));
  try {
    const file = join(directory, "blixard.toml");
    await writeFile(file, `[node]\nid = "node-1"\n${toml}`);
    const args = [...ARGUMENTS, "--config", file, "--data-dir", join(directory, "data")];
    return understand(await runCli(args, { timeoutMs: TIMEOUT_MS, environment }));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function understand({ exitCode, stdout, stderr }: CliResult): DoctorsWord {
  assert.equal(stderr, "");
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
  const checks = lines.flatMap(({ check }) => (check === undefined ? [] : [check]));
  const diagnosis = lines.at(-1)?.diagnosis;
  assert.ok(diagnosis !== undefined, stdout);
  const findings = [...new Set(checks.flatMap(({ finding }) => (finding === undefined ? [] : [finding])))];
  return { exitCode, checks, findings, text: stdout, ...diagnosis };
}

/** Exactly this finding, whoever has it, with this fix. */
export function assertOnlyFinding(word: DoctorsWord, finding: string, fix: RegExp): void {
  assert.deepEqual(word.findings, [finding], word.text);
  for (const check of word.checks) {
    if (check.finding !== undefined) assert.match(check.fix ?? "", fix, word.text);
  }
}

/** Something may have been skipped. */
export function assertNothingFound(word: DoctorsWord): void {
  assert.deepEqual(word.findings, [], word.text);
  assert.equal(word.exitCode, 0, word.text);
}

export function assertHealthy(word: DoctorsWord): void {
  assert.deepEqual(word.findings, [], word.text);
  assert.equal(word.outcome, "CHECK_OUTCOME_OK", word.text);
  assert.equal(word.exitCode, 0);
}
