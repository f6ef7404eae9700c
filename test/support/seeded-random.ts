/** Random numbers that a seed repeats (mulberry32). */
export interface SeededRandom {
  /** 0 (inclusive) to 1. */
  next(): number;
  /** A whole number from 0 to `bound` (exclusive). */
  below(bound: number): number;
  between(minimum: number, maximum: number): number;
  chance(probability: number): boolean;
  pick<T>(values: readonly T[]): T;
}

/** The seed of this run's choices: BLIXARD_TEST_SEED repeats them. Tests say it (`context.diagnostic`). */
export function testSeed(): number {
  return Number(process.env["BLIXARD_TEST_SEED"] ?? Date.now() % 1_000_000);
}

export function createSeededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }
  const below = (bound: number): number => Math.floor(next() * bound);
  return {
    next,
    below,
    between: (minimum, maximum) => minimum + next() * (maximum - minimum),
    chance: (probability) => next() < probability,
    pick(values) {
      const value = values[below(values.length)];
      if (value === undefined) throw new Error("nothing to pick from");
      return value;
    },
  };
}
