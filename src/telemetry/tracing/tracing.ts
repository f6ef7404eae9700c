/**
 * Tracing on the OpenTelemetry SDK: spans are made by its tracer, so that
 * third-party instrumentation that uses the OpenTelemetry API meets ours in the
 * same contexts and in the same pipeline.
 *
 *   Tracing (port) ─→ SDK tracer ─→ RecordedSpanProcessor ─→ recorder ─→ (decision) ─→ OTLP
 *
 * Contexts are W3C `TraceContext` values. A context that belongs to a span open in
 * this process is that span; any other one is remote. Instances are independent of
 * each other; only `registerGlobally` touches the process.
 */
import {
  context as globalContext,
  createTraceState,
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Attributes as OtelAttributes,
  type Context,
  type Link,
  type Span,
  type SpanContext,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  CompositePropagator,
  suppressTracing,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { TracerProvider } from "@opentelemetry/sdk-trace";
import { BlixardError } from "#model/errors.ts";
import { spanKinds, type RecordedSpan, type SpanResource } from "#model/recorded-span.ts";
import { Secret } from "#model/secret.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type { Attributes, ManualSpan, Metrics, SpanDescriptor, SpanLink, SpanOptions, Tracing } from "../port.ts";
import { createExportSampler } from "./export-sampler.ts";
import { createRandomIds, type RandomIds } from "./random-ids.ts";
import { createRecordedSpanProcessor } from "./recorded-span-processor.ts";
import { errorMessageOf, errorTypeOf } from "./span-error.ts";

export interface TracingRuntime extends Tracing {
  /** Runs `fn` where no span is made: the exporter's own calls. */
  untraced<T>(fn: () => T): T;
  /** Makes this the process's OpenTelemetry tracing. */
  registerGlobally(): void;
}

export interface TracingRuntimeOptions {
  readonly resource: SpanResource;
  readonly scopeVersion: string;
  readonly samplingRatio: number;
  readonly isPromoted: (traceId: string) => boolean;
  readonly record: (span: RecordedSpan, sampled: boolean) => void;
  /** For `otel.sdk.span.*`. */
  readonly metrics: Metrics;
  /** Unix time in ms with fractions. */
  readonly now: () => number;
  readonly ids?: RandomIds;
}

/** What one span may hold; more is dropped by the SDK. */
const SPAN_LIMITS = {
  attributeCountLimit: 128,
  attributeValueLengthLimit: 4_096,
  eventCountLimit: 64,
  linkCountLimit: 32,
  attributePerEventCountLimit: 32,
  attributePerLinkCountLimit: 16,
} as const;

export function createTracing(options: TracingRuntimeOptions): TracingRuntime {
  const { now } = options;
  const processor = createRecordedSpanProcessor(options.resource, options.record, options.metrics);
  const provider = new TracerProvider({
    resource: resourceFromAttributes(toOtelAttributes(options.resource.attributes)),
    sampler: createExportSampler(options),
    idGenerator: options.ids ?? createRandomIds(),
    spanLimits: SPAN_LIMITS,
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer("blixard", options.scopeVersion);
  const contexts = new AsyncLocalStorageContextManager();

  /** `parent`: null is a new trace, undefined is whatever is active. */
  function contextOf(parent: TraceContext | null | undefined): Context {
    if (parent === undefined) return contexts.active();
    const bare = trace.deleteSpan(contexts.active());
    if (parent === null) return bare;
    const open = processor.openSpan(parent.traceId, parent.spanId);
    return open === undefined ? trace.setSpanContext(bare, toSpanContext(parent)) : trace.setSpan(bare, open);
  }

  function begin(descriptor: SpanDescriptor, spanOptions: SpanOptions<SpanDescriptor>, parent: Context): Span {
    return tracer.startSpan(
      spanOptions.name ?? descriptor.name,
      {
        kind: spanKinds.indexOf(descriptor.kind),
        attributes: toOtelAttributes(spanOptions.attributes),
        links: spanOptions.links?.map(toOtelLink) ?? [],
        startTime: spanOptions.startTimeMs ?? now(),
      },
      parent,
    );
  }

  return {
    async span(descriptor, spanOptions, fn) {
      const parent = contextOf(spanOptions.parent);
      const otelSpan = begin(descriptor, spanOptions, parent);
      const span = new PortSpan(otelSpan, now);
      try {
        return await contexts.with(trace.setSpan(parent, otelSpan), () => fn(span));
      } catch (error) {
        span.setError(error);
        throw error;
      } finally {
        span.end();
      }
    },
    startSpan(descriptor, spanOptions) {
      return new PortSpan(begin(descriptor, spanOptions, contextOf(spanOptions.parent)), now);
    },
    recordSpan(descriptor, spanOptions) {
      const span = new PortSpan(begin(descriptor, spanOptions, contextOf(spanOptions.parent)), now);
      if (spanOptions.error !== undefined) span.setError(spanOptions.error);
      span.end(Math.max(spanOptions.startTimeMs, spanOptions.endTimeMs));
      return span.context;
    },
    active() {
      const active = trace.getSpanContext(contexts.active());
      return active !== undefined && isSpanContextValid(active) ? toTraceContext(active) : undefined;
    },
    run: (context, fn) => contexts.with(contextOf(context ?? null), fn),
    untraced: (fn) => contexts.with(suppressTracing(ROOT_CONTEXT), fn),
    registerGlobally() {
      globalContext.setGlobalContextManager(contexts);
      trace.setGlobalTracerProvider(provider);
      propagation.setGlobalPropagator(
        new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
      );
    },
  };
}

class PortSpan implements ManualSpan {
  readonly context: TraceContext;
  readonly #span: Span;
  readonly #now: () => number;
  #ended = false;

  constructor(span: Span, now: () => number) {
    this.#span = span;
    this.#now = now;
    this.context = toTraceContext(span.spanContext());
  }

  setAttributes(attributes: Attributes): void {
    if (!this.#ended) this.#span.setAttributes(toOtelAttributes(attributes));
  }

  addLink(link: SpanLink): void {
    if (!this.#ended) this.#span.addLink(toOtelLink(link));
  }

  setError(error: unknown): void {
    if (this.#ended) return;
    this.#span.setAttribute("error.type", errorTypeOf(error));
    if (error instanceof BlixardError) this.#span.setAttribute("blixard.error.code", error.code);
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message: errorMessageOf(error) });
  }

  end(endTimeMs?: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#span.end(endTimeMs ?? this.#now());
  }
}

function toSpanContext(context: TraceContext): SpanContext {
  return {
    traceId: context.traceId,
    spanId: context.spanId,
    traceFlags: context.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(context.traceState === undefined ? {} : { traceState: createTraceState(context.traceState) }),
  };
}

function toTraceContext(context: SpanContext): TraceContext {
  const traceState = context.traceState?.serialize();
  return {
    traceId: context.traceId,
    spanId: context.spanId,
    sampled: (context.traceFlags & TraceFlags.SAMPLED) !== 0,
    ...(traceState === undefined || traceState === "" ? {} : { traceState }),
  };
}

function toOtelLink(link: SpanLink): Link {
  return { context: toSpanContext(link.context), attributes: { "blixard.link.relation": link.relation } };
}

/** A secret that slipped past the types is still not shown. */
function toOtelAttributes(attributes: Readonly<Record<string, unknown>>): OtelAttributes {
  const plain: OtelAttributes = {};
  for (const key in attributes) {
    const value = attributes[key];
    plain[key] = value instanceof Secret ? value.toString() : (value as OtelAttributes[string]);
  }
  return plain;
}
