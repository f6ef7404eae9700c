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
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  type Attributes as OtelAttributes,
  type Context,
  type Link,
  type Span,
  type SpanContext,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { suppressTracing } from "@opentelemetry/core";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { TracerProvider } from "@opentelemetry/sdk-trace";
import { BlixardError } from "#model/errors.ts";
import { spanKinds, type RecordedSpan, type SpanResource, type SpanScope } from "#model/recorded-span.ts";
import { Secret } from "#model/secret.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type {
  Attributes,
  ManualSpan,
  Metrics,
  SpanDescriptor,
  SpanGuest,
  SpanLink,
  SpanOptions,
  Tracing,
} from "../port.ts";
import type { SpanLimits } from "../telemetry-options.ts";
import { baggageMap, type ContextPolicy, extractContext, injectContext } from "./context-policy.ts";
import { EXCEPTION_EVENT, type Exceptions } from "./exceptions.ts";
import { createGuestResource } from "../resource/guest-resource.ts";
import { createExportSampler } from "./export-sampler.ts";
import { createGlobalPropagator } from "./global-propagator.ts";
import { createOtelBaggage } from "./otel-baggage.ts";
import { createRandomIds, type RandomIds } from "./random-ids.ts";
import { createRecordedSpanProcessor } from "./recorded-span-processor.ts";
import { toSpanContext, toTraceContext } from "./span-contexts.ts";
import { errorMessageOf, errorTypeOf } from "./span-error.ts";

export interface TracingRuntime extends Tracing {
  /** The active span unless it has ended: what goes on in the background after that is not its. */
  activeOpen(): TraceContext | undefined;
  /** Runs `fn` where no span is made: the exporter's own calls. */
  untraced<T>(fn: () => T): T;
  /** Makes this the process's OpenTelemetry tracing. */
  registerGlobally(): void;
}

export interface TracingRuntimeOptions {
  readonly resource: SpanResource;
  /** Of our own spans; third-party instrumentation names its own. */
  readonly scope: Required<SpanScope>;
  readonly samplingRatio: number;
  readonly isPromoted: (traceId: string) => boolean;
  /** Told of what spans are about, as early as it is known; promotes their trace if a rule says so. */
  readonly applyRules: (traceId: string, attributes: Readonly<Record<string, unknown>>) => void;
  readonly policy: ContextPolicy;
  readonly limits?: SpanLimits | undefined;
  readonly record: (span: RecordedSpan, sampled: boolean) => void;
  /** Told of the errors that end spans. */
  readonly exceptions?: Pick<Exceptions, "tell"> | undefined;
  /** For `otel.sdk.span.*`. */
  readonly metrics: Metrics;
  /** Unix time in ms with fractions. */
  readonly now: () => number;
  /** Default random. */
  readonly ids?: RandomIds;
}

/** What one span may hold; more is dropped by the SDK. */
const DEFAULT_LIMITS: Required<SpanLimits> = {
  attributeCount: 128,
  attributeValueLength: 4_096,
  eventCount: 64,
  linkCount: 32,
  attributePerEventCount: 128,
  attributePerLinkCount: 128,
};

export function createTracing(options: TracingRuntimeOptions): TracingRuntime {
  const { now, policy, scope } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const processor = createRecordedSpanProcessor(options.resource, options.record, options.metrics);
  const provider = new TracerProvider({
    resource: resourceFromAttributes(toOtelAttributes(options.resource.attributes)),
    sampler: createExportSampler(options),
    idGenerator: options.ids ?? createRandomIds(),
    spanLimits: {
      attributeCountLimit: limits.attributeCount,
      attributeValueLengthLimit: limits.attributeValueLength,
      eventCountLimit: limits.eventCount,
      linkCountLimit: limits.linkCount,
      attributePerEventCountLimit: limits.attributePerEventCount,
      attributePerLinkCountLimit: limits.attributePerLinkCount,
    },
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer(scope.name, scope.version, { schemaUrl: scope.schemaUrl });
  const contexts = new AsyncLocalStorageContextManager();
  const otelBaggage = createOtelBaggage(policy);

  /** `parent`: null is a new trace, undefined is whatever is active. */
  function contextOf(parent: TraceContext | null | undefined, newBaggage?: string): Context {
    if (parent === undefined) return contexts.active();
    const context = otelBaggage.set(contexts.active(), parent?.baggage ?? newBaggage);
    if (parent === null) return trace.deleteSpan(context);
    const open = processor.openSpan(parent.traceId, parent.spanId);
    return open === undefined ? trace.setSpanContext(context, toSpanContext(parent)) : trace.setSpan(context, open);
  }

  /** A trace that was promoted is sampled for everybody from then on, here and elsewhere. */
  function describe(span: SpanContext, baggage: string | undefined): TraceContext {
    const context = toTraceContext(span, baggage);
    return context.sampled || !options.isPromoted(span.traceId) ? context : { ...context, sampled: true };
  }

  function withBaggage(attributes: OtelAttributes, baggage: string | undefined): OtelAttributes {
    return baggage === undefined ? attributes : { ...attributes, ...policy.attributes(baggage) };
  }

  function begin(
    descriptor: SpanDescriptor,
    spanOptions: SpanOptions<SpanDescriptor>,
    parent: Context,
    baggage: string | undefined,
  ): Span {
    return tracer.startSpan(
      spanOptions.name ?? descriptor.name,
      {
        kind: spanKinds.indexOf(descriptor.kind),
        attributes: withBaggage(toOtelAttributes(spanOptions.attributes), baggage),
        links: spanOptions.links?.map(toOtelLink) ?? [],
        startTime: spanOptions.startTimeMs ?? now(),
      },
      parent,
    );
  }

  function open(descriptor: SpanDescriptor, spanOptions: SpanOptions<SpanDescriptor>, parent: Context): PortSpan {
    const baggage = otelBaggage.header(parent);
    return new PortSpan(begin(descriptor, spanOptions, parent, baggage), {
      now,
      describe: (span) => describe(span, baggage),
      applyRules: options.applyRules,
      tell: (error, context) =>
        options.exceptions?.tell(error, { descriptor, name: spanOptions.name ?? descriptor.name, context }),
    });
  }

  const guestResources = new WeakMap<SpanGuest, SpanResource>();
  const guestResource = (guest: SpanGuest): SpanResource =>
    guestResources.getOrInsertComputed(guest, () => createGuestResource(options.resource, guest));

  function active(): TraceContext | undefined {
    const context = contexts.active();
    const span = trace.getSpanContext(context);
    return span !== undefined && isSpanContextValid(span) ? describe(span, otelBaggage.header(context)) : undefined;
  }

  return {
    async span(descriptor, spanOptions, fn) {
      const parent = contextOf(spanOptions.parent, spanOptions.baggage);
      const span = open(descriptor, spanOptions, parent);
      try {
        return await contexts.with(trace.setSpan(parent, span.otelSpan), () => fn(span));
      } catch (error) {
        span.setError(error);
        throw error;
      } finally {
        span.end();
      }
    },
    startSpan(descriptor, spanOptions) {
      return open(descriptor, spanOptions, contextOf(spanOptions.parent, spanOptions.baggage));
    },
    recordSpan(descriptor, spanOptions) {
      const { guest, parent } = spanOptions;
      const context = contextOf(parent);
      // To a guest this process is another host, also while the parent is open here.
      const seen = guest === undefined ? context : trace.setSpanContext(context, toSpanContext(parent));
      const span = open(descriptor, spanOptions, seen);
      if (guest !== undefined) processor.setResource(span.otelSpan, guestResource(guest));
      if (spanOptions.error !== undefined) span.setError(spanOptions.error);
      span.end(Math.max(spanOptions.startTimeMs, spanOptions.endTimeMs));
      return span.context;
    },
    active,
    activeOpen() {
      const span = trace.getSpanContext(contexts.active());
      const isOpen =
        span?.isRemote === true || processor.openSpan(span?.traceId ?? "", span?.spanId ?? "") !== undefined;
      return isOpen ? active() : undefined;
    },
    run: (context, fn) => contexts.with(contextOf(context ?? null), fn),
    baggage: () => baggageMap(otelBaggage.header(contexts.active())),
    extract: (headers, caller) => extractContext(policy, headers, caller),
    inject: (callee) => injectContext(policy, active(), callee),
    untraced: (fn) => contexts.with(suppressTracing(ROOT_CONTEXT), fn),
    registerGlobally() {
      globalContext.setGlobalContextManager(contexts);
      trace.setGlobalTracerProvider(provider);
      propagation.setGlobalPropagator(createGlobalPropagator(policy));
    },
  };
}

interface PortSpanOptions {
  readonly now: () => number;
  readonly describe: (span: SpanContext) => TraceContext;
  readonly applyRules: TracingRuntimeOptions["applyRules"];
  /** Tells of an error; attributes of a span event, if there is to be one. */
  readonly tell: (error: unknown, context: TraceContext) => Readonly<Record<string, string>> | undefined;
}

class PortSpan implements ManualSpan {
  readonly otelSpan: Span;
  readonly #options: PortSpanOptions;
  #ended = false;

  constructor(otelSpan: Span, options: PortSpanOptions) {
    this.otelSpan = otelSpan;
    this.#options = options;
  }

  get context(): TraceContext {
    return this.#options.describe(this.otelSpan.spanContext());
  }

  setAttributes(attributes: Attributes): void {
    if (this.#ended) return;
    this.otelSpan.setAttributes(toOtelAttributes(attributes));
    this.#options.applyRules(this.otelSpan.spanContext().traceId, attributes);
  }

  addLink(link: SpanLink): void {
    if (!this.#ended) this.otelSpan.addLink(toOtelLink(link));
  }

  setError(error: unknown): void {
    if (this.#ended) return;
    this.otelSpan.setAttribute("error.type", errorTypeOf(error));
    if (error instanceof BlixardError) this.otelSpan.setAttribute("blixard.error.code", error.code);
    this.otelSpan.setStatus({ code: SpanStatusCode.ERROR, message: errorMessageOf(error) });
    const event = this.#options.tell(error, this.context);
    if (event !== undefined) this.otelSpan.addEvent(EXCEPTION_EVENT, event, this.#options.now());
  }

  end(endTimeMs?: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.otelSpan.end(endTimeMs ?? this.#options.now());
  }
}

function toOtelLink(link: SpanLink): Link {
  return { context: toSpanContext(link.context), attributes: { "blixard.link.relation": link.relation } };
}

/** The same object where nothing is wrong with it: the SDK copies. A secret that slipped past the types is not shown. */
function toOtelAttributes(attributes: Readonly<Record<string, unknown>>): OtelAttributes {
  for (const key in attributes) {
    if (attributes[key] instanceof Secret) return hideSecrets(attributes);
  }
  return attributes as OtelAttributes;
}

function hideSecrets(attributes: Readonly<Record<string, unknown>>): OtelAttributes {
  const shown = Object.entries(attributes).map(([key, value]) => [
    key,
    value instanceof Secret ? value.toString() : value,
  ]);
  return Object.fromEntries(shown) as OtelAttributes;
}
