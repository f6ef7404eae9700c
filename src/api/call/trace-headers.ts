/**
 * Where a call's span hangs: under the caller's when the caller is known, else at the
 * root of a new trace with a link, so that a stranger cannot force sampling or write
 * into somebody's trace. What is malformed starts a new trace.
 */
import { type TraceContext, withoutDecision } from "#model/trace-context.ts";
import type { IncomingContext, SpanLink } from "#telemetry/port.ts";

/** Set by a client that minted the ids and leaves the sampling decision to the node. */
export const SAMPLING_HEADER = "blixard-sampling";
const DEFER = "defer";

export interface SpanPlace {
  readonly parent: TraceContext | null;
  /** Of a known caller that has no trace. */
  readonly baggage: string | undefined;
  readonly links: readonly SpanLink[];
}

/** @param sampling value of the sampling header */
export function planSpanPlace(incoming: IncomingContext, isKnown: boolean, sampling: string | undefined): SpanPlace {
  const { context } = incoming;
  const baggage = isKnown ? incoming.baggage : undefined;
  if (context === undefined) return { parent: null, baggage, links: [] };
  if (!isKnown) return { parent: null, baggage, links: [{ context, relation: "caller" }] };
  return { parent: sampling === DEFER ? withoutDecision(context) : context, baggage, links: [] };
}
