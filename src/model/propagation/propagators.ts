/**
 * Trace contexts and baggage in and out of headers, in the formats of an operator's
 * choice (OTEL_PROPAGATORS). The first format that finds a context counts; all of them
 * are written. A choice without W3C's format has it added as the last one that is read
 * and, among Blixard's own processes, written: its own hops (CLI to node, node to etcd)
 * speak it. Pure; malformed headers are none.
 */
import { type BaggageMember, parseBaggage } from "../baggage.ts";
import { formatTraceparent, parseTraceparent, type TraceContext } from "../trace-context.ts";
import { b3Multiple, b3Single } from "./b3.ts";
import type { HeaderReader, Headers, TraceFormat } from "./headers.ts";
import { extractJaegerBaggage, injectJaegerBaggage, jaeger } from "./jaeger.ts";
import { xray } from "./xray.ts";

/** By name, as OTEL_PROPAGATORS has them, in the order in which they are asked. */
export type PropagatorName = "tracecontext" | "baggage" | "b3" | "b3multi" | "jaeger" | "xray";

export const defaultPropagators: readonly PropagatorName[] = ["tracecontext", "baggage"];

const w3c: TraceFormat = {
  extract(headers) {
    const traceparent = headers.get("traceparent");
    return traceparent === undefined ? undefined : parseTraceparent(traceparent, headers.get("tracestate"));
  },
  inject(context, headers) {
    headers["traceparent"] = formatTraceparent(context);
    if (context.traceState !== undefined) headers["tracestate"] = context.traceState;
  },
};

const formats: Readonly<Record<Exclude<PropagatorName, "baggage">, TraceFormat>> = {
  tracecontext: w3c,
  b3: b3Single,
  b3multi: b3Multiple,
  jaeger,
  xray,
};

export interface Propagation {
  /** `baggage`: a W3C header as it came, or made of Jaeger's; not looked at yet. */
  extract(headers: HeaderReader): {
    readonly context: TraceContext | undefined;
    readonly baggage: string | undefined;
  };
  /** `context.baggage` is written too. */
  inject(context: TraceContext): Headers;
  /** For a process of Blixard's own: with W3C's format in any case, unless nothing was chosen. */
  injectWithin(context: TraceContext): Headers;
}

export function createPropagation(names: readonly PropagatorName[] = defaultPropagators): Propagation {
  const chosen = names.filter((name) => name !== "baggage").map((name) => formats[name]);
  const withW3c = names.length === 0 || names.includes("tracecontext") ? chosen : [...chosen, w3c];
  const [withBaggage, withJaeger] = [names.includes("baggage"), names.includes("jaeger")];

  function extractBaggage(headers: HeaderReader): string | undefined {
    const parts = [
      withJaeger ? extractJaegerBaggage(headers) : undefined,
      withBaggage ? headers.get("baggage") : undefined,
    ].filter((part) => part !== undefined && part !== "");
    return parts.length === 0 ? undefined : parts.join(",");
  }

  function write(context: TraceContext, written: readonly TraceFormat[]): Headers {
    const headers: Headers = {};
    for (const format of written) format.inject(context, headers);
    if (context.baggage === undefined) return headers;
    if (withBaggage) headers["baggage"] = context.baggage;
    if (withJaeger) injectJaegerBaggage(membersOf(context.baggage), headers);
    return headers;
  }

  return {
    extract(headers) {
      let context: TraceContext | undefined;
      for (const format of withW3c) context ??= format.extract(headers);
      return { context, baggage: extractBaggage(headers) };
    },
    inject: (context) => write(context, chosen),
    injectWithin: (context) => write(context, withW3c),
  };
}

function membersOf(baggage: string): readonly BaggageMember[] {
  return parseBaggage(baggage).members;
}
