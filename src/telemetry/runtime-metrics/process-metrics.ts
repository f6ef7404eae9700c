/** `process.*`: what the kernel says of this process. */
import { readdir, readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import {
  processContextSwitches,
  processCpuTime,
  processCpuUtilization,
  processDiskIo,
  processMemoryUsage,
  processMemoryVirtual,
  processPagingFaults,
  processThreadCount,
  processUnixFileDescriptorCount,
  processUptime,
} from "#gen/telemetry/metrics.ts";
import type { Metrics, Observer } from "../port.ts";
import { parseCounters, parseMeminfo } from "./proc-parsers.ts";
import type { Schedule } from "./schedule.ts";

const MICROSECONDS_PER_SECOND = 1e6;

interface CpuReading {
  readonly uptimeSeconds: number;
  readonly user: number;
  readonly system: number;
}

export function observeProcess(metrics: Metrics, schedule: Schedule): Disposable {
  let last: CpuReading | undefined;

  function observeCpu(observer: Observer): void {
    const { userCPUTime, systemCPUTime } = process.resourceUsage();
    const now: CpuReading = {
      uptimeSeconds: process.uptime(),
      user: userCPUTime / MICROSECONDS_PER_SECOND,
      system: systemCPUTime / MICROSECONDS_PER_SECOND,
    };
    for (const mode of ["user", "system"] as const) {
      observer.observe(processCpuTime, now[mode], { "cpu.mode": mode });
      const elapsedSeconds = now.uptimeSeconds - (last?.uptimeSeconds ?? now.uptimeSeconds);
      if (last === undefined || elapsedSeconds <= 0) continue;
      const share = (now[mode] - last[mode]) / (elapsedSeconds * availableParallelism());
      observer.observe(processCpuUtilization, Math.max(0, share), { "cpu.mode": mode });
    }
    last = now;
  }

  return metrics.observeGroup({
    name: "process",
    metrics: [
      processCpuTime,
      processCpuUtilization,
      processMemoryUsage,
      processMemoryVirtual,
      processDiskIo,
      processThreadCount,
      processUnixFileDescriptorCount,
      processContextSwitches,
      processPagingFaults,
      processUptime,
    ],
    ...schedule,
    async collect(observer) {
      observeCpu(observer);
      observeResources(observer);
      await observeStatus(observer);
      await observeDisk(observer);
      observer.observe(processUnixFileDescriptorCount, (await readdir("/proc/self/fd")).length, {});
      observer.observe(processUptime, process.uptime(), {});
    },
  });
}

function observeResources(observer: Observer): void {
  const usage = process.resourceUsage();
  const switches = { voluntary: usage.voluntaryContextSwitches, involuntary: usage.involuntaryContextSwitches };
  for (const type of ["voluntary", "involuntary"] as const) {
    observer.observe(processContextSwitches, switches[type], { "process.context_switch.type": type });
  }
  observer.observe(processPagingFaults, usage.majorPageFault, { "system.paging.fault.type": "major" });
  observer.observe(processPagingFaults, usage.minorPageFault, { "system.paging.fault.type": "minor" });
}

async function observeStatus(observer: Observer): Promise<void> {
  const status = parseMeminfo((await readFile("/proc/self/status", "utf8")).replaceAll("\t", " "));
  const resident = status.get("VmRSS");
  const virtual = status.get("VmSize");
  const threads = status.get("Threads");
  if (resident !== undefined) observer.observe(processMemoryUsage, resident, {});
  if (virtual !== undefined) observer.observe(processMemoryVirtual, virtual, {});
  if (threads !== undefined) observer.observe(processThreadCount, threads, {});
}

/** Absent where the kernel keeps no account (containers may hide it). */
async function observeDisk(observer: Observer): Promise<void> {
  let text: string;
  try {
    text = await readFile("/proc/self/io", "utf8");
  } catch {
    return;
  }
  const counters = parseCounters(text);
  const read = counters.get("read_bytes");
  const written = counters.get("write_bytes");
  if (read !== undefined) observer.observe(processDiskIo, read, { "disk.io.direction": "read" });
  if (written !== undefined) observer.observe(processDiskIo, written, { "disk.io.direction": "write" });
}
