/** The points of metrics. Field numbers: opentelemetry/proto/metrics/v1. */
import type { Exemplar, ExponentialBuckets, Series } from "../metrics/snapshot.ts";
import type { MetricDescriptor } from "../port.ts";
import { writeAttribute } from "./encode-common.ts";
import type { ProtobufWriter } from "./protobuf-writer.ts";

const POINT_FIELD = 1;
const NO_RECORDED_VALUE = 1;
const NUMBER_ATTRIBUTES_FIELD = 7;
const HISTOGRAM_ATTRIBUTES_FIELD = 9;
const EXPONENTIAL_ATTRIBUTES_FIELD = 1;

/** What a point covers. */
export interface Interval {
  /** Unix ms; gauges have none. */
  readonly startMs: number | undefined;
  readonly timeMs: number;
}

/**
 * The attributes of a series as they are sent, tags included, one character for each
 * byte; the same for the same attributes. They are kept on the series: they never
 * change. As a string: 200,000 buffers would hold up every collection of garbage.
 */
export function encodedAttributesOf(series: Series, scratch: ProtobufWriter): string {
  series.encodedAttributes ??= encodeAttributes(series, scratch);
  return series.encodedAttributes;
}

function encodeAttributes(series: Series, scratch: ProtobufWriter): string {
  const field = series.kind === "histogram" ? HISTOGRAM_ATTRIBUTES_FIELD : NUMBER_ATTRIBUTES_FIELD;
  scratch.truncate(0);
  for (const [key, value] of series.attributes) writeAttribute(scratch, field, key, value);
  return scratch.toByteText();
}

/** `info` and `stateset` are ones and zeros; counts are ints where the registry says so. */
function isInt({ instrument, valueType }: MetricDescriptor): boolean {
  return valueType === "int" || instrument === "info" || instrument === "stateset";
}

/** Takes plain arguments: there are many of these points. */
export function writeNumberPoint(
  writer: ProtobufWriter,
  descriptor: MetricDescriptor,
  value: number,
  attributes: string,
  startMs: number | undefined,
  timeMs: number,
  exemplar: Exemplar | undefined,
): void {
  const mark = writer.begin(POINT_FIELD);
  if (startMs !== undefined) writer.integer64(2, startMs * 1e6);
  writer.integer64(3, timeMs * 1e6);
  const asInt = isInt(descriptor);
  if (asInt && Number.isSafeInteger(value)) writer.integer64(6, value);
  else writer.double(4, value);
  writer.raw(attributes);
  if (exemplar !== undefined) writeExemplar(writer, 5, exemplar, asInt);
  writer.end(mark);
}

export interface HistogramValues {
  readonly count: number;
  readonly sum: number;
  /** Undefined where no extremes are known of the interval. */
  readonly minimum: number | undefined;
  readonly maximum: number | undefined;
  readonly exemplars: readonly (Exemplar | undefined)[];
}

export function writeHistogramPoint(
  writer: ProtobufWriter,
  values: HistogramValues,
  bucketCounts: ArrayLike<number>,
  bounds: ArrayLike<number>,
  attributes: string,
  interval: Interval,
): void {
  const mark = writer.begin(POINT_FIELD);
  writeInterval(writer, interval);
  writer.integer64(4, values.count);
  writer.double(5, values.sum);
  writer.packedFixed64(6, bucketCounts);
  writer.packedDouble(7, bounds);
  for (const exemplar of values.exemplars) if (exemplar !== undefined) writeExemplar(writer, 8, exemplar, false);
  writer.raw(attributes);
  writeExtreme(writer, 11, values.minimum);
  writeExtreme(writer, 12, values.maximum);
  writer.end(mark);
}

export function writeExponentialPoint(
  writer: ProtobufWriter,
  values: HistogramValues,
  buckets: Omit<ExponentialBuckets, "minimum" | "maximum">,
  attributes: string,
  interval: Interval,
): void {
  const mark = writer.begin(POINT_FIELD);
  writer.rawAs(EXPONENTIAL_ATTRIBUTES_FIELD, attributes);
  writeInterval(writer, interval);
  writer.integer64(4, values.count);
  writer.double(5, values.sum);
  writer.sint32(6, buckets.scale);
  writer.integer64(7, buckets.zeroCount);
  if (buckets.positiveCounts.length > 0) {
    const positive = writer.begin(8);
    writer.sint32(1, buckets.positiveOffset);
    writer.packedVarint(2, buckets.positiveCounts);
    writer.end(positive);
  }
  for (const exemplar of values.exemplars) if (exemplar !== undefined) writeExemplar(writer, 11, exemplar, false);
  writeExtreme(writer, 12, values.minimum);
  writeExtreme(writer, 13, values.maximum);
  writer.end(mark);
}

/** A point without a value: the series is gone. */
export function writeEndedPoint(
  writer: ProtobufWriter,
  kind: Series["kind"],
  exponential: boolean,
  attributes: string,
  interval: Interval,
): void {
  const mark = writer.begin(POINT_FIELD);
  writeInterval(writer, interval);
  if (exponential) writer.rawAs(EXPONENTIAL_ATTRIBUTES_FIELD, attributes);
  else writer.raw(attributes);
  writer.uint(kind === "histogram" ? 10 : 8, NO_RECORDED_VALUE);
  writer.end(mark);
}

function writeInterval(writer: ProtobufWriter, { startMs, timeMs }: Interval): void {
  if (startMs !== undefined) writer.integer64(2, startMs * 1e6);
  writer.integer64(3, timeMs * 1e6);
}

function writeExtreme(writer: ProtobufWriter, field: number, value: number | undefined): void {
  if (value !== undefined && !Number.isNaN(value)) writer.double(field, value);
}

function writeExemplar(writer: ProtobufWriter, field: number, exemplar: Exemplar, asInt: boolean): void {
  const mark = writer.begin(field);
  writer.integer64(2, exemplar.timeMs * 1e6);
  if (asInt && Number.isSafeInteger(exemplar.value)) writer.integer64(6, exemplar.value);
  else writer.double(3, exemplar.value);
  writer.hex(4, exemplar.spanId);
  writer.hex(5, exemplar.traceId);
  writer.end(mark);
}
