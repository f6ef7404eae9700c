/**
 * Whether the ratio exports a trace: decided by the trace id alone, so that every
 * node with the same ratio decides alike, and a higher ratio exports all that a
 * lower one does. The right-most 56 bits are the random ones (W3C Trace Context
 * Level 2; OpenTelemetry's consistent probability sampling).
 */
export function isSampledByRatio(traceId: string, ratio: number): boolean {
  if (!(ratio > 0)) return false;
  if (ratio >= 1) return true;
  const randomness = Number.parseInt(traceId.slice(18), 16) / 2 ** 56;
  return randomness >= 1 - ratio;
}
