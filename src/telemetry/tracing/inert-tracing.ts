/**
 * Tracing switched off: nothing is recorded, yet contexts pass through, so that the
 * traces of others are not cut here.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { TraceContext } from "#model/trace-context.ts";
import type { ManualSpan } from "../port.ts";
import { createRandomIds } from "./random-ids.ts";
import type { TracingRuntime } from "./tracing.ts";

export function createInertTracing(): TracingRuntime {
  const ids = createRandomIds();
  const contexts = new AsyncLocalStorage<TraceContext | undefined>();

  function passThrough(parent: TraceContext | null | undefined): TraceContext {
    const context = parent === null ? undefined : (parent ?? contexts.getStore());
    return context ?? { traceId: ids.generateTraceId(), spanId: ids.generateSpanId(), sampled: false };
  }

  return {
    span(_descriptor, options, fn) {
      const context = passThrough(options.parent);
      return contexts.run(context, async () => fn(inertSpan(context)));
    },
    startSpan: (_descriptor, options) => inertSpan(passThrough(options.parent)),
    recordSpan: (_descriptor, options) => options.parent,
    active: () => contexts.getStore(),
    run: (context, fn) => contexts.run(context, fn),
    untraced: (fn) => contexts.run(undefined, fn),
    registerGlobally: () => undefined,
  };
}

function inertSpan(context: TraceContext): ManualSpan {
  const nothing = (): void => undefined;
  return { context, setAttributes: nothing, addLink: nothing, setError: nothing, end: nothing };
}
