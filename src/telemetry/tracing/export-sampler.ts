/**
 * The SDK's sampler: everything is recorded; the sampled flag says whether it is
 * also exported as it ends. The decision falls at the root and is continued:
 *
 *   no parent, or a parent that leaves it to us → the ratio, by trace id
 *   sampled parent                              → sampled
 *   unsampled parent                            → not, unless its trace was promoted here
 */
import { trace, type Context } from "@opentelemetry/api";
import { SamplingDecision, type Sampler } from "@opentelemetry/sdk-trace";
import { UNDECIDED_TRACE_STATE } from "#model/trace-context.ts";
import { isSampledByRatio } from "./trace-id-ratio.ts";

export interface ExportSamplerOptions {
  readonly samplingRatio: number;
  readonly isPromoted: (traceId: string) => boolean;
}

const [UNDECIDED_KEY = "", UNDECIDED_VALUE = ""] = UNDECIDED_TRACE_STATE.split("=");

export function createExportSampler({ samplingRatio, isPromoted }: ExportSamplerOptions): Sampler {
  const decide = (sampled: boolean): SamplingDecision =>
    sampled ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.RECORD;
  return {
    shouldSample(context: Context, traceId: string) {
      const parent = trace.getSpanContext(context);
      if (parent === undefined || parent.traceId !== traceId) {
        return { decision: decide(isSampledByRatio(traceId, samplingRatio)) };
      }
      if (parent.traceState?.get(UNDECIDED_KEY) === UNDECIDED_VALUE) {
        // Decided now: whoever continues this trace finds only the flag.
        const traceState = parent.traceState.unset(UNDECIDED_KEY);
        return { decision: decide(isSampledByRatio(traceId, samplingRatio)), traceState };
      }
      return { decision: decide((parent.traceFlags & 1) === 1 || isPromoted(traceId)) };
    },
    toString: () => `RecordAlways{export=${samplingRatio}}`,
  };
}
