/** A member's log: in a file that is rotated once at its cap, and its last lines in memory for errors. */
import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";
import type { Readable } from "node:stream";

export interface MemberLog {
  /** Takes everything the stream gives, until it ends. */
  follow(stream: Readable): void;
  /** The last lines of the run that is followed, oldest first. */
  lastLines(): readonly string[];
  close(): void;
}

export interface MemberLogOptions {
  readonly path: string;
  /** The file and its predecessor (`path.1`) have at most this size each. Default 4 MiB. */
  readonly maximumBytes?: number;
}

const DEFAULT_MAXIMUM_BYTES = 4 * 1024 * 1024;
/** The trace of a panic is long, and its first line is the one that counts. */
const KEPT_LINES = 400;
const MAXIMUM_LINE_LENGTH = 4096;

/** A log that cannot be written is no reason to stop a store: lines are then kept in memory only. */
export function openMemberLog({ path, maximumBytes = DEFAULT_MAXIMUM_BYTES }: MemberLogOptions): MemberLog {
  let descriptor = openLog(path);
  let size = sizeOf(descriptor);
  let lines: string[] = [];
  let partial = "";

  function write(chunk: Buffer): void {
    if (descriptor === undefined) return;
    try {
      if (size + chunk.length > maximumBytes) rotate();
      size += writeSync(descriptor, chunk);
    } catch {
      // A full disk: the lines in memory say so.
    }
  }

  function rotate(): void {
    if (descriptor !== undefined) closeSync(descriptor);
    renameSync(path, `${path}.1`);
    descriptor = openLog(path);
    size = 0;
  }

  function keep(chunk: Buffer): void {
    const [...complete] = (partial + chunk.toString("utf8")).split("\n");
    partial = (complete.pop() ?? "").slice(-MAXIMUM_LINE_LENGTH);
    lines = [...lines, ...complete.map((line) => line.slice(0, MAXIMUM_LINE_LENGTH))].slice(-KEPT_LINES);
  }

  return {
    follow(stream) {
      lines = [];
      partial = "";
      stream.on("data", (chunk: Buffer) => {
        write(chunk);
        keep(chunk);
      });
      stream.on("error", () => undefined);
    },
    lastLines: () => (partial === "" ? lines : [...lines, partial]),
    close() {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}

function openLog(path: string): number | undefined {
  try {
    return openSync(path, "a", 0o600);
  } catch {
    return undefined;
  }
}

function sizeOf(descriptor: number | undefined): number {
  return descriptor === undefined ? 0 : fstatSync(descriptor).size;
}
