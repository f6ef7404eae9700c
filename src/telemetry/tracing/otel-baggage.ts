/**
 * Baggage in OpenTelemetry's contexts, where third-party code finds it, and as the
 * header that our own contexts carry. What we have set is remembered in both forms.
 */
import { baggageEntryMetadataFromString, propagation, type Baggage, type Context } from "@opentelemetry/api";
import { parseBaggage } from "#model/baggage.ts";
import type { ContextPolicy } from "./context-policy.ts";

export interface OtelBaggage {
  /** The context with this baggage in place of any other; undefined for none. */
  set(context: Context, header: string | undefined): Context;
  /** The baggage of a context, as a header. */
  header(context: Context): string | undefined;
}

export function createOtelBaggage(policy: Pick<ContextPolicy, "select">): OtelBaggage {
  const headers = new WeakMap<Baggage, string>();
  return {
    set(context, header) {
      if (header === undefined) {
        return propagation.getBaggage(context) === undefined ? context : propagation.deleteBaggage(context);
      }
      const baggage = toBaggage(header);
      headers.set(baggage, header);
      return propagation.setBaggage(context, baggage);
    },
    header(context) {
      const baggage = propagation.getBaggage(context);
      if (baggage === undefined) return undefined;
      return headers.get(baggage) ?? policy.select(membersOf(baggage));
    },
  };
}

function toBaggage(header: string): Baggage {
  const entries = parseBaggage(header).members.map(({ key, value, properties }) => [
    key,
    properties === "" ? { value } : { value, metadata: baggageEntryMetadataFromString(properties.slice(1)) },
  ]);
  return propagation.createBaggage(Object.fromEntries(entries));
}

function membersOf(baggage: Baggage) {
  return baggage.getAllEntries().map(([key, { value, metadata }]) => {
    const properties = metadata?.toString() ?? "";
    return { key, value, properties: properties === "" ? "" : `;${properties}` };
  });
}
