import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createLineSplitter } from "./line-splitter.ts";

function split(text: string, cuts: readonly number[], maximumBytes: number): { lines: string[]; tooLong: number } {
  const lines: string[] = [];
  let tooLong = 0;
  const splitter = createLineSplitter({ maximumBytes, onLine: (line) => lines.push(line), onTooLong: () => tooLong++ });
  const bytes = Buffer.from(text);
  let start = 0;
  for (const cut of [...cuts.map((at) => at % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]) {
    splitter.push(bytes.subarray(start, cut));
    start = cut;
  }
  return { lines, tooLong };
}

describe("createLineSplitter", () => {
  it("gives the same lines wherever the stream is cut", () => {
    const text = fc
      .array(fc.string({ unit: "binary" }).map((line) => line.replaceAll("\n", "")))
      .map((l) => `${l.join("\n")}\n`);
    fc.assert(
      fc.property(text, fc.array(fc.nat()), (whole, cuts) => {
        const wanted = whole
          .toWellFormed()
          .split("\n")
          .filter((line) => line !== "");
        assert.deepEqual(split(whole, cuts, 10_000).lines, wanted);
      }),
    );
  });

  it("drops a line that is too long, counts it and hears the next", () => {
    const text = `short\n${"x".repeat(50)}\nafter\n`;
    assert.deepEqual(split(text, [], 10), { lines: ["short", "after"], tooLong: 1 });
    assert.deepEqual(split(text, [8, 20, 30], 10), { lines: ["short", "after"], tooLong: 1 });
  });

  it("keeps what has no end yet to itself", () => {
    assert.deepEqual(split("whole\nhal", [], 10).lines, ["whole"]);
  });
});
