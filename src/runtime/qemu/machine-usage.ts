/** What a machine uses: of the host by /proc, of its disks by QEMU, inside by the guest's agent. */
import { BlixardError } from "#model/errors.ts";
import { readProcessStat } from "#process/identity.ts";
import type { DiskUsage } from "../runtime.ts";
import { diskNode } from "./qemu-arguments.ts";

// USER_HZ, which Linux never changed for programs, and the page size of x86-64.
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;

export interface ProcessUsage {
  readonly cpuSeconds: { readonly user: number; readonly system: number };
  readonly memoryResidentBytes: number;
}

/** @throws BlixardError HYPERVISOR_UNRESPONSIVE when it is gone */
export function readProcessUsage(pid: number): ProcessUsage {
  const stat = readProcessStat(pid);
  if (stat === undefined) throw new BlixardError("HYPERVISOR_UNRESPONSIVE", "the hypervisor is gone");
  return {
    cpuSeconds: { user: stat.userTicks / TICKS_PER_SECOND, system: stat.systemTicks / TICKS_PER_SECOND },
    memoryResidentBytes: stat.residentPages * PAGE_BYTES,
  };
}

/** From the answer to `query-blockstats`. */
export function parseBlockStats(answer: unknown, names: readonly string[]): DiskUsage[] {
  const blocks: readonly unknown[] = Array.isArray(answer) ? answer : [];
  return names.flatMap((name, index) => {
    const block = blocks.find((entry) => asRecord(entry)["node-name"] === diskNode(index));
    const stats = asRecord(asRecord(block)["stats"]);
    if (block === undefined) return [];
    return {
      name,
      readBytes: asCount(stats["rd_bytes"]),
      writtenBytes: asCount(stats["wr_bytes"]),
      readOperations: asCount(stats["rd_operations"]),
      writeOperations: asCount(stats["wr_operations"]),
    };
  });
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function asCount(value: unknown): number {
  return typeof value === "number" && value >= 0 ? value : 0;
}
