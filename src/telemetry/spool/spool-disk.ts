/** The few things a spool does to a disk: a port, so that tests can break every one of them. */
import { mkdir, open, readdir, rmdir, unlink, type FileHandle } from "node:fs/promises";

export interface SpoolDisk {
  /** With what is above it; only the node's user may look inside. */
  makeDirectory(path: string): Promise<void>;
  /** Names in a directory; none when it does not exist. */
  list(path: string): Promise<readonly string[]>;
  /** Empty, also when there is one. */
  create(path: string): Promise<SpoolFile>;
  open(path: string): Promise<SpoolFile>;
  /** No error when there is none. */
  remove(path: string): Promise<void>;
  /** Leaves it where it is when there is something in it. */
  removeDirectory(path: string): Promise<void>;
}

export interface SpoolFile {
  size(): Promise<number>;
  /** Fewer bytes at the end of the file. */
  read(offset: number, lengthBytes: number): Promise<Buffer>;
  write(offset: number, bytes: Uint8Array): Promise<void>;
  truncate(lengthBytes: number): Promise<void>;
  close(): Promise<void>;
}

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

export const systemDisk: SpoolDisk = {
  async makeDirectory(path) {
    await mkdir(path, { recursive: true, mode: DIRECTORY_MODE });
  },
  async list(path) {
    try {
      return await readdir(path);
    } catch (error) {
      if (hasCode(error, "ENOENT")) return [];
      throw error;
    }
  },
  create: async (path) => spoolFile(await open(path, "w+", FILE_MODE)),
  open: async (path) => spoolFile(await open(path, "r+")),
  async remove(path) {
    try {
      await unlink(path);
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw error;
    }
  },
  async removeDirectory(path) {
    try {
      await rmdir(path);
    } catch (error) {
      if (!hasCode(error, "ENOENT", "ENOTEMPTY", "EEXIST")) throw error;
    }
  },
};

function spoolFile(handle: FileHandle): SpoolFile {
  return {
    size: async () => (await handle.stat()).size,
    async read(offset, lengthBytes) {
      const bytes = Buffer.allocUnsafe(lengthBytes);
      let length = 0;
      while (length < lengthBytes) {
        const { bytesRead } = await handle.read(bytes, length, lengthBytes - length, offset + length);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      return bytes.subarray(0, length);
    },
    async write(offset, bytes) {
      for (let written = 0; written < bytes.length;) {
        const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, offset + written);
        written += bytesWritten;
      }
    },
    truncate: (lengthBytes) => handle.truncate(lengthBytes),
    close: () => handle.close(),
  };
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
