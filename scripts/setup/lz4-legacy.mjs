// LZ4's legacy frame, as `lz4 -l` and the kernel's build write it: a magic number, then blocks of
// [compressed size, 32 bits little-endian][data], each holding at most 8 MiB.
import { SetupError } from "./setup-error.mjs";

const MAGIC = 0x184c2102;
const MIN_MATCH = 4;
const LENGTH_EXTENDS = 15;

/** @param {Buffer} data */
export function isLz4Legacy(data) {
  return data.length > 8 && data.readUInt32LE(0) === MAGIC;
}

/**
 * @param {Buffer} data
 * @param {number} size uncompressed
 * @returns {Buffer}
 */
export function decompressLz4Legacy(data, size) {
  const output = Buffer.allocUnsafe(size);
  let written = 0;
  let position = 4;
  while (position + 4 <= data.length) {
    const blockBytes = data.readUInt32LE(position);
    position += 4;
    if (blockBytes === MAGIC) continue;
    if (position + blockBytes > data.length) throw new SetupError("LZ4: a block is cut off");
    written = decompressBlock(data.subarray(position, position + blockBytes), output, written);
    position += blockBytes;
  }
  if (written !== size) throw new SetupError(`LZ4: ${written} bytes instead of ${size}`);
  return output;
}

/**
 * @param {Buffer} block
 * @param {Buffer} output
 * @param {number} start where in output the block begins
 * @returns {number} where it ends
 */
function decompressBlock(block, output, start) {
  let read = 0;
  let write = start;
  /** @param {number} nibble */
  const readLength = (nibble) => {
    let length = nibble;
    if (nibble !== LENGTH_EXTENDS) return length;
    let more = 255;
    while (more === 255) {
      more = block[read++] ?? 0;
      length += more;
    }
    return length;
  };
  while (read < block.length) {
    const token = block[read++] ?? 0;
    const literals = readLength(token >> 4);
    if (read + literals > block.length || write + literals > output.length) throw new SetupError("LZ4: bad literals");
    block.copy(output, write, read, read + literals);
    read += literals;
    write += literals;
    if (read >= block.length) break; // the last sequence has no match
    if (read + 2 > block.length) throw new SetupError("LZ4: a distance is cut off");
    const distance = block.readUInt16LE(read);
    read += 2;
    const matchBytes = readLength(token & 15) + MIN_MATCH;
    if (distance === 0 || distance > write - start || write + matchBytes > output.length) {
      throw new SetupError("LZ4: bad match");
    }
    if (distance >= matchBytes) {
      output.copy(output, write, write - distance, write - distance + matchBytes);
      write += matchBytes;
    } else {
      // The match overlaps what it produces: repeat byte by byte.
      for (let i = 0; i < matchBytes; i++, write++) output[write] = output[write - distance] ?? 0;
    }
  }
  return write;
}
