/**
 * Metric points as OTLP export requests. Field numbers: opentelemetry/proto/metrics/v1.
 *
 * Reads the engine's live series piece by piece: whoever pulls sends each request and
 * lets others run at each pause; a point carries the time at which its request began.
 * What never changes of a series, its attributes, is encoded once and kept on it.
 *
 * `info` and `stateset` have no kind of their own in OTLP: they are non-monotonic sums,
 * as the OpenMetrics compatibility specification has it.
 */
import type { SpanResource, SpanScope } from "#model/recorded-span.ts";
import type { EndedSeries, Exemplar, HistogramSeries, MetricFamily, Series } from "../metrics/snapshot.ts";
import type { MetricDescriptor } from "../port.ts";
import type { HistogramAggregation } from "../telemetry-options.ts";
import {
  isExponential,
  type DeltaTracker,
  type HistogramDelta,
  type NumberDelta,
  type SeriesDelta,
} from "./delta-tracker.ts";
import { writeResource, writeScope } from "./encode-common.ts";
import {
  encodedAttributesOf,
  writeEndedPoint,
  writeExponentialPoint,
  writeHistogramPoint,
  writeNumberPoint,
} from "./encode-points.ts";
import { MAXIMUM_REQUEST_BYTES, type EncodedRequest } from "./encoded-request.ts";
import { ProtobufWriter } from "./protobuf-writer.ts";

export interface MetricsEncoderOptions {
  readonly resource: SpanResource;
  /** Of families that name no other. */
  readonly scope: SpanScope;
  /** Unix time in ms. */
  readonly now: () => number;
  /** A request is closed when it has grown to this; default 2 MiB: half of what receivers accept, and short to write. */
  readonly targetBytes?: number;
  /** No request is larger; a point that would make it so is left out. Default 4 MiB. */
  readonly maximumBytes?: number;
  /** Default explicit buckets. */
  readonly histogramAggregation?: HistogramAggregation;
  /** Present where sums and histograms may be told as differences. */
  readonly deltas?: DeltaTracker;
  /** Used again from one export to the next. */
  readonly writer?: ProtobufWriter;
  /** Points too large for any request. */
  readonly onOversized?: (points: number) => void;
}

/** What is not in the families, and what is told of it: no more than that it is over. */
export interface EndedPoints {
  /** One point without a value for each. */
  readonly series: readonly EndedSeries[];
  /** One last difference for each. */
  readonly deltas: readonly SeriesDelta[];
}

export interface EncodedMetrics extends EncodedRequest {
  /** The time of all points. Unix ms. */
  readonly timeMs: number;
  /** The ended series this request tells of. */
  readonly ended: readonly EndedSeries[];
  /** The differences it tells. */
  readonly deltas: readonly SeriesDelta[];
}

const DEFAULT_TARGET_BYTES = 2 * 1024 * 1024;
const DELTA = 1;
const CUMULATIVE = 2;
/** The first export encodes all attributes, too: this many take up to 10 ms then, and less than 1 ms later. */
const POINTS_BETWEEN_PAUSES = 1_024;
/** The field of `Metric` that holds the points. */
const DATA_FIELD = { gauge: 5, counter: 7, updowncounter: 7, info: 7, stateset: 7, histogram: 9 } as const;
const EXPONENTIAL_DATA_FIELD = 10;
/** What a request and a point need besides attributes and buckets. */
const ENVELOPE_BYTES = 4_096;
const BYTES_PER_BUCKET = 128;

/**
 * All points of `families` and of what has ended. Yields requests, and `undefined`
 * where a few ms of work are done.
 */
export function* encodeMetrics(
  families: readonly MetricFamily[],
  ended: EndedPoints,
  options: MetricsEncoderOptions,
): Generator<EncodedMetrics | undefined, void, void> {
  const builder = new MetricsRequestBuilder(options);
  const endedOf = Map.groupBy(ended.series, ({ descriptor }) => descriptor);
  const deltasOf = Map.groupBy(ended.deltas, ({ descriptor }) => descriptor);

  function* addEnded(descriptor: MetricDescriptor): Generator<EncodedMetrics, void, void> {
    for (const delta of deltasOf.get(descriptor) ?? []) {
      builder.addDelta(delta);
      if (builder.isFull) yield builder.take();
    }
    for (const one of endedOf.get(descriptor) ?? []) {
      builder.addEnded(one);
      if (builder.isFull) yield builder.take();
    }
    deltasOf.delete(descriptor);
    endedOf.delete(descriptor);
  }

  let points = 0;
  for (const family of byScope(families)) {
    const { descriptor, scope, series } = family;
    builder.setScope(scope);
    // Series come and go while the request is on its way: take those that are there now.
    for (const one of series.slice()) {
      if (one.removed || (one.kind === "number" && Number.isNaN(one.value))) continue;
      builder.addPoint(family, one);
      points++;
      if (builder.isFull) yield builder.take();
      else if (points % POINTS_BETWEEN_PAUSES === 0) yield undefined;
    }
    yield* addEnded(descriptor);
  }
  // Metrics of which no series is left.
  for (const { descriptor, scope } of [...deltasOf.values(), ...endedOf.values()].flatMap((group) =>
    group.slice(0, 1),
  )) {
    builder.setScope(scope);
    yield* addEnded(descriptor);
  }
  if (builder.items > 0) yield builder.take();
}

/** Ours first, then those of each other scope together. */
function byScope(families: readonly MetricFamily[]): readonly MetricFamily[] {
  if (families.every(({ scope }) => scope === undefined)) return families;
  const groups = Map.groupBy(families, ({ scope }) =>
    scope === undefined ? "" : `${scope.name}@${scope.version ?? ""}`,
  );
  return [...(groups.get("") ?? []), ...groups.entries().flatMap(([key, group]) => (key === "" ? [] : group))];
}

class MetricsRequestBuilder {
  readonly #options: MetricsEncoderOptions;
  readonly #targetBytes: number;
  readonly #maximumPointBytes: number;
  readonly #aggregation: HistogramAggregation;
  readonly #writer: ProtobufWriter;
  readonly #scratch = new ProtobufWriter();
  #scope: SpanScope;
  #open: OpenRequest | undefined;
  #openScope: OpenScope | undefined;
  #metric: OpenMetric | undefined;
  #ended: EndedSeries[] = [];
  #deltas: SeriesDelta[] = [];
  items = 0;

  constructor(options: MetricsEncoderOptions) {
    const maximumBytes = options.maximumBytes ?? MAXIMUM_REQUEST_BYTES;
    this.#options = options;
    this.#targetBytes = Math.min(options.targetBytes ?? DEFAULT_TARGET_BYTES, maximumBytes / 2);
    this.#maximumPointBytes = maximumBytes - this.#targetBytes - ENVELOPE_BYTES;
    this.#aggregation = options.histogramAggregation ?? "explicit_bucket_histogram";
    this.#writer = options.writer ?? new ProtobufWriter();
    this.#writer.truncate(0);
    this.#scope = options.scope;
  }

  get isFull(): boolean {
    return this.#writer.length >= this.#targetBytes;
  }

  setScope(scope: SpanScope = this.#options.scope): void {
    if (scope.name !== this.#scope.name || scope.version !== this.#scope.version) this.#scope = scope;
  }

  addPoint(family: MetricFamily, series: Series): void {
    const { descriptor } = family;
    const { deltas } = this.#options;
    if (deltas?.isDelta(descriptor, series) === true) this.addDelta(deltas.of(family, series));
    else if (series.kind === "histogram") this.#addHistogram(descriptor, series);
    else {
      const attributes = this.#attributesOf(series, 0);
      if (attributes === undefined) return;
      const timeMs = this.#openMetric(descriptor, false, false);
      const startMs = descriptor.instrument === "gauge" ? undefined : Math.min(series.startTimeMs, timeMs);
      writeNumberPoint(this.#writer, descriptor, series.value, attributes, startMs, timeMs, series.exemplar);
      this.items++;
    }
  }

  /** Nothing is sent where nothing changed: the next point's interval begins where the last one's ended. */
  addDelta(delta: SeriesDelta): void {
    const added = delta.kind === "number" ? this.#addNumberDelta(delta) : this.#addHistogramDelta(delta);
    if (!added) return;
    this.#deltas.push(delta);
    this.items++;
  }

  addEnded(ended: EndedSeries): void {
    const { descriptor, series } = ended;
    const exponential = series.kind === "histogram" && isExponential(this.#aggregation, series);
    this.#ended.push(ended);
    const attributes = this.#attributesOf(series, 0);
    if (attributes === undefined) return;
    const timeMs = this.#openMetric(descriptor, false, exponential);
    const startMs = descriptor.instrument === "gauge" ? undefined : Math.min(series.startTimeMs, timeMs);
    writeEndedPoint(this.#writer, series.kind, exponential, attributes, { startMs, timeMs });
    this.items++;
  }

  take(): EncodedMetrics {
    this.#closeScope();
    const timeMs = this.#open?.timeMs ?? this.#options.now();
    if (this.#open !== undefined) this.#writer.end(this.#open.resourceMark);
    const bytes = this.#writer.toBytes();
    const request = { bytes, items: this.items, timeMs, ended: this.#ended, deltas: this.#deltas };
    this.#writer.truncate(0);
    this.#open = undefined;
    this.#ended = [];
    this.#deltas = [];
    this.items = 0;
    return request;
  }

  #addHistogram(descriptor: MetricDescriptor, series: HistogramSeries): void {
    const attributes = this.#attributesOf(series, series.bounds.length);
    if (attributes === undefined) return;
    const { exponential } = series;
    const asExponential = isExponential(this.#aggregation, series);
    const timeMs = this.#openMetric(descriptor, false, asExponential);
    const interval = { startMs: Math.min(series.startTimeMs, timeMs), timeMs };
    const { count, sum, exemplars } = series;
    const values = { count, sum, exemplars, minimum: exponential?.minimum, maximum: exponential?.maximum };
    if (asExponential && exponential !== undefined) {
      writeExponentialPoint(this.#writer, values, exponential, attributes, interval);
    } else {
      writeHistogramPoint(this.#writer, values, series.bucketCounts, series.bounds, attributes, interval);
    }
    this.items++;
  }

  #addNumberDelta(delta: NumberDelta): boolean {
    const value = delta.read();
    if (value === 0) return false;
    const { descriptor, series } = delta;
    const attributes = this.#attributesOf(series, 0);
    if (attributes === undefined) return false;
    const timeMs = this.#openMetric(descriptor, true, false);
    const startMs = Math.min(delta.sinceMs, timeMs);
    const exemplar = isWithin(series.exemplar, startMs) ? series.exemplar : undefined;
    writeNumberPoint(this.#writer, descriptor, value, attributes, startMs, timeMs, exemplar);
    return true;
  }

  #addHistogramDelta(delta: HistogramDelta): boolean {
    const { count, sum, bucketCounts, exponential } = delta.read();
    if (count === 0) return false;
    const { descriptor, series } = delta;
    const attributes = this.#attributesOf(series, series.bounds.length);
    if (attributes === undefined) return false;
    const timeMs = this.#openMetric(descriptor, true, exponential !== undefined);
    const interval = { startMs: Math.min(delta.sinceMs, timeMs), timeMs };
    const exemplars = series.exemplars.filter((exemplar) => isWithin(exemplar, interval.startMs));
    // The engine knows extremes since the start of the series, not of this interval.
    const values = { count, sum, exemplars, minimum: undefined, maximum: undefined };
    if (exponential === undefined) {
      writeHistogramPoint(this.#writer, values, bucketCounts, series.bounds, attributes, interval);
    } else writeExponentialPoint(this.#writer, values, exponential, attributes, interval);
    return true;
  }

  /** Undefined: the point would be too large for any request, and is counted. */
  #attributesOf(series: Series, buckets: number): string | undefined {
    const attributes = encodedAttributesOf(series, this.#scratch);
    if (attributes.length + buckets * BYTES_PER_BUCKET <= this.#maximumPointBytes) return attributes;
    this.#options.onOversized?.(1);
    return undefined;
  }

  /** Opens what is not open yet, down to the metric; returns the request's time. */
  #openMetric(descriptor: MetricDescriptor, delta: boolean, exponential: boolean): number {
    this.#open ??= this.#openRequest();
    const { timeMs } = this.#open;
    const open = this.#metric;
    if (
      open !== undefined &&
      open.descriptor === descriptor &&
      open.delta === delta &&
      open.exponential === exponential &&
      this.#openScope?.scope === this.#scope
    ) {
      return timeMs;
    }
    this.#ensureScope();
    this.#closeMetric();
    const writer = this.#writer;
    const metricMark = writer.begin(2);
    writer.string(1, descriptor.name);
    writer.string(2, descriptor.brief);
    writer.string(3, descriptor.unit);
    const dataMark = writer.begin(exponential ? EXPONENTIAL_DATA_FIELD : DATA_FIELD[descriptor.instrument]);
    this.#metric = { descriptor, delta, exponential, metricMark, dataMark };
    return timeMs;
  }

  #openRequest(): OpenRequest {
    const resourceMark = this.#writer.begin(1);
    writeResource(this.#writer, 1, this.#options.resource);
    return { resourceMark, timeMs: this.#options.now() };
  }

  #ensureScope(): void {
    if (this.#openScope?.scope === this.#scope) return;
    this.#closeScope();
    const mark = this.#writer.begin(2);
    writeScope(this.#writer, this.#scope);
    this.#openScope = { scope: this.#scope, mark };
  }

  #closeScope(): void {
    this.#closeMetric();
    if (this.#openScope !== undefined) this.#writer.end(this.#openScope.mark);
    this.#openScope = undefined;
  }

  #closeMetric(): void {
    if (this.#metric === undefined) return;
    const { descriptor, delta, metricMark, dataMark } = this.#metric;
    if (descriptor.instrument !== "gauge") this.#writer.uint(2, delta ? DELTA : CUMULATIVE);
    if (descriptor.instrument === "counter") this.#writer.bool(3, true);
    this.#writer.end(dataMark);
    this.#writer.end(metricMark);
    this.#metric = undefined;
  }
}

interface OpenRequest {
  readonly resourceMark: number;
  /** The time of all points in this request. */
  readonly timeMs: number;
}

interface OpenScope {
  readonly scope: SpanScope;
  readonly mark: number;
}

interface OpenMetric {
  readonly descriptor: MetricDescriptor;
  readonly delta: boolean;
  readonly exponential: boolean;
  readonly metricMark: number;
  readonly dataMark: number;
}

function isWithin(exemplar: Exemplar | undefined, startMs: number): boolean {
  return exemplar !== undefined && exemplar.timeMs >= startMs;
}
