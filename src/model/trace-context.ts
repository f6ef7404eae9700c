/**
 * W3C Trace Context as values: what travels in RPC metadata, in the store beside
 * a record, in a guest's fw_cfg, without any telemetry library.
 * Source: W3C Trace Context Level 2 (traceparent, tracestate).
 */

export interface TraceContext {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string;
  /** Whether the root decided that this trace is exported. Recording does not depend on it. */
  readonly sampled: boolean;
  /** The raw tracestate header, at most 512 characters. */
  readonly traceState?: string;
  /**
   * What travels beside it: a W3C `baggage` header of members that passed the
   * allow-list, at most 64 members and 8,192 bytes. Absent: none.
   */
  readonly baggage?: string;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const MAXIMUM_TRACEPARENT_LENGTH = 512;
const MAXIMUM_TRACESTATE_LENGTH = 512;

/**
 * The context of a `traceparent` (and `tracestate`) header, or undefined when it is
 * malformed: a broken header starts a new trace, it never fails a request.
 */
export function parseTraceparent(traceparent: string, traceState?: string): TraceContext | undefined {
  if (traceparent.length > MAXIMUM_TRACEPARENT_LENGTH) return undefined;
  const match = TRACEPARENT.exec(traceparent.trim());
  if (match === null) return undefined;
  const [, version, traceId, spanId, flags, rest] = match;
  if (version === undefined || traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  const sampled = (Number.parseInt(flags, 16) & 1) === 1;
  const keepState = traceState !== undefined && traceState !== "" && traceState.length <= MAXIMUM_TRACESTATE_LENGTH;
  return { traceId, spanId, sampled, ...(keepState ? { traceState } : {}) };
}

/** The `traceparent` header of a context, version 00. */
export function formatTraceparent(context: TraceContext): string {
  return `00-${context.traceId}-${context.spanId}-${context.sampled ? "01" : "00"}`;
}

/**
 * `tracestate` of a trace whose minter leaves the sampling decision to the node (the
 * CLI, unless it inherited a sampled context). Without it an unsampled context means
 * that its root decided against export.
 */
export const UNDECIDED_TRACE_STATE = "blixard=undecided";
