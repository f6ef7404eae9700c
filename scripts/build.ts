// Bundles src/ into dist/, for a fast start and for the npm package. Lazy imports stay lazy: a command that
// only asks the node something never loads the daemon.

import { mkdir, rename, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { rolldown } from "rolldown";

const repositoryDir = join(import.meta.dirname, "..");

/** Name of the bundle → its source. The guardian is a program of its own. */
const ENTRIES = { main: "src/main.ts", guardian: "src/guardian/main.ts" };

async function build(): Promise<void> {
  const startedAt = new Date();
  const distDir = join(repositoryDir, "dist");
  const partialDir = join(repositoryDir, "dist.partial");
  await rm(partialDir, { recursive: true, force: true });
  await mkdir(partialDir);
  const bundle = await rolldown({ cwd: repositoryDir, input: ENTRIES, platform: "node" });
  try {
    await bundle.write({
      dir: partialDir,
      format: "esm",
      entryFileNames: "[name].js",
      chunkFileNames: "chunks/[name]-[hash].js",
    });
  } finally {
    await bundle.close();
  }
  // The launcher compares with this time: whatever changed while we built makes the bundle outdated.
  await utimes(join(partialDir, "main.js"), startedAt, startedAt);
  await rm(distDir, { recursive: true, force: true });
  await rename(partialDir, distDir);
}

await build();
