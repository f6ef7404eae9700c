import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createMessageSizer } from "./message-sizes.ts";

/** Bytes cut at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].toSorted((left, right) => left - right);
  return [...ends, bytes.length].map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end));
}

test("the size of each enveloped message is told, however the bytes are cut, and ends are no messages", () => {
  const message = fc.record({ length: fc.nat(3000), flags: fc.constantFrom(0, 1, 2, 0x80) });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 12 }), (messages, places) => {
      const bytes = Buffer.concat(
        messages.map(({ length, flags }) => {
          const head = Buffer.alloc(5);
          head.writeUInt8(flags, 0);
          head.writeUInt32BE(length, 1);
          return Buffer.concat([head, Buffer.alloc(length, 0xff)]);
        }),
      );
      const sizes: number[] = [];
      const sizer = createMessageSizer("enveloped", (size) => sizes.push(size));
      for (const piece of cut(bytes, places)) sizer.add(piece);
      sizer.end();
      assert.deepEqual(
        sizes,
        messages.filter(({ flags }) => (flags & 0x82) === 0).map(({ length }) => length),
      );
    }),
  );
});

test("a plain body is one message", () => {
  const sizes: number[] = [];
  const sizer = createMessageSizer("plain", (size) => sizes.push(size));
  sizer.add(Buffer.alloc(10));
  sizer.add(Buffer.alloc(5));
  sizer.end();
  assert.deepEqual(sizes, [15]);
});
