/**
 * Deltas added up. The SDK tells asynchronous sums as deltas here, because only then
 * does it stop telling of series that are no longer observed. The SDK bounds how many
 * there are of one metric in its whole life (2,000), and so what is kept here.
 */
import type { ForeignPoint } from "../metrics/foreign-metrics.ts";

interface Total {
  value: number;
  startTimeMs: number;
  collection: number;
}

/** Of one metric. */
export class RunningTotals {
  readonly #byAttributes = new Map<string, Total>();
  readonly #isMonotonic: boolean;

  constructor(isMonotonic: boolean) {
    this.#isMonotonic = isMonotonic;
  }

  /** All points of one collection; collections have consecutive numbers. */
  add(points: readonly ForeignPoint[], collection: number): ForeignPoint[] {
    return points.flatMap((point): ForeignPoint[] => {
      if (typeof point.value !== "number") return [];
      const total = this.#totalOf(point);
      // After a gap a counter begins anew; of an up-down counter the difference is to what it was before.
      if (this.#isMonotonic && total.collection !== collection - 1) {
        total.value = 0;
        total.startTimeMs = point.startTimeMs;
      }
      total.value += point.value;
      total.collection = collection;
      return [{ ...point, startTimeMs: total.startTimeMs, value: total.value }];
    });
  }

  #totalOf({ attributes, startTimeMs }: ForeignPoint): Total {
    return this.#byAttributes.getOrInsertComputed(JSON.stringify(attributes), () => ({
      value: 0,
      startTimeMs,
      collection: Number.NaN,
    }));
  }
}
