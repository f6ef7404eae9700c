/**
 * A guest's boot on the host's clock. The guest tells its marks in seconds since
 * its kernel started, and how long it had run when it reported; the host knows when
 * the virtual CPUs began to run and when the report arrived. So the kernel started
 * at `received − uptime`, clamped into [hypervisor start, received]: a guest's clock
 * may drift (TCG), and nothing a guest says may reach outside its own run. Marks are
 * clamped in the same way and never go backwards. Pure.
 */
import type { GuestBoot } from "#runtime/runtime.ts";

export interface BootPart {
  readonly part: "kernel" | "init" | "ready";
  /** The mark that ends it. */
  readonly mark: string;
  readonly startTimeMs: number;
  readonly endTimeMs: number;
}

export interface BootTimeline {
  readonly startTimeMs: number;
  readonly endTimeMs: number;
  /** Seconds to add to a mark to get seconds since the hypervisor's start. */
  readonly clockOffsetSeconds: number;
  readonly parts: readonly BootPart[];
}

/** A guest that reports other marks, or none, still gives whole parts: a missing mark has no length. */
export function planBootTimeline(boot: GuestBoot): BootTimeline {
  const startTimeMs = boot.hypervisorStartTimeMs;
  const endTimeMs = Math.max(startTimeMs, boot.receivedTimeMs);
  const kernelStartMs = clamp(endTimeMs - seconds(boot.uptimeSeconds) * 1000, startTimeMs, endTimeMs);
  const at = (mark: string, earliestMs: number): number => {
    const value = Object.hasOwn(boot.marks, mark) ? boot.marks[mark] : undefined;
    return value === undefined ? earliestMs : clamp(kernelStartMs + seconds(value) * 1000, earliestMs, endTimeMs);
  };
  const initTimeMs = at("init", kernelStartMs);
  const agentTimeMs = at("agent", initTimeMs);
  return {
    startTimeMs,
    endTimeMs,
    clockOffsetSeconds: (kernelStartMs - startTimeMs) / 1000,
    parts: [
      { part: "kernel", mark: "init", startTimeMs, endTimeMs: initTimeMs },
      { part: "init", mark: "agent", startTimeMs: initTimeMs, endTimeMs: agentTimeMs },
      { part: "ready", mark: "ready", startTimeMs: agentTimeMs, endTimeMs },
    ],
  };
}

/** A number of seconds that a guest told: hostile input. */
function seconds(value: number): number {
  return Number.isFinite(value) && value > 0 ? value : 0;
}

function clamp(value: number, minimum: number, maximum: number): number {
  return Math.min(maximum, Math.max(minimum, value));
}
