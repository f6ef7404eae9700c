/**
 * Reads the kernel's text files under /proc into numbers. Pure; a line that is not
 * as expected is skipped, since kernels add and leave out fields. Source: proc(5),
 * Documentation/admin-guide/iostats.rst.
 */

export interface CpuTimes {
  /** Seconds by mode, as semantic conventions name them. */
  readonly user: number;
  readonly nice: number;
  readonly system: number;
  readonly idle: number;
  readonly iowait: number;
  readonly interrupt: number;
  readonly steal: number;
}

/** USER_HZ, 100 on every architecture that Linux has today. */
const TICKS_PER_SECOND = 100;

/** `cpu` line and `processes` of /proc/stat. */
export function parseStat(text: string): { cpu: CpuTimes | undefined; processesCreated: number | undefined } {
  let cpu: CpuTimes | undefined;
  let processesCreated: number | undefined;
  for (const line of text.split("\n")) {
    const [name, ...rest] = line.trim().split(/\s+/);
    if (name === "cpu") cpu = toCpuTimes(rest.map(Number));
    else if (name === "processes") processesCreated = finite(Number(rest[0]));
  }
  return { cpu, processesCreated };
}

function toCpuTimes(ticks: readonly number[]): CpuTimes | undefined {
  const [user, nice, system, idle, iowait = 0, irq = 0, softirq = 0, steal = 0] = ticks;
  if (user === undefined || nice === undefined || system === undefined || idle === undefined) return undefined;
  const seconds = (value: number): number => value / TICKS_PER_SECOND;
  return {
    user: seconds(user),
    nice: seconds(nice),
    system: seconds(system),
    idle: seconds(idle),
    iowait: seconds(iowait),
    interrupt: seconds(irq + softirq),
    steal: seconds(steal),
  };
}

/** Bytes by name of /proc/meminfo and the like (`MemTotal:  16384 kB`). */
export function parseMeminfo(text: string): ReadonlyMap<string, number> {
  const bytes = new Map<string, number>();
  for (const match of text.matchAll(/^([\w()]+):\s+(\d+)(?: (kB))?$/gm)) {
    const [, name = "", value = "", unit] = match;
    bytes.set(name, Number(value) * (unit === "kB" ? 1024 : 1));
  }
  return bytes;
}

/** Numbers by name: /proc/vmstat (`pgfault 1`), /proc/self/io (`read_bytes: 1`). */
export function parseCounters(text: string): ReadonlyMap<string, number> {
  const counters = new Map<string, number>();
  for (const match of text.matchAll(/^(\w+):? +(\d+)$/gm)) counters.set(match[1] ?? "", Number(match[2]));
  return counters;
}

export interface DiskStatistics {
  readonly device: string;
  readonly reads: number;
  readonly readBytes: number;
  readonly readSeconds: number;
  readonly writes: number;
  readonly writtenBytes: number;
  readonly writeSeconds: number;
  readonly busySeconds: number;
}

/** A sector is 512 bytes here whatever the device's own size. */
const SECTOR_BYTES = 512;

/** /proc/diskstats, in its order. */
export function parseDiskstats(text: string): DiskStatistics[] {
  const disks: DiskStatistics[] = [];
  for (const line of text.split("\n")) {
    const [, , device, ...fields] = line.trim().split(/\s+/);
    const [reads, , sectorsRead, readMs, writes, , sectorsWritten, writeMs, , busyMs] = fields.map(Number);
    if (device === undefined || busyMs === undefined || !Number.isFinite(busyMs)) continue;
    disks.push({
      device,
      reads: reads ?? 0,
      readBytes: (sectorsRead ?? 0) * SECTOR_BYTES,
      readSeconds: (readMs ?? 0) / 1000,
      writes: writes ?? 0,
      writtenBytes: (sectorsWritten ?? 0) * SECTOR_BYTES,
      writeSeconds: (writeMs ?? 0) / 1000,
      busySeconds: busyMs / 1000,
    });
  }
  return disks;
}

export interface DirectionCounts {
  readonly bytes: number;
  readonly packets: number;
  readonly errors: number;
  readonly dropped: number;
}

export interface InterfaceStatistics {
  readonly name: string;
  readonly receive: DirectionCounts;
  readonly transmit: DirectionCounts;
}

/** /proc/net/dev, in its order. */
export function parseNetDev(text: string): InterfaceStatistics[] {
  const interfaces: InterfaceStatistics[] = [];
  for (const match of text.matchAll(/^\s*(\S+):\s*([\d\s]+)$/gm)) {
    const numbers = (match[2] ?? "").trim().split(/\s+/).map(Number);
    if (numbers.length < 12) continue;
    const counts = (at: number): DirectionCounts => ({
      bytes: numbers[at] ?? 0,
      packets: numbers[at + 1] ?? 0,
      errors: numbers[at + 2] ?? 0,
      dropped: numbers[at + 3] ?? 0,
    });
    interfaces.push({ name: match[1] ?? "", receive: counts(0), transmit: counts(8) });
  }
  return interfaces;
}

export interface Mount {
  readonly device: string;
  readonly mountpoint: string;
  readonly type: string;
  readonly mode: "rw" | "ro";
}

/** /proc/self/mounts; octal escapes in paths are undone. */
export function parseMounts(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split("\n")) {
    const [device, mountpoint, type, flags] = line.split(" ").map(unescapeOctal);
    if (device === undefined || mountpoint === undefined || type === undefined || flags === undefined) continue;
    mounts.push({ device, mountpoint, type, mode: flags.split(",").includes("ro") ? "ro" : "rw" });
  }
  return mounts;
}

function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}
