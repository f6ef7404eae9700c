/** Why a member ended, read from the end of its log. Pure. */
import { BlixardError, type ErrorCode } from "#model/errors.ts";
import type { ExitStatus } from "#process/spawn.ts";

export type MemberEnd =
  /** It was removed from its cluster and will never run again. */
  { readonly kind: "removed" } | { readonly kind: "failed"; readonly error: BlixardError };

interface Symptom {
  readonly text: RegExp;
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}

const REMOVED = /the member has been permanently removed from the cluster|removed itself from the cluster/i;

const symptoms: readonly Symptom[] = [
  {
    text: /no space left on device|disk quota exceeded/i,
    code: "DISK_FULL",
    message: "the disk of the store's data directory is full",
    hint: "Free some space on that disk; at least 256 MiB are needed.",
  },
  {
    text: /cannot be downgraded|lower than determined cluster version|invalid downgrade|downgrade to .* not allowed|version \W*[\d.]+\W* is not supported/i,
    code: "TOOL_TOO_OLD",
    message: "this etcd is older than the one that wrote the data directory",
    hint: "Use an etcd of the newer version.",
  },
  {
    text: /permission denied|operation not permitted/i,
    code: "DATA_DIRECTORY_UNUSABLE",
    message: "the store's data directory cannot be used by this user",
    hint: "Let the user that runs the node own its data directory.",
  },
  {
    text: /crc mismatch|wal: .*(corrupt|not found|slice bounds|max entry size|conflict)|failed to (read|open|recover|load) (the )?(wal|snapshot|v3 backend)|failed to find (database )?snapshot|invalid database|database file .*(corrupt|invalid)|version mismatch|checksum error|freepages|failed to open database|fatal error: fault|failed to get all reachable pages|unexpected (fault|EOF)|tocommit\(\d+\) is out of range|no such snapshot|walpb: |snappb: |proto: |panic: (runtime|page|invalid|assertion)/i,
    code: "DATA_DIRECTORY_CORRUPT",
    message: "the store's data directory is corrupt",
    hint: "Restore it from a snapshot, or move it away to begin with an empty store.",
  },
];

const LAST_LINES = 5;

/** @param lines the end of its log, oldest first */
export function diagnoseMemberEnd(exit: ExitStatus, lines: readonly string[], dataDir: string): MemberEnd {
  const text = lines.join("\n");
  if (exit.code === 0 && REMOVED.test(text)) return { kind: "removed" };
  // What matters most is said last, but a full disk is also said by the panic that follows: order decides.
  const symptom = symptoms.find((known) => known.text.test(text));
  const how = exit.signal === undefined ? `exit code ${exit.code ?? "unknown"}` : exit.signal;
  const cause = new Error(`etcd ended with ${how}; it wrote last:\n${tellingLines(lines).map(shorten).join("\n")}`);
  const error =
    symptom === undefined
      ? new BlixardError("STORE_UNAVAILABLE", "the consensus member ended", {
          cause,
          hint: "See its log: etcd.log in the data directory.",
        })
      : new BlixardError(symptom.code, `${symptom.message} (${dataDir})`, { cause, hint: symptom.hint });
  return { kind: "failed", error };
}

/** Whether another start can end differently without anyone doing something. */
export function isWorthRestarting(error: BlixardError): boolean {
  return error.code === "STORE_UNAVAILABLE" || error.code === "DISK_FULL";
}

const MAXIMUM_LINE_LENGTH = 500;
const TELLING = /^\{|^(panic|fatal error|unexpected fault|\[signal)/;

/** Not the frames of a stack trace; all lines when there is nothing else. */
function tellingLines(lines: readonly string[]): readonly string[] {
  const telling = lines.filter((line) => TELLING.test(line));
  return (telling.length > 0 ? telling : lines).slice(-LAST_LINES);
}

/** A line of etcd's JSON log as "level message error", others as they are. */
function shorten(line: string): string {
  return (readableLine(line) ?? line).slice(0, MAXIMUM_LINE_LENGTH);
}

function readableLine(line: string): string | undefined {
  try {
    const record: unknown = JSON.parse(line);
    if (typeof record !== "object" || record === null) return undefined;
    const { level, msg, error } = record as Readonly<Record<string, unknown>>;
    return [level, msg, error].filter((part) => typeof part === "string").join(": ");
  } catch {
    return undefined;
  }
}
