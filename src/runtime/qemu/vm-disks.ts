/**
 * A VM's disks as files: an overlay over the image's disk, and empty disks.
 *
 * A disk that is there is kept, so a guest that is restarted on its node finds
 * what it wrote. An ephemeral disk is fresh on every placement because the end
 * of a placement removes the VM's directory. Empty disks are sparse raw files,
 * which need no other program.
 */
import { chmod, chown, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { BlixardError } from "#model/errors.ts";
import type { MaterializedImage } from "#model/image.ts";
import type { VmDisk } from "#model/vm.ts";
import { runCommandOrThrow } from "#process/run.ts";
import type { GuestUser } from "./confinement.ts";
import type { QemuDisk } from "./qemu-arguments.ts";

export interface EnsureDisksOptions {
  /** The hypervisor's working directory. */
  readonly dir: string;
  readonly image: MaterializedImage;
  readonly disks: readonly VmDisk[];
  /** Owner of the files; undefined: ours. */
  readonly user: GuestUser | undefined;
  /** Looked up only when there is an overlay to make. */
  readonly findQemuImg: () => string;
  readonly signal: AbortSignal;
}

const QEMU_IMG_TIMEOUT_MS = 60_000;
const OVERLAY_NAME = "root";

/** @throws BlixardError DISK_FULL, TOOL_MISSING, IMAGE_INVALID, DATA_DIRECTORY_UNUSABLE */
export async function ensureDisks(options: EnsureDisksOptions): Promise<readonly QemuDisk[]> {
  const { dir, image, disks } = options;
  // Whoever comes this way may enter, nobody but us may write or list.
  await withStorageErrors(async () => {
    await mkdir(dir, { recursive: true });
    await chmod(dir, 0o711);
  });
  const ensured: QemuDisk[] = [];
  if (image.disk !== undefined) {
    const fileName = `${OVERLAY_NAME}.qcow2`;
    const { path, format } = image.disk;
    await ensureFile(options, fileName, (target) => createOverlay(options, target, path, format));
    ensured.push({ name: OVERLAY_NAME, fileName, format: "qcow2", base: { format } });
  }
  for (const { name, sizeBytes } of disks) {
    const fileName = `disk-${name}.raw`;
    await ensureFile(options, fileName, (target) => createSparseFile(target, sizeBytes));
    ensured.push({ name, fileName, format: "raw", base: undefined });
  }
  return ensured;
}

/** A file that is there is whole: it is made under another name first. */
async function ensureFile(
  { dir, user }: EnsureDisksOptions,
  name: string,
  create: (path: string) => Promise<void>,
): Promise<void> {
  const path = join(dir, name);
  if ((await stat(path).catch(() => undefined)) !== undefined) return;
  const partial = `${path}.partial`;
  await withStorageErrors(async () => {
    await rm(partial, { force: true });
    try {
      await create(partial);
      await chmod(partial, 0o600);
      if (user !== undefined) await chown(partial, user.uid, user.gid);
      await rename(partial, path);
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  });
}

async function createSparseFile(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.truncate(sizeBytes);
  } finally {
    await file.close();
  }
}

/** Unsafe mode: the image below is not opened here but by the confined hypervisor, which follows no chain of its. */
async function createOverlay(
  options: EnsureDisksOptions,
  path: string,
  basePath: string,
  baseFormat: "raw" | "qcow2",
): Promise<void> {
  const sizeBytes = await readVirtualSize(basePath, baseFormat);
  await runCommandOrThrow({
    command: options.findQemuImg(),
    args: ["create", "-q", "-u", "-f", "qcow2", "-b", basePath, "-F", baseFormat, path, String(sizeBytes)],
    timeoutMs: QEMU_IMG_TIMEOUT_MS,
    signal: options.signal,
  });
}

// Of the qcow2 header: the magic "QFI\xfb", and the disk's size at byte 24, big-endian.
const QCOW2_MAGIC = 0x514649fb;

async function readVirtualSize(path: string, format: "raw" | "qcow2"): Promise<number> {
  const file = await open(path, "r");
  try {
    if (format === "raw") return (await file.stat()).size;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(32), 0, 32, 0);
    if (bytesRead < 32 || buffer.readUInt32BE(0) !== QCOW2_MAGIC) {
      throw new BlixardError("IMAGE_INVALID", `${path} is not a qcow2 disk`);
    }
    return Number(buffer.readBigUInt64BE(24));
  } finally {
    await file.close();
  }
}

/** Failures of the file system, ours or told by qemu-img, as errors that say what to do. */
async function withStorageErrors(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    if (isDiskFull(cause)) {
      throw new BlixardError("DISK_FULL", "there is no space for the VM's disks", {
        cause,
        hint: "free space in the data directory, or delete VMs or images",
      });
    }
    if (cause instanceof BlixardError || !isSystemError(cause)) throw cause;
    throw new BlixardError("DATA_DIRECTORY_UNUSABLE", "the VM's disks cannot be made", {
      cause,
      hint: "check the data directory and its file system",
    });
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error && "syscall" in error;
}

function isDiskFull(error: unknown): boolean {
  if (isSystemError(error)) return error.code === "ENOSPC" || error.code === "EDQUOT" || error.code === "EFBIG";
  return error instanceof BlixardError && /No space left on device|Disk quota exceeded/.test(error.message);
}
