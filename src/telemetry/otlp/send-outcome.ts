/**
 * What one request came to, and what the specification says to do about it: pure.
 * Source: OTLP 1.x, "Failures"; retryable codes are listed there and nothing else is.
 */
import { status } from "@grpc/grpc-js";
import {
  describeProblem,
  problemOfConnection,
  problemOfGrpc,
  problemOfHttpStatus,
  type ConnectionError,
} from "./network-problem.ts";

/** What stands in the way, as far as one attempt can tell: a closed set, on both transports. */
export const networkProblems = [
  // On the way to the host
  "name_not_found",
  "connection_refused",
  "unreachable",
  "connection_reset",
  "timeout",
  // TLS
  "certificate_self_signed",
  /** Signed by an authority that is not trusted here. */
  "certificate_untrusted",
  "certificate_expired",
  "certificate_not_yet_valid",
  "certificate_wrong_host",
  /** The server wants a client certificate, or another one. */
  "client_certificate_refused",
  "tls_to_plaintext_port",
  "plaintext_to_tls_port",
  "tls_failed",
  // The wrong protocol
  "grpc_to_http1_port",
  "http_to_grpc_port",
  // What the server says
  /** 401, UNAUTHENTICATED. */
  "unauthenticated",
  /** 403, PERMISSION_DENIED. */
  "forbidden",
  /** 404, UNIMPLEMENTED: no such path or service, so this signal is not taken there. */
  "signal_not_taken",
  "redirected",
  "throttled",
  /** 502, 503, 504, UNAVAILABLE and the like: later, perhaps. */
  "server_unavailable",
  /** 500 and other failures of the server's own. */
  "server_error",
  /** 400, INVALID_ARGUMENT and other answers that blame the request. */
  "request_refused",
  "request_too_large",
  // The answer itself
  /** A web page, another content type, or bytes that do not parse. */
  "response_not_otlp",
  "response_too_large",
  /** We gave up: the node is stopping. */
  "cancelled",
  "other",
] as const;
export type NetworkProblem = (typeof networkProblems)[number];

interface Failure {
  /** Stable, for `error.type`: a gRPC code's name, an HTTP status, or an error code of the system. */
  readonly errorType: string;
  /** For people. */
  readonly reason: string;
  readonly cause?: NetworkProblem;
}

export type SendOutcome =
  | { readonly kind: "accepted"; readonly note?: string }
  /** Taken but for some items; never sent again. */
  | { readonly kind: "partial"; readonly rejectedItems: number; readonly reason: string }
  | ({ readonly kind: "retry"; readonly afterMs?: number } & Failure)
  /** This backend does not take the signal. */
  | ({ readonly kind: "unsupported" } & Failure)
  /** Sending the same again would fail again. */
  | ({ readonly kind: "refused" } & Failure);

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
  const cause = problemOfGrpc(code, details);
  const errorType = cause === "response_too_large" ? cause : (status[code] ?? "UNKNOWN");
  const reason = describeProblem(cause, details === "" ? errorType : details);
  if (code === status.UNIMPLEMENTED) return { kind: "unsupported", errorType, reason, cause };
  const exhausted = code === status.RESOURCE_EXHAUSTED && retryDelayMs !== undefined;
  if (!exhausted && !RETRYABLE_GRPC.has(code)) return { kind: "refused", errorType, reason, cause };
  return { kind: "retry", errorType, reason, cause, ...patience(retryDelayMs) };
}

/** For answers that are not 2xx. */
export function httpOutcome(statusCode: number, explanation: string, retryAfterMs: number | undefined): SendOutcome {
  const cause = problemOfHttpStatus(statusCode, explanation);
  const errorType = String(statusCode);
  const reason = describeProblem(
    cause,
    explanation === "" ? `HTTP ${statusCode}` : `HTTP ${statusCode}: ${explanation}`,
  );
  if (statusCode === 404) return { kind: "unsupported", errorType, reason, cause };
  if (RETRYABLE_HTTP.has(statusCode)) return { kind: "retry", errorType, reason, cause, ...patience(retryAfterMs) };
  return { kind: "refused", errorType, reason, cause };
}

/** The connection failed, or what came over it was not HTTP. */
export function connectionOutcome(error: ConnectionError): SendOutcome {
  const cause = problemOfConnection(error);
  const reason = describeProblem(cause, error.message || error.code);
  // An answer over the limit is not asked for again.
  const kind = cause === "response_too_large" ? "refused" : "retry";
  return { kind, errorType: error.code, reason, cause };
}

/** Answers success, and is no OTLP receiver's. */
export function refusedAnswer(cause: "response_not_otlp" | "response_too_large", detail: string): SendOutcome {
  const errorType = cause === "response_too_large" ? cause : "invalid_response";
  return { kind: "refused", errorType, reason: describeProblem(cause, detail), cause };
}

/** With everything a receiver said passed through `redact`: it may repeat what it was sent. */
export function redactOutcome(outcome: SendOutcome, redact: (text: string) => string): SendOutcome {
  if (outcome.kind !== "accepted") return { ...outcome, reason: redact(outcome.reason) };
  return outcome.note === undefined ? outcome : { ...outcome, note: redact(outcome.note) };
}

function patience(afterMs: number | undefined): { readonly afterMs?: number } {
  return afterMs === undefined ? {} : { afterMs: Math.min(afterMs, MAXIMUM_AFTER_MS) };
}

/** `Retry-After`: seconds or a date (RFC 9110). */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  // `Date.parse` makes a year of a number.
  const dateMs = /^[A-Z][a-z]+,? /.test(text) ? Date.parse(text) : Number.NaN;
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
