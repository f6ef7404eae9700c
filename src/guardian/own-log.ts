/** The guardian's own log: JSON lines in two files that together stay below 1 MiB. It logs little. */
import { appendFileSync, renameSync, statSync } from "node:fs";
import { causeChain } from "#model/errors.ts";

export interface OwnLog {
  /** Never throws: a full disk costs lines, not guests. */
  write(message: string, details?: Readonly<Record<string, unknown>>, error?: unknown): void;
}

const MAXIMUM_FILE_BYTES = 512 * 1024;

export function createOwnLog(path: string, now: () => number): OwnLog {
  return {
    write(message, details = {}, error) {
      const line = JSON.stringify({
        time: new Date(now()).toISOString(),
        message,
        ...details,
        ...(error === undefined ? {} : { error: causeChain(error) }),
      });
      try {
        if (sizeOf(path) + line.length > MAXIMUM_FILE_BYTES) renameSync(path, `${path}.1`);
        appendFileSync(path, `${line.slice(0, 4096)}\n`, { mode: 0o600 });
      } catch {
        // There is nowhere else to say it.
      }
    },
  };
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
