/**
 * The configured formats for third-party instrumentation that knows only OpenTelemetry.
 * Whom it calls, and who calls it, is unknown here: baggage goes neither way.
 */
import {
  isSpanContextValid,
  trace,
  type Context,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
} from "@opentelemetry/api";
import { isTracingSuppressed } from "@opentelemetry/core";
import type { ContextPolicy } from "./context-policy.ts";
import { toSpanContext, toTraceContext } from "./span-contexts.ts";

export function createGlobalPropagator({ propagation, admit }: ContextPolicy): TextMapPropagator {
  return {
    inject(context: Context, carrier: unknown, setter: TextMapSetter) {
      const active = trace.getSpanContext(context);
      if (active === undefined || !isSpanContextValid(active) || isTracingSuppressed(context)) return;
      const headers = propagation.inject(toTraceContext(active));
      for (const [name, value] of Object.entries(headers)) setter.set(carrier, name, value);
    },
    extract(context: Context, carrier: unknown, getter: TextMapGetter) {
      const { context: found, baggage } = propagation.extract({
        get: (name) => {
          const value = getter.get(carrier, name);
          return Array.isArray(value) ? value.join(",") : value;
        },
        names: () => getter.keys(carrier).map((name) => name.toLowerCase()),
      });
      admit(baggage, "stranger");
      return found === undefined ? context : trace.setSpanContext(context, toSpanContext(found));
    },
    fields: () => Object.keys(propagation.inject({ traceId: "", spanId: "", sampled: false, traceState: "-" })),
  };
}
