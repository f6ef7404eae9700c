// Bundles src/ into dist/, for a fast start and for the npm package. Lazy imports stay lazy: a command that
// only asks the node something never loads the daemon.

import { mkdir, rename, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { rolldown } from "rolldown";

const repositoryDir = join(import.meta.dirname, "..");

/** Name of the bundle → its source. The guardian is a program of its own. */
const ENTRIES = { main: "src/main.ts", guardian: "src/guardian/main.ts" };

/** One file of the bundle. */
export interface BundleFile {
  name: string;
  /** The files it loads at once, when it is loaded. */
  imports: string[];
  /** The sources in it. */
  sources: string[];
}

/** Writes the bundle into `outDir`, whole or not at all. */
export async function buildBundle(outDir: string): Promise<BundleFile[]> {
  const startedAt = new Date();
  const partialDir = `${outDir}.partial`;
  await rm(partialDir, { recursive: true, force: true });
  await mkdir(partialDir, { recursive: true });
  await using bundle = await rolldown({ cwd: repositoryDir, input: ENTRIES, platform: "node" });
  const { output } = await bundle.write({
    dir: partialDir,
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "chunks/[name]-[hash].js",
  });
  // The launcher compares with this time: whatever changed while we built makes the bundle outdated.
  await utimes(join(partialDir, "main.js"), startedAt, startedAt);
  await rm(outDir, { recursive: true, force: true });
  await rename(partialDir, outDir);
  return output
    .filter((file) => file.type === "chunk")
    .map(({ fileName, imports, moduleIds }) => ({ name: fileName, imports, sources: moduleIds }));
}

if (import.meta.main) await buildBundle(join(repositoryDir, "dist"));
