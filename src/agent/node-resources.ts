/**
 * What of this machine guests may be given: the host's processors, memory and disk
 * space, less what the container around us allows and what the node keeps for itself.
 * Sources: /proc/meminfo, cgroup v2 `cpu.max` and `memory.max` and their v1 forms,
 * statfs(2). Read once at start: a node's capacity does not wander.
 */
import { readFile, statfs } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { NodeResources } from "#model/node.ts";

export interface NodeResourcesOptions {
  /** Where disks and images are kept. */
  readonly dataDirectory: string;
  /** vCPUs given out for each processor. Default 4. */
  readonly vcpusPerProcessor?: number;
  /** Default: a tenth, at least 256 MiB, at most a quarter. */
  readonly reservedMemoryBytes?: number;
  /** Default: a tenth of the file system. */
  readonly reservedDiskBytes?: number;
  /** For tests: roots of proc and the control groups. */
  readonly procDirectory?: string;
  readonly cgroupDirectory?: string;
  readonly processors?: number;
}

export interface MeasuredResources {
  /** What guests may be given. */
  readonly capacity: NodeResources;
  /** What is kept for the node itself. */
  readonly reserved: NodeResources;
}

const MEBIBYTE = 1024 ** 2;
const DEFAULT_VCPUS_PER_PROCESSOR = 4;
const MINIMUM_RESERVED_MEMORY_BYTES = 256 * MEBIBYTE;

export async function measureNodeResources(options: NodeResourcesOptions): Promise<MeasuredResources> {
  const cgroup = options.cgroupDirectory ?? "/sys/fs/cgroup";
  const [meminfo, cpuMax, memoryMax, cpuQuotaV1, cpuPeriodV1, memoryLimitV1, disk] = await Promise.all([
    readFile(`${options.procDirectory ?? "/proc"}/meminfo`, "utf8"),
    readOptional(`${cgroup}/cpu.max`),
    readOptional(`${cgroup}/memory.max`),
    readOptional(`${cgroup}/cpu/cpu.cfs_quota_us`),
    readOptional(`${cgroup}/cpu/cpu.cfs_period_us`),
    readOptional(`${cgroup}/memory/memory.limit_in_bytes`),
    statfs(options.dataDirectory),
  ]);
  const processors = Math.min(
    options.processors ?? availableParallelism(),
    parseCpuLimit(cpuMax) ?? parseCpuLimit(`${cpuQuotaV1 ?? ""} ${cpuPeriodV1 ?? ""}`) ?? Number.POSITIVE_INFINITY,
  );
  const memoryBytes = Math.min(
    parseMemoryTotal(meminfo),
    parseMemoryLimit(memoryMax) ?? parseMemoryLimit(memoryLimitV1) ?? Number.POSITIVE_INFINITY,
  );
  return planNodeResources({
    processors,
    memoryBytes,
    diskFreeBytes: disk.bavail * disk.bsize,
    diskTotalBytes: disk.blocks * disk.bsize,
    vcpusPerProcessor: options.vcpusPerProcessor ?? DEFAULT_VCPUS_PER_PROCESSOR,
    reservedMemoryBytes: options.reservedMemoryBytes,
    reservedDiskBytes: options.reservedDiskBytes,
  });
}

export interface HostResources {
  readonly processors: number;
  readonly memoryBytes: number;
  readonly diskFreeBytes: number;
  readonly diskTotalBytes: number;
  readonly vcpusPerProcessor: number;
  readonly reservedMemoryBytes: number | undefined;
  readonly reservedDiskBytes: number | undefined;
}

/** Pure. */
export function planNodeResources(host: HostResources): MeasuredResources {
  const reservedMemory =
    host.reservedMemoryBytes ??
    Math.min(host.memoryBytes / 4, Math.max(MINIMUM_RESERVED_MEMORY_BYTES, host.memoryBytes / 10));
  const reservedDisk = host.reservedDiskBytes ?? host.diskTotalBytes / 10;
  return {
    capacity: {
      vcpus: Math.max(1, Math.floor(host.processors * host.vcpusPerProcessor)),
      memoryBytes: wholeMebibytes(host.memoryBytes - reservedMemory),
      diskBytes: wholeMebibytes(host.diskFreeBytes - reservedDisk),
    },
    // Processors are shared out by priority, not set aside.
    reserved: {
      vcpus: 0,
      memoryBytes: Math.min(host.memoryBytes, Math.round(reservedMemory)),
      diskBytes: Math.min(host.diskTotalBytes, Math.round(reservedDisk)),
    },
  };
}

/** Bytes of `MemTotal` in /proc/meminfo, 0 when it is not there. */
export function parseMemoryTotal(meminfo: string): number {
  const match = /^MemTotal:\s+(\d+) kB$/m.exec(meminfo);
  return match === null ? 0 : Number(match[1]) * 1024;
}

/** Processors of "quota period" in µs; undefined when there is no limit ("max", -1, nothing). */
export function parseCpuLimit(text: string | undefined): number | undefined {
  const match = /^(\d+)\s+(\d+)$/.exec(text?.trim() ?? "");
  if (match === null) return undefined;
  const processors = Number(match[1]) / Number(match[2]);
  return Number.isFinite(processors) && processors > 0 ? processors : undefined;
}

/** Bytes; undefined when there is no limit: "max", or the huge number that v1 writes for it. */
export function parseMemoryLimit(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? "";
  if (!/^\d+$/.test(trimmed)) return undefined;
  const bytes = Number(trimmed);
  return bytes > 0 && bytes < 2 ** 53 ? bytes : undefined;
}

function wholeMebibytes(bytes: number): number {
  return Math.max(0, Math.floor(bytes / MEBIBYTE) * MEBIBYTE);
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return undefined;
  }
}
