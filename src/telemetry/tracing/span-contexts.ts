/** Between our trace contexts and OpenTelemetry's span contexts. */
import { createTraceState, TraceFlags, type SpanContext } from "@opentelemetry/api";
import type { TraceContext } from "#model/trace-context.ts";

/** A context that came from elsewhere. */
export function toSpanContext(context: TraceContext): SpanContext {
  return {
    traceId: context.traceId,
    spanId: context.spanId,
    traceFlags: context.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(context.traceState === undefined ? {} : { traceState: createTraceState(context.traceState) }),
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
