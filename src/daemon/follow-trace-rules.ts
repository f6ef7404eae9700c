/** Keeps this node's recorder at the trace rules that the watch cache shows. */
import type { TraceRule } from "#model/trace-rule.ts";
import type { StoreView } from "#store/store-view.ts";
import type { WatchCache } from "#store/watch-cache.ts";
import type { SpanRecorder } from "#telemetry/recorder/recorder.ts";
import type { VmTraceRule } from "#telemetry/recorder/vm-rules.ts";

export interface FollowTraceRulesOptions {
  readonly cache: Pick<WatchCache, "snapshot" | "subscribe">;
  readonly recorder: Pick<SpanRecorder, "setRules">;
}

/** Ends by the signal, or when the cache stops. Rules that end by time end by the recorder's clock. */
export async function followTraceRules(
  { cache, recorder }: FollowTraceRulesOptions,
  signal: AbortSignal,
): Promise<void> {
  for await (const change of cache.subscribe(signal)) {
    const view = cache.snapshot();
    const rules = [...view.traceRules.values()];
    const isTouched = rules.some(({ vmId }) => change.vmIds.has(vmId));
    if (change.everything || change.traceRules || isTouched) recorder.setRules(rules.map((rule) => toRule(rule, view)));
  }
}

/** A name is given anew after a VM is deleted: then it means another one. */
function toRule({ vmId, vmName, expireTimeMs }: TraceRule, view: StoreView): VmTraceRule {
  return { vmId, vmName: view.vmIdByName(vmName) === vmId ? vmName : undefined, expireTimeMs };
}
