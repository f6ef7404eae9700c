/**
 * Third-party programs of the test stack, built from source when they are not there yet:
 *
 *   <cache>/stack/<name>-<version>-<hash of the recipe>/<executable>
 *
 * A build happens in a folder beside and is put in place by a rename, so nobody sees half of one; two runs that
 * want the same program build it once. Called by the stack's tests and, by hand, by `main.ts`. It needs Go, and
 * the network for the first build; it never installs anything.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { BlixardError } from "#model/errors.ts";
import { readIdentity } from "#process/identity.ts";
import { type DirectoryLock, acquireLock } from "#process/lock-file.ts";
import { findCacheDir } from "../setup/cache-dir.mjs";
import { readBuildInputs } from "./build-inputs.ts";
import { type BuildInputs, cacheFolderName, planBuild } from "./build-plan.ts";
import { carryOut } from "./carry-out.ts";
import { type Go, findGo } from "./find-go.ts";
import { PROGRAMS, type Program, type ProgramName } from "./programs.ts";

const LOCK_POLL_MS = 1_000;

export interface EnsuredProgram {
  readonly name: ProgramName;
  readonly version: string;
  /** Of the executable. */
  readonly path: string;
}

export interface EnsureProgramOptions {
  /** Default: the process's. PATH, HOME and what names the cache are read of it; Go gets all of it. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Gets a line now and then while something takes long. Default: stderr. */
  readonly say?: (line: string) => void;
}

/** @throws Error that says what to install when it must be built and there is no Go; or how a build failed */
export async function ensureProgram(name: ProgramName, options: EnsureProgramOptions = {}): Promise<EnsuredProgram> {
  const { environment = process.env, say = (line) => process.stderr.write(`${line}\n`) } = options;
  const program = PROGRAMS[name];
  const inputs = await readBuildInputs(program);
  const folder = join(findCacheDir({ ...environment }), "stack", cacheFolderName(program, inputs));
  const path = join(folder, program.executable);
  const ensured: EnsuredProgram = { name, version: program.version, path };
  if (existsSync(path)) return ensured;

  const tell = (line: string): void => say(`${name} ${program.version}: ${line}`);
  const go = await findGo({ path: environment["PATH"] ?? "" });
  await mkdir(dirname(folder), { recursive: true });
  await using _ = await waitForLock(`${folder}.lock`, program, tell);
  if (!existsSync(path)) await build({ program, inputs, folder, go, environment, tell });
  return ensured;
}

/** Whoever is first builds, the others wait; a lock whose owner is dead is taken over. */
async function waitForLock(lockDir: string, program: Program, tell: (line: string) => void): Promise<DirectoryLock> {
  const identity = readIdentity(process.pid);
  if (identity === undefined) throw new Error("this process cannot read its own identity in /proc");
  for (let told = false; ; told = true) {
    try {
      return await acquireLock({ lockDir, identity, description: `a build of ${program.name}` });
    } catch (error) {
      if (!(error instanceof BlixardError) || error.code !== "DATA_DIRECTORY_LOCKED") throw error;
      if (!told) tell("another run is building it; waiting");
      await pause(LOCK_POLL_MS);
    }
  }
}

interface Build {
  readonly program: Program;
  readonly inputs: BuildInputs;
  readonly folder: string;
  readonly go: Go;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly tell: (line: string) => void;
}

async function build(build: Build): Promise<void> {
  const { folder, program, go, tell } = build;
  await removeLeftovers(folder);
  const workDir = await mkdtemp(`${folder}.partial-`);
  const startedAt = performance.now();
  try {
    tell(`building it with Go ${go.version}`);
    const plan = planBuild(program, build.inputs, workDir);
    await mkdir(dirname(plan.output), { recursive: true });
    await carryOut(plan.steps, { ...build, downloadDir: dirname(folder) });
    const finished = join(workDir, "finished");
    await mkdir(finished);
    await rename(plan.output, join(finished, program.executable));
    await rename(finished, folder);
    tell(`built in ${Math.round((performance.now() - startedAt) / 1000)} s`);
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

/** What killed builds left behind; the lock is ours. */
async function removeLeftovers(folder: string): Promise<void> {
  const prefix = `${folder}.partial-`;
  for (const name of await readdir(dirname(folder))) {
    const path = join(dirname(folder), name);
    if (path.startsWith(prefix)) await rm(path, { recursive: true, force: true });
  }
}
