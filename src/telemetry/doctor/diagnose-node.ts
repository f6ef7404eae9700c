/** From the state of the node's own telemetry to findings: pure. */
import type { CardinalityReport, MetricCardinality } from "../metrics/cardinality.ts";
import type { DestinationStatus } from "../otlp/destination-status.ts";
import { ok, skipped, type DoctorStep, type Verdict } from "./check.ts";
import { found, type Subject } from "./findings.ts";
import type { ClockObservation } from "./observations.ts";

/** Beyond the uncertainty of the measurement. */
const TOLERATED_SKEW_MS = 2_000;
/** Above this share of a limit it is near. */
const NEAR_LIMIT = 0.8;
const MAXIMUM_NAMED = 3;

export function diagnoseClock({ skewMs, uncertaintyMs }: ClockObservation): Verdict {
  const skewSeconds = Math.abs(skewMs) / 1_000;
  const least = Math.abs(skewMs) - uncertaintyMs;
  if (least <= TOLERATED_SKEW_MS) return ok(`the clocks agree to ${Math.max(1, Math.ceil(skewSeconds))} s`);
  const direction = skewMs > 0 ? "ahead of" : "behind";
  return found("clock_skew", `the clock of this node is ${skewSeconds.toFixed(0)} s ${direction} the destination's`);
}

export interface StepVerdict {
  readonly step: DoctorStep;
  readonly verdict: Verdict;
}

/** How the real exports to one destination fare. */
export function diagnoseDelivery(status: DestinationStatus, subject: Subject): readonly StepVerdict[] {
  return [
    { step: "delivery", verdict: diagnoseState(status, subject) },
    ...(status.queue.capacity > 0 ? [{ step: "queue", verdict: diagnoseQueue(status) } as const] : []),
    ...(status.spool === undefined ? [] : [{ step: "spool", verdict: diagnoseSpool(status.spool) } as const]),
    { step: "drops", verdict: diagnoseDrops(status) },
  ];
}

function diagnoseState({ state, lastError, exportedItems, signal }: DestinationStatus, subject: Subject): Verdict {
  switch (state) {
    case "ok":
      return ok(`${exportedItems} items of ${signal} exported`);
    case "starting":
      return ok("nothing was exported yet");
    case "unsupported":
      return found(
        "signal_unsupported",
        `${signal} are suspended: ${lastError?.reason ?? "they are not taken"}`,
        subject,
      );
    case "failing": {
      const reason = lastError?.reason ?? "unknown";
      const id = signal === "metrics" && /delta|temporality/i.test(reason) ? "delta_refused" : "delivery_failing";
      return found(id, `the last export failed: ${reason}`, subject);
    }
  }
}

function diagnoseQueue({ queue: { items, capacity } }: DestinationStatus): Verdict {
  const seen = `${items} of ${capacity} items wait`;
  return items > NEAR_LIMIT * capacity ? found("queue_nearly_full", seen) : ok(seen);
}

function diagnoseSpool({ bytes, limitBytes, items }: NonNullable<DestinationStatus["spool"]>): Verdict {
  if (items === 0) return ok("empty");
  const seen = `${items} items wait on disk, ${Math.ceil((100 * bytes) / limitBytes)} % of the spool`;
  return found(bytes > NEAR_LIMIT * limitBytes ? "spool_nearly_full" : "spool_in_use", seen);
}

function diagnoseDrops({ droppedItems, failedItems, signal }: DestinationStatus): Verdict {
  if (droppedItems + failedItems === 0) return ok("nothing was lost");
  return found(
    "signals_dropped",
    `since the start ${failedItems} items of ${signal} failed for good and ${droppedItems} had no room`,
  );
}

export function diagnoseCardinality(report: CardinalityReport | undefined): Verdict {
  if (report === undefined) return skipped("metrics are off");
  const exceeded = report.metrics.filter(({ overflows }) => overflows > 0);
  if (exceeded.length > 0) {
    return found("cardinality_exceeded", `series were merged, because a limit was reached: ${nameMetrics(exceeded)}`);
  }
  const near = report.metrics.filter(({ series, limit }) => series > NEAR_LIMIT * limit);
  if (near.length > 0) return found("cardinality_near_limit", `over 80 % of the limit: ${nameMetrics(near)}`);
  return ok(`${report.series} series of ${report.metrics.length} metrics, none near its limit`);
}

function nameMetrics(metrics: readonly MetricCardinality[]): string {
  const named = metrics.slice(0, MAXIMUM_NAMED).map(({ name, series, limit }) => `${name} (${series} of ${limit})`);
  return named.join(", ") + (metrics.length > MAXIMUM_NAMED ? `, and ${metrics.length - MAXIMUM_NAMED} more` : "");
}
