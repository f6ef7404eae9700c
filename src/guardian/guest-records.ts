/**
 * What the guardian knows of its guests, on disk: one file for each instance,
 * written before the guest is started and again when it has ended, removed when
 * a daemon has acknowledged the end. A later guardian finds in them what ran
 * before it: guests of a guardian that died, or of an earlier boot.
 */
import { mkdir, readFile, readdir, rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type GuestExit, type GuestReport, parseObject } from "./protocol.ts";
import { toStorageError } from "./storage-error.ts";

export interface GuestRecord {
  readonly vmId: string;
  readonly instanceId: string;
  readonly metadata: unknown;
  readonly startTimeMs: number;
  readonly startUptimeSeconds: number;
  readonly bootId: string;
  readonly exit: GuestExit | undefined;
}

export interface GuestRecords {
  /** @throws BlixardError DISK_FULL, DATA_DIRECTORY_UNUSABLE */
  write(record: GuestRecord): Promise<void>;
  remove(instanceId: string): Promise<void>;
}

const RECORD_NAME = /^guest-([A-Za-z0-9][A-Za-z0-9_-]{0,63})\.json$/;

export interface LoadOptions {
  readonly stateDir: string;
  readonly bootId: string;
  /** Unix ms: the time given to ends that nobody saw. */
  readonly nowMs: number;
}

/** The reports of all that ran before: every guest in them has ended, the caller has seen to that. */
export async function loadReports(options: LoadOptions): Promise<GuestReport[]> {
  await mkdir(options.stateDir, { recursive: true, mode: 0o700 });
  const reports: GuestReport[] = [];
  for (const name of await readdir(options.stateDir)) {
    if (!RECORD_NAME.test(name)) continue;
    const path = join(options.stateDir, name);
    const record = parseRecord(await readFile(path, "utf8"));
    if (record === undefined) await unlink(path);
    else reports.push(toEndedReport(record, options));
  }
  return reports;
}

function toEndedReport(record: GuestRecord, options: LoadOptions): GuestReport {
  const { vmId, instanceId, metadata, startTimeMs, startUptimeSeconds } = record;
  const unseen: GuestExit = {
    code: undefined,
    signal: undefined,
    timeMs: options.nowMs,
    reason: record.bootId === options.bootId ? "guardian_lost" : "host_rebooted",
    stderrTail: "",
    channelTails: {},
  };
  const exit = record.exit ?? unseen;
  return { vmId, instanceId, metadata, startTimeMs, startUptimeSeconds, identity: undefined, exit };
}

/** Our own files, but a crash of the host may have torn one: undefined then. */
function parseRecord(text: string): GuestRecord | undefined {
  try {
    const value = parseObject(text) as unknown as GuestRecord;
    const isWhole =
      typeof value.vmId === "string" &&
      typeof value.instanceId === "string" &&
      typeof value.bootId === "string" &&
      typeof value.startTimeMs === "number";
    return isWhole ? value : undefined;
  } catch {
    return undefined;
  }
}

export function createGuestRecords(stateDir: string): GuestRecords {
  const pathOf = (instanceId: string): string => join(stateDir, `guest-${instanceId}.json`);
  return {
    async write(record) {
      const path = pathOf(record.instanceId);
      try {
        await writeFile(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
        await rename(`${path}.new`, path);
      } catch (cause) {
        throw toStorageError(cause, `cannot write ${path}`);
      }
    },
    async remove(instanceId) {
      await unlink(pathOf(instanceId)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
    },
  };
}
