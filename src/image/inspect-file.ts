/**
 * What a file is, told by its first bytes before it is stored: a kernel that QEMU
 * can start directly, a raw or a qcow2 disk. Pure.
 */
import { BlixardError } from "#model/errors.ts";
import type { DiskFormat, ImageFileRole } from "#model/image.ts";
import { isQcow2, refuseQcow2 } from "./qcow2-header.ts";

export interface FileFacts {
  /** Disks only. */
  readonly diskFormat: DiskFormat | undefined;
}

/**
 * @param start the file's first bytes: a whole chunk, or the whole file if it is shorter
 * @throws BlixardError IMAGE_INVALID
 */
export function inspectFile(role: ImageFileRole, start: Buffer): FileFacts {
  switch (role) {
    case "kernel":
      requireKernel(start);
      return { diskFormat: undefined };
    case "initrd":
      return { diskFormat: undefined };
    case "disk":
      return { diskFormat: inspectDisk(start) };
  }
}

const ELF_MAGIC = Buffer.from("\x7fELF", "latin1");
const ELF_CLASS_64 = 2;
const ELF_LITTLE_ENDIAN = 1;
const ELF_MACHINE_X86_64 = 62;
const ELF_SEGMENT_NOTE = 4;
const BZIMAGE_BOOT_FLAG_OFFSET = 0x1fe;
const BZIMAGE_MAGIC_OFFSET = 0x202;

function requireKernel(start: Buffer): void {
  if (start.subarray(0, 4).equals(ELF_MAGIC)) return requirePvhKernel(start);
  const isBzImage =
    start.length > BZIMAGE_MAGIC_OFFSET + 4 &&
    start.readUInt16LE(BZIMAGE_BOOT_FLAG_OFFSET) === 0xaa55 &&
    start.toString("latin1", BZIMAGE_MAGIC_OFFSET, BZIMAGE_MAGIC_OFFSET + 4) === "HdrS";
  if (isBzImage) return;
  throw refused("the kernel is neither a bzImage nor an ELF vmlinux", "Give /boot/vmlinuz-… or a built vmlinux.");
}

/** The PVH entry point is told in a note: an ELF kernel without notes cannot be started directly. */
function requirePvhKernel(start: Buffer): void {
  const hint = "Give an x86-64 vmlinux built with CONFIG_PVH=y, or a bzImage.";
  if (start.length < 64) throw refused("the kernel's ELF header is cut off", hint);
  const isX86 =
    start[4] === ELF_CLASS_64 && start[5] === ELF_LITTLE_ENDIAN && start.readUInt16LE(18) === ELF_MACHINE_X86_64;
  if (!isX86) throw refused("the kernel is an ELF file for another machine", hint);
  const tableOffset = Number(start.readBigUInt64LE(32));
  const entryBytes = start.readUInt16LE(54);
  const entries = start.readUInt16LE(56);
  for (let index = 0; index < entries; index++) {
    const offset = tableOffset + index * entryBytes;
    if (offset + 4 > start.length) break;
    if (start.readUInt32LE(offset) === ELF_SEGMENT_NOTE) return;
  }
  throw refused("the kernel is an ELF file without notes, so it has no PVH entry point", hint);
}

/** Formats that would silently be taken for raw, by the text at their start. */
const FOREIGN_DISKS: readonly { readonly magic: string; readonly format: string }[] = [
  { magic: "KDMV", format: "vmdk" },
  { magic: "# Disk DescriptorFile", format: "vmdk" },
  { magic: "vhdxfile", format: "vhdx" },
  { magic: "conectix", format: "vpc" },
  { magic: "QED\0", format: "qed" },
  { magic: "<<< ", format: "vdi" },
  { magic: "LUKS\xba\xbe", format: "luks" },
];

const COMPRESSED: readonly { readonly magic: string; readonly tool: string }[] = [
  { magic: "\x1f\x8b", tool: "gunzip" },
  { magic: "\xfd7zXZ\0", tool: "unxz" },
  { magic: "\x28\xb5\x2f\xfd", tool: "unzstd" },
  { magic: "BZh", tool: "bunzip2" },
];

function inspectDisk(start: Buffer): DiskFormat {
  if (isQcow2(start)) {
    const refusal = refuseQcow2(start);
    if (refusal !== undefined) throw refused(`the disk is a qcow2 image, but ${refusal.message}`, refusal.hint);
    return "qcow2";
  }
  const text = start.toString("latin1", 0, 64);
  const foreign = FOREIGN_DISKS.find(({ magic }) => text.startsWith(magic));
  if (foreign !== undefined) {
    throw refused(
      `the disk is a ${foreign.format} image`,
      `Convert it: \`qemu-img convert -f ${foreign.format} -O qcow2 OLD NEW\`.`,
    );
  }
  const compressed = COMPRESSED.find(({ magic }) => text.startsWith(magic));
  if (compressed !== undefined) {
    throw refused("the disk is compressed as a whole", `Unpack it with ${compressed.tool} first.`);
  }
  return "raw";
}

function refused(message: string, hint: string): BlixardError {
  return new BlixardError("IMAGE_INVALID", message, { hint });
}
