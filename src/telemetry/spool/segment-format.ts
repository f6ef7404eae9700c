/**
 * How requests lie in a segment file: pure. Numbers are little-endian.
 *
 *   segment   = head, record, record …
 *   head      = "BXS1", crc32 of the rest, first, end, endOffset, settled, settledOffset, createdMs (64 bits each)
 *   record    = length, items (32 bits each), ordinal, timeMs (64 bits each), crc32 of the body,
 *               crc32 of what is before this, body
 *
 * Every item has a number, its ordinal, that grows by one from item to item through all
 * segments of a folder: what is missing anywhere is therefore known, and known in items.
 * The head is written over in place as records come and are settled; it may be behind
 * by what a crash left unsaid, never ahead.
 */
import { crc32 } from "node:zlib";

export interface SegmentHead {
  /** Ordinal of the first item; also the file's name. */
  readonly first: number;
  /** Ordinal after the last item, and the offset after the last record. */
  readonly end: number;
  readonly endOffset: number;
  /** The oldest item that is not settled, and its record's offset. */
  readonly settled: number;
  readonly settledOffset: number;
  /** Unix time in ms. */
  readonly createdMs: number;
}

export interface RecordHead {
  readonly lengthBytes: number;
  readonly items: number;
  readonly ordinal: number;
  /** Unix time in ms at which it came to the spool. */
  readonly timeMs: number;
  readonly bodyChecksum: number;
}

export const SEGMENT_HEAD_BYTES = 56;
export const RECORD_HEAD_BYTES = 32;

const MAGIC = Buffer.from("BXS1", "latin1");
const CHECKED_FROM = 8;

export function encodeSegmentHead(head: SegmentHead): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEAD_BYTES);
  MAGIC.copy(bytes);
  const { first, end, endOffset, settled, settledOffset, createdMs } = head;
  for (const [index, value] of [first, end, endOffset, settled, settledOffset, Math.round(createdMs)].entries()) {
    bytes.writeBigUInt64LE(BigInt(value), CHECKED_FROM + 8 * index);
  }
  bytes.writeUInt32LE(crc32(bytes.subarray(CHECKED_FROM)), 4);
  return bytes;
}

/** undefined when it is none, or damaged. */
export function decodeSegmentHead(bytes: Buffer): SegmentHead | undefined {
  if (bytes.length < SEGMENT_HEAD_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (crc32(bytes.subarray(CHECKED_FROM, SEGMENT_HEAD_BYTES)) !== bytes.readUInt32LE(4)) return undefined;
  const at = (index: number): number => Number(bytes.readBigUInt64LE(CHECKED_FROM + 8 * index));
  return { first: at(0), end: at(1), endOffset: at(2), settled: at(3), settledOffset: at(4), createdMs: at(5) };
}

export function encodeRecordHead(body: Uint8Array, head: Pick<RecordHead, "items" | "ordinal" | "timeMs">): Buffer {
  const bytes = Buffer.alloc(RECORD_HEAD_BYTES);
  bytes.writeUInt32LE(body.length, 0);
  bytes.writeUInt32LE(head.items, 4);
  bytes.writeBigUInt64LE(BigInt(head.ordinal), 8);
  bytes.writeBigUInt64LE(BigInt(Math.round(head.timeMs)), 16);
  bytes.writeUInt32LE(crc32(body), 24);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 28)), 28);
  return bytes;
}

/** undefined when it is none, or damaged, or not the one that `ordinal` begins. */
export function decodeRecordHead(bytes: Buffer, ordinal: number): RecordHead | undefined {
  if (bytes.length < RECORD_HEAD_BYTES) return undefined;
  if (crc32(bytes.subarray(0, 28)) !== bytes.readUInt32LE(28)) return undefined;
  if (Number(bytes.readBigUInt64LE(8)) !== ordinal) return undefined;
  return {
    lengthBytes: bytes.readUInt32LE(0),
    items: bytes.readUInt32LE(4),
    ordinal,
    timeMs: Number(bytes.readBigUInt64LE(16)),
    bodyChecksum: bytes.readUInt32LE(24),
  };
}

export function isIntact(head: RecordHead, body: Uint8Array): boolean {
  return body.length === head.lengthBytes && crc32(body) === head.bodyChecksum;
}

/** Leaves room to count on from any of them. */
const SEGMENT_NAME = /^(0\d{15})\.segment$/;

export function segmentName(first: number): string {
  return `${String(first).padStart(16, "0")}.segment`;
}

/** The ordinal that a file's name says; undefined when the file is none of ours. */
export function parseSegmentName(name: string): number | undefined {
  const digits = SEGMENT_NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
