/** How long this disk takes to make a small write durable: it decides the election timers of a cluster. */
import { open, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#model/clock.ts";
import type { ElectionTimers } from "./etcd-arguments.ts";

export interface DiskProbeOptions {
  readonly directory: string;
  readonly clock: Clock;
}

const WRITES = 40;
const WRITE_BYTES = 2048;
/** A very slow disk is known to be one long before all writes are done. */
const MAXIMUM_PROBE_MS = 2000;
const SLOW_FDATASYNC_MS = 10;

/** Durations of fdatasync in ms, ascending. @throws what the file system throws (ENOSPC, EACCES) */
export async function measureFdatasync({ directory, clock }: DiskProbeOptions): Promise<readonly number[]> {
  const path = join(directory, "fdatasync-probe");
  const file = await open(path, "w", 0o600);
  try {
    const durations: number[] = [];
    const startMs = clock.monotonicMs();
    const block = Buffer.alloc(WRITE_BYTES, 1);
    for (let index = 0; index < WRITES && clock.monotonicMs() - startMs < MAXIMUM_PROBE_MS; index++) {
      await file.write(block, 0, block.length, index * WRITE_BYTES);
      const beforeMs = clock.monotonicMs();
      await file.datasync();
      durations.push(clock.monotonicMs() - beforeMs);
    }
    return durations.toSorted((left, right) => left - right);
  } finally {
    await file.close();
    await unlink(path).catch(() => undefined);
  }
}

/** 99th percentile of ascending values; 0 for none. */
export function percentile99(ascending: readonly number[]): number {
  return ascending[Math.min(ascending.length - 1, Math.ceil(ascending.length * 0.99) - 1)] ?? 0;
}

export function isSlowDisk(fdatasyncMs: readonly number[]): boolean {
  return percentile99(fdatasyncMs) >= SLOW_FDATASYNC_MS;
}

/** A member alone in its cluster needs no patience, whatever its disk: see `ElectionTimers`. */
export function planElectionTimers(fdatasyncMs: readonly number[], memberCount: number): ElectionTimers {
  if (memberCount === 1) return "alone";
  return isSlowDisk(fdatasyncMs) ? "slow" : "fast";
}
