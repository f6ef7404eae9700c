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
  readonly traceId: string;
  /** In the order they ended. */
  readonly spans: RecordedSpan[];
  /** Those of `spans` that were not exported, if any. */
  held: RecordedSpan[] | undefined;
  bytes: number;
  /** Spans that came after the trace was full. */
  droppedSpans: number;
  /** Some span of it was sampled: the root's decision. */
  sampled: boolean;
  /** An error, slowness or a rule decided that all of it is exported. */
  promoted: boolean;
}

export interface TraceStore {
  get(traceId: string): StoredTrace | undefined;
  /** The trace, also before its first span has ended. */
  open(traceId: string): StoredTrace;
  /** Keeps the span, evicting what has to leave. Returns its trace and whether the span was kept. */
  add(span: RecordedSpan): { readonly trace: StoredTrace; readonly kept: boolean };
  usage(): { readonly spans: number; readonly bytes: number; readonly traces: number; readonly droppedSpans: number };
}

/** Traces with fewer spans are brief; a VM's create has a dozen and more. */
const BRIEF_TRACE_SPANS = 4;
/** Brief traces leave first while they hold more than this share of the budget. */
const BRIEF_TRACE_SHARE = 0.25;

export function createTraceStore(limits: TraceStoreLimits): TraceStore {
  const traces = new Map<string, Entry>();
  const brief = new Segment();
  const long = new Segment();
  let droppedSpans = 0;

  const segmentOf = (trace: Entry): Segment => (trace.spans.length < BRIEF_TRACE_SPANS ? brief : long);

  function isOver(share: number, spans: number, bytes: number): boolean {
    return spans > limits.maximumSpans * share || bytes > limits.maximumBytes * share;
  }

  function evict(): void {
    while (isOver(1, brief.spans + long.spans, brief.bytes + long.bytes)) {
      const briefFirst = isOver(BRIEF_TRACE_SHARE, brief.spans, brief.bytes);
      const oldest = (briefFirst ? brief.first : long.first) ?? brief.first;
      if (oldest === undefined) return;
      segmentOf(oldest).remove(oldest);
      traces.delete(oldest.traceId);
      droppedSpans += oldest.spans.length;
    }
  }

  function open(traceId: string): Entry {
    return traces.getOrInsertComputed(traceId, () => {
      const trace = createEntry(traceId);
      segmentOf(trace).append(trace);
      return trace;
    });
  }

  return {
    get: (traceId) => traces.get(traceId),
    open,
    add(span) {
      const trace = open(span.traceId);
      segmentOf(trace).remove(trace);
      const kept = trace.spans.length < limits.maximumSpansPerTrace;
      if (kept) {
        trace.spans.push(span);
        trace.bytes += estimateSpanBytes(span);
      } else {
        trace.droppedSpans++;
        droppedSpans++;
      }
      segmentOf(trace).append(trace);
      evict();
      return { trace, kept };
    },
    usage: () => ({
      spans: brief.spans + long.spans,
      bytes: brief.bytes + long.bytes,
      traces: traces.size,
      droppedSpans,
    }),
  };
}

interface Entry extends StoredTrace {
  previous: Entry | undefined;
  next: Entry | undefined;
}

function createEntry(traceId: string): Entry {
  return {
    traceId,
    spans: [],
    held: undefined,
    bytes: 0,
    droppedSpans: 0,
    sampled: false,
    promoted: false,
    previous: undefined,
    next: undefined,
  };
}

/** Traces in the order of their last span, as a linked list: moving one to the end is a few assignments. */
class Segment {
  first: Entry | undefined;
  #last: Entry | undefined;
  spans = 0;
  bytes = 0;

  append(trace: Entry): void {
    trace.previous = this.#last;
    trace.next = undefined;
    if (this.#last === undefined) this.first = trace;
    else this.#last.next = trace;
    this.#last = trace;
    this.spans += trace.spans.length;
    this.bytes += trace.bytes;
  }

  remove(trace: Entry): void {
    const { previous, next } = trace;
    if (previous === undefined) this.first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    this.spans -= trace.spans.length;
    this.bytes -= trace.bytes;
  }
}
