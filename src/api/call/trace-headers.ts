/**
 * Where a call's span hangs: under the caller's when the caller is known, else at the
 * root of a new trace with a link, so that a stranger cannot force sampling or write
 * into somebody's trace. Malformed headers start a new trace.
 */
import { parseTraceparent, UNDECIDED_TRACE_STATE, type TraceContext } from "#model/trace-context.ts";
import type { SpanLink } from "#telemetry/port.ts";

/** Set by a client that minted the ids and leaves the sampling decision to the node. */
export const SAMPLING_HEADER = "blixard-sampling";
const DEFER = "defer";

export interface SpanPlace {
  readonly parent: TraceContext | null;
  readonly links: readonly SpanLink[];
}

/** @param header gives a request header's value */
export function planSpanPlace(header: (name: string) => string | undefined, authenticated: boolean): SpanPlace {
  const traceparent = header("traceparent");
  const context = traceparent === undefined ? undefined : parseTraceparent(traceparent, header("tracestate"));
  if (context === undefined) return { parent: null, links: [] };
  if (!authenticated) return { parent: null, links: [{ context, relation: "caller" }] };
  if (header(SAMPLING_HEADER) !== DEFER) return { parent: context, links: [] };
  const rest = context.traceState === undefined ? "" : `,${context.traceState}`;
  return { parent: { ...context, traceState: `${UNDECIDED_TRACE_STATE}${rest}` }, links: [] };
}
