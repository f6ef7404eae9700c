/**
 * The span recorder: every finished span is kept here, whatever the sampling
 * ratio, so that `vm trace` is complete; export is decided separately.
 *
 *   span ends ─→ kept ─┬─ sampled, or its trace was promoted ──────────→ exported
 *                      ├─ failed, slow, or ruled: the trace is promoted → it and all held ones exported
 *                      └─ else held ─ (promotion later exports it) ─ or evicted with its trace
 *
 * A rule about a VM promotes as soon as a span says that it concerns that VM, at best
 * before the trace has left this node. Called by tracing at the start and end of each
 * span, by the API (`trace`, `ingest`), and by whoever follows the rules (`setRules`).
 * It never blocks and never talks to the network.
 */
import type { RecordedSpan, SpanResource } from "#model/recorded-span.ts";
import { isSampledByRatio } from "../tracing/trace-id-ratio.ts";
import { checkIngestedSpans, type IngestResult, type IngestSource } from "./ingest.ts";
import { createTraceStore, type StoredTrace, type TraceStoreLimits } from "./trace-store.ts";
import { createVmRules, type VmTraceRule } from "./vm-rules.ts";

export interface RecordedTrace {
  /** By start time. */
  readonly spans: readonly RecordedSpan[];
  /** Spans of this trace that did not fit. */
  readonly droppedSpans: number;
  /** Whether the trace goes to the OTLP endpoint, as far as it is known here. */
  readonly exported: boolean;
}

export interface RecorderUsage {
  readonly spans: number;
  readonly bytes: number;
  readonly traces: number;
  /** The most spans there may be. */
  readonly maximumSpans: number;
  /** Evicted or refused for want of room, since start. */
  readonly droppedSpans: number;
}

export interface SpanRecorder {
  /** What this node recorded of a trace; undefined when it knows nothing of it (any more). */
  trace(traceId: string): RecordedTrace | undefined;
  /**
   * Takes spans that another process finished. Broken ones are left out and
   * counted, hostile sizes are cut; they never promote a trace.
   */
  ingest(spans: readonly RecordedSpan[], source: IngestSource): IngestResult;
  usage(): RecorderUsage;
  /** From now on traces that touch these VMs are exported, until each rule ends; in place of earlier rules. */
  setRules(rules: readonly VmTraceRule[]): void;
}

export interface RecordingPipeline extends SpanRecorder {
  /** `sampled`: the flag of the span's own context. */
  record(span: RecordedSpan, sampled: boolean): void;
  /** Promotes the trace if a rule is about the VM that a span of it names. */
  applyRules(traceId: string, attributes: Readonly<Record<string, unknown>>): void;
  /** Whether an error, slowness or a rule has decided that this trace is exported. */
  isPromoted(traceId: string): boolean;
}

export interface RecorderOptions {
  /** The node's: its place is that of spans which are handed in, too. */
  readonly resource: SpanResource;
  readonly samplingRatio: number;
  /** By span name; longer ones promote their trace. */
  readonly slowThresholdsMs?: Readonly<Record<string, number>> | undefined;
  readonly limits?: Partial<TraceStoreLimits> | undefined;
  readonly exportSpan: (span: RecordedSpan) => void;
  readonly now: () => number;
}

const DEFAULT_LIMITS: TraceStoreLimits = {
  maximumSpans: 20_000,
  maximumBytes: 32 * 1024 * 1024,
  maximumSpansPerTrace: 2_000,
};

/** Longer ones are worth a look whatever the ratio. Streams are long by nature: no RPC is among these. */
const DEFAULT_SLOW_THRESHOLDS_MS: Readonly<Record<string, number>> = {
  "node.start": 60_000,
  "vm.place": 5_000,
  "vm.start": 60_000,
  "vm.stop": 60_000,
  "vm.delete": 60_000,
  "image.materialize": 60_000,
};

export function createRecorder(options: RecorderOptions): RecordingPipeline {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const store = createTraceStore(limits);
  const rules = createVmRules(options.now);
  const thresholdsNano = new Map(
    Object.entries({ ...DEFAULT_SLOW_THRESHOLDS_MS, ...options.slowThresholdsMs }).map(([name, thresholdMs]) => [
      name,
      BigInt(Math.ceil(thresholdMs * 1e6)),
    ]),
  );

  function isNotable(span: RecordedSpan): boolean {
    if (span.status.code === "error" || rules.matches(span.attributes)) return true;
    const thresholdNano = thresholdsNano.get(span.name);
    return thresholdNano !== undefined && span.endUnixNano - span.startUnixNano > thresholdNano;
  }

  function promote(trace: StoredTrace): void {
    trace.promoted = true;
    for (const held of trace.held ?? []) options.exportSpan(held);
    trace.held = undefined;
  }

  function record(span: RecordedSpan, sampled: boolean, mayPromote = true): void {
    const { trace, kept } = store.add(span);
    if (sampled) trace.sampled = true;
    if (sampled || trace.promoted) {
      options.exportSpan(span);
    } else if (mayPromote && isNotable(span)) {
      promote(trace);
      options.exportSpan(span);
    } else if (kept) {
      (trace.held ??= []).push(span);
    }
  }

  return {
    record,
    setRules: (wanted) => rules.set(wanted),
    applyRules(traceId, attributes) {
      if (!rules.matches(attributes)) return;
      const trace = store.open(traceId);
      if (!trace.promoted) promote(trace);
    },
    isPromoted: (traceId) => store.get(traceId)?.promoted ?? false,
    trace(traceId) {
      const trace = store.get(traceId);
      if (trace === undefined || trace.spans.length === 0) return undefined;
      return {
        spans: trace.spans.toSorted(byStart),
        droppedSpans: trace.droppedSpans,
        exported: trace.sampled || trace.promoted,
      };
    },
    ingest(spans, source) {
      const { accepted, rejected } = checkIngestedSpans(spans, source, options.resource, options.now());
      for (const span of accepted) {
        const trace = store.get(span.traceId);
        if (trace?.spans.some((known) => known.spanId === span.spanId) === true) continue;
        const sampled = trace === undefined ? isSampledByRatio(span.traceId, options.samplingRatio) : trace.sampled;
        record(span, sampled, false);
      }
      return { accepted: accepted.length, rejected };
    },
    usage: () => ({ ...store.usage(), maximumSpans: limits.maximumSpans }),
  };
}

function byStart(left: RecordedSpan, right: RecordedSpan): number {
  if (left.startUnixNano === right.startUnixNano) return left.endUnixNano > right.endUnixNano ? -1 : 1;
  return left.startUnixNano < right.startUnixNano ? -1 : 1;
}
