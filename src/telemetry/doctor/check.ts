/** What the doctor says: one line for each thing that it looked at. */
import type { OtlpSignal } from "../otlp/destination.ts";
import type { FindingId } from "./findings.ts";

/** In the order in which they are done. */
export const doctorSteps = [
  "configuration",
  "resolve",
  "connect",
  "tls",
  "send",
  "authenticate",
  "acknowledge",
  "read_back",
  "page",
  "duplicates",
  "clock",
  "delivery",
  "queue",
  "spool",
  "drops",
  "cardinality",
  "deadline",
] as const;
export type DoctorStep = (typeof doctorSteps)[number];

/** `warning`: it works, but not as it should. `skipped`: nothing to check, or an earlier step failed. */
export type CheckOutcome = "ok" | "warning" | "failed" | "skipped";

/** What was seen, what it means, and what to do about it. */
export interface Verdict {
  readonly outcome: CheckOutcome;
  /** What was seen. No secret is in it. */
  readonly message: string;
  /** Absent when all is well. */
  readonly finding?: FindingId;
  /** What to do. */
  readonly fix?: string;
}

export interface DoctorCheck extends Verdict {
  /** A destination without credentials, a backend, `scrape` or `node`. */
  readonly target: string;
  /** Absent where it concerns no signal, or all of them. */
  readonly signal?: OtlpSignal;
  readonly step: DoctorStep;
  readonly durationMs: number;
}

export interface DoctorSummary {
  readonly outcome: CheckOutcome;
  readonly ok: number;
  readonly warnings: number;
  readonly failed: number;
  readonly skipped: number;
  /** The trace of the canaries. */
  readonly traceId: string;
}

export type DoctorEvent =
  | { readonly kind: "check"; readonly check: DoctorCheck }
  /** The last one. */
  | { readonly kind: "summary"; readonly summary: DoctorSummary };

export function ok(message: string): Verdict {
  return { outcome: "ok", message };
}

export function skipped(message: string): Verdict {
  return { outcome: "skipped", message };
}

/** The worst of all; `ok` when there is none. */
export function summarize(checks: readonly DoctorCheck[], traceId: string): DoctorSummary {
  const count = (outcome: CheckOutcome): number => checks.filter((check) => check.outcome === outcome).length;
  const [failed, warnings, okCount, skippedCount] = [count("failed"), count("warning"), count("ok"), count("skipped")];
  const worst = failed > 0 ? "failed" : warnings > 0 ? "warning" : okCount > 0 ? "ok" : "skipped";
  return { outcome: worst, ok: okCount, warnings, failed, skipped: skippedCount, traceId };
}
