/**
 * Who a process is, beyond its number: numbers are reused, and a restarted host
 * starts them anew. Two processes are the same only if pid, start time and boot
 * agree.
 */
import { readFileSync } from "node:fs";

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from the host's boot to the start of the process: field 22 of /proc/PID/stat, see proc(5). */
  readonly startTicks: number;
  /** /proc/sys/kernel/random/boot_id. */
  readonly bootId: string;
}

/** The host's boot id. */
export function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Seconds since the host booted, times of suspension included. */
export function readUptimeSeconds(uptimePath = "/proc/uptime"): number {
  return Number.parseFloat(readFileSync(uptimePath, "utf8"));
}

/** The identity of a process that exists now, even as a zombie; undefined when there is none. */
export function readIdentity(pid: number): ProcessIdentity | undefined {
  const stat = readProcessStat(pid);
  return stat === undefined ? undefined : { pid, startTicks: stat.startTicks, bootId: readBootId() };
}

/** Whether this very process still runs. A zombie is dead: it holds nothing any more. */
export function isAlive(identity: ProcessIdentity): boolean {
  const stat = readProcessStat(identity.pid);
  return (
    stat !== undefined &&
    stat.state !== "Z" &&
    stat.state !== "X" &&
    stat.startTicks === identity.startTicks &&
    readBootId() === identity.bootId
  );
}

export function isSameProcess(one: ProcessIdentity, other: ProcessIdentity): boolean {
  return one.pid === other.pid && one.startTicks === other.startTicks && one.bootId === other.bootId;
}

export interface ProcessStat {
  /** One letter, as in proc(5). */
  readonly state: string;
  readonly parentPid: number;
  readonly userTicks: number;
  readonly systemTicks: number;
  readonly startTicks: number;
  readonly residentPages: number;
}

/** What /proc/PID/stat says; undefined when there is no such process. */
export function readProcessStat(pid: number): ProcessStat | undefined {
  try {
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return undefined;
  }
}

/** The second field is the program's name in brackets and may itself contain brackets and blanks. */
export function parseProcessStat(text: string): ProcessStat | undefined {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const number = (fieldNumber: number): number => Number(fields[fieldNumber - 3]);
  const state = fields[0];
  const startTicks = number(22);
  if (state === undefined || state === "" || !Number.isInteger(startTicks)) return undefined;
  return {
    state,
    parentPid: number(4),
    userTicks: number(14),
    systemTicks: number(15),
    startTicks,
    residentPages: number(24),
  };
}

/** The form that identities take in state files; undefined when it is not one. */
export function parseIdentity(value: unknown): ProcessIdentity | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { pid, startTicks, bootId } = value as Record<string, unknown>;
  if (!Number.isInteger(pid) || !Number.isInteger(startTicks) || typeof bootId !== "string") {
    return undefined;
  }
  return { pid: Number(pid), startTicks: Number(startTicks), bootId };
}
