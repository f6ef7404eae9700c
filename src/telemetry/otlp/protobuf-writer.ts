/**
 * Writes protobuf into one buffer that is used again for every message: no objects
 * between a value and its bytes. Nested messages are opened and closed; their length
 * is filled in when it is known.
 */
const INITIAL_BYTES = 64 * 1024;
const MAXIMUM_VARINT_BYTES = 10;

export class ProtobufWriter {
  #buffer: Buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  #view = new DataView(this.#buffer.buffer, this.#buffer.byteOffset, this.#buffer.length);
  #length = 0;

  /** Bytes written. */
  get length(): number {
    return this.#length;
  }

  /** Forgets what was written after `length`. */
  truncate(length: number): void {
    this.#length = Math.min(length, this.#length);
  }

  /** A copy of what was written. */
  toBytes(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#length));
  }

  /** What was written as text, one character for each byte. */
  toByteText(): string {
    return this.#buffer.toString("latin1", 0, this.#length);
  }

  /** Opens a nested message; close it with `end(mark)`. */
  begin(field: number): number {
    this.#reserve(2 * MAXIMUM_VARINT_BYTES);
    this.#tag(field, 2);
    // One byte for the length: enough for most. `end` makes room for longer ones.
    return ++this.#length;
  }

  end(mark: number): void {
    const size = this.#length - mark;
    if (size < 0x80) {
      this.#buffer[mark - 1] = size;
      return;
    }
    const extra = varintSize(size) - 1;
    this.#reserve(extra);
    this.#buffer.copyWithin(mark + extra, mark, this.#length);
    const end = this.#length + extra;
    this.#length = mark - 1;
    this.#varint(size);
    this.#length = end;
  }

  /** An unsigned integer up to 2^53; zero is the default and not written. */
  uint(field: number, value: number): void {
    if (value === 0) return;
    this.#reserve(2 * MAXIMUM_VARINT_BYTES);
    this.#tag(field, 0);
    this.#varint(value);
  }

  bool(field: number, value: boolean): void {
    this.#reserve(MAXIMUM_VARINT_BYTES + 1);
    this.#tag(field, 0);
    this.#buffer[this.#length++] = value ? 1 : 0;
  }

  /** A signed 64-bit integer, zero too (members of a oneof are written whatever their value). */
  int64(field: number, value: number | bigint): void {
    this.#reserve(2 * MAXIMUM_VARINT_BYTES);
    this.#tag(field, 0);
    if (typeof value === "number" && value >= 0) {
      this.#varint(value);
      return;
    }
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 0x7fn) {
      this.#buffer[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#buffer[this.#length++] = Number(rest);
  }

  fixed32(field: number, value: number): void {
    this.#reserve(MAXIMUM_VARINT_BYTES + 4);
    this.#tag(field, 5);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  fixed64(field: number, value: bigint): void {
    this.#reserve(MAXIMUM_VARINT_BYTES + 8);
    this.#tag(field, 1);
    this.#view.setBigUint64(this.#length, value, true);
    this.#length += 8;
  }

  /** A signed integer below 2^53 in size as sfixed64, or an unsigned one as fixed64. */
  integer64(field: number, value: number): void {
    const high = Math.floor(value / 2 ** 32);
    this.#reserve(MAXIMUM_VARINT_BYTES + 8);
    this.#tag(field, 1);
    this.#view.setUint32(this.#length, value - high * 2 ** 32, true);
    this.#view.setInt32(this.#length + 4, high, true);
    this.#length += 8;
  }

  double(field: number, value: number): void {
    this.#reserve(MAXIMUM_VARINT_BYTES + 8);
    this.#tag(field, 1);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** Packed repeated fixed64 of counts, each below 2^53. */
  packedFixed64(field: number, values: ArrayLike<number>): void {
    this.#packed(field, values.length);
    for (let index = 0; index < values.length; index++) {
      const value = values[index] ?? 0;
      const high = Math.floor(value / 2 ** 32);
      this.#view.setUint32(this.#length, value - high * 2 ** 32, true);
      this.#view.setUint32(this.#length + 4, high, true);
      this.#length += 8;
    }
  }

  packedDouble(field: number, values: ArrayLike<number>): void {
    this.#packed(field, values.length);
    for (let index = 0; index < values.length; index++) {
      this.#view.setFloat64(this.#length, values[index] ?? 0, true);
      this.#length += 8;
    }
  }

  /** A signed integer of 32 bits, zigzag. */
  sint32(field: number, value: number): void {
    this.uint(field, value < 0 ? -2 * value - 1 : 2 * value);
  }

  /** Packed repeated uint64 as varints, each below 2^53. */
  packedVarint(field: number, values: ArrayLike<number>): void {
    this.#reserve(MAXIMUM_VARINT_BYTES * (values.length + 1));
    const mark = this.begin(field);
    for (let index = 0; index < values.length; index++) this.#varint(values[index] ?? 0);
    this.end(mark);
  }

  /** Lone surrogates become U+FFFD: the wire takes only valid UTF-8. */
  string(field: number, value: string): void {
    this.#reserve(2 * MAXIMUM_VARINT_BYTES + 3 * value.length);
    const mark = this.begin(field);
    this.#length += this.#buffer.write(value, this.#length, "utf8");
    this.end(mark);
  }

  /** Bytes given as lower-case hex: ids. */
  hex(field: number, value: string): void {
    this.#reserve(2 * MAXIMUM_VARINT_BYTES + value.length / 2);
    const mark = this.begin(field);
    this.#length += this.#buffer.write(value, this.#length, "hex");
    this.end(mark);
  }

  /** What already is protobuf, one character for each byte: whole fields, tags included. */
  raw(byteText: string): void {
    this.#reserve(byteText.length);
    this.#length += this.#buffer.write(byteText, this.#length, "latin1");
  }

  /**
   * `raw` for length-delimited fields that are all of one number below 16, as another
   * number below 16: the same attributes belong to different fields of different points.
   */
  rawAs(field: number, byteText: string): void {
    const start = this.#length;
    this.raw(byteText);
    for (let at = start; at < this.#length;) {
      this.#buffer[at++] = field * 8 + 2;
      let size = 0;
      for (let scale = 1; ; scale *= 0x80) {
        const byte = this.#buffer[at++] ?? 0;
        size += (byte & 0x7f) * scale;
        if (byte < 0x80) break;
      }
      at += size;
    }
  }

  #packed(field: number, count: number): void {
    this.#reserve(2 * MAXIMUM_VARINT_BYTES + 8 * count);
    this.#tag(field, 2);
    this.#varint(8 * count);
  }

  #tag(field: number, wireType: number): void {
    this.#varint(field * 8 + wireType);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
    this.#view = new DataView(larger.buffer, larger.byteOffset, larger.length);
  }
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) size++;
  return size;
}
