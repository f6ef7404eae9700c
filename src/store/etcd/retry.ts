/** Trying a call again, within its own deadline: reads after any passing trouble, writes only when nothing was changed. */
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import { backoffMs, pause } from "../clock.ts";
import { type CallFailure, classifyFailure, readError, writeError } from "./call-failure.ts";
import type { EtcdConnection } from "./connection.ts";

export interface RetryEnvironment {
  readonly connection: EtcdConnection;
  readonly clock: Clock;
  readonly random: () => number;
}

export interface RetriedCall {
  readonly kind: "read" | "write";
  /** For messages: "read /blixard/v1/vms/…". */
  readonly what: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

const BACKOFF = { initialMs: 25, maximumMs: 500 };
/** A read that hangs on one member is tried on another well before its own deadline. */
const READ_ATTEMPT_MS = 2000;

/** @throws BlixardError as the port says */
export async function withRetry<T>(
  environment: RetryEnvironment,
  call: RetriedCall,
  attempt: (timeoutMs: number) => Promise<T>,
): Promise<T> {
  const { connection, clock, random } = environment;
  const deadlineMs = clock.monotonicMs() + call.timeoutMs;
  for (let tries = 0; ; tries++) {
    const leftMs = Math.max(1, deadlineMs - clock.monotonicMs());
    try {
      return await attempt(call.kind === "read" ? Math.min(leftMs, READ_ATTEMPT_MS) : leftMs);
    } catch (error) {
      if (error instanceof BlixardError) throw error;
      const failure = classifyFailure(error);
      const wanted = failure.transient && (call.kind === "read" || failure.withoutEffect);
      const waitMs = backoffMs(tries, { ...BACKOFF, random });
      const late = clock.monotonicMs() + waitMs >= deadlineMs;
      if (!wanted || late || call.signal?.aborted === true) throw toError(call, failure);
      connection.reportTrouble();
      await pause(clock, waitMs, call.signal);
    }
  }
}

function toError(call: RetriedCall, failure: CallFailure): BlixardError {
  if (call.kind === "write") return writeError(call.what, failure);
  if (call.signal?.aborted === true) {
    return new BlixardError("CANCELLED", `${call.what} was cancelled`, { cause: failure.cause });
  }
  return readError(call.what, failure);
}
