/**
 * What of other people's context is let in, passed on and shown. Baggage is hostile
 * input and may hold what is nobody else's business, so the default is none of it:
 *
 *   caller's header ─→ known caller? ─→ well-formed? ─→ on the allow-list? ─→ within limits? ─→ carried
 *                          └── each no is counted ──┴──────────┴─────────────────┘
 *
 * What is carried was filtered here once; hops inside Blixard take it as it is.
 */
import { telemetryBaggageDropped } from "#gen/telemetry/metrics.ts";
import { type BaggageMember, createKeyFilter, formatBaggage, parseBaggage } from "#model/baggage.ts";
import type { HeaderReader, Headers } from "#model/propagation/headers.ts";
import { createPropagation, type Propagation } from "#model/propagation/propagators.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type { CounterCell, IncomingContext, Metrics } from "../port.ts";
import type { ContextOptions } from "../telemetry-options.ts";

export interface ContextPolicy {
  readonly propagation: Propagation;
  /** The part of a caller's baggage header that travels on; undefined for none. What does not is counted. */
  admit(header: string | undefined, caller: "known" | "stranger"): string | undefined;
  /** The allowed part of baggage that code in this process has set. */
  select(members: readonly BaggageMember[]): string | undefined;
  /** `baggage.<key>` for spans and log records, of baggage that is carried. */
  attributes(baggage: string | undefined): Readonly<Record<string, string>>;
}

type DropReason = (typeof dropReasons)[number];

const dropReasons = ["untrusted", "malformed", "not_allowed", "limit"] as const;
const ATTRIBUTE_PREFIX = "baggage.";
const none: Readonly<Record<string, never>> = Object.freeze({});

export function createContextPolicy(options: ContextOptions, metrics: Metrics): ContextPolicy {
  const isAllowed = createKeyFilter(options.baggageAllowed ?? []);
  const isAttribute = createKeyFilter(options.baggageAttributes ?? []);
  const cells = new Map<DropReason, CounterCell>(
    dropReasons.map((reason) => [
      reason,
      metrics.bind(telemetryBaggageDropped, { "blixard.telemetry.baggage_drop_reason": reason }),
    ]),
  );

  function count(reason: DropReason, members: number): void {
    if (members > 0) cells.get(reason)?.add(members);
  }

  return {
    propagation: createPropagation(options.propagators),
    admit(header, caller) {
      if (header === undefined || header === "") return undefined;
      const { members, malformed, excess } = parseBaggage(header);
      if (caller === "stranger") {
        count("untrusted", members.length + malformed + excess);
        return undefined;
      }
      const allowed = members.filter(({ key }) => isAllowed(key));
      const written = formatBaggage(allowed);
      count("malformed", malformed);
      count("not_allowed", members.length - allowed.length);
      count("limit", excess + written.dropped);
      return written.header;
    },
    select: (members) => formatBaggage(members.filter(({ key }) => isAllowed(key))).header,
    attributes(baggage) {
      if (baggage === undefined || (options.baggageAttributes?.length ?? 0) === 0) return none;
      const shown = parseBaggage(baggage).members.filter(({ key }) => isAttribute(key));
      return Object.fromEntries(shown.map(({ key, value }) => [`${ATTRIBUTE_PREFIX}${key}`, value]));
    },
  };
}

/** For `Tracing.extract`. */
export function extractContext(
  { propagation, admit }: ContextPolicy,
  headers: HeaderReader,
  caller: "known" | "stranger",
): IncomingContext {
  const { context, baggage: header } = propagation.extract(headers);
  const baggage = admit(header, caller);
  return { context: context === undefined || baggage === undefined ? context : { ...context, baggage }, baggage };
}

/** For `Tracing.inject`. */
export function injectContext(
  { propagation }: ContextPolicy,
  context: TraceContext | undefined,
  callee: "ours" | "stranger",
): Headers {
  if (context === undefined) return {};
  if (callee === "ours") return propagation.injectWithin(context);
  const { baggage: _, ...bare } = context;
  return propagation.inject(bare);
}

/** For `Tracing.baggage`. */
export function baggageMap(header: string | undefined): ReadonlyMap<string, string> {
  return new Map(parseBaggage(header ?? "").members.map(({ key, value }) => [key, value]));
}
