/**
 * The telemetry port kept in memory, for tests of rooms that emit signals.
 *
 * Spans have real parents (AsyncLocalStorage), cells really count, and observable
 * groups run when the test says so (`collect()`): no timers, nothing to stop. An
 * attribute that the registry does not know is a thrown error here.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes } from "node:crypto";
import { attributes as registry } from "#gen/telemetry/attributes.ts";
import { BlixardError } from "#model/errors.ts";
import type { RecordedSpan, SpanAttributes, SpanStatus } from "#model/recorded-span.ts";
import { parseBaggage } from "#model/baggage.ts";
import { createPropagation, type PropagatorName } from "#model/propagation/propagators.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type {
  Attributes,
  AttributesOf,
  CellsByInstrument,
  LogLevel,
  Logger,
  ManualSpan,
  MetricDescriptor,
  Metrics,
  ObservableGroupOptions,
  Observer,
  SpanDescriptor,
  SpanLink,
  SpanOptions,
  StatesetCell,
  Telemetry,
  Tracing,
} from "#telemetry/port.ts";
import { errorMessageOf, errorTypeOf } from "#telemetry/tracing/span-error.ts";

export interface MemoryLogRecord {
  readonly level: LogLevel;
  readonly message: string;
  /** Of a registry event. */
  readonly eventName?: string;
  readonly attributes: Attributes;
  readonly error?: unknown;
  /** The span that was active. */
  readonly context?: TraceContext;
}

export interface MemorySeries {
  readonly attributes: Attributes;
  /** Counter: the total; gauge and up-down counter: the current value; histogram: the sum. */
  readonly value: number;
  /** Recorded values in order; histograms only. */
  readonly values: readonly number[];
}

export interface MemoryTelemetry extends Telemetry {
  /** Finished spans in the order they ended. */
  readonly spans: readonly RecordedSpan[];
  readonly logs: readonly MemoryLogRecord[];
  /** Spans of this name, in the order they ended. */
  spansNamed(name: string): RecordedSpan[];
  /** The live series of an instrument. */
  series(descriptor: MetricDescriptor): MemorySeries[];
  /** The value of the one series with exactly these attributes, or undefined if it is not bound or was removed. */
  value<D extends MetricDescriptor>(descriptor: D, attributes: AttributesOf<D>): number | undefined;
  /** Runs every observable group once. */
  collect(): Promise<void>;
}

export interface MemoryTelemetryOptions {
  /** Unix time in ms; default the real clock. */
  readonly now?: () => number;
  /** Flag of new roots; default true. */
  readonly sampled?: boolean;
  /** Default W3C. */
  readonly propagators?: readonly PropagatorName[];
}

export function createMemoryTelemetry(options: MemoryTelemetryOptions = {}): MemoryTelemetry {
  const now = options.now ?? (() => performance.timeOrigin + performance.now());
  const spans: RecordedSpan[] = [];
  const logs: MemoryLogRecord[] = [];
  const tracing = createMemoryTracing(spans, now, options);
  const metrics = createMemoryMetrics();
  return {
    spans,
    logs,
    tracing,
    metrics,
    logger: createMemoryLogger(logs, tracing),
    spansNamed: (name) => spans.filter((span) => span.name === name),
    series: (descriptor) => metrics.series(descriptor),
    value: (descriptor, attributes) =>
      metrics.series(descriptor).find((series) => keyOf(series.attributes) === keyOf(attributes))?.value,
    collect: () => metrics.collect(),
  };
}

// --- Traces ----------------------------------------------------------------

function createMemoryTracing(
  finished: RecordedSpan[],
  now: () => number,
  { sampled: sampleRoots = true, propagators }: MemoryTelemetryOptions,
): Tracing {
  const active = new AsyncLocalStorage<TraceContext | undefined>();
  const propagation = createPropagation(propagators);

  function start(
    descriptor: SpanDescriptor,
    options: SpanOptions<SpanDescriptor>,
  ): ManualSpan & { fail(error: unknown): void } {
    const parent = options.parent === null ? undefined : (options.parent ?? active.getStore());
    const context: TraceContext = {
      traceId: parent?.traceId ?? randomBytes(16).toString("hex"),
      spanId: randomBytes(8).toString("hex"),
      sampled: parent?.sampled ?? sampleRoots,
      ...(parent?.traceState === undefined ? {} : { traceState: parent.traceState }),
      ...baggageOf(parent, options),
    };
    const startMs = options.startTimeMs ?? now();
    let attributes = definedOnly(options.attributes);
    let status: SpanStatus = { code: "unset" };
    const links: SpanLink[] = [...(options.links ?? [])];
    let ended = false;
    const fail = (error: unknown): void => {
      status = { code: "error", message: errorMessageOf(error) };
      attributes = {
        ...attributes,
        "error.type": errorTypeOf(error),
        ...(error instanceof BlixardError ? { "blixard.error.code": error.code } : {}),
      };
    };
    return {
      context,
      setAttributes(more) {
        requireKnown(more);
        attributes = { ...attributes, ...definedOnly(more) };
      },
      addLink: (link) => void links.push(link),
      setError: fail,
      fail,
      end(endTimeMs = now()) {
        if (ended) return;
        ended = true;
        finished.push({
          traceId: context.traceId,
          spanId: context.spanId,
          ...(parent === undefined ? {} : { parentSpanId: parent.spanId }),
          name: options.name ?? descriptor.name,
          kind: descriptor.kind,
          startUnixNano: toNano(startMs),
          endUnixNano: toNano(Math.max(startMs, endTimeMs)),
          status,
          attributes,
          links: links.map((link) => ({
            traceId: link.context.traceId,
            spanId: link.context.spanId,
            attributes: { "blixard.link.relation": link.relation },
          })),
          events: [],
          resource: { attributes: { "service.name": "blixard" } },
          scope: { name: "blixard" },
        });
      },
    };
  }

  return {
    async span(descriptor, options, fn) {
      const span = start(descriptor, options);
      try {
        return await active.run(span.context, () => fn(span));
      } catch (error) {
        span.fail(error);
        throw error;
      } finally {
        span.end();
      }
    },
    startSpan: (descriptor, options) => start(descriptor, options),
    recordSpan(descriptor, options) {
      const span = start(descriptor, options);
      if (options.error !== undefined) span.fail(options.error);
      span.end(options.endTimeMs);
      return span.context;
    },
    active: () => active.getStore(),
    run: (context, fn) => active.run(context, fn),
    baggage: () =>
      new Map(parseBaggage(active.getStore()?.baggage ?? "").members.map(({ key, value }) => [key, value])),
    extract(headers, caller) {
      const { context, baggage: header } = propagation.extract(headers);
      const baggage = caller === "known" ? header : undefined;
      return { context: context === undefined || baggage === undefined ? context : { ...context, baggage }, baggage };
    },
    inject: () => {
      const context = active.getStore();
      return context === undefined ? {} : propagation.inject(context);
    },
  };
}

function baggageOf(parent: TraceContext | undefined, options: SpanOptions<SpanDescriptor>): { baggage?: string } {
  const baggage = parent === undefined ? options.baggage : parent.baggage;
  return baggage === undefined ? {} : { baggage };
}

function toNano(unixMs: number): bigint {
  return BigInt(Math.round(unixMs * 1e3)) * 1000n;
}

function definedOnly(attributes: Attributes): SpanAttributes {
  return Object.fromEntries(Object.entries(attributes).filter((entry) => entry[1] !== undefined)) as SpanAttributes;
}

// --- Metrics ---------------------------------------------------------------

interface MutableSeries {
  readonly attributes: Attributes;
  value: number;
  values: number[];
}

interface MemoryMetrics extends Metrics {
  series(descriptor: MetricDescriptor): MutableSeries[];
  collect(): Promise<void>;
}

function createMemoryMetrics(): MemoryMetrics {
  const seriesByMetric = new Map<string, Map<string, MutableSeries>>();
  const groups = new Set<ObservableGroupOptions>();

  function ensureSeries(descriptor: MetricDescriptor, attributes: Attributes): MutableSeries {
    const family = seriesByMetric.getOrInsertComputed(descriptor.name, () => new Map<string, MutableSeries>());
    return family.getOrInsertComputed(keyOf(attributes), () => ({
      attributes: definedOnly(attributes) as Attributes,
      value: 0,
      values: [],
    }));
  }

  function cellOf(descriptor: MetricDescriptor, attributes: Attributes): CellsByInstrument[keyof CellsByInstrument] {
    const series = ensureSeries(descriptor, attributes);
    const remove = (): void => void seriesByMetric.get(descriptor.name)?.delete(keyOf(attributes));
    switch (descriptor.instrument) {
      case "counter":
        return { add: (value: number) => void (series.value += Math.max(0, value)), remove };
      case "updowncounter":
        return { add: (value: number) => void (series.value += value), remove };
      case "gauge":
        return { set: (value: number) => void (series.value = value), remove };
      case "histogram":
        return {
          record(value) {
            series.value += value;
            series.values.push(value);
          },
          remove,
        };
      case "info":
        series.value = 1;
        return { remove };
      case "stateset":
        remove();
        return createStatesetCell(descriptor, attributes);
    }
  }

  function createStatesetCell(descriptor: MetricDescriptor, attributes: Attributes): StatesetCell {
    const states = descriptor.attributes[descriptor.name]?.values ?? [];
    const attributesIn = (state: string): Attributes => ({ ...attributes, [descriptor.name]: state });
    return {
      set(state) {
        for (const known of states) ensureSeries(descriptor, attributesIn(known)).value = known === state ? 1 : 0;
      },
      remove() {
        for (const known of states) seriesByMetric.get(descriptor.name)?.delete(keyOf(attributesIn(known)));
      },
    };
  }

  async function collectGroup(group: ObservableGroupOptions): Promise<void> {
    for (const metric of group.metrics) seriesByMetric.get(metric.name)?.clear();
    const observer: Observer = {
      observe(descriptor, value, attributes) {
        ensureSeries(descriptor, attributes).value = value;
      },
      observeHistogram(descriptor, histogram, attributes) {
        ensureSeries(descriptor, attributes).value = histogram.sum;
      },
    };
    await group.collect(observer, AbortSignal.timeout(group.timeoutMs));
  }

  return {
    // The instrument of `descriptor` decides the cell's type; TypeScript cannot follow a switch on a type parameter.
    bind: (descriptor, attributes) =>
      cellOf(descriptor, attributes) as CellsByInstrument[(typeof descriptor)["instrument"]],
    observeGroup(group) {
      groups.add(group);
      return {
        [Symbol.dispose]() {
          groups.delete(group);
          for (const metric of group.metrics) seriesByMetric.delete(metric.name);
        },
      };
    },
    series: (descriptor) =>
      [...(seriesByMetric.get(descriptor.name)?.values() ?? [])].filter(({ attributes }) =>
        [...groups].every(({ metrics, subjects }) => {
          const subject = subjects === undefined ? undefined : attributes[subjects.attribute];
          return subject === undefined || !metrics.includes(descriptor) || subjects?.present().has(subject) === true;
        }),
      ),
    async collect() {
      for (const group of groups) await collectGroup(group);
    },
  };
}

function keyOf(attributes: Attributes): string {
  return JSON.stringify(
    Object.entries(attributes)
      .filter((entry) => entry[1] !== undefined)
      .toSorted(([left], [right]) => (left < right ? -1 : 1)),
  );
}

// --- Logs ------------------------------------------------------------------

function createMemoryLogger(logs: MemoryLogRecord[], tracing: Tracing): Logger {
  function log(
    level: LogLevel,
    message: string,
    attributes: Attributes = {},
    error?: unknown,
    eventName?: string,
  ): void {
    requireKnown(attributes);
    const context = tracing.active();
    logs.push({
      level,
      message,
      attributes,
      ...(eventName === undefined ? {} : { eventName }),
      ...(error === undefined ? {} : { error }),
      ...(context === undefined ? {} : { context }),
    });
  }
  return {
    debug: (message, attributes) => log("debug", message, attributes),
    info: (message, attributes) => log("info", message, attributes),
    warn: (message, attributes, error) => log("warn", message, attributes, error),
    error: (message, attributes, error) => log("error", message, attributes, error),
    event: (descriptor, message, attributes) =>
      log(descriptor.severity, message, attributes, undefined, descriptor.name),
  };
}

function requireKnown(attributes: Attributes): void {
  for (const key of Object.keys(attributes)) {
    if (!Object.hasOwn(registry, key)) throw new Error(`${key} is not in telemetry/registry`);
  }
}
