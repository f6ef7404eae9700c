/** Fills buffers of a fixed size with byte strings and numbers; full ones wait to be taken. */
import { formatValue } from "./byte-text.ts";

const DIGIT_ZERO = 48;
const NEWLINE = 10;
/** Room for any number and the newline. */
const NUMBER_BYTES = 32;

export class ChunkWriter {
  readonly #chunkBytes: number;
  #buffer: Buffer;
  #position = 0;
  #full: Buffer[] = [];

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
    this.#buffer = Buffer.allocUnsafeSlow(chunkBytes);
  }

  /** Whether a full chunk waits. */
  get hasFull(): boolean {
    return this.#full.length > 0;
  }

  /** The full chunks, which are no longer the writer's. */
  takeFull(): Buffer[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** All that is left. */
  takeAll(): Buffer[] {
    this.#next(0);
    return this.takeFull();
  }

  /** A byte string. */
  text(bytes: string): void {
    if (this.#position + bytes.length > this.#buffer.length) this.#next(bytes.length);
    this.#position += this.#buffer.write(bytes, this.#position, "latin1");
  }

  /** A value and the end of the line. */
  valueLine(value: number): void {
    this.value(value);
    this.#buffer[this.#position++] = NEWLINE;
  }

  /** A value; there is room for one more byte after it. */
  value(value: number): void {
    if (this.#position + NUMBER_BYTES > this.#buffer.length) this.#next(NUMBER_BYTES);
    if (value >= 0 && value < 1e9 && (value | 0) === value) this.#digits(value);
    else this.#position += this.#buffer.write(formatValue(value), this.#position, "latin1");
  }

  /** Digits of an integer below 1e9, written from the last to the first. */
  #digits(value: number): void {
    let length = 1;
    for (let bound = 10; value >= bound; bound *= 10) length++;
    let position = this.#position + length;
    this.#position = position;
    let rest = value;
    for (; length > 0; length--) {
      const tenth = (rest / 10) | 0;
      this.#buffer[--position] = DIGIT_ZERO + (rest - tenth * 10);
      rest = tenth;
    }
  }

  /** Sets the present chunk aside and begins one with room for `bytes`. */
  #next(bytes: number): void {
    if (this.#position > 0) this.#full.push(this.#buffer.subarray(0, this.#position));
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(this.#chunkBytes, bytes));
    this.#position = 0;
  }
}
