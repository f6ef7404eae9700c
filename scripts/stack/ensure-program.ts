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
import { chmod, cp, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { BlixardError } from "#model/errors.ts";
import { readIdentity } from "#process/identity.ts";
import { type DirectoryLock, acquireLock } from "#process/lock-file.ts";
import { runCommandOrThrow } from "#process/run.ts";
import { findCacheDir } from "../setup/cache-dir.mjs";
import { type BuildInputs, type BuildPlan, type BuildStep, cacheFolderName, planBuild } from "./build-plan.ts";
import { type Go, findGo } from "./find-go.ts";
import { PROGRAMS, type Program, type ProgramName } from "./programs.ts";

const repositoryDir = join(import.meta.dirname, "../..");
const STEP_TIMEOUT_MS = 60 * 60_000;
const STILL_BUSY_MS = 30_000;
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
  const inputs = await readInputs(program);
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

async function readInputs(program: Program): Promise<BuildInputs> {
  const manifest = await readFile(join(repositoryDir, "deploy/otel-collector/builder.yaml"), "utf8");
  const file = join(import.meta.dirname, "checksums", `${program.name}.sum`);
  return existsSync(file) ? { manifest, checksums: await readFile(file, "utf8") } : { manifest };
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
    await carryOut(plan, build);
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

async function carryOut(plan: BuildPlan, build: Build): Promise<void> {
  await mkdir(dirname(plan.output), { recursive: true });
  for (const step of plan.steps) await carryOutStep(step, build);
}

async function carryOutStep(step: BuildStep, build: Build): Promise<void> {
  switch (step.kind) {
    case "write":
      await mkdir(dirname(step.file), { recursive: true });
      return await writeFile(step.file, step.text);
    case "copy_module":
      return await copyModule(step, build);
    case "go":
      await runGo(step, build);
  }
}

async function copyModule(step: Extract<BuildStep, { kind: "copy_module" }>, build: Build): Promise<void> {
  const answer = await runGo(
    {
      kind: "go",
      says: `downloading ${step.module} ${step.version}`,
      cwd: dirname(build.folder),
      argv: ["go", "mod", "download", "-json", `${step.module}@${step.version}`],
    },
    build,
  );
  const { Dir: source } = JSON.parse(answer) as { readonly Dir: string };
  await cp(source, step.to, { recursive: true });
  // Go keeps what it downloaded read-only; the build writes go.sum, and the folder is to be removed.
  await makeWritable(step.to);
}

async function makeWritable(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await makeWritable(path);
    else if (entry.isFile()) await chmod(path, 0o644);
  }
}

/** At the lowest priority: tests and people go first. */
async function runGo(step: Extract<BuildStep, { kind: "go" }>, { go, environment, tell }: Build): Promise<string> {
  const startedAt = performance.now();
  tell(step.says);
  const [first, ...args] = step.argv;
  const busy = setInterval(() => {
    tell(`still ${step.says} (${Math.round((performance.now() - startedAt) / 1000)} s)`);
  }, STILL_BUSY_MS);
  try {
    return await runCommandOrThrow({
      command: first === "go" ? go.path : first,
      args,
      cwd: step.cwd,
      environment: goEnvironment(go, environment),
      timeoutMs: STEP_TIMEOUT_MS,
      niceness: 15,
    });
  } catch (error) {
    throw new Error(`${step.says} failed`, { cause: error });
  } finally {
    clearInterval(busy);
  }
}

/** The builder looks for Go on the PATH. A workspace or a version that is downloaded would not be the pinned one. */
function goEnvironment(go: Go, environment: Build["environment"]): Record<string, string> {
  const inherited = Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return {
    ...Object.fromEntries(inherited),
    PATH: `${dirname(go.path)}:${environment["PATH"] ?? ""}`,
    GOFLAGS: "-buildvcs=false",
    GOTOOLCHAIN: "local",
    GOWORK: "off",
  };
}
