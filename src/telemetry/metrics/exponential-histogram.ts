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
    const exponent = high >>> 20;
    if (exponent === 0) return this.of(value * 2 ** SUBNORMAL_SHIFT) - SUBNORMAL_SHIFT * SUBDIVISIONS;
    const fractionHigh = high & 0xfffff;
    const bound = this.#firstBound[fractionHigh >>> 11] ?? 0;
    const boundHigh = this.#boundHigh[bound] ?? 0;
    const isAbove =
      fractionHigh > boundHigh || (fractionHigh === boundHigh && (this.#words[0] ?? 0) > (this.#boundLow[bound] ?? 0));
    return (exponent - EXPONENT_BIAS) * SUBDIVISIONS + bound - (isAbove ? 0 : 1);
  }
}

export class ExponentialHistogram implements ExponentialBuckets {
  zeroCount = 0;
  minimum = Number.NaN;
  maximum = Number.NaN;
  readonly #index: ExponentialIndex;
  readonly #counts = new Float64Array(MAXIMUM_BUCKETS);
  /** Bucket of `#counts[0]`. */
  #offset = 0;
  /** How far the scale is below 8. */
  #shift = 0;
  #isEmpty = true;

  constructor(index: ExponentialIndex) {
    this.#index = index;
  }

  get scale(): number {
    return MAXIMUM_SCALE - this.#shift;
  }

  get positiveOffset(): number {
    return this.#isEmpty ? 0 : this.#offset + this.#firstUsed();
  }

  get positiveCounts(): Float64Array {
    return this.#isEmpty ? new Float64Array(0) : this.#counts.subarray(this.#firstUsed(), this.#lastUsed() + 1);
  }

  /** `value`: finite, not negative. */
  record(value: number): void {
    if (!(value >= this.minimum)) this.minimum = value;
    if (!(value <= this.maximum)) this.maximum = value;
    if (value === 0) {
      this.zeroCount++;
      return;
    }
    const index = this.#index.of(value);
    const place = (index >> this.#shift) - this.#offset;
    if (place >= 0 && place < MAXIMUM_BUCKETS && !this.#isEmpty) {
      this.#counts[place] = (this.#counts[place] ?? 0) + 1;
      return;
    }
    this.#makeRoom(index);
    const made = (index >> this.#shift) - this.#offset;
    this.#counts[made] = (this.#counts[made] ?? 0) + 1;
  }

  /** Moves the window, at a coarser scale if need be, so that it holds what there is and `index`. */
  #makeRoom(index: number): void {
    if (this.#isEmpty) {
      this.#isEmpty = false;
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
