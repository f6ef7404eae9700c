/** The metrics port that does nothing, for `enabled = false`. */
import type { CellsByInstrument, Metrics } from "../port.ts";

/** Takes every measurement and keeps none. */
export const inertCell = { add() {}, set() {}, record() {}, remove() {} } as const;

export function createInertMetrics(): Metrics {
  return {
    bind: (descriptor) => inertCell as CellsByInstrument[(typeof descriptor)["instrument"]],
    observeGroup: () => ({ [Symbol.dispose]() {} }),
  };
}
