/**
 * Files that are whole or absent: written beside, forced to the disk, then renamed.
 * A crash leaves at most a file in the temporary directory, which counts for nothing.
 */
import { open, rename, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { BlixardError, toBlixardError } from "#model/errors.ts";

/** Readable by an unprivileged hypervisor, writable by nobody. */
const FILE_MODE = 0o444;

export type OpenFile = (path: string, flags: string, mode: number) => Promise<FileHandle>;

export interface DurableFiles {
  /**
   * Makes `path` with what `write` puts into it. The directory is not forced: see `syncDirectory`.
   * @throws BlixardError DISK_FULL, DATA_DIRECTORY_UNUSABLE; what `write` throws; nothing is left behind.
   */
  create(path: string, write: (file: FileHandle) => Promise<void>): Promise<void>;
}

export interface DurableFilesOptions {
  /** On the same file system as the files. */
  readonly temporaryDirectory: string;
  readonly randomId: () => string;
  /** Default: the file system's; tests fill the disk with it. */
  readonly open?: OpenFile;
}

export function createDurableFiles(options: DurableFilesOptions): DurableFiles {
  const openFile: OpenFile = options.open ?? open;
  return {
    async create(path, write) {
      const temporary = join(options.temporaryDirectory, options.randomId());
      try {
        const file = await openFile(temporary, "wx", 0o600);
        try {
          await write(file);
          await file.chmod(FILE_MODE);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw toStorageError(error);
      }
    },
  };
}

/** Makes the names in a directory survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

const FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);
const UNUSABLE: ReadonlySet<string> = new Set(["EACCES", "EPERM", "EROFS", "EIO"]);

/** A system error of the file system as ours; others unchanged. */
export function toStorageError(error: unknown): BlixardError {
  const code = systemCodeOf(error) ?? "";
  if (FULL.has(code)) {
    return new BlixardError("DISK_FULL", "the disk with the data directory is full", {
      cause: error,
      hint: "Make room: delete images or VMs that are no longer needed, or enlarge the disk.",
    });
  }
  if (UNUSABLE.has(code)) {
    return new BlixardError("DATA_DIRECTORY_UNUSABLE", "the data directory cannot be used", {
      cause: error,
      hint: "Check the disk, and that the node's user owns the data directory.",
    });
  }
  return toBlixardError(error);
}

export function systemCodeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
