/**
 * The telemetry port: all that the rest of Blixard may know of telemetry.
 *
 * Signals are typed by descriptors generated from `telemetry/registry/`
 * (`#gen/telemetry/metrics.ts`, `spans.ts`, `events.ts`, `attributes.ts`), so a
 * signal that is not in the registry cannot be emitted. Instruments are bound
 * once (`bind`) where a thing begins to exist and removed (`remove`) where it
 * ends; recording on a bound cell is a field update. Nothing here throws into
 * the caller because telemetry is in trouble.
 */
import type { HeaderReader } from "#model/propagation/headers.ts";
import type { TraceContext } from "#model/trace-context.ts";

export type AttributeValue = string | number | boolean;

export interface AttributeDescriptor {
  readonly type: "string" | "int" | "double" | "boolean";
  /** `required` attributes must be given to `bind` and to spans; the others may be. */
  readonly requirement: "required" | "recommended" | "conditionally_required" | "opt_in";
  /** Present for closed sets (registry enums). */
  readonly values?: readonly string[];
}

export interface MetricDescriptor {
  /** OpenTelemetry name, e.g. `blixard.vm.operation.duration`. */
  readonly name: string;
  /** Name on the Prometheus page without `_bucket`, `_sum`, `_count`; counters include `_total`. */
  readonly prometheusName: string;
  /**
   * `info`: always 1, what matters are its attributes. `stateset`: one of the values of its one closed
   * attribute, whose key is the metric's own name, so that the page's form (OpenMetrics 1.0, "StateSet")
   * and the OTLP route's have equal labels. Both are non-monotonic sums by OTLP.
   */
  readonly instrument: "counter" | "updowncounter" | "gauge" | "histogram" | "info" | "stateset";
  /** UCUM. */
  readonly unit: string;
  /** How a point's value is sent by OTLP; default double. */
  readonly valueType?: "int" | "double";
  readonly brief: string;
  readonly attributes: Readonly<Record<string, AttributeDescriptor>>;
  /** Most series before further ones are merged into one; default the engine's. */
  readonly seriesLimit?: number;
  /** Upper bounds of the explicit buckets; histograms only. */
  readonly buckets?: readonly number[];
}

export interface SpanDescriptor {
  /** The span's name, or for protocol spans (`rpc.server`) the name's fallback. */
  readonly name: string;
  readonly kind: "internal" | "server" | "client" | "producer" | "consumer";
  readonly brief: string;
  readonly attributes: Readonly<Record<string, AttributeDescriptor>>;
}

export interface EventDescriptor {
  /** Event name of the log record, e.g. `blixard.vm.restarted`. */
  readonly name: string;
  readonly severity: LogLevel;
  readonly brief: string;
  readonly attributes: Readonly<Record<string, AttributeDescriptor>>;
}

type ValueOf<A extends AttributeDescriptor> = A extends { readonly values: readonly (infer V extends string)[] }
  ? V
  : A["type"] extends "string"
    ? string
    : A["type"] extends "boolean"
      ? boolean
      : number;

type RequiredKeys<M extends Readonly<Record<string, AttributeDescriptor>>> = {
  [K in keyof M]: M[K]["requirement"] extends "required" ? K : never;
}[keyof M];

/** The attributes a signal takes: required ones must be there, the others may. */
export type AttributesOf<D extends { readonly attributes: Readonly<Record<string, AttributeDescriptor>> }> = {
  readonly [K in RequiredKeys<D["attributes"]>]: ValueOf<D["attributes"][K]>;
} & {
  readonly [K in Exclude<keyof D["attributes"], RequiredKeys<D["attributes"]>>]?:
    | ValueOf<D["attributes"][K]>
    | undefined;
};

/** What `bind` takes: a stateset's own attribute is what its cell sets. */
export type BoundAttributesOf<D extends MetricDescriptor> = D["instrument"] extends "stateset"
  ? Omit<AttributesOf<D>, D["name"]>
  : AttributesOf<D>;

/** Any attributes whose keys the registry knows; the logger checks keys against the registry. */
export type Attributes = Readonly<Record<string, AttributeValue | undefined>>;

// --- Metrics ---------------------------------------------------------------

/**
 * One series. `remove` ends it: gone at the next scrape, ended on the OTLP route.
 *
 * `exemplar` is the span that the measurement belongs to. Without it counters and
 * histograms now and then look at the active span. Only spans that are exported or
 * promoted become exemplars.
 */
export interface CounterCell {
  /** Adds a value >= 0; others are ignored and counted. */
  add(value: number, exemplar?: TraceContext): void;
  remove(): void;
}
export interface UpDownCounterCell {
  add(value: number): void;
  remove(): void;
}
export interface GaugeCell {
  set(value: number): void;
  remove(): void;
}
export interface HistogramCell {
  record(value: number, exemplar?: TraceContext): void;
  remove(): void;
}
/** Exists, with value 1, until it is removed. */
export interface InfoCell {
  remove(): void;
}
export interface StatesetCell {
  /** One of the states that the registry lists; others are ignored and counted. */
  set(state: string): void;
  remove(): void;
}

export interface CellsByInstrument {
  counter: CounterCell;
  updowncounter: UpDownCounterCell;
  gauge: GaugeCell;
  histogram: HistogramCell;
  info: InfoCell;
  stateset: StatesetCell;
}

/** What an observable group may set while it is being collected. */
export interface Observer {
  /**
   * Sets the current value of a series: a gauge's value, or the running total of a counter.
   * Series that one collection of the group does not observe are removed.
   */
  observe<D extends MetricDescriptor>(descriptor: D, value: number, attributes: AttributesOf<D>): void;
  /** Sets a histogram that another program counted (etcd's): cumulative counts for each bucket bound. */
  observeHistogram<D extends MetricDescriptor>(
    descriptor: D,
    value: {
      readonly sum: number;
      readonly count: number;
      readonly bounds: readonly number[];
      readonly cumulativeCounts: readonly number[];
    },
    attributes: AttributesOf<D>,
  ): void;
}

export interface ObservableGroupOptions {
  /** For logs and for the group's age metric: lower-case, e.g. `vm_resources`. */
  readonly name: string;
  readonly metrics: readonly MetricDescriptor[];
  readonly intervalMs: number;
  /** A collection that takes longer is abandoned; the last values stay and their age grows. */
  readonly timeoutMs: number;
  readonly collect: (observer: Observer, signal: AbortSignal) => Promise<void>;
  /** What the series are about, where that can end: theirs end with it, before the next time they are read. */
  readonly subjects?: SeriesSubjects | undefined;
}

export interface SeriesSubjects {
  /** The attribute that names the subject; a series without it is about no single one. */
  readonly attribute: string;
  /** Those that are there now. Asked each time series are read: it must be quick. */
  readonly present: () => ReadonlySet<AttributeValue>;
}

export interface Metrics {
  /** The cell of one series; the same attributes give the same cell. Over the cardinality limit: the overflow cell. */
  bind<D extends MetricDescriptor>(descriptor: D, attributes: BoundAttributesOf<D>): CellsByInstrument[D["instrument"]];
  /** Collects in the background, never during a scrape. Dispose to remove the group and all its series. */
  observeGroup(options: ObservableGroupOptions): Disposable;
}

// --- Traces ----------------------------------------------------------------

export interface SpanLink {
  readonly context: TraceContext;
  /** Why it is linked, e.g. `origin`, `caller`. */
  readonly relation: string;
}

export interface SpanOptions<D extends SpanDescriptor> {
  readonly attributes: AttributesOf<D>;
  /** Overrides the descriptor's name (protocol spans: the RPC method). Low cardinality. */
  readonly name?: string;
  /** Default: the active span. `null` starts a new trace. */
  readonly parent?: TraceContext | null;
  /** With `parent: null`: baggage that travels with the new trace, as `extract` gave it. */
  readonly baggage?: string | undefined;
  readonly links?: readonly SpanLink[];
  /** Unix time in ms, fractions allowed; default now. */
  readonly startTimeMs?: number;
}

/** A guest, as whose own a span is recorded. Spans given the same object are exported together. */
export interface SpanGuest {
  readonly vmId: string;
  readonly vmName: string;
}

export interface ActiveSpan {
  readonly context: TraceContext;
  setAttributes(attributes: Attributes): void;
  addLink(link: SpanLink): void;
  /** Marks the span as failed: status Error, `error.type`; the trace is promoted to export. */
  setError(error: unknown): void;
}

export interface ManualSpan extends ActiveSpan {
  end(endTimeMs?: number): void;
}

/** What a caller's headers say. */
export interface IncomingContext {
  /** With its baggage, if that may travel on. Undefined: there is none, or it is malformed. */
  readonly context: TraceContext | undefined;
  /** Also of callers without a trace. */
  readonly baggage: string | undefined;
}

export interface Tracing {
  /** Runs `fn` inside a span; an exception marks the span and is thrown on. */
  span<D extends SpanDescriptor, T>(
    descriptor: D,
    options: SpanOptions<D>,
    fn: (span: ActiveSpan) => Promise<T>,
  ): Promise<T>;
  /** A span whose end comes from elsewhere (streams). It is not made active; `run` its context for that. */
  startSpan<D extends SpanDescriptor>(descriptor: D, options: SpanOptions<D>): ManualSpan;
  /** A finished span from marks that arrive from outside (a guest's boot). Returns its context. */
  recordSpan<D extends SpanDescriptor>(
    descriptor: D,
    options: SpanOptions<D> & {
      readonly parent: TraceContext;
      readonly startTimeMs: number;
      readonly endTimeMs: number;
      readonly error?: unknown;
      /** Whose span it is, if not this process's: it carries the guest's resource. */
      readonly guest?: SpanGuest;
    },
  ): TraceContext;
  /** The context of the active span, if any. */
  active(): TraceContext | undefined;
  /** Runs `fn` with a remote context as the active parent. */
  run<T>(context: TraceContext | undefined, fn: () => T): T;
  /** The active baggage. */
  baggage(): ReadonlyMap<string, string>;
  /** Reads the formats that are configured; a stranger's baggage is dropped and counted. Never fails. */
  extract(headers: HeaderReader, caller: "known" | "stranger"): IncomingContext;
  /** The active context as headers, by lower-case name. Baggage goes only to those who are ours. */
  inject(callee: "ours" | "stranger"): Readonly<Record<string, string>>;
}

// --- Logs ------------------------------------------------------------------

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface Logger {
  debug(message: string, attributes?: Attributes): void;
  info(message: string, attributes?: Attributes): void;
  /** `error` is logged with its code and cause chain, as `exception.*` / `error.type`. */
  warn(message: string, attributes?: Attributes, error?: unknown): void;
  error(message: string, attributes?: Attributes, error?: unknown): void;
  /** A named event of the registry. */
  event<D extends EventDescriptor>(descriptor: D, message: string, attributes: AttributesOf<D>): void;
}

export interface Telemetry {
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly logger: Logger;
}
