/** `blixard.telemetry.recorder.*`: how full the recorder is. */
import {
  telemetryRecorderSpanCount,
  telemetryRecorderSpanDropped,
  telemetryRecorderSpanLimit,
} from "#gen/telemetry/metrics.ts";
import type { Metrics } from "../port.ts";
import type { SpanRecorder } from "./recorder.ts";

const INTERVAL_MS = 5_000;

/** Dispose to end its series. */
export function observeRecorder(metrics: Metrics, recorder: Pick<SpanRecorder, "usage">): Disposable {
  return metrics.observeGroup({
    name: "recorder",
    metrics: [telemetryRecorderSpanCount, telemetryRecorderSpanLimit, telemetryRecorderSpanDropped],
    intervalMs: INTERVAL_MS,
    timeoutMs: INTERVAL_MS,
    collect: async (observer) => {
      const usage = recorder.usage();
      observer.observe(telemetryRecorderSpanCount, usage.spans, {});
      observer.observe(telemetryRecorderSpanLimit, usage.maximumSpans, {});
      observer.observe(telemetryRecorderSpanDropped, usage.droppedSpans, {});
    },
  });
}
