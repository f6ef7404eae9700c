/**
 * Finished spans by trace, within a budget of spans and bytes.
 *
 * Whole traces leave, the one that was quiet for longest first: half a waterfall
 * explains nothing. Brief traces (reads, probes) may push out only each other once
 * they hold more than their share, so polling `vm list` cannot wash away the
 * trace of yesterday's create.
 */
import type { RecordedSpan } from "#model/recorded-span.ts";
import { estimateSpanBytes } from "./span-size.ts";

export interface TraceStoreLimits {
  readonly maximumSpans: number;
  readonly maximumBytes: number;
  readonly maximumSpansPerTrace: number;
}

export interface StoredTrace {
  /** In the order they ended. */
  readonly spans: RecordedSpan[];
  /** Those of `spans` that were not exported. */
  held: RecordedSpan[];
  bytes: number;
  /** Spans that came after the trace was full. */
  droppedSpans: number;
  /** Some span of it was sampled: the root's decision. */
  sampled: boolean;
  /** An error or slowness decided that all of it is exported. */
  promoted: boolean;
}

export interface TraceStore {
  get(traceId: string): StoredTrace | undefined;
  /** Keeps the span, evicting what has to leave. Returns its trace and whether the span was kept. */
  add(span: RecordedSpan): { readonly trace: StoredTrace; readonly kept: boolean };
  usage(): { readonly spans: number; readonly bytes: number; readonly traces: number; readonly droppedSpans: number };
}

/** Traces with fewer spans are brief; a VM's create has a dozen and more. */
const BRIEF_TRACE_SPANS = 4;
/** Brief traces leave first while they hold more than this share of the budget. */
const BRIEF_TRACE_SHARE = 0.25;

interface Segment {
  readonly traces: Map<string, StoredTrace>;
  spans: number;
  bytes: number;
}

export function createTraceStore(limits: TraceStoreLimits): TraceStore {
  const brief: Segment = { traces: new Map(), spans: 0, bytes: 0 };
  const long: Segment = { traces: new Map(), spans: 0, bytes: 0 };
  let droppedSpans = 0;

  function take(traceId: string): StoredTrace | undefined {
    for (const segment of [brief, long]) {
      const trace = segment.traces.get(traceId);
      if (trace === undefined) continue;
      segment.traces.delete(traceId);
      segment.spans -= trace.spans.length;
      segment.bytes -= trace.bytes;
      return trace;
    }
    return undefined;
  }

  /** At the end of its segment: a Map keeps insertion order, so the first is the longest quiet. */
  function put(traceId: string, trace: StoredTrace): void {
    const segment = trace.spans.length < BRIEF_TRACE_SPANS ? brief : long;
    segment.traces.set(traceId, trace);
    segment.spans += trace.spans.length;
    segment.bytes += trace.bytes;
  }

  function isOver(share: number, segments: readonly Segment[]): boolean {
    const spans = segments.reduce((sum, segment) => sum + segment.spans, 0);
    const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
    return spans > limits.maximumSpans * share || bytes > limits.maximumBytes * share;
  }

  function evict(): void {
    while (isOver(1, [brief, long])) {
      const briefFirst = isOver(BRIEF_TRACE_SHARE, [brief]) || long.traces.size === 0;
      const oldest = (briefFirst ? brief : long).traces.keys().next().value;
      if (oldest === undefined) return;
      droppedSpans += take(oldest)?.spans.length ?? 0;
    }
  }

  return {
    get: (traceId) => brief.traces.get(traceId) ?? long.traces.get(traceId),
    add(span) {
      const trace = take(span.traceId) ?? createStoredTrace();
      const kept = trace.spans.length < limits.maximumSpansPerTrace;
      if (kept) {
        trace.spans.push(span);
        trace.bytes += estimateSpanBytes(span);
      } else {
        trace.droppedSpans++;
        droppedSpans++;
      }
      put(span.traceId, trace);
      evict();
      return { trace, kept };
    },
    usage: () => ({
      spans: brief.spans + long.spans,
      bytes: brief.bytes + long.bytes,
      traces: brief.traces.size + long.traces.size,
      droppedSpans,
    }),
  };
}

function createStoredTrace(): StoredTrace {
  return { spans: [], held: [], bytes: 0, droppedSpans: 0, sampled: false, promoted: false };
}
