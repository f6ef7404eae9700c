/** `system.*`: the machine this process runs on. */
import { readdir, readFile, statfs } from "node:fs/promises";
import { availableParallelism, uptime } from "node:os";
import {
  systemCpuLogicalCount,
  systemCpuTime,
  systemCpuUtilization,
  systemDiskIo,
  systemDiskIoTime,
  systemDiskOperationTime,
  systemDiskOperations,
  systemFilesystemUsage,
  systemFilesystemUtilization,
  systemMemoryLimit,
  systemMemoryUsage,
  systemMemoryUtilization,
  systemNetworkErrors,
  systemNetworkIo,
  systemNetworkPacketCount,
  systemNetworkPacketDropped,
  systemPagingFaults,
  systemPagingOperations,
  systemPagingUsage,
  systemProcessCreated,
  systemUptime,
} from "#gen/telemetry/metrics.ts";
import type { Metrics, Observer } from "../port.ts";
import {
  type CpuTimes,
  type Mount,
  parseCounters,
  parseDiskstats,
  parseMeminfo,
  parseMounts,
  parseNetDev,
  parseStat,
} from "./proc-parsers.ts";
import type { Schedule } from "./schedule.ts";

const cpuModes = ["user", "nice", "system", "idle", "iowait", "interrupt", "steal"] as const;
const localFilesystems = new Set(["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "vfat", "exfat", "bcachefs"]);
/** A host has few; a host with very many must not flood its page. */
const MAXIMUM_DEVICES = 64;

export function observeHost(metrics: Metrics, schedule: Schedule): Disposable {
  let lastCpu: CpuTimes | undefined;

  async function observeCpu(observer: Observer): Promise<void> {
    const { cpu, processesCreated } = parseStat(await readFile("/proc/stat", "utf8"));
    observer.observe(systemCpuLogicalCount, availableParallelism(), {});
    if (processesCreated !== undefined) observer.observe(systemProcessCreated, processesCreated, {});
    if (cpu === undefined) return;
    const previous = lastCpu;
    const elapsed = previous === undefined ? 0 : sumOf(cpu) - sumOf(previous);
    for (const mode of cpuModes) {
      observer.observe(systemCpuTime, cpu[mode], { "cpu.mode": mode });
      if (previous === undefined || elapsed <= 0) continue;
      observer.observe(systemCpuUtilization, Math.max(0, (cpu[mode] - previous[mode]) / elapsed), { "cpu.mode": mode });
    }
    lastCpu = cpu;
  }

  return metrics.observeGroup({
    name: "host",
    metrics: [
      systemUptime,
      systemCpuLogicalCount,
      systemCpuTime,
      systemCpuUtilization,
      systemProcessCreated,
      systemMemoryUsage,
      systemMemoryLimit,
      systemMemoryUtilization,
      systemPagingUsage,
      systemPagingFaults,
      systemPagingOperations,
      systemDiskIo,
      systemDiskOperations,
      systemDiskIoTime,
      systemDiskOperationTime,
      systemFilesystemUsage,
      systemFilesystemUtilization,
      systemNetworkIo,
      systemNetworkPacketCount,
      systemNetworkPacketDropped,
      systemNetworkErrors,
    ],
    ...schedule,
    async collect(observer) {
      observer.observe(systemUptime, uptime(), {});
      await observeCpu(observer);
      await observeMemory(observer);
      await observePaging(observer);
      await observeDisks(observer);
      await observeNetwork(observer);
      await observeFilesystems(observer);
    },
  });
}

function sumOf(cpu: CpuTimes): number {
  return cpuModes.reduce((sum, mode) => sum + cpu[mode], 0);
}

async function observeMemory(observer: Observer): Promise<void> {
  const meminfo = parseMeminfo(await readFile("/proc/meminfo", "utf8"));
  const of = (name: string): number => meminfo.get(name) ?? 0;
  const total = of("MemTotal");
  if (total > 0) {
    const free = of("MemFree");
    const buffers = of("Buffers");
    const cached = of("Cached") + of("SReclaimable");
    const usage = { used: Math.max(0, total - free - buffers - cached), free, buffers, cached };
    observer.observe(systemMemoryLimit, total, {});
    for (const state of ["used", "free", "buffers", "cached"] as const) {
      observer.observe(systemMemoryUsage, usage[state], { "system.memory.state": state });
      observer.observe(systemMemoryUtilization, usage[state] / total, { "system.memory.state": state });
    }
  }
  const swapFree = of("SwapFree");
  observer.observe(systemPagingUsage, Math.max(0, of("SwapTotal") - swapFree), { "system.paging.state": "used" });
  observer.observe(systemPagingUsage, swapFree, { "system.paging.state": "free" });
}

/** Swapping counts as major, other paging as minor. */
async function observePaging(observer: Observer): Promise<void> {
  const vmstat = parseCounters(await readFile("/proc/vmstat", "utf8"));
  const major = vmstat.get("pgmajfault") ?? 0;
  const all = vmstat.get("pgfault") ?? 0;
  observer.observe(systemPagingFaults, major, { "system.paging.fault.type": "major" });
  observer.observe(systemPagingFaults, Math.max(0, all - major), { "system.paging.fault.type": "minor" });
  const operations = [
    ["in", "major", "pswpin"],
    ["out", "major", "pswpout"],
    ["in", "minor", "pgpgin"],
    ["out", "minor", "pgpgout"],
  ] as const;
  for (const [direction, type, name] of operations) {
    const attributes = { "system.paging.direction": direction, "system.paging.fault.type": type };
    observer.observe(systemPagingOperations, vmstat.get(name) ?? 0, attributes);
  }
}

async function observeDisks(observer: Observer): Promise<void> {
  // Whole devices only: their partitions would count everything twice.
  const whole = new Set((await readdir("/sys/block")).filter((name) => !/^(loop|ram|zram)\d/.test(name)));
  const disks = parseDiskstats(await readFile("/proc/diskstats", "utf8")).filter(({ device }) => whole.has(device));
  for (const disk of disks.slice(0, MAXIMUM_DEVICES)) {
    const device = { "system.device.name": disk.device };
    const read = { ...device, "disk.io.direction": "read" } as const;
    const write = { ...device, "disk.io.direction": "write" } as const;
    observer.observe(systemDiskIo, disk.readBytes, read);
    observer.observe(systemDiskIo, disk.writtenBytes, write);
    observer.observe(systemDiskOperations, disk.reads, read);
    observer.observe(systemDiskOperations, disk.writes, write);
    observer.observe(systemDiskOperationTime, disk.readSeconds, read);
    observer.observe(systemDiskOperationTime, disk.writeSeconds, write);
    observer.observe(systemDiskIoTime, disk.busySeconds, device);
  }
}

async function observeNetwork(observer: Observer): Promise<void> {
  const interfaces = parseNetDev(await readFile("/proc/net/dev", "utf8"));
  for (const { name, ...counts } of interfaces.slice(0, MAXIMUM_DEVICES)) {
    for (const direction of ["receive", "transmit"] as const) {
      const { bytes, packets, errors, dropped } = counts[direction];
      const attributes = { "network.interface.name": name, "network.io.direction": direction };
      observer.observe(systemNetworkIo, bytes, attributes);
      observer.observe(systemNetworkErrors, errors, attributes);
      observer.observe(systemNetworkPacketDropped, dropped, attributes);
      observer.observe(systemNetworkPacketCount, packets, {
        "system.device.name": name,
        "network.io.direction": direction,
      });
    }
  }
}

async function observeFilesystems(observer: Observer): Promise<void> {
  const mounts = localMounts(parseMounts(await readFile("/proc/self/mounts", "utf8")));
  for (const mount of mounts.slice(0, MAXIMUM_DEVICES)) {
    const space = await spaceOf(mount.mountpoint);
    if (space === undefined) continue;
    const attributes = {
      "system.device.name": mount.device,
      "system.filesystem.type": mount.type,
      "system.filesystem.mode": mount.mode,
      "system.filesystem.mountpoint": mount.mountpoint,
    };
    for (const state of ["used", "free", "reserved"] as const) {
      observer.observe(systemFilesystemUsage, space[state], { ...attributes, "system.filesystem.state": state });
    }
    const usable = space.used + space.free;
    if (usable > 0) observer.observe(systemFilesystemUtilization, space.used / usable, attributes);
  }
}

/** One mount of each local device, the first; in a container the root, whatever it is. */
function localMounts(mounts: readonly Mount[]): Mount[] {
  const byDevice = new Map<string, Mount>();
  for (const mount of mounts) {
    const wanted = localFilesystems.has(mount.type) || (mount.mountpoint === "/" && mount.type === "overlay");
    if (wanted && !byDevice.has(mount.device)) byDevice.set(mount.device, mount);
  }
  return [...byDevice.values()];
}

async function spaceOf(mountpoint: string): Promise<{ used: number; free: number; reserved: number } | undefined> {
  try {
    const { bsize, blocks, bfree, bavail } = await statfs(mountpoint);
    return { used: (blocks - bfree) * bsize, free: bavail * bsize, reserved: Math.max(0, bfree - bavail) * bsize };
  } catch {
    // Not readable by this user, or gone meanwhile.
    return undefined;
  }
}
