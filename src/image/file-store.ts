/**
 * Whole files for hypervisors, put together from chunks: `files/<sha256>`. A file
 * with its name was checked when it was made. Used by the image store alone.
 */
import { createHash } from "node:crypto";
import { chmod, link, mkdir, readdir, rm, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { BlixardError } from "#model/errors.ts";
import type { ImageFile } from "#model/image.ts";
import type { ChunkStore } from "./chunk-store.ts";
import { syncDirectory, systemCodeOf, toStorageError, type DurableFiles } from "./durable-file.ts";
import { chunksOf, isSha256 } from "./manifest.ts";

export interface FileStore {
  start(): Promise<void>;
  /** Whether the file is there; by its size, its content was checked when it was made. */
  has(file: ImageFile): Promise<boolean>;
  /**
   * Makes the file from its chunks.
   * @throws BlixardError IMAGE_CORRUPT, DISK_FULL, DATA_DIRECTORY_UNUSABLE; the reason of `signal`
   */
  assemble(file: ImageFile, signal: AbortSignal): Promise<void>;
  pathOf(file: ImageFile): string;
  /** Removes a file that may be broken; it can be made again. */
  discard(sha256: string): Promise<void>;
  /** Disk space of the files that are not a chunk's other name. */
  usedBytes(): Promise<number>;
  removeUnless(isReferenced: (sha256: string) => boolean): Promise<{ count: number; bytes: number }>;
}

export interface FileStoreOptions {
  readonly directory: string;
  readonly chunks: ChunkStore;
  readonly files: DurableFiles;
}

export function createFileStore({ directory, chunks, files }: FileStoreOptions): FileStore {
  const pathOf = (sha256: string): string => join(directory, sha256);

  async function assembleFromMany(file: ImageFile, signal: AbortSignal): Promise<void> {
    await files.create(pathOf(file.sha256), async (handle) => {
      const sum = createHash("sha256");
      for (const chunk of chunksOf(file)) {
        signal.throwIfAborted();
        const data = await chunks.read(chunk.sha256, chunk.sizeBytes);
        sum.update(data);
        if (!isZero(data)) await writeAt(handle, data, chunk.offset);
      }
      await handle.truncate(file.sizeBytes);
      if (sum.digest("hex") !== file.sha256) throw mismatch(file);
    });
  }

  /** The chunk is the file: one more name for it costs no space. */
  async function assembleFromOne(file: ImageFile, chunk: string): Promise<void> {
    await chunks.read(chunk, file.sizeBytes);
    if (chunk !== file.sha256) throw mismatch(file);
    await rm(pathOf(file.sha256), { force: true });
    try {
      await link(chunks.pathOf(chunk), pathOf(file.sha256));
    } catch (error) {
      const code = systemCodeOf(error);
      if (code === "EEXIST") return;
      if (code !== "EXDEV" && code !== "EMLINK" && code !== "EPERM" && code !== "ENOTSUP") throw toStorageError(error);
      await files.create(pathOf(file.sha256), async (handle) => handle.writeFile(await chunks.read(chunk)));
    }
  }

  return {
    pathOf: (file) => pathOf(file.sha256),
    async start() {
      // A hypervisor without rights must reach its files by name; it need not list them.
      await mkdir(directory, { recursive: true });
      await chmod(directory, 0o711);
    },
    async has(file) {
      try {
        return (await stat(pathOf(file.sha256))).size === file.sizeBytes;
      } catch (error) {
        if (systemCodeOf(error) === "ENOENT") return false;
        throw toStorageError(error);
      }
    },
    async assemble(file, signal) {
      if (!isSha256(file.sha256)) throw mismatch(file);
      const [only] = file.chunkSha256;
      if (only !== undefined && file.chunkSha256.length === 1) await assembleFromOne(file, only);
      else await assembleFromMany(file, signal);
      await syncDirectory(directory);
    },
    discard: (sha256) => rm(pathOf(sha256), { force: true }),
    async usedBytes() {
      let blocks = 0;
      for (const entry of await readdir(directory)) {
        const facts = await stat(pathOf(entry), { throwIfNoEntry: false });
        if (facts?.nlink === 1) blocks += facts.blocks;
      }
      return blocks * 512;
    },
    async removeUnless(isReferenced) {
      let count = 0;
      let bytes = 0;
      for (const entry of await readdir(directory)) {
        if (isSha256(entry) && isReferenced(entry)) continue;
        const { size, nlink } = await stat(pathOf(entry));
        await rm(pathOf(entry), { recursive: true });
        count++;
        if (nlink === 1) bytes += size;
      }
      return { count, bytes };
    },
  };
}

async function writeAt(handle: FileHandle, data: Buffer, offset: number): Promise<void> {
  for (let written = 0; written < data.length;) {
    const { bytesWritten } = await handle.write(data, written, data.length - written, offset + written);
    written += bytesWritten;
  }
}

/** Zeros stay a hole in the file. */
function isZero(data: Buffer): boolean {
  return data[0] === 0 && data.subarray(1).equals(data.subarray(0, -1));
}

function mismatch(file: ImageFile): BlixardError {
  return new BlixardError("IMAGE_CORRUPT", `the chunks of the ${file.role} do not add up to sha256 ${file.sha256}`, {
    hint: "The manifest is wrong: delete the image and import it again.",
  });
}
