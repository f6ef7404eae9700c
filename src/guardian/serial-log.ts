/**
 * The serial log of a VM on disk: segments named by the offset of their first
 * byte in all that the VM ever wrote (`serial-0.log`, `serial-8388608.log`).
 * Whoever reads them needs no index, and a gap between two segments is output
 * that was rotated away or could not be written.
 *
 * The guardian writes (and goes on when the daemon is dead); the daemon reads.
 * What is kept never exceeds `capacityBytes`, whatever the guest does.
 */
import { type FileHandle, open, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";

export interface SerialLogLimits {
  /** Of all segments together. */
  readonly capacityBytes: number;
  /** A segment is closed at this size. At most half of the capacity. */
  readonly segmentBytes: number;
}

/** 16 MiB a VM in two halves. */
export const serialLogLimits: SerialLogLimits = { capacityBytes: 16 * 1024 * 1024, segmentBytes: 8 * 1024 * 1024 };

export interface Segment {
  readonly path: string;
  readonly startOffset: number;
  readonly sizeBytes: number;
}

const SEGMENT_NAME = /^serial-(\d{1,15})\.log$/;
// After failed writes segments may be small; their number is limited too.
const MAXIMUM_SEGMENTS = 8;
const READ_BYTES = 64 * 1024;

/** The segments of a folder in order; none when it does not exist. */
export async function listSegments(dir: string): Promise<Segment[]> {
  const names = await readdir(dir).catch(emptyWhenMissing);
  const segments: Segment[] = [];
  for (const name of names) {
    const match = SEGMENT_NAME.exec(name);
    if (match === null) continue;
    const path = join(dir, name);
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined) segments.push({ path, startOffset: Number(match[1]), sizeBytes: found.size });
  }
  return segments.toSorted((left, right) => left.startOffset - right.startOffset);
}

/** Where the next byte goes. */
export function endOffsetOf(segments: readonly Segment[]): number {
  const last = segments.at(-1);
  return last === undefined ? 0 : last.startOffset + last.sizeBytes;
}

/** The kept bytes from `from` up to `to`; gaps show in the offsets. Segments that vanish meanwhile are passed over. */
export async function* readSerialLog(
  dir: string,
  from: number,
  to: number,
): AsyncGenerator<{ readonly offset: number; readonly data: Buffer }> {
  for (const segment of await listSegments(dir)) {
    const file = await open(segment.path, "r").catch(() => undefined);
    if (file === undefined) continue;
    try {
      let offset = Math.max(from, segment.startOffset);
      while (offset < to) {
        const wanted = Math.min(READ_BYTES, to - offset);
        const { bytesRead, buffer } = await file.read(Buffer.alloc(wanted), 0, wanted, offset - segment.startOffset);
        if (bytesRead === 0) break;
        yield { offset, data: buffer.subarray(0, bytesRead) };
        offset += bytesRead;
      }
    } finally {
      await file.close();
    }
  }
}

export interface SerialLogWriter {
  /** Offset behind the last byte taken, written or not. */
  readonly endOffset: number;
  /** Bytes that could not be written. */
  readonly lostBytes: number;
  /** Never rejects: output that cannot be written is counted, and a gap. One call at a time. */
  append(chunk: Buffer): Promise<void>;
  close(): Promise<void>;
}

/** Goes on behind what the folder has. */
export async function openSerialLog(dir: string, limits: SerialLogLimits): Promise<SerialLogWriter> {
  let segments = await listSegments(dir);
  let endOffset = endOffsetOf(segments);
  let lostBytes = 0;
  let file: FileHandle | undefined;
  let fileBytes = 0;
  // The last segment is gone on with, unless output was lost behind it.
  let isLastOpenable = true;

  async function openSegment(): Promise<FileHandle> {
    const last = segments.at(-1);
    if (isLastOpenable && last !== undefined && last.sizeBytes < limits.segmentBytes) {
      fileBytes = last.sizeBytes;
      return open(last.path, "a", 0o600);
    }
    await makeRoom();
    const path = join(dir, `serial-${endOffset}.log`);
    const opened = await open(path, "a", 0o600);
    segments.push({ path, startOffset: endOffset, sizeBytes: 0 });
    fileBytes = 0;
    isLastOpenable = true;
    return opened;
  }

  /** Before a new segment: what stays must leave room for a full one. */
  async function makeRoom(): Promise<void> {
    segments = await listSegments(dir);
    let kept = segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
    while (segments.length >= MAXIMUM_SEGMENTS || kept > limits.capacityBytes - limits.segmentBytes) {
      const oldest = segments.shift();
      if (oldest === undefined) return;
      kept -= oldest.sizeBytes;
      await unlink(oldest.path);
    }
  }

  async function closeSegment(): Promise<void> {
    const closing = file;
    file = undefined;
    await closing?.close().catch(() => {});
  }

  function lose(bytes: number): void {
    lostBytes += bytes;
    endOffset += bytes;
    isLastOpenable = false;
  }

  /** Writes as much as the segment takes and returns what is left. */
  async function writeSome(rest: Buffer): Promise<Buffer> {
    try {
      file ??= await openSegment();
    } catch {
      lose(rest.length);
      return Buffer.alloc(0);
    }
    const piece = rest.subarray(0, Math.max(1, limits.segmentBytes - fileBytes));
    try {
      await file.writeFile(piece);
      fileBytes += piece.length;
      endOffset += piece.length;
      isLastOpenable = fileBytes < limits.segmentBytes;
    } catch {
      // Full or broken disk. What follows starts a segment of its own, so that offsets stay true.
      lose(piece.length);
    }
    if (!isLastOpenable) await closeSegment();
    return rest.subarray(piece.length);
  }

  return {
    get endOffset() {
      return endOffset;
    },
    get lostBytes() {
      return lostBytes;
    },
    async append(chunk) {
      let rest = chunk;
      while (rest.length > 0) rest = await writeSome(rest);
    },
    close: closeSegment,
  };
}

function emptyWhenMissing(error: NodeJS.ErrnoException): string[] {
  if (error.code === "ENOENT") return [];
  throw error;
}
