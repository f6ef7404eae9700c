/**
 * Base-2 exponential buckets that find their own scale: it begins at 8 and falls by
 * one whenever the measurements span more than 160 buckets. Source: OpenTelemetry
 * metrics data model, "ExponentialHistogram".
 *
 * 8 is as fine as Prometheus's native histograms go (0.3 % a bucket), and -4, where
 * 160 buckets hold every positive double, the coarsest that is ever needed.
 */
import type { ExponentialBuckets } from "./snapshot.ts";

export const MAXIMUM_SCALE = 8;
export const MAXIMUM_BUCKETS = 160;
const SUBDIVISIONS = 2 ** MAXIMUM_SCALE;
/** Even pieces of one octave: fine enough that none holds two bounds. */
const PIECES = 2 * SUBDIVISIONS;
const EXPONENT_BIAS = 1023;
const SUBNORMAL_SHIFT = 54;
/** The high word of the least normal double. */
const FIRST_NORMAL_HIGH = 0x100000;
const NO_OFFSET = 0x1000000;
/** The octave of the least double is -1075. */
const LEAST_OCTAVE = -1075;
const OCTAVES = 1024 - LEAST_OCTAVE;
/** Buckets of the finest scale in a quarter of an octave are 2 to the power of this. */
const QUARTER_SHIFT = MAXIMUM_SCALE - 2;
const LEAST_QUARTER = LEAST_OCTAVE * 4;

/**
 * The bucket of a value at scale 8, by table instead of by logarithm: the value's
 * leading bits name an even piece of its octave, and one comparison decides on
 * which side of the one bound within that piece the value lies. Scale 8 - n is n
 * bits less of it.
 */
export class ExponentialIndex {
  readonly #value = new Float64Array(1);
  /** The same eight bytes; low word first on every architecture Blixard runs on. */
  readonly #words = new Uint32Array(this.#value.buffer);
  /** For each piece: the first bound that does not lie below it. */
  readonly #firstBound = new Uint16Array(PIECES);
  /** Fraction bits of each bound, high 20 and low 32; the last is above every fraction. */
  readonly #boundHigh = new Uint32Array(SUBDIVISIONS + 1);
  readonly #boundLow = new Uint32Array(SUBDIVISIONS + 1);

  constructor() {
    for (let bound = 0; bound < SUBDIVISIONS; bound++) {
      this.#value[0] = 2 ** (bound / SUBDIVISIONS);
      this.#boundHigh[bound] = (this.#words[1] ?? 0) & 0xfffff;
      this.#boundLow[bound] = this.#words[0] ?? 0;
    }
    this.#boundHigh[SUBDIVISIONS] = 0x100000;
    let bound = 0;
    for (let piece = 0; piece < PIECES; piece++) {
      while (bound < SUBDIVISIONS && 2 ** (bound / SUBDIVISIONS) < 1 + piece / PIECES) bound++;
      this.#firstBound[piece] = bound;
    }
  }

  /** `value`: positive and finite. */
  of(value: number): number {
    this.#value[0] = value;
    const high = this.#words[1] ?? 0;
    if (high < FIRST_NORMAL_HIGH) return this.#ofSubnormal(value);
    const fractionHigh = high & 0xfffff;
    const bound = this.#firstBound[fractionHigh >>> 11] ?? 0;
    const boundHigh = this.#boundHigh[bound] ?? 0;
    const below = ((high >>> 20) - EXPONENT_BIAS) * SUBDIVISIONS + bound - 1;
    if (fractionHigh === boundHigh) return (this.#words[0] ?? 0) > (this.#boundLow[bound] ?? 0) ? below + 1 : below;
    // The sign bit: 1 if the value is above the bound. A branch here would be guessed wrong every other time.
    return below + ((boundHigh - fractionHigh) >>> 31);
  }

  #ofSubnormal(value: number): number {
    return this.of(value * 2 ** SUBNORMAL_SHIFT) - SUBNORMAL_SHIFT * SUBDIVISIONS;
  }
}

/**
 * Where the search for a value's explicit bucket may begin, by the quarter of an octave
 * that `ExponentialHistogram.record` returns: the bounds before lie below the value.
 */
export function searchStarts(bounds: Float64Array): Uint8Array {
  const starts = new Uint8Array(4 * OCTAVES);
  for (const [position, bound] of bounds.entries()) {
    // The first quarter that lies above the bound, from a little before where rounding may have put it.
    let quarter = bound > 0 ? Math.max(1, Math.floor(Math.log2(bound) * 4) - LEAST_QUARTER - 1) : 1;
    while (quarter < starts.length && 2 ** ((quarter + LEAST_QUARTER) / 4) <= bound) quarter++;
    starts.fill(position + 1, quarter);
  }
  return starts;
}

export class ExponentialHistogram implements ExponentialBuckets {
  zeroCount = 0;
  minimum = Number.NaN;
  maximum = Number.NaN;
  readonly #index: ExponentialIndex;
  readonly #counts = new Float64Array(MAXIMUM_BUCKETS);
  /** Bucket of `#counts[0]`; as long as nothing was recorded, one that no value has. */
  #offset = NO_OFFSET;
  /** How far the scale is below 8. */
  #shift = 0;

  constructor(index: ExponentialIndex) {
    this.#index = index;
  }

  get scale(): number {
    return MAXIMUM_SCALE - this.#shift;
  }

  get positiveOffset(): number {
    return this.#offset === NO_OFFSET ? 0 : this.#offset + this.#firstUsed();
  }

  get positiveCounts(): Float64Array {
    return this.#offset === NO_OFFSET
      ? new Float64Array(0)
      : this.#counts.subarray(this.#firstUsed(), this.#lastUsed() + 1);
  }

  /** `value`: finite, not negative. Returns the quarter of its octave, for `searchStarts`. */
  record(value: number): number {
    if (!(value >= this.minimum)) this.minimum = value;
    if (!(value <= this.maximum)) this.maximum = value;
    if (value === 0) {
      this.zeroCount++;
      return 0;
    }
    const index = this.#index.of(value);
    let place = (index >> this.#shift) - this.#offset;
    // As an unsigned number also when it lies below the window.
    if (place >>> 0 >= MAXIMUM_BUCKETS) {
      this.#makeRoom(index);
      place = (index >> this.#shift) - this.#offset;
    }
    this.#counts[place] = (this.#counts[place] ?? 0) + 1;
    return (index >> QUARTER_SHIFT) - LEAST_QUARTER;
  }

  /** Moves the window, at a coarser scale if need be, so that it holds what there is and `index`. */
  #makeRoom(index: number): void {
    if (this.#offset === NO_OFFSET) {
      this.#offset = index - MAXIMUM_BUCKETS / 2;
      return;
    }
    const first = this.#firstUsed();
    const used = this.#counts.slice(first, this.#lastUsed() + 1);
    const lowest = this.#offset + first;
    const highest = lowest + used.length - 1;
    let coarser = 0;
    const bucketsAt = (shift: number): [low: number, high: number] => {
      const wanted = index >> (this.#shift + shift);
      return [Math.min(lowest >> shift, wanted), Math.max(highest >> shift, wanted)];
    };
    let [low, high] = bucketsAt(coarser);
    while (high - low >= MAXIMUM_BUCKETS) [low, high] = bucketsAt(++coarser);
    this.#shift += coarser;
    // Room on both sides: what comes next is as likely below as above.
    this.#offset = low - Math.floor((MAXIMUM_BUCKETS - (high - low + 1)) / 2);
    this.#counts.fill(0);
    for (let place = 0; place < used.length; place++) {
      const target = ((lowest + place) >> coarser) - this.#offset;
      this.#counts[target] = (this.#counts[target] ?? 0) + (used[place] ?? 0);
    }
  }

  #firstUsed(): number {
    return this.#counts.findIndex((count) => count > 0);
  }

  #lastUsed(): number {
    return this.#counts.findLastIndex((count) => count > 0);
  }
}
