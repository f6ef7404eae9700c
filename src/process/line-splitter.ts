/**
 * Cuts a byte stream into lines, with a limit on their length, for the line
 * protocols between processes. What is too long is dropped up to its end and
 * counted, so that a hostile writer costs no memory and the lines after it are
 * still heard.
 */
export interface LineSplitterOptions {
  readonly maximumBytes: number;
  /** Without the line feed; empty lines are left out. */
  readonly onLine: (line: string) => void;
  /** Once for each line that was dropped. */
  readonly onTooLong?: () => void;
}

export interface LineSplitter {
  push(chunk: Buffer): void;
}

const LINE_FEED = 0x0a;

export function createLineSplitter(options: LineSplitterOptions): LineSplitter {
  let parts: Buffer[] = [];
  let bytes = 0;
  let dropping = false;

  function keep(part: Buffer): void {
    if (dropping) return;
    bytes += part.length;
    if (bytes > options.maximumBytes) {
      dropping = true;
      parts = [];
      options.onTooLong?.();
    } else if (part.length > 0) {
      parts.push(part);
    }
  }

  function endLine(): void {
    const line = dropping ? "" : Buffer.concat(parts).toString("utf8");
    parts = [];
    bytes = 0;
    dropping = false;
    if (line !== "") options.onLine(line);
  }

  return {
    push(chunk) {
      let start = 0;
      for (;;) {
        const end = chunk.indexOf(LINE_FEED, start);
        keep(end === -1 ? chunk.subarray(start) : chunk.subarray(start, end));
        if (end === -1) return;
        endLine();
        start = end + 1;
      }
    },
  };
}
