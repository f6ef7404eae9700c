/**
 * Tracing switched off: nothing is recorded, yet contexts pass through, so that the
 * traces of others are not cut here.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { TraceContext } from "#model/trace-context.ts";
import type { ManualSpan, SpanDescriptor, SpanOptions } from "../port.ts";
import { baggageMap, type ContextPolicy, extractContext, injectContext } from "./context-policy.ts";
import { createRandomIds } from "./random-ids.ts";
import type { TracingRuntime } from "./tracing.ts";

export function createInertTracing(policy: ContextPolicy): TracingRuntime {
  const ids = createRandomIds();
  const contexts = new AsyncLocalStorage<TraceContext | undefined>();

  function passThrough({ parent, baggage }: Pick<SpanOptions<SpanDescriptor>, "parent" | "baggage">): TraceContext {
    const context = parent === null ? undefined : (parent ?? contexts.getStore());
    const fresh = { traceId: ids.generateTraceId(), spanId: ids.generateSpanId(), sampled: false };
    return context ?? (baggage === undefined ? fresh : { ...fresh, baggage });
  }

  return {
    span(_descriptor, options, fn) {
      const context = passThrough(options);
      return contexts.run(context, async () => fn(inertSpan(context)));
    },
    startSpan: (_descriptor, options) => inertSpan(passThrough(options)),
    recordSpan: (_descriptor, options) => options.parent,
    active: () => contexts.getStore(),
    activeOpen: () => undefined,
    run: (context, fn) => contexts.run(context, fn),
    baggage: () => baggageMap(contexts.getStore()?.baggage),
    extract: (headers, caller) => extractContext(policy, headers, caller),
    inject: (callee) => injectContext(policy, contexts.getStore(), callee),
    untraced: (fn) => contexts.run(undefined, fn),
    registerGlobally: () => undefined,
  };
}

function inertSpan(context: TraceContext): ManualSpan {
  const nothing = (): void => undefined;
  return { context, setAttributes: nothing, addLink: nothing, setError: nothing, end: nothing };
}
