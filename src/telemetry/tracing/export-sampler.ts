/**
 * The SDK's sampler: everything is recorded; the sampled flag says whether it is
 * also exported as it ends. The decision falls at the root and is continued:
 *
 *   no parent, or a parent that leaves it to us → the ratio, by trace id
 *   sampled parent                              → sampled
 *   unsampled parent                            → not, unless its trace was promoted here
 *
 * A rule about what the span concerns promotes its trace before any of this.
 */
import { trace, type Attributes, type Context, type SpanKind } from "@opentelemetry/api";
import { SamplingDecision, type Sampler } from "@opentelemetry/sdk-trace";
import { UNDECIDED_TRACE_STATE } from "#model/trace-context.ts";
import { isSampledByRatio } from "./trace-id-ratio.ts";

export interface ExportSamplerOptions {
  readonly samplingRatio: number;
  readonly isPromoted: (traceId: string) => boolean;
  readonly applyRules: (traceId: string, attributes: Attributes) => void;
}

const [UNDECIDED_KEY = "", UNDECIDED_VALUE = ""] = UNDECIDED_TRACE_STATE.split("=");

export function createExportSampler({ samplingRatio, isPromoted, applyRules }: ExportSamplerOptions): Sampler {
  const decide = (sampled: boolean): SamplingDecision =>
    sampled ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.RECORD;
  return {
    shouldSample(context: Context, traceId: string, _name: string, _kind: SpanKind, attributes: Attributes) {
      applyRules(traceId, attributes);
      const parent = trace.getSpanContext(context);
      const isRoot = parent === undefined || parent.traceId !== traceId;
      const byUs = (): SamplingDecision => decide(isSampledByRatio(traceId, samplingRatio) || isPromoted(traceId));
      if (isRoot) return { decision: byUs() };
      if (parent.traceState?.get(UNDECIDED_KEY) === UNDECIDED_VALUE) {
        // Decided now: whoever continues this trace finds only the flag.
        const traceState = parent.traceState.unset(UNDECIDED_KEY);
        return { decision: byUs(), traceState };
      }
      return { decision: decide((parent.traceFlags & 1) === 1 || isPromoted(traceId)) };
    },
    toString: () => `RecordAlways{export=${samplingRatio}}`,
  };
}
