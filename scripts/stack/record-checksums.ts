import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { checksumsFile, readBuildInputs } from "./build-inputs.ts";
import { planBuild } from "./build-plan.ts";
import { carryOut } from "./carry-out.ts";
import { findGo } from "./find-go.ts";
import { PROGRAMS, type ProgramName } from "./programs.ts";

/**
 * Writes down what a Collector is made of, after its version or its components were changed. From then on nobody gets
 * anything else, whatever a proxy says. This once everything is believed: read the difference before you commit it.
 */
export async function recordChecksums(name: ProgramName, tell: (line: string) => void): Promise<void> {
  const program = PROGRAMS[name];
  if (program.recipe.kind !== "collector") throw new Error(`${name} comes with checksums of its own`);
  const { manifest } = await readBuildInputs(program);
  const workDir = await mkdtemp(join(tmpdir(), "blixard-checksums-"));
  try {
    const steps = planBuild(program, { manifest }, workDir).steps.slice(0, -1); // not the compiling
    const go = await findGo({ path: process.env["PATH"] ?? "" });
    await carryOut(steps, { go, environment: { ...process.env, GOSUMDB: "off" }, downloadDir: workDir, tell });
    const texts = ["builder", "source"].map((folder) => readFile(join(workDir, folder, "go.sum"), "utf8"));
    const lines = new Set((await Promise.all(texts)).flatMap((text) => text.split("\n").filter((line) => line !== "")));
    await mkdir(dirname(checksumsFile(program)), { recursive: true });
    await writeFile(checksumsFile(program), `${[...lines].toSorted().join("\n")}\n`);
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}
