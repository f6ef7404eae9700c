/**
 * The page as Prometheus protobuf, the one format that carries native histograms: a stream
 * of MetricFamily messages, each after its length. Source: client_model
 * `io/prometheus/client/metrics.proto`; the numbers below are its fields.
 *
 * A histogram with exponential buckets has both forms in one message, as Prometheus's own
 * libraries do: a scraper takes the one it was configured for. A family's length comes before
 * it, so a family is written as a whole before its first byte can leave.
 */
import type { Exemplar, HistogramSeries, MetricFamily, NumberSeries, Series } from "../metrics/snapshot.ts";
import { ProtobufWriter } from "../otlp/protobuf-writer.ts";
import { escapeName } from "./escaping.ts";
import { bucketCountsOf, isInside, labelNameIn, mayRepeat, seriesOf } from "./family-series.ts";
import { cachedLabelNames, forEachLabel } from "./labels.ts";
import { nativeHistogramOf, ZERO_THRESHOLD } from "./native-histogram.ts";
import { type PageFamily, TARGET_INFO } from "./page-family.ts";
import type { PageContext } from "./page.ts";
import { prometheusLabelName } from "./prometheus-names.ts";

const FAMILY = { name: 1, help: 2, type: 3, metric: 4, unit: 5 } as const;
const METRIC = { label: 1, gauge: 2, counter: 3, histogram: 7 } as const;
const LABEL = { name: 1, value: 2 } as const;
const GAUGE = { value: 1 } as const;
const COUNTER = { value: 1, exemplar: 2, createdTimestamp: 3 } as const;
const HISTOGRAM = {
  sampleCount: 1,
  sampleSum: 2,
  bucket: 3,
  schema: 5,
  zeroThreshold: 6,
  zeroCount: 7,
  positiveSpan: 12,
  positiveDelta: 13,
  createdTimestamp: 15,
  exemplars: 16,
} as const;
const BUCKET = { cumulativeCount: 1, upperBound: 2, exemplar: 3 } as const;
const SPAN = { offset: 1, length: 2 } as const;
const EXEMPLAR = { label: 1, value: 2, timestamp: 3 } as const;
const TIMESTAMP = { seconds: 1, nanos: 2 } as const;
const TYPE = { counter: 0, gauge: 1, info: 1, stateset: 1, histogram: 4 } as const;

const PAUSE = Buffer.alloc(0);

export function* renderProtobufPage(
  families: readonly PageFamily[],
  context: PageContext,
): Generator<Buffer, void, void> {
  const writer = new ProtobufWriter();
  for (const family of families) {
    const message = new FamilyMessage(family, context, writer);
    for (const { series, family: part } of seriesOf(family)) {
      if (message.write(series, part)) yield PAUSE;
    }
    yield* message.take();
  }
  yield* targetInfo(context, writer);
}

/** Writes one family's message, in pieces. */
class FamilyMessage {
  readonly #page: PageFamily;
  readonly #context: PageContext;
  readonly #writer: ProtobufWriter;
  readonly #labelName: (key: string) => string;
  readonly #written: Set<string> | undefined;
  readonly #pieces: Buffer[] = [];
  #headWritten = false;

  constructor(page: PageFamily, context: PageContext, writer: ProtobufWriter) {
    const labelName = labelNameIn(page);
    this.#page = page;
    this.#context = context;
    this.#writer = writer;
    this.#labelName = cachedLabelNames((key) => escapeName(labelName(key), context.escaping));
    this.#written = mayRepeat(page) ? new Set() : undefined;
  }

  /** Whether a piece is full. */
  write(series: Series, family: MetricFamily): boolean {
    const writer = this.#writer;
    if (!this.#headWritten) this.#writeHead();
    const start = writer.length;
    const metric = writer.begin(FAMILY.metric);
    const repeated = this.#writeLabels(series, family);
    if (repeated) {
      writer.truncate(start);
      return false;
    }
    if (series.kind === "histogram") writeHistogram(writer, series);
    else if (this.#page.type === "counter") writeCounter(writer, series);
    else {
      const gauge = writer.begin(METRIC.gauge);
      writer.double(GAUGE.value, series.value);
      writer.end(gauge);
    }
    writer.end(metric);
    if (writer.length < this.#context.chunkBytes) return false;
    this.#cut();
    return true;
  }

  /** The message after its length; nothing when it has no series. */
  *take(): Generator<Buffer, void, void> {
    if (!this.#headWritten) return;
    this.#cut();
    const length = this.#pieces.reduce((sum, piece) => sum + piece.length, 0);
    yield varint(length);
    yield* this.#pieces;
  }

  #writeHead(): void {
    this.#headWritten = true;
    const { name, help, type, unit } = this.#page;
    const writer = this.#writer;
    writer.string(FAMILY.name, escapeName(name, this.#context.escaping));
    if (help !== "") writer.string(FAMILY.help, help);
    writer.int64(FAMILY.type, TYPE[type]);
    if (unit !== undefined) writer.string(FAMILY.unit, unit);
  }

  /** Whether these labels were there already. */
  #writeLabels(series: Series, family: MetricFamily): boolean {
    const scope = this.#context.scopeAttributes(family.scope);
    const attributes = scope.length === 0 ? series.attributes : [...series.attributes, ...scope];
    const written = this.#written;
    let identity = "";
    forEachLabel(attributes, this.#labelName, (name, value) => {
      writeLabel(this.#writer, METRIC.label, name, value);
      if (written !== undefined) identity += `${name}=${value.length}:${value},`;
    });
    if (written === undefined) return false;
    if (written.has(identity)) return true;
    written.add(identity);
    return false;
  }

  #cut(): void {
    if (this.#writer.length > 0) this.#pieces.push(this.#writer.toBytes());
    this.#writer.truncate(0);
  }
}

function writeLabel(writer: ProtobufWriter, field: number, name: string, value: string): void {
  const label = writer.begin(field);
  writer.string(LABEL.name, name);
  writer.string(LABEL.value, value);
  writer.end(label);
}

function writeCounter(writer: ProtobufWriter, series: NumberSeries): void {
  const counter = writer.begin(METRIC.counter);
  writer.double(COUNTER.value, series.value);
  if (series.exemplar !== undefined) writeExemplar(writer, COUNTER.exemplar, series.exemplar);
  writeTimestamp(writer, COUNTER.createdTimestamp, series.startTimeMs);
  writer.end(counter);
}

function writeHistogram(writer: ProtobufWriter, series: HistogramSeries): void {
  const { bounds, exemplars, exponential } = series;
  const bucketCounts = bucketCountsOf(series);
  const histogram = writer.begin(METRIC.histogram);
  const native = exponential === undefined ? undefined : nativeHistogramOf(exponential);
  const classic = bounds.length > 0 || native === undefined;
  let upTo = 0;
  for (let bucket = 0; bucket <= bounds.length; bucket++) upTo += bucketCounts[bucket] ?? 0;
  writer.int64(HISTOGRAM.sampleCount, upTo);
  writer.double(HISTOGRAM.sampleSum, series.sum);
  if (classic) writeBuckets(writer, series);
  if (native !== undefined) {
    writer.int64(HISTOGRAM.schema, zigzag(native.schema));
    writer.double(HISTOGRAM.zeroThreshold, ZERO_THRESHOLD);
    writer.int64(HISTOGRAM.zeroCount, native.zeroCount);
    for (const { offset, length } of native.spans) {
      const span = writer.begin(HISTOGRAM.positiveSpan);
      writer.int64(SPAN.offset, zigzag(offset));
      writer.int64(SPAN.length, length);
      writer.end(span);
    }
    for (const delta of native.deltas) writer.int64(HISTOGRAM.positiveDelta, zigzag(delta));
  }
  writeTimestamp(writer, HISTOGRAM.createdTimestamp, series.startTimeMs);
  if (!classic) {
    for (const exemplar of exemplars) {
      if (exemplar !== undefined) writeExemplar(writer, HISTOGRAM.exemplars, exemplar);
    }
  }
  writer.end(histogram);
}

function writeBuckets(writer: ProtobufWriter, series: HistogramSeries): void {
  const { bounds, exemplars } = series;
  const bucketCounts = bucketCountsOf(series);
  let upTo = 0;
  for (let index = 0; index <= bounds.length; index++) {
    upTo += bucketCounts[index] ?? 0;
    const exemplar = exemplars[index];
    const bucket = writer.begin(HISTOGRAM.bucket);
    writer.int64(BUCKET.cumulativeCount, upTo);
    writer.double(BUCKET.upperBound, bounds[index] ?? Infinity);
    if (exemplar !== undefined && isInside(exemplar, bounds, index)) {
      writeExemplar(writer, BUCKET.exemplar, exemplar);
    }
    writer.end(bucket);
  }
}

function writeExemplar(writer: ProtobufWriter, field: number, exemplar: Exemplar): void {
  const message = writer.begin(field);
  if (exemplar.traceId !== "") {
    writeLabel(writer, EXEMPLAR.label, "trace_id", exemplar.traceId);
    writeLabel(writer, EXEMPLAR.label, "span_id", exemplar.spanId);
  }
  writer.double(EXEMPLAR.value, exemplar.value);
  writeTimestamp(writer, EXEMPLAR.timestamp, exemplar.timeMs);
  writer.end(message);
}

function writeTimestamp(writer: ProtobufWriter, field: number, timeMs: number): void {
  const timestamp = writer.begin(field);
  const seconds = Math.floor(timeMs / 1000);
  writer.int64(TIMESTAMP.seconds, seconds);
  writer.int64(TIMESTAMP.nanos, Math.floor((timeMs - seconds * 1000) * 1e6));
  writer.end(timestamp);
}

function* targetInfo({ resource, escaping }: PageContext, writer: ProtobufWriter): Generator<Buffer, void, void> {
  writer.truncate(0);
  writer.string(FAMILY.name, escapeName(TARGET_INFO, escaping));
  writer.string(FAMILY.help, "Target metadata");
  writer.int64(FAMILY.type, TYPE.info);
  const metric = writer.begin(FAMILY.metric);
  const attributes = Object.entries(resource).map(([key, value]) => [key, String(value)] as const);
  const labelName = (key: string): string => escapeName(prometheusLabelName(key), escaping);
  forEachLabel(attributes, labelName, (name, value) => writeLabel(writer, METRIC.label, name, value));
  const gauge = writer.begin(METRIC.gauge);
  writer.double(GAUGE.value, 1);
  writer.end(gauge);
  writer.end(metric);
  yield varint(writer.length);
  yield writer.toBytes();
}

/** sint32 and sint64 as they are on the wire. */
function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}
