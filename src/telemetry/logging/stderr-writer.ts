/**
 * Lines to a stream that may go away: a closed pipe or terminal silences the log, it
 * does not end the node. A reader that hangs loses lines once the buffer is full; how
 * many is said when it reads again.
 */
import type { Writable } from "node:stream";

export interface LineWriterOptions {
  /** Bytes that may wait for a slow reader; default 1 MiB. */
  readonly maximumBufferedBytes?: number;
}

const DEFAULT_MAXIMUM_BUFFERED_BYTES = 1024 * 1024;

export function createLineWriter(stream: Writable, options: LineWriterOptions = {}): (line: string) => void {
  const maximumBufferedBytes = options.maximumBufferedBytes ?? DEFAULT_MAXIMUM_BUFFERED_BYTES;
  let closed = false;
  let droppedLines = 0;
  stream.on("error", () => void (closed = true));
  stream.on("close", () => void (closed = true));

  return (line) => {
    if (closed) return;
    if (stream.writableLength > maximumBufferedBytes) {
      droppedLines++;
      return;
    }
    try {
      if (droppedLines > 0) stream.write(`(${droppedLines} log lines were dropped: their reader was too slow)\n`);
      droppedLines = 0;
      stream.write(line);
    } catch {
      closed = true;
    }
  };
}
