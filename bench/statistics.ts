/**
 * Paired measurements with their uncertainty. Machines are noisy: two variants
 * run in strictly alternating blocks of one run, the ratio of each pair is one
 * observation, and a limit fails only when the whole 95 % interval lies beyond it.
 */

import { createSeededRandom } from "#test/support/seeded-random.ts";

export interface Interval {
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  if (sorted.length === 0) throw new Error("a quantile of nothing");
  const position = (sorted.length - 1) * q;
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

const RESAMPLES = 2000;

/** A statistic of the values with its 95 % percentile-bootstrap interval; the resampling is seeded, so a run repeats. */
export function bootstrap<T>(values: readonly T[], statistic: (sample: readonly T[]) => number): Interval {
  const random = createSeededRandom(0x9e3779b9);
  const estimates: number[] = [];
  for (let round = 0; round < RESAMPLES; round++) {
    const sample = values.map(() => random.pick(values));
    estimates.push(statistic(sample));
  }
  return { estimate: statistic(values), low: quantile(estimates, 0.025), high: quantile(estimates, 0.975) };
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

export type Budget = { readonly atMost: number } | { readonly atLeast: number };

/** Whether the interval lies wholly beyond the budget. */
export function isBeyond(interval: Interval, budget: Budget): boolean {
  return "atMost" in budget ? interval.low > budget.atMost : interval.high < budget.atLeast;
}
