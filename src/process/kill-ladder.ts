/** Ends a process politely, then surely: SIGTERM, a time to obey, SIGKILL. By identity, so never a stranger. */
import { setTimeout as delay } from "node:timers/promises";
import { isAlive, type ProcessIdentity } from "./identity.ts";

export interface EndProcessOptions {
  /** How long it may take to obey SIGTERM; 0 goes straight to SIGKILL. */
  readonly graceMs: number;
  /** Resolves when a child of ours is gone; others are looked at every 20 ms. */
  readonly exited?: Promise<unknown>;
  /** How long to wait after SIGKILL: a process in uninterruptible sleep dies late. Default 5 s. */
  readonly killWaitMs?: number;
}

export type EndOutcome = "gone_before" | "obeyed" | "forced" | "still_there";

const POLL_MS = 20;
const KILL_WAIT_MS = 5_000;

export async function endProcess(identity: ProcessIdentity, options: EndProcessOptions): Promise<EndOutcome> {
  if (!signalProcess(identity, options.graceMs > 0 ? "SIGTERM" : "SIGKILL")) return "gone_before";
  if (options.graceMs > 0) {
    if (await isGoneWithin(identity, options.graceMs, options.exited)) return "obeyed";
    signalProcess(identity, "SIGKILL");
  }
  const gone = await isGoneWithin(identity, options.killWaitMs ?? KILL_WAIT_MS, options.exited);
  return gone ? "forced" : "still_there";
}

/** Whether there was such a process to signal. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch (error) {
    // It ended between the look and the signal.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

async function isGoneWithin(
  identity: ProcessIdentity,
  timeoutMs: number,
  exited: Promise<unknown> | undefined,
): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  let gone = false;
  const exit = exited?.then(() => (gone = true));
  while (!gone && isAlive(identity)) {
    const leftMs = end - performance.now();
    if (leftMs <= 0) return false;
    const wait = delay(Math.min(POLL_MS, leftMs));
    await (exit === undefined ? wait : Promise.race([wait, exit]));
  }
  return true;
}
