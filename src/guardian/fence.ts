/**
 * The fencing deadline, in seconds of the host's uptime, which also runs while
 * the host is suspended, unlike timers. At the deadline `onDeadline` is called
 * once, whatever happens to the daemon; arming it anew makes it count again.
 *
 *   disarmed ─arm─► armed ─deadline─► past ─arm (later)─► armed
 */
export interface Fence {
  /** Sets the deadline: later extends it, earlier shortens it. */
  arm(deadlineUptimeSeconds: number): void;
  disarm(): void;
  /** Guests that may run elsewhere must not be started now. */
  readonly isPast: boolean;
}

export interface FenceOptions {
  readonly readUptimeSeconds: () => number;
  readonly onDeadline: () => void;
}

// A timer stands still while the host sleeps: the uptime is looked at often.
const POLL_MS = 200;

export function createFence(options: FenceOptions): Fence {
  let deadline: number | undefined;
  let isPast = false;
  let timer: NodeJS.Timeout | undefined;

  function check(): void {
    clearTimeout(timer);
    if (deadline === undefined || isPast) return;
    const leftMs = (deadline - options.readUptimeSeconds()) * 1000;
    if (leftMs <= 0) {
      isPast = true;
      options.onDeadline();
    } else {
      timer = setTimeout(check, Math.min(leftMs, POLL_MS));
    }
  }

  return {
    arm(deadlineUptimeSeconds) {
      deadline = deadlineUptimeSeconds;
      isPast = false;
      check();
    },
    disarm() {
      clearTimeout(timer);
      deadline = undefined;
      isPast = false;
    },
    get isPast() {
      return isPast;
    },
  };
}
