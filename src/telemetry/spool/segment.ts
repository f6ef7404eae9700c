/**
 * One file of a spool: written at its end, later read from its beginning, never both at
 * once. The folder (spool-folder.ts) calls one operation after the other.
 */
import {
  decodeRecordHead,
  decodeSegmentHead,
  encodeRecordHead,
  encodeSegmentHead,
  isIntact,
  RECORD_HEAD_BYTES,
  SEGMENT_HEAD_BYTES,
  type RecordHead,
  type SegmentHead,
} from "./segment-format.ts";
import type { SpoolDisk, SpoolFile } from "./spool-disk.ts";

export interface Segment {
  readonly path: string;
  /** Ordinal after its last item. */
  readonly end: number;
  /** Items that are not settled. */
  readonly items: number;
  readonly bytes: number;
  readonly createdMs: number;
  /** What is written is cut off again when it cannot be written whole. */
  append(body: Uint8Array, items: number, timeMs: number): Promise<void>;
  read(): Promise<SegmentRead>;
  /** The record that was read last is done with. */
  settle(): Promise<void>;
  /** Ends writing or reading; both begin again by themselves. */
  close(): Promise<void>;
  remove(): Promise<void>;
}

export type SegmentRead =
  | { readonly kind: "record"; readonly body: Buffer; readonly items: number; readonly timeMs: number }
  /** These items are lost; the next read goes on behind them. */
  | { readonly kind: "damaged"; readonly items: number }
  | { readonly kind: "end" };

/** Makes the file. One of that name holds nothing: its first item was never written. */
export async function createSegment(disk: SpoolDisk, path: string, first: number, createdMs: number): Promise<Segment> {
  const file = await disk.create(path);
  const head: SegmentHead = {
    first,
    end: first,
    endOffset: SEGMENT_HEAD_BYTES,
    settled: first,
    settledOffset: SEGMENT_HEAD_BYTES,
    createdMs,
  };
  try {
    await file.write(0, encodeSegmentHead(head));
  } catch (error) {
    await file.close();
    throw error;
  }
  return segmentOf(disk, path, head, SEGMENT_HEAD_BYTES, file);
}

/** A file of an earlier run, whatever happened to it. `nowMs` stands for a time that cannot be read. */
export async function loadSegment(disk: SpoolDisk, path: string, first: number, nowMs: number): Promise<Segment> {
  const file = await disk.open(path);
  try {
    const size = await file.size();
    const head = soundHead(decodeSegmentHead(await file.read(0, SEGMENT_HEAD_BYTES)), first);
    const known: SegmentHead = head ?? {
      first,
      end: first,
      endOffset: SEGMENT_HEAD_BYTES,
      settled: first,
      settledOffset: SEGMENT_HEAD_BYTES,
      createdMs: nowMs,
    };
    return segmentOf(disk, path, { ...known, ...(await findEnd(file, known)) }, size, undefined);
  } finally {
    await file.close();
  }
}

function soundHead(head: SegmentHead | undefined, first: number): SegmentHead | undefined {
  if (head === undefined || head.first !== first) return undefined;
  return head.first <= head.settled && head.settled <= head.end && head.settledOffset <= head.endOffset
    ? head
    : undefined;
}

/** Records that were written when the head could not say so any more. */
async function findEnd(
  file: SpoolFile,
  head: SegmentHead,
): Promise<{ readonly end: number; readonly endOffset: number }> {
  let { end, endOffset } = head;
  for (;;) {
    const record = decodeRecordHead(await file.read(endOffset, RECORD_HEAD_BYTES), end);
    if (record === undefined || record.items === 0) return { end, endOffset };
    end += record.items;
    endOffset += RECORD_HEAD_BYTES + record.lengthBytes;
  }
}

function segmentOf(disk: SpoolDisk, path: string, head: SegmentHead, size: number, opened?: SpoolFile): Segment {
  const { first, createdMs } = head;
  let { end, endOffset, settled, settledOffset } = head;
  let bytes = size;
  let file = opened;
  let reading: RecordHead | undefined;

  async function writeHead(): Promise<void> {
    const open = (file ??= await disk.open(path));
    await open.write(0, encodeSegmentHead({ first, end, endOffset, settled, settledOffset, createdMs }));
  }

  function passBy(record: RecordHead): void {
    settled += record.items;
    settledOffset += RECORD_HEAD_BYTES + record.lengthBytes;
  }

  async function close(): Promise<void> {
    const open = file;
    file = undefined;
    await open?.close();
  }

  return {
    path,
    createdMs,
    get end() {
      return end;
    },
    get items() {
      return end - settled;
    },
    get bytes() {
      return bytes;
    },
    async append(body, items, timeMs) {
      const open = (file ??= await disk.open(path));
      const record = Buffer.concat([encodeRecordHead(body, { items, ordinal: end, timeMs }), body]);
      try {
        await open.write(endOffset, record);
      } catch (error) {
        await open.truncate(endOffset).catch(() => {
          // The next start cuts it.
        });
        throw error;
      }
      end += items;
      endOffset += record.length;
      bytes = endOffset;
      await writeHead();
    },
    async read() {
      if (settled >= end) return { kind: "end" };
      const open = (file ??= await disk.open(path));
      const record = decodeRecordHead(await open.read(settledOffset, RECORD_HEAD_BYTES), settled);
      if (record === undefined || record.items === 0 || settled + record.items > end || record.lengthBytes > bytes) {
        // Where the next record begins is not known.
        const items = end - settled;
        settled = end;
        return { kind: "damaged", items };
      }
      const body = await open.read(settledOffset + RECORD_HEAD_BYTES, record.lengthBytes);
      if (!isIntact(record, body)) {
        passBy(record);
        return { kind: "damaged", items: record.items };
      }
      reading = record;
      return { kind: "record", body, items: record.items, timeMs: record.timeMs };
    },
    async settle() {
      if (reading === undefined) return;
      passBy(reading);
      reading = undefined;
      await writeHead();
    },
    close,
    async remove() {
      await close().catch(() => {
        // It goes anyway.
      });
      await disk.remove(path);
    },
  };
}
