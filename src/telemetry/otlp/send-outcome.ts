/**
 * What one request came to, and what the specification says to do about it: pure.
 * Source: OTLP 1.x, "Failures"; retryable codes are listed there and nothing else is.
 */
import { status } from "@grpc/grpc-js";

export type SendOutcome =
  | { readonly kind: "accepted"; readonly note?: string }
  /** Taken but for some items; never sent again. */
  | { readonly kind: "partial"; readonly rejectedItems: number; readonly reason: string }
  | { readonly kind: "retry"; readonly errorType: string; readonly reason: string; readonly afterMs?: number }
  /** This backend does not take the signal. */
  | { readonly kind: "unsupported"; readonly errorType: string; readonly reason: string }
  /** Sending the same again would fail again. */
  | { readonly kind: "refused"; readonly errorType: string; readonly reason: string };

export interface Transport {
  /** One attempt within the destination's timeout. Never rejects. */
  send(bytes: Uint8Array, abort: AbortSignal): Promise<SendOutcome>;
  close(): void;
}

const RETRYABLE_GRPC = new Set<number>([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);

const RETRYABLE_HTTP = new Set([429, 502, 503, 504]);

/** A server may ask for patience, not for a day of it. */
const MAXIMUM_AFTER_MS = 10 * 60_000;

export function grpcOutcome(code: number, details: string, retryDelayMs: number | undefined): SendOutcome {
  const errorType = status[code] ?? "UNKNOWN";
  const reason = details === "" ? errorType : `${errorType}: ${details}`;
  if (code === status.UNIMPLEMENTED) return { kind: "unsupported", errorType, reason };
  const exhausted = code === status.RESOURCE_EXHAUSTED && retryDelayMs !== undefined;
  if (!exhausted && !RETRYABLE_GRPC.has(code)) return { kind: "refused", errorType, reason };
  return { kind: "retry", errorType, reason, ...patience(retryDelayMs) };
}

/** For answers that are not 2xx. */
export function httpOutcome(statusCode: number, explanation: string, retryAfterMs: number | undefined): SendOutcome {
  const errorType = String(statusCode);
  const reason = explanation === "" ? `HTTP ${statusCode}` : `HTTP ${statusCode}: ${explanation}`;
  if (statusCode === 404) return { kind: "unsupported", errorType, reason };
  if (RETRYABLE_HTTP.has(statusCode)) return { kind: "retry", errorType, reason, ...patience(retryAfterMs) };
  return { kind: "refused", errorType, reason };
}

function patience(afterMs: number | undefined): { readonly afterMs?: number } {
  return afterMs === undefined ? {} : { afterMs: Math.min(afterMs, MAXIMUM_AFTER_MS) };
}

/** `Retry-After`: seconds or a date (RFC 9110). */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const dateMs = Date.parse(text);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}

export interface BackoffOptions {
  readonly initialMs: number;
  readonly maximumMs: number;
}

/**
 * How long to wait before attempt `attempt` + 1 (from 1): doubling, half of it random so
 * that a fleet does not return in step; never before the server's own time.
 */
export function backoffMs(attempt: number, options: BackoffOptions, random: () => number, afterMs = 0): number {
  const ceilingMs = Math.min(options.maximumMs, options.initialMs * 2 ** Math.min(attempt - 1, 30));
  const jitteredMs = ceilingMs * (0.5 + 0.5 * random());
  return afterMs > 0 ? afterMs + 0.1 * jitteredMs : jitteredMs;
}
