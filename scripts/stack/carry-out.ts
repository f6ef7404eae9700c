/** The effects of a build plan: files written, modules copied, Go called. */
import { chmod, cp, mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { runCommandOrThrow } from "#process/run.ts";
import type { BuildStep } from "./build-plan.ts";
import type { Go } from "./find-go.ts";

const STEP_TIMEOUT_MS = 60 * 60_000;
const STILL_BUSY_MS = 30_000;

export interface Workshop {
  readonly go: Go;
  /** Go gets all of it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A folder outside any module, from which modules are downloaded. */
  readonly downloadDir: string;
  readonly tell: (line: string) => void;
}

/** @throws Error that names the step, with what Go said as its cause */
export async function carryOut(steps: readonly BuildStep[], workshop: Workshop): Promise<void> {
  for (const step of steps) await carryOutStep(step, workshop);
}

async function carryOutStep(step: BuildStep, workshop: Workshop): Promise<void> {
  switch (step.kind) {
    case "write":
      await mkdir(dirname(step.file), { recursive: true });
      return await writeFile(step.file, step.text);
    case "copy_module":
      return await copyModule(step, workshop);
    case "run":
      await runCommand(step, workshop);
  }
}

async function copyModule(step: Extract<BuildStep, { kind: "copy_module" }>, workshop: Workshop): Promise<void> {
  const answer = await runCommand(
    {
      kind: "run",
      says: `downloading ${step.module} ${step.version}`,
      cwd: workshop.downloadDir,
      argv: ["go", "mod", "download", "-json", `${step.module}@${step.version}`],
    },
    workshop,
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

/** At a low priority: tests and people go first. */
async function runCommand(
  step: Extract<BuildStep, { kind: "run" }>,
  { go, environment, tell }: Workshop,
): Promise<string> {
  const startedAt = performance.now();
  tell(step.says);
  const [first = "", ...args] = step.argv;
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
      niceness: 5,
    });
  } catch (error) {
    throw new Error(`${step.says} failed`, { cause: error });
  } finally {
    clearInterval(busy);
  }
}

/** The builder looks for Go on the PATH. A workspace or a version that is downloaded would not be the pinned one. */
function goEnvironment(go: Go, environment: Workshop["environment"]): Record<string, string> {
  const inherited = Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return {
    ...Object.fromEntries(inherited),
    PATH: `${dirname(go.path)}:${environment["PATH"] ?? ""}`,
    GOFLAGS: "-buildvcs=false",
    GOTOOLCHAIN: "local",
    GOWORK: "off",
  };
}
