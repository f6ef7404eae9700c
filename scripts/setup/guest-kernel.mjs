import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join, relative } from "node:path";
import { gunzipSync } from "node:zlib";
import { decompressLz4Legacy, isLz4Legacy } from "./lz4-legacy.mjs";
import { SetupError } from "./setup-error.mjs";

// Offsets in the x86 boot protocol's setup header (Documentation/arch/x86/boot.rst).
const SETUP_SECTORS = 0x1f1;
const HEADER_MAGIC = 0x202;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const SECTOR_BYTES = 512;

const MAX_KERNEL_BYTES = 512 * 1024 * 1024;

/**
 * Programs that decompress what Node 20 cannot.
 * @typedef {object} Decompressors
 * @property {string} busybox
 * @property {string} pinnedNode
 */

/**
 * Lays out the guest kernel of an unpacked linux-image package. A guest boots 400 ms sooner from the
 * uncompressed vmlinux than from the bzImage that Debian ships.
 * @param {{ rootDir: string, kernelDir: string, decompressors: Decompressors }} options
 * @returns {string} the kernel's release
 */
export function unpackKernel({ rootDir, kernelDir, decompressors }) {
  const version = readdirSync(join(rootDir, "boot"))
    .filter((name) => name.startsWith("vmlinuz-"))
    .map((name) => name.slice("vmlinuz-".length))
    .sort()
    .at(-1);
  if (version === undefined) throw new SetupError("no vmlinuz in the kernel package");
  const image = join(rootDir, "boot", `vmlinuz-${version}`);
  const modules = ["usr/lib/modules", "lib/modules"]
    .map((folder) => join(rootDir, folder, version))
    .find((folder) => existsSync(folder));
  if (modules === undefined) throw new SetupError(`no modules of ${version} in the kernel package`);

  mkdirSync(kernelDir, { recursive: true });
  writeFileSync(join(kernelDir, "vmlinux"), extractVmlinux(readFileSync(image), decompressors));
  writeFileSync(join(kernelDir, "version"), `${version}\n`);
  symlinkSync(relative(kernelDir, image), join(kernelDir, "vmlinuz"));
  symlinkSync(relative(kernelDir, modules), join(kernelDir, "modules"));
  return version;
}

/**
 * @param {Buffer} image a bzImage
 * @param {Decompressors} decompressors
 * @returns {Buffer} the ELF kernel inside
 */
export function extractVmlinux(image, decompressors) {
  if (image.length < 0x250 || image.toString("latin1", HEADER_MAGIC, HEADER_MAGIC + 4) !== "HdrS") {
    throw new SetupError("the kernel is not an x86 bzImage");
  }
  const setupBytes = ((image[SETUP_SECTORS] || 4) + 1) * SECTOR_BYTES;
  const start = setupBytes + image.readUInt32LE(PAYLOAD_OFFSET);
  const payload = image.subarray(start, start + image.readUInt32LE(PAYLOAD_LENGTH));
  const kernel = decompress(payload, decompressors);
  if (kernel.toString("latin1", 0, 4) !== "\x7fELF") throw new SetupError("the kernel payload is not an ELF file");
  return kernel;
}

/**
 * The last four bytes of a payload are its uncompressed size, written by the kernel's build.
 * @param {Buffer} payload
 * @param {Decompressors} decompressors
 * @returns {Buffer}
 */
function decompress(payload, { busybox, pinnedNode }) {
  const body = payload.subarray(0, -4);
  const size = payload.readUInt32LE(payload.length - 4);
  const magic = payload.toString("hex", 0, 6);
  if (isLz4Legacy(body)) return decompressLz4Legacy(body, size);
  if (magic.startsWith("1f8b")) return gunzipSync(payload);
  if (magic === "fd377a585a00") return pipeThrough([busybox, "xz", "-dc"], body);
  if (magic.startsWith("28b52ffd")) {
    const program = "process.stdout.write(zlib.zstdDecompressSync(fs.readFileSync(0)))";
    return pipeThrough([pinnedNode, "--eval", program], body);
  }
  if (magic.startsWith("7f454c46")) return payload;
  throw new SetupError(`the kernel payload is compressed in a way that set-up does not know (${magic})`);
}

/**
 * @param {[string, ...string[]]} argv
 * @param {Buffer} input
 */
function pipeThrough([command, ...args], input) {
  const result = spawnSync(command, args, { input, maxBuffer: MAX_KERNEL_BYTES });
  if (result.status !== 0) throw new SetupError(`${command} could not decompress the kernel: ${String(result.stderr)}`);
  return result.stdout;
}
