/** Compares generated files with the work tree, and brings the work tree up to date. */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Text by path below the repository's root. */
export type GeneratedFiles = ReadonlyMap<string, string>;

export interface Difference {
  readonly path: string;
  readonly kind: "missing" | "changed" | "stale";
}

/**
 * Where the work tree parts from `files`. Everything under `ownedFolders` is
 * generated: a file there that nothing generates is stale.
 */
export async function compareOutput(
  root: string,
  files: GeneratedFiles,
  ownedFolders: readonly string[],
): Promise<Difference[]> {
  const differences: Difference[] = [];
  for (const [path, text] of files) {
    const present = await readText(join(root, path));
    if (present === undefined) differences.push({ path, kind: "missing" });
    else if (present !== text) differences.push({ path, kind: "changed" });
  }
  for (const folder of ownedFolders) {
    for (const path of await listFiles(root, folder)) {
      if (!files.has(path)) differences.push({ path, kind: "stale" });
    }
  }
  return differences;
}

/** Writes what is missing or changed and removes what is stale. */
export async function applyOutput(
  root: string,
  files: GeneratedFiles,
  differences: readonly Difference[],
): Promise<void> {
  for (const { path, kind } of differences) {
    const target = join(root, path);
    if (kind === "stale") {
      await rm(target);
      continue;
    }
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, files.get(path) ?? "");
  }
}

async function listFiles(root: string, folder: string): Promise<string[]> {
  try {
    const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
