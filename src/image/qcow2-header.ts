/**
 * A qcow2 header, read as hostile input: an image may name other files of the host
 * (a backing file, an external data file), which QEMU would open on the guest's
 * behalf. Source: QEMU docs/interop/qcow2.
 */
import { approximateSize } from "#model/quantity.ts";

const MAGIC = 0x514649fb; // "QFI\xfb"
const HEADER_V2_BYTES = 72;
const MAXIMUM_VIRTUAL_BYTES = 16 * 2 ** 40;

/** Bits of `incompatible_features`: only these two change nothing outside the file. */
const FEATURE_DIRTY = 1n << 0n;
const FEATURE_CORRUPT = 1n << 1n;
const FEATURE_EXTERNAL_DATA = 1n << 2n;
const FEATURE_COMPRESSION = 1n << 3n;
const FEATURE_EXTENDED_L2 = 1n << 4n;

const EXTENSION_END = 0;
const EXTENSION_EXTERNAL_DATA = 0x44415441;
const MAXIMUM_EXTENSIONS = 64;

export interface Qcow2Refusal {
  readonly message: string;
  readonly hint: string;
}

const standalone = "Make it stand alone: `qemu-img convert -O qcow2 OLD NEW`.";

export function isQcow2(start: Buffer): boolean {
  return start.length >= 4 && start.readUInt32BE(0) === MAGIC;
}

/** Why the image is refused, or undefined. `start` is the file's first bytes, at least 64 KiB unless it is shorter. */
export function refuseQcow2(start: Buffer): Qcow2Refusal | undefined {
  if (start.length < HEADER_V2_BYTES) return broken("its header is cut off");
  const version = start.readUInt32BE(4);
  if (version !== 2 && version !== 3) return { message: `it is qcow version ${version}`, hint: standalone };
  if (start.readBigUInt64BE(8) !== 0n || start.readUInt32BE(16) !== 0) {
    return { message: "it names a backing file, another file of the host", hint: standalone };
  }
  const clusterBits = start.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) return broken(`it has clusters of 2^${clusterBits} bytes`);
  const virtualBytes = start.readBigUInt64BE(24);
  if (virtualBytes === 0n || virtualBytes > BigInt(MAXIMUM_VIRTUAL_BYTES)) {
    return {
      message: `its virtual size is ${virtualBytes} bytes`,
      hint: `Use a disk of at most ${approximateSize(MAXIMUM_VIRTUAL_BYTES)}.`,
    };
  }
  if (start.readUInt32BE(32) !== 0) return { message: "it is encrypted", hint: "Import a decrypted image." };
  return version === 3 ? refuseVersion3(start) : refuseExtensions(start, HEADER_V2_BYTES);
}

function refuseVersion3(start: Buffer): Qcow2Refusal | undefined {
  if (start.length < 104) return broken("its header is cut off");
  const features = start.readBigUInt64BE(72);
  if ((features & FEATURE_EXTERNAL_DATA) !== 0n) {
    return { message: "it keeps its data in another file of the host", hint: standalone };
  }
  if ((features & (FEATURE_DIRTY | FEATURE_CORRUPT)) !== 0n) {
    return {
      message: "it was not closed cleanly, or is marked corrupt",
      hint: "Repair it: `qemu-img check -r all FILE`.",
    };
  }
  const unknown = features & ~(FEATURE_COMPRESSION | FEATURE_EXTENDED_L2);
  if (unknown !== 0n) return { message: `it uses unknown features (0x${unknown.toString(16)})`, hint: standalone };
  const headerBytes = start.readUInt32BE(100);
  if (headerBytes < 104 || headerBytes > start.length) return broken(`its header claims ${headerBytes} bytes`);
  return refuseExtensions(start, headerBytes);
}

function refuseExtensions(start: Buffer, headerBytes: number): Qcow2Refusal | undefined {
  let offset = headerBytes;
  for (let count = 0; count < MAXIMUM_EXTENSIONS; count++) {
    if (offset + 8 > start.length) return undefined;
    const type = start.readUInt32BE(offset);
    const length = start.readUInt32BE(offset + 4);
    if (type === EXTENSION_END) return undefined;
    if (type === EXTENSION_EXTERNAL_DATA) {
      return { message: "it names another file of the host for its data", hint: standalone };
    }
    offset += 8 + Math.ceil(length / 8) * 8;
  }
  return broken(`it has more than ${MAXIMUM_EXTENSIONS} header extensions`);
}

const broken = (message: string): Qcow2Refusal => ({ message, hint: "Check it: `qemu-img check FILE`." });
