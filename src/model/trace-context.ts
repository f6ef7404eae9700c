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
  /** A valid tracestate header, at most 32 members and 512 characters. */
  readonly traceState?: string;
  /**
   * What travels beside it: a W3C `baggage` header of members that passed the
   * allow-list, at most 64 members and 8,192 bytes. Absent: none.
   */
  readonly baggage?: string;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const MAXIMUM_TRACEPARENT_LENGTH = 512;

/** Level 2's key, which has no special place for a tenant. */
const STATE_KEY = /^[a-z0-9][_0-9a-z\-*/@]{0,255}$/;
const STATE_VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
const MAXIMUM_STATE_MEMBERS = 32;
const MAXIMUM_STATE_LENGTH = 512;
/** The first to go when the whole is too long. */
const LONG_STATE_MEMBER_LENGTH = 128;
/** A longer header is not looked at. */
const EXAMINED_STATE_LENGTH = 16_384;

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
  const state = traceState === undefined ? undefined : parseTraceState(traceState);
  return { traceId, spanId, sampled, ...(state === undefined ? {} : { traceState: state }) };
}

/**
 * A trace id that begins with its time in seconds, as AWS X-Ray's do. The rest is random, and more of it than
 * samplers look at.
 * Source: AWS X-Ray developer guide, "Trace ID format"; W3C Trace Context Level 2 asks for 7 random bytes at the end.
 * @param random 24 lower-case hex digits, not all zero
 */
export function timedTraceId(unixMs: number, random: string): string {
  return (
    Math.floor(unixMs / 1_000)
      .toString(16)
      .padStart(8, "0")
      .slice(-8) + random
  );
}

/** The `traceparent` header of a context, version 00. */
export function formatTraceparent(context: TraceContext): string {
  return `00-${context.traceId}-${context.spanId}-${context.sampled ? "01" : "00"}`;
}

/**
 * The members of a `tracestate` header, cut to 512 characters by whole members; undefined when there is none
 * or one of them is malformed, because then the whole header is to be left out.
 */
export function parseTraceState(header: string): string | undefined {
  if (header.length > EXAMINED_STATE_LENGTH) return undefined;
  const members = header.split(",").flatMap((text) => {
    const member = text.replace(/^[ \t]+/, "").replace(/[ \t]+$/, "");
    return member === "" ? [] : [member];
  });
  const keys = new Set(members.map((member) => member.slice(0, Math.max(0, member.indexOf("=")))));
  if (members.length > MAXIMUM_STATE_MEMBERS || keys.size < members.length || !members.every(isStateMember))
    return undefined;
  return joinStateMembers(members);
}

/** The state with this entry first: who changes a trace state puts itself at its beginning. */
export function withTraceStateEntry(state: string | undefined, entry: string): string {
  const key = entry.slice(0, entry.indexOf("=") + 1);
  const others = (state ?? "").split(",").filter((member) => member !== "" && !member.startsWith(key));
  return joinStateMembers([entry, ...others].slice(0, MAXIMUM_STATE_MEMBERS)) ?? entry;
}

function isStateMember(member: string): boolean {
  const equals = member.indexOf("=");
  return equals > 0 && STATE_KEY.test(member.slice(0, equals)) && STATE_VALUE.test(member.slice(equals + 1));
}

/** Long members go first, then those at the end. Source: Trace Context, section 3.3.1.5. */
function joinStateMembers(members: readonly string[]): string | undefined {
  let kept = members;
  if (kept.join(",").length > MAXIMUM_STATE_LENGTH)
    kept = kept.filter((member) => member.length <= LONG_STATE_MEMBER_LENGTH);
  while (kept.join(",").length > MAXIMUM_STATE_LENGTH) kept = kept.slice(0, -1);
  return kept.length === 0 ? undefined : kept.join(",");
}

/**
 * `tracestate` of a trace whose minter leaves the sampling decision to the node (the
 * CLI, unless it inherited a sampled context; B3 and X-Ray without a decision). Without
 * it an unsampled context means that its root decided against export.
 */
export const UNDECIDED_TRACE_STATE = "blixard=undecided";

/** The context, with its sampling decision left to whoever continues it. */
export function withoutDecision(context: TraceContext): TraceContext {
  return { ...context, sampled: false, traceState: withTraceStateEntry(context.traceState, UNDECIDED_TRACE_STATE) };
}
