// Bundles src/ into dist/, for a fast start and for the npm package. Lazy imports stay lazy: a command that
// only asks the node something never loads the daemon.

import { mkdir, rename, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { isBuiltin } from "node:module";
import { rolldown, type Plugin } from "rolldown";

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

const BUILTIN = "\0builtin:";

/**
 * Node's builtins as they are. An `import` of one makes Node read every property of it for the module's
 * names, and some are getters that load much more: `node:http` brings in all of undici, 15 ms of a short command.
 */
const builtinsAsTheyAre: Plugin = {
  name: "builtins-as-they-are",
  // The bundle's own runtime needs node:module before it can load anything in this way.
  resolveId: (id) => (isBuiltin(id) && id !== "node:module" ? `${BUILTIN}${id}` : null),
  load(id) {
    if (!id.startsWith(BUILTIN)) return null;
    const name = JSON.stringify(id.slice(BUILTIN.length));
    return { code: `module.exports = process.getBuiltinModule(${name});`, moduleType: "js" };
  },
};

/** Writes the bundle into `outDir`, whole or not at all. */
export async function buildBundle(outDir: string): Promise<BundleFile[]> {
  const startedAt = new Date();
  const partialDir = `${outDir}.partial`;
  await rm(partialDir, { recursive: true, force: true });
  await mkdir(partialDir, { recursive: true });
  await using bundle = await rolldown({
    cwd: repositoryDir,
    input: ENTRIES,
    platform: "node",
    plugins: [builtinsAsTheyAre],
  });
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
