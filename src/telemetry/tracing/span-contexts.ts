/** Between our trace contexts and OpenTelemetry's span contexts. */
import { TraceFlags, type SpanContext, type TraceState } from "@opentelemetry/api";
import { parseTraceState, withTraceStateEntry, type TraceContext } from "#model/trace-context.ts";

/** A context that came from elsewhere. */
export function toSpanContext(context: TraceContext): SpanContext {
  return {
    traceId: context.traceId,
    spanId: context.spanId,
    traceFlags: context.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(context.traceState === undefined ? {} : { traceState: new HeaderTraceState(context.traceState) }),
  };
}

export function toTraceContext(context: SpanContext, baggage?: string): TraceContext {
  const traceState = context.traceState?.serialize();
  return {
    traceId: context.traceId,
    spanId: context.spanId,
    sampled: (context.traceFlags & TraceFlags.SAMPLED) !== 0,
    ...(traceState === undefined || traceState === "" ? {} : { traceState }),
    ...(baggage === undefined ? {} : { baggage }),
  };
}

/**
 * A `tracestate` header that was checked where it came in. OpenTelemetry's own class
 * knows the keys of Level 1 only, and drops the members of others.
 */
class HeaderTraceState implements TraceState {
  readonly #header: string;

  constructor(header: string) {
    this.#header = header;
  }

  get(key: string): string | undefined {
    return this.#members()
      .find((member) => member.startsWith(`${key}=`))
      ?.slice(key.length + 1);
  }

  set(key: string, value: string): TraceState {
    const entry = `${key}=${value}`;
    const isOneMember = !entry.includes(",") && parseTraceState(entry) !== undefined;
    return isOneMember ? new HeaderTraceState(withTraceStateEntry(this.#header, entry)) : this;
  }

  unset(key: string): TraceState {
    return new HeaderTraceState(
      this.#members()
        .filter((member) => !member.startsWith(`${key}=`))
        .join(","),
    );
  }

  serialize(): string {
    return this.#header;
  }

  #members(): readonly string[] {
    return this.#header.split(",");
  }
}
