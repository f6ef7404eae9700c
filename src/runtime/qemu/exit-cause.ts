/**
 * What the end of a guest means. QEMU's last events tell most of it, and the
 * guardian keeps them, so the answer is the same whether the daemon was there or
 * not. Pure.
 */
import type { ExitReason, GuestExit } from "#guardian/protocol.ts";
import type { VmExit, VmExitCause } from "#model/vm.ts";

interface Verdict {
  readonly cause: VmExitCause;
  readonly detail: string;
}

const MAXIMUM_DETAIL_LENGTH = 4096;

export function planVmExit(exit: GuestExit): VmExit {
  const { cause, detail } = exit.reason === "" ? judgeOwnEnd(exit) : reasons[exit.reason];
  const words = [detail, exit.stderrTail.trim()].filter((part) => part !== "");
  return {
    cause,
    exitCode: exit.code,
    signal: exit.signal,
    timeMs: exit.timeMs,
    detail: words.join("\n").slice(-MAXIMUM_DETAIL_LENGTH),
  };
}

const reasons: Readonly<Record<Exclude<ExitReason, "">, Verdict>> = {
  forced: { cause: "killed", detail: "it was ended by force" },
  boot_timeout: { cause: "boot_timeout", detail: "the guest did not say that it is ready in time" },
  start_failed: { cause: "start_failed", detail: "" },
  fenced: { cause: "killed", detail: "the node's lease had run out, and the VM may run elsewhere" },
  guardian_stopped: { cause: "killed", detail: "the guardian was asked to end, and its guests with it" },
  guardian_lost: { cause: "guardian_lost", detail: "the guardian died, and its guests with it" },
  host_rebooted: { cause: "host_rebooted", detail: "the host was restarted" },
};

/** It ended by itself, or by somebody outside. */
function judgeOwnEnd(exit: GuestExit): Verdict {
  const events = lastEvents(exit.channelTails["qmp"] ?? "");
  if (events.some((event) => event.name === "GUEST_PANICKED")) {
    return { cause: "panic", detail: "the guest's kernel panicked" };
  }
  switch (events.findLast((event) => event.name === "SHUTDOWN")?.reason) {
    case "guest-shutdown":
      return { cause: "shutdown", detail: "" };
    case "guest-panic":
      return { cause: "panic", detail: "the guest's kernel panicked" };
    case "guest-reset":
      // Kernels are told to restart after a panic; whatever it was, the guest wants to come up again.
      return { cause: "crash", detail: "the guest restarted itself, or panicked without saying so" };
    case "host-signal":
    case "host-qmp-quit":
    case "host-qmp-system-reset":
      return { cause: "killed", detail: "the hypervisor was ended from outside" };
    default:
      return judgeStatus(exit);
  }
}

function judgeStatus({ code, signal }: GuestExit): Verdict {
  if (signal === "SIGKILL") {
    return { cause: "killed", detail: "the hypervisor was killed from outside, perhaps for lack of memory" };
  }
  if (signal === "SIGTERM" || signal === "SIGINT") return { cause: "killed", detail: "the hypervisor was ended" };
  if (signal !== undefined) return { cause: "crash", detail: `the hypervisor crashed with ${signal}` };
  if (code === 0) return { cause: "shutdown", detail: "" };
  return { cause: "crash", detail: `the hypervisor ended with exit code ${code}` };
}

interface QmpEvent {
  readonly name: string;
  readonly reason: string | undefined;
}

/** The events in the end of QEMU's monitor output; its first line may be cut. */
function lastEvents(tail: string): QmpEvent[] {
  return tail.split("\n").flatMap((line) => {
    const event = parseEvent(line);
    return event === undefined ? [] : [event];
  });
}

function parseEvent(line: string): QmpEvent | undefined {
  try {
    const value = JSON.parse(line) as { event?: unknown; data?: { reason?: unknown } };
    if (typeof value.event !== "string") return undefined;
    const reason = value.data?.reason;
    return { name: value.event, reason: typeof reason === "string" ? reason : undefined };
  } catch {
    return undefined;
  }
}
