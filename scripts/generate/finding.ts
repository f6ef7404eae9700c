/** What a check holds against the registry, or against what a running node emits. */

/**
 * Weaver's levels. A violation breaks a rule, an improvement should be made, an
 * information is only told: the first two fail a check.
 */
export type FindingLevel = "violation" | "improvement" | "information";

export interface Finding {
  /** Weaver's id where it has one for the case, ours where it has not. */
  readonly id: string;
  readonly level: FindingLevel;
  /** Name of the signal or attribute. */
  readonly subject: string;
  readonly message: string;
  /** Below `telemetry/registry`; empty for what was emitted. */
  readonly file: string;
}

export function isFailure({ level }: Finding): boolean {
  return level !== "information";
}
