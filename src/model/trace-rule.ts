/**
 * A wish to see everything about one VM for a while: the traces of its operations are
 * exported whatever the sampling ratio, until the rule ends by itself.
 */
import { BlixardError } from "./errors.ts";
import { invalid } from "./names.ts";

export interface TraceRule {
  /** UUID. */
  readonly id: string;
  readonly vmId: string;
  /** The VM's name when the rule was made. */
  readonly vmName: string;
  readonly createTimeMs: number;
  readonly expireTimeMs: number;
  /** Of the call that made it. */
  readonly traceId: string | undefined;
}

export const traceRuleLimits = {
  rules: 100,
  minimumDurationMs: 1_000,
  maximumDurationMs: 24 * 3_600_000,
} as const;

const RULE_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** @throws BlixardError INVALID_ARGUMENT */
export function checkTraceRuleDuration(durationMs: number, field = "duration"): number {
  const { minimumDurationMs, maximumDurationMs } = traceRuleLimits;
  if (durationMs >= minimumDurationMs && durationMs <= maximumDurationMs) return durationMs;
  throw invalid(field, "a rule cannot last that long, or that briefly", "Use 1 s to 24 h.");
}

/** @throws BlixardError INVALID_ARGUMENT */
export function parseTraceRuleId(value: string, field = "ruleId"): string {
  if (RULE_ID.test(value)) return value;
  throw invalid(field, "this is not the id of a rule", "Give an id that `blixard telemetry trace --list` shows.");
}

export function tooManyTraceRules(): BlixardError {
  return new BlixardError("TOO_MANY_REQUESTS", `there are ${traceRuleLimits.rules} rules already`, {
    hint: "End one with `blixard telemetry trace --stop RULE_ID`, or wait until one ends.",
  });
}
