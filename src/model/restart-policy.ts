/**
 * What follows the end of a guest that was meant to run: another start after a
 * growing pause, or none. Pure: the caller keeps the history and the clock.
 */
import type { RestartPolicy, VmExit } from "./vm.ts";

export interface RestartHistory {
  /** Ends in a row without a healthy period between them, before this one. */
  readonly consecutiveEnds: number;
  /** When the guest that just ended became ready; undefined: it never did. */
  readonly readyTimeMs: number | undefined;
}

export interface RestartLimits {
  readonly initialDelayMs: number;
  readonly maximumDelayMs: number;
  /** A guest that was ready for this long is healthy: the next end counts as the first. */
  readonly healthyAfterMs: number;
  /** Starts that failed in a row, never ready, before giving up. */
  readonly maximumFailedStarts: number;
}

export const defaultRestartLimits: RestartLimits = {
  initialDelayMs: 1000,
  maximumDelayMs: 300_000,
  healthyAfterMs: 60_000,
  maximumFailedStarts: 10,
};

export type RestartPlan =
  | {
      readonly kind: "restart";
      readonly atTimeMs: number;
      readonly consecutiveEnds: number;
      readonly reason: string;
    }
  /** It ended as it should; it stays down until someone starts it. */
  | { readonly kind: "stopped"; readonly reason: string }
  | { readonly kind: "failed"; readonly reason: string };

export interface RestartQuestion {
  readonly policy: RestartPolicy;
  readonly exit: VmExit;
  readonly history: RestartHistory;
  readonly nowMs: number;
  readonly limits?: RestartLimits;
}

/**
 * - `never`: stopped after a clean end, failed after any other.
 * - `on-failure`: stopped after a clean end, restarted after any other.
 * - `always`: restarted.
 *
 * An end that was not the guest's doing (the guardian died, the host rebooted)
 * is restarted at once, unless the policy is `never`: there is nothing to back off from.
 */
export function planRestart(question: RestartQuestion): RestartPlan {
  const { policy, exit, history, nowMs, limits = defaultRestartLimits } = question;
  const clean = isCleanExit(exit);
  if (clean && policy !== "always") return { kind: "stopped", reason: "guest_shutdown" };
  if (policy === "never") return { kind: "failed", reason: reasonOf(exit) };
  if (isHostFault(exit)) {
    return {
      kind: "restart",
      atTimeMs: nowMs,
      consecutiveEnds: history.consecutiveEnds,
      reason: reasonOf(exit),
    };
  }
  const healthy = history.readyTimeMs !== undefined && exit.timeMs - history.readyTimeMs >= limits.healthyAfterMs;
  const consecutiveEnds = healthy ? 1 : history.consecutiveEnds + 1;
  if (isStartFailure(exit) && consecutiveEnds >= limits.maximumFailedStarts) {
    return { kind: "failed", reason: "too_many_failed_starts" };
  }
  const delayMs = restartDelayMs(consecutiveEnds, limits);
  return { kind: "restart", atTimeMs: nowMs + delayMs, consecutiveEnds, reason: reasonOf(exit) };
}

/** Doubles from `initialDelayMs` with every end in a row, up to `maximumDelayMs`. */
export function restartDelayMs(consecutiveEnds: number, limits: RestartLimits = defaultRestartLimits): number {
  const exponent = Math.min(Math.max(0, consecutiveEnds - 1), 40);
  return Math.min(limits.maximumDelayMs, limits.initialDelayMs * 2 ** exponent);
}

/** The guest powered itself off. */
export function isCleanExit(exit: VmExit): boolean {
  return exit.cause === "shutdown";
}

function isHostFault(exit: VmExit): boolean {
  return exit.cause === "guardian_lost" || exit.cause === "host_rebooted";
}

function isStartFailure(exit: VmExit): boolean {
  return exit.cause === "start_failed" || exit.cause === "boot_timeout";
}

/** The machine-readable reason of a state that an exit led to. */
export function reasonOf(exit: VmExit): string {
  switch (exit.cause) {
    case "shutdown":
      return "guest_shutdown";
    case "panic":
      return "guest_panicked";
    case "crash":
      return "hypervisor_crashed";
    case "killed":
      return "hypervisor_killed";
    case "boot_timeout":
      return "boot_timeout";
    case "guardian_lost":
      return "guardian_lost";
    case "host_rebooted":
      return "host_rebooted";
    case "start_failed":
      return "start_failed";
  }
}
