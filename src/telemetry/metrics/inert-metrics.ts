/** The metrics port that does nothing, for `enabled = false`. */
import type { Metrics } from "../port.ts";

/** Takes every measurement and keeps none. */
export const inertCell = { add() {}, set() {}, record() {}, remove() {} } as const;

export function createInertMetrics(): Metrics {
  return {
    bind: () => inertCell,
    observeGroup: () => ({ [Symbol.dispose]() {} }),
  };
}
