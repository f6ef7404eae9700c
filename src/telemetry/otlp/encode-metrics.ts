/**
 * Metric points as OTLP export requests. Field numbers: opentelemetry/proto/metrics/v1.
 *
 * Reads the engine's live series piece by piece: whoever pulls sends each request and
 * lets others run at each pause; a point carries the time at which its request began.
 * What never changes of a series, its attributes, is encoded once and kept on it.
 */
import type { SpanResource, SpanScope } from "#model/recorded-span.ts";
import type { EndedSeries, HistogramSeries, MetricFamily, NumberSeries, Series } from "../metrics/snapshot.ts";
import type { MetricDescriptor } from "../port.ts";
import { writeAttribute, writeResource, writeScope } from "./encode-common.ts";
import type { EncodedRequest } from "./encoded-request.ts";
import { ProtobufWriter } from "./protobuf-writer.ts";

export interface MetricsEncoderOptions {
  readonly resource: SpanResource;
  readonly scope: SpanScope;
  /** Unix time in ms. */
  readonly now: () => number;
  /** Default 2 MiB: half of what receivers accept, and a short time to write. */
  readonly maximumBytes?: number;
}

export interface EncodedMetrics extends EncodedRequest {
  /** The ended series this request tells of. */
  readonly ended: readonly EndedSeries[];
}

const DEFAULT_MAXIMUM_BYTES = 2 * 1024 * 1024;
const CUMULATIVE = 2;
const NO_RECORDED_VALUE = 1;
const POINTS_BETWEEN_PAUSES = 4_096;
/** The field of `Metric` that holds the points. */
const DATA_FIELD = { gauge: 5, counter: 7, updowncounter: 7, histogram: 9 } as const;
const NUMBER_ATTRIBUTES_FIELD = 7;
const HISTOGRAM_ATTRIBUTES_FIELD = 9;

/**
 * All points of `families` and one point without a value for each of `ended`.
 * Yields requests, and `undefined` where a few ms of work are done.
 */
export function* encodeMetrics(
  families: readonly MetricFamily[],
  ended: readonly EndedSeries[],
  options: MetricsEncoderOptions,
): Generator<EncodedMetrics | undefined, void, void> {
  const builder = new MetricsRequestBuilder(options);
  const endedByName = Map.groupBy(ended, ({ descriptor }) => descriptor.name);
  for (const { descriptor, series } of families) {
    // Series come and go while the request is on its way: take those that are there now.
    for (const one of series.slice()) {
      if (one.removed || (one.kind === "number" && Number.isNaN(one.value))) continue;
      builder.addPoint(descriptor, one);
      if (builder.isFull) yield builder.take();
      else if (builder.items % POINTS_BETWEEN_PAUSES === 0) yield undefined;
    }
    for (const one of endedByName.get(descriptor.name) ?? []) {
      builder.addEnded(one);
      if (builder.isFull) yield builder.take();
    }
    endedByName.delete(descriptor.name);
  }
  // Metrics of which no series is left.
  for (const one of endedByName.values().flatMap((group) => group)) {
    builder.addEnded(one);
    if (builder.isFull) yield builder.take();
  }
  if (builder.items > 0) yield builder.take();
}

/** The attributes of a series as bytes, tags included; the same for the same attributes. */
export function encodedAttributesOf(series: Series, scratch: ProtobufWriter): Uint8Array {
  series.encodedAttributes ??= encodeAttributes(series, scratch);
  return series.encodedAttributes;
}

function encodeAttributes(series: Series, scratch: ProtobufWriter): Uint8Array {
  const field = series.kind === "histogram" ? HISTOGRAM_ATTRIBUTES_FIELD : NUMBER_ATTRIBUTES_FIELD;
  scratch.truncate(0);
  for (const [key, value] of series.attributes) writeAttribute(scratch, field, key, value);
  return scratch.toBytes();
}

class MetricsRequestBuilder {
  readonly #options: MetricsEncoderOptions;
  readonly #maximumBytes: number;
  readonly #writer = new ProtobufWriter();
  readonly #scratch = new ProtobufWriter();
  #open: OpenRequest | undefined;
  #metric: OpenMetric | undefined;
  #ended: EndedSeries[] = [];
  items = 0;

  constructor(options: MetricsEncoderOptions) {
    this.#options = options;
    this.#maximumBytes = options.maximumBytes ?? DEFAULT_MAXIMUM_BYTES;
  }

  get isFull(): boolean {
    return this.#writer.length >= this.#maximumBytes;
  }

  addPoint(descriptor: MetricDescriptor, series: Series): void {
    const timeMs = this.#openMetric(descriptor);
    const attributes = encodedAttributesOf(series, this.#scratch);
    if (series.kind === "histogram") writeHistogramPoint(this.#writer, series, attributes, timeMs);
    else writeNumberPoint(this.#writer, descriptor, series, attributes, timeMs);
    this.items++;
  }

  addEnded(ended: EndedSeries): void {
    const timeMs = this.#openMetric(ended.descriptor);
    writeEndedPoint(this.#writer, ended, encodedAttributesOf(ended.series, this.#scratch), timeMs);
    this.#ended.push(ended);
    this.items++;
  }

  take(): EncodedMetrics {
    this.#closeMetric();
    if (this.#open !== undefined) {
      this.#writer.end(this.#open.scopeMark);
      this.#writer.end(this.#open.resourceMark);
    }
    const request = { bytes: this.#writer.toBytes(), items: this.items, ended: this.#ended };
    this.#writer.truncate(0);
    this.#open = undefined;
    this.#ended = [];
    this.items = 0;
    return request;
  }

  /** Opens what is not open yet, down to the metric; returns the request's time. */
  #openMetric(descriptor: MetricDescriptor): number {
    this.#open ??= this.#openRequest();
    if (this.#metric?.descriptor === descriptor) return this.#open.timeMs;
    this.#closeMetric();
    const writer = this.#writer;
    const metricMark = writer.begin(2);
    writer.string(1, descriptor.name);
    writer.string(2, descriptor.brief);
    writer.string(3, descriptor.unit);
    const dataMark = writer.begin(DATA_FIELD[descriptor.instrument]);
    this.#metric = { descriptor, metricMark, dataMark };
    return this.#open.timeMs;
  }

  #openRequest(): OpenRequest {
    const resourceMark = this.#writer.begin(1);
    writeResource(this.#writer, 1, this.#options.resource);
    const scopeMark = this.#writer.begin(2);
    writeScope(this.#writer, 1, this.#options.scope);
    return { resourceMark, scopeMark, timeMs: this.#options.now() };
  }

  #closeMetric(): void {
    if (this.#metric === undefined) return;
    const { descriptor, metricMark, dataMark } = this.#metric;
    if (descriptor.instrument !== "gauge") this.#writer.uint(2, CUMULATIVE);
    if (descriptor.instrument === "counter") this.#writer.bool(3, true);
    this.#writer.end(dataMark);
    this.#writer.end(metricMark);
    this.#metric = undefined;
  }
}

interface OpenRequest {
  readonly resourceMark: number;
  readonly scopeMark: number;
  /** The time of all points in this request. */
  readonly timeMs: number;
}

interface OpenMetric {
  readonly descriptor: MetricDescriptor;
  readonly metricMark: number;
  readonly dataMark: number;
}

function writeNumberPoint(
  writer: ProtobufWriter,
  descriptor: MetricDescriptor,
  series: NumberSeries,
  attributes: Uint8Array,
  timeMs: number,
): void {
  const mark = writer.begin(1);
  if (descriptor.instrument !== "gauge") writer.integer64(2, startNano(series, timeMs));
  writer.integer64(3, timeMs * 1e6);
  if (descriptor.valueType === "int" && Number.isSafeInteger(series.value)) writer.integer64(6, series.value);
  else writer.double(4, series.value);
  writer.raw(attributes);
  writer.end(mark);
}

function writeHistogramPoint(
  writer: ProtobufWriter,
  series: HistogramSeries,
  attributes: Uint8Array,
  timeMs: number,
): void {
  const mark = writer.begin(1);
  writer.integer64(2, startNano(series, timeMs));
  writer.integer64(3, timeMs * 1e6);
  writer.integer64(4, series.count);
  writer.double(5, series.sum);
  writer.packedFixed64(6, series.bucketCounts);
  writer.packedDouble(7, series.bounds);
  writer.raw(attributes);
  writer.end(mark);
}

function writeEndedPoint(
  writer: ProtobufWriter,
  { descriptor, series }: EndedSeries,
  attributes: Uint8Array,
  timeMs: number,
): void {
  const mark = writer.begin(1);
  if (descriptor.instrument !== "gauge") writer.integer64(2, startNano(series, timeMs));
  writer.integer64(3, timeMs * 1e6);
  writer.raw(attributes);
  writer.uint(series.kind === "histogram" ? 10 : 8, NO_RECORDED_VALUE);
  writer.end(mark);
}

/** A series that began while the request was being written began with it. */
function startNano(series: Series, timeMs: number): number {
  return Math.min(series.startTimeMs, timeMs) * 1e6;
}
