/**
 * OpenTelemetry's exponential buckets as Prometheus's native ones. Both have the bounds
 * 2^(i·2^-scale), but OpenTelemetry numbers a bucket by its lower bound and Prometheus by its
 * upper one. Source: Prometheus "Native histograms"; OpenTelemetry metrics data model.
 */
import type { ExponentialBuckets } from "../metrics/snapshot.ts";

export interface NativeHistogram {
  /** -4 to 8. */
  readonly schema: number;
  readonly zeroCount: number;
  readonly spans: readonly BucketSpan[];
  /** Each count's difference from the one before, over all spans. */
  readonly deltas: readonly number[];
}

export interface BucketSpan {
  /** The first: index of its first bucket. The others: empty buckets since the one before. */
  readonly offset: number;
  readonly length: number;
}

/**
 * Only what is exactly 0 is in the zero bucket, but above zero it marks a histogram as native even while it is empty.
 * Prometheus and the Collector take this for an OTLP histogram that says nothing of it: so both ways are equal.
 */
export const ZERO_THRESHOLD = 1e-128;

const MINIMUM_SCHEMA = -4;
const MAXIMUM_SCHEMA = 8;
/** A gap up to this costs less as empty buckets than as a new span. */
const MAXIMUM_GAP = 2;

/** Undefined when the buckets are wider than Prometheus has them. */
export function nativeHistogramOf(buckets: ExponentialBuckets): NativeHistogram | undefined {
  if (buckets.scale < MINIMUM_SCHEMA) return undefined;
  const schema = Math.min(buckets.scale, MAXIMUM_SCHEMA);
  const counts = countsByIndex(buckets, buckets.scale - schema);
  const spans: { offset: number; length: number }[] = [];
  const deltas: number[] = [];
  let end = 0;
  let last = 0;
  for (const [index, count] of counts) {
    const gap = index - end;
    const span = spans.at(-1);
    if (span === undefined || gap > MAXIMUM_GAP) {
      spans.push({ offset: gap, length: 1 });
    } else {
      for (let empty = 0; empty < gap; empty++) {
        deltas.push(0 - last);
        last = 0;
      }
      span.length += gap + 1;
    }
    deltas.push(count - last);
    last = count;
    end = index + 1;
  }
  return { schema, zeroCount: buckets.zeroCount, spans, deltas };
}

/** Prometheus's index and the count of each bucket that has one, ascending; 2^`shift` neighbours become one. */
function countsByIndex({ positiveOffset, positiveCounts }: ExponentialBuckets, shift: number): Map<number, number> {
  const counts = new Map<number, number>();
  for (let place = 0; place < positiveCounts.length; place++) {
    const count = positiveCounts[place] ?? 0;
    if (count === 0) continue;
    const index = Math.floor((positiveOffset + place) / 2 ** shift) + 1;
    counts.set(index, (counts.get(index) ?? 0) + count);
  }
  return counts;
}
