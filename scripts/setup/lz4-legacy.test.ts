import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decompressLz4Legacy, isLz4Legacy } from "./lz4-legacy.mjs";
import { SetupError } from "./setup-error.mjs";

const MAGIC = Buffer.from("02214c18", "hex");

/** A block as the format describes it: token, literals, distance, and literals at the end. */
function frame(...blocks: number[][]): Buffer {
  const parts = blocks.flatMap((block) => {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(block.length);
    return [size, Buffer.from(block)];
  });
  return Buffer.concat([MAGIC, ...parts]);
}

const letters = (text: string): number[] => [...Buffer.from(text)];

test("literals, matches and the end of a block are read", () => {
  // "abcd" and a match of 4, four back; then "x"
  const data = frame([0x40, ...letters("abcd"), 4, 0, 0x10, ...letters("x")]);
  assert.ok(isLz4Legacy(data));
  assert.equal(decompressLz4Legacy(data, 9).toString(), "abcdabcdx");
});

test("a match may overlap what it produces", () => {
  // "a", then a match of 19 + 15 + 4 characters, one back
  const data = frame([0x1f, ...letters("a"), 1, 0, 19, 0x00]);
  assert.equal(decompressLz4Legacy(data, 39).toString(), "a".repeat(39));
});

test("long literals have their length in further bytes, and blocks follow one another", () => {
  const text = "0123456789".repeat(30);
  const block = [0xf0, 255, 300 - 15 - 255, ...letters(text)];
  assert.equal(decompressLz4Legacy(frame(block, block), 600).toString(), text + text);
});

test("a length that does not fit is an error", () => {
  const data = frame([0x40, ...letters("abcd")]);
  for (const size of [3, 5]) assert.throws(() => decompressLz4Legacy(data, size), SetupError);
});

test("no input makes it crash, hang or write beyond its output", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(300), (bytes, size) => {
      const data = Buffer.concat([MAGIC, Buffer.from([bytes.length, 0, 0, 0]), Buffer.from(bytes)]);
      try {
        assert.equal(decompressLz4Legacy(data, size).length, size);
      } catch (error) {
        assert.ok(error instanceof SetupError, String(error));
      }
    }),
  );
});
