/**
 * Chunks by sha256: `chunks/<first two digits>/<sha256>`. A chunk with its name is
 * whole, or it is corrupt; there is no half-written one (see durable-file.ts).
 * Used by the image store alone.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { BlixardError } from "#model/errors.ts";
import { syncDirectory, systemCodeOf, toStorageError, type DurableFiles } from "./durable-file.ts";
import { isSha256 } from "./manifest.ts";

export interface ChunkStore {
  start(): Promise<void>;
  /**
   * Keeps a chunk. One that is there already is read back: `kept` when it is sound,
   * `replaced` when it was not.
   * @throws BlixardError DISK_FULL, DATA_DIRECTORY_UNUSABLE
   */
  put(sha256: string, data: Uint8Array): Promise<"added" | "kept" | "replaced">;
  /** Whether there is a chunk of this name; its content is not looked at. */
  has(sha256: string): Promise<boolean>;
  /**
   * The chunk's bytes, checked against its name (and its size, if one is expected).
   * @throws BlixardError IMAGE_CORRUPT when it is missing or its bytes are not those of its name
   */
  read(sha256: string, expectedBytes?: number): Promise<Buffer>;
  pathOf(sha256: string): string;
  /** Disk space that the chunks take. */
  usedBytes(): Promise<number>;
  /** Makes the names of these chunks survive a power cut. */
  sync(sha256s: Iterable<string>): Promise<void>;
  /** Removes every chunk that `isReferenced` denies. */
  removeUnless(isReferenced: (sha256: string) => boolean): Promise<{ count: number; bytes: number }>;
}

const SUBDIRECTORIES = Array.from({ length: 256 }, (_, index) => index.toString(16).padStart(2, "0"));

export function createChunkStore(directory: string, files: DurableFiles): ChunkStore {
  const directoryOf = (sha256: string): string => join(directory, sha256.slice(0, 2));
  const pathOf = (sha256: string): string => join(directoryOf(sha256), sha256);

  return {
    pathOf,
    async start() {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      for (const name of SUBDIRECTORIES) await mkdir(join(directory, name), { recursive: true, mode: 0o700 });
    },
    async put(sha256, data) {
      const found = await readSound(pathOf(sha256), sha256);
      if (found !== undefined && found !== "corrupt") return "kept";
      await files.create(pathOf(sha256), (file) => file.writeFile(data));
      return found === "corrupt" ? "replaced" : "added";
    },
    async has(sha256) {
      if (!isSha256(sha256)) return false;
      try {
        return (await stat(pathOf(sha256))).isFile();
      } catch (error) {
        if (systemCodeOf(error) === "ENOENT") return false;
        throw toStorageError(error);
      }
    },
    async read(sha256, expectedBytes) {
      const data = isSha256(sha256) ? await readSound(pathOf(sha256), sha256) : undefined;
      if (data === undefined) throw corrupt(`chunk ${sha256} is missing`);
      if (data === "corrupt") throw corrupt(`the bytes of chunk ${sha256} are not those of its name`);
      if (expectedBytes !== undefined && data.length !== expectedBytes) {
        throw corrupt(`chunk ${sha256} has ${data.length} bytes where the manifest says ${expectedBytes}`);
      }
      return data;
    },
    async sync(sha256s) {
      for (const path of new Set(Iterator.from(sha256s).map(directoryOf))) await syncDirectory(path);
    },
    async usedBytes() {
      let blocks = 0;
      for (const name of SUBDIRECTORIES) {
        for (const entry of await readdir(join(directory, name)))
          blocks += await blocksOf(join(directory, name, entry));
      }
      return blocks * 512;
    },
    async removeUnless(isReferenced) {
      let count = 0;
      let bytes = 0;
      for (const name of SUBDIRECTORIES) {
        for (const entry of await readdir(join(directory, name))) {
          if (isSha256(entry) && isReferenced(entry)) continue;
          const path = join(directory, name, entry);
          bytes += (await stat(path)).size;
          await rm(path, { recursive: true });
          count++;
        }
      }
      return { count, bytes };
    },
  };
}

async function readSound(path: string, sha256: string): Promise<Buffer | "corrupt" | undefined> {
  try {
    const data = await readFile(path);
    return createHash("sha256").update(data).digest("hex") === sha256 ? data : "corrupt";
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw toStorageError(error);
  }
}

/** 0 for a chunk that has just been removed. */
async function blocksOf(path: string): Promise<number> {
  return (await stat(path, { throwIfNoEntry: false }))?.blocks ?? 0;
}

function corrupt(message: string): BlixardError {
  return new BlixardError("IMAGE_CORRUPT", message, {
    hint: "Import the same files again: chunks that are broken or missing are replaced.",
  });
}
