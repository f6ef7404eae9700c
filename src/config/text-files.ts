/** Files of a configuration: bounded, and never waited for in a way that a signal cannot end. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { BlixardError } from "#model/errors.ts";

/** Limit on a configuration's file. */
export const MAXIMUM_CONFIG_BYTES = 1024 * 1024;
/** Limit on a file that `${file:…}` puts into a value. */
export const MAXIMUM_SUBSTITUTE_BYTES = 64 * 1024;

const POLL_MS = 20;
/** A pipe whose other end never opens. */
const WRITER_TIMEOUT_MS = 30_000;

export interface ReadTextOptions {
  /** What the file should be: `a TOML file`. */
  readonly expected: string;
  /** Aborted: given up, also while a pipe has nothing to read. */
  readonly signal?: AbortSignal | undefined;
}

/** The text of a file or pipe of at most 1 MiB. @throws BlixardError CONFIG_UNREADABLE; the signal's reason */
export async function readTextFile(path: string, { expected, signal }: ReadTextOptions): Promise<string> {
  const hint = `Give ${expected}.`;
  const bytes = await readBytes(path, signal);
  if (bytes === undefined) {
    const mebibytes = MAXIMUM_CONFIG_BYTES / 1024 / 1024;
    throw new BlixardError("CONFIG_UNREADABLE", `${path} is larger than ${mebibytes} MiB`, { hint });
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new BlixardError("CONFIG_UNREADABLE", `${path} is not UTF-8 text`, { hint });
  }
}

/** Undefined: it is too long. */
async function readBytes(path: string, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
  try {
    // Without O_NONBLOCK the opening of a fifo would hold a thread, and with it the process, until somebody writes.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const buffer = Buffer.alloc(MAXIMUM_CONFIG_BYTES + 1);
    const isPipe = (await file.stat()).isFIFO();
    let length = 0;
    while (length <= MAXIMUM_CONFIG_BYTES) {
      const bytesRead = isPipe
        ? await readWhenReady(file, buffer, length, signal)
        : (await file.read(buffer, length, buffer.length - length, null)).bytesRead;
      if (bytesRead === 0) return buffer.subarray(0, length);
      length += bytesRead;
    }
    return undefined;
  } catch (error) {
    signal?.throwIfAborted();
    throw unreadable(path, error);
  }
}

/** From a pipe: 0 when it ended after something was read. */
async function readWhenReady(
  file: FileHandle,
  buffer: Buffer,
  length: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  for (let waitedMs = 0; waitedMs < WRITER_TIMEOUT_MS; waitedMs += POLL_MS) {
    try {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      // An end before the beginning: nobody has opened the other end yet.
      if (bytesRead > 0 || length > 0) return bytesRead;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
    }
    await delay(POLL_MS, undefined, signal === undefined ? {} : { signal });
  }
  throw new Error(`nothing was written to it for ${WRITER_TIMEOUT_MS / 1000} seconds`);
}

/**
 * What `${file:…}` stands for: the text of a regular file of at most 64 KiB without the newline at its end.
 * @throws Error that says why not
 */
export function readSubstitute(path: string): string {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(descriptor).isFile()) throw new Error("it is no regular file");
    const buffer = Buffer.alloc(MAXIMUM_SUBSTITUTE_BYTES + 1);
    let length = 0;
    for (let bytesRead = -1; bytesRead !== 0 && length < buffer.length; length += bytesRead)
      bytesRead = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (length > MAXIMUM_SUBSTITUTE_BYTES) throw new Error(`it is larger than ${MAXIMUM_SUBSTITUTE_BYTES / 1024} KiB`);
    return new TextDecoder("utf-8", { fatal: true }).decode(buffer.subarray(0, length)).replace(/\r?\n$/, "");
  } finally {
    closeSync(descriptor);
  }
}

function unreadable(path: string, cause: unknown): BlixardError {
  const missing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
  return new BlixardError("CONFIG_UNREADABLE", missing ? `there is no file ${path}` : `${path} cannot be read`, {
    cause,
    hint: "Check the path and its permissions.",
  });
}
