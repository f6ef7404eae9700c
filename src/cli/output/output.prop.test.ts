import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Column, renderProperties, renderTable } from "./table.ts";
import { createTerminalFilter } from "./terminal-filter.ts";
import { displayWidth, fit, printable, truncate } from "./text.ts";
import { shortDuration } from "./time.ts";

const anyText = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.string({ unit: "grapheme", maxLength: 20 }),
);

test("cut and padded text has exactly the width asked for", () => {
  fc.assert(
    fc.property(
      anyText,
      fc.nat({ max: 60 }),
      fc.constantFrom("left" as const, "right" as const),
      (text, width, align) => {
        const clean = printable(text);
        assert.ok(displayWidth(truncate(clean, width)) <= width);
        assert.equal(displayWidth(fit(clean, width, align)), width);
      },
    ),
  );
});

test("wide characters count twice, accents not at all", () => {
  assert.equal(displayWidth("abc"), 3);
  assert.equal(displayWidth("日本"), 4);
  assert.equal(displayWidth("e\u0301"), 1);
  assert.equal(displayWidth("🚀"), 2);
  assert.equal(truncate("日本語", 4), "日…");
});

test("a table fits the terminal as long as there is room for its columns at all, and has a line for every row", () => {
  const columns: readonly Column<readonly string[]>[] = [0, 1, 2, 3].map((index) => ({
    title: `COLUMN${index}`,
    value: (row) => row[index] ?? "",
  }));
  fc.assert(
    fc.property(
      fc.array(fc.array(anyText, { minLength: 4, maxLength: 4 }), { maxLength: 10 }),
      fc.integer({ min: 22, max: 160 }),
      (rows, width) => {
        const lines = renderTable(columns, rows, { width });
        assert.equal(lines.length, rows.length + 1);
        for (const line of lines) {
          assert.ok(displayWidth(line) <= width, JSON.stringify(line));
          assert.doesNotMatch(line, /[\p{Cc}\p{Cf}]/u);
        }
      },
    ),
  );
});

test("a table for a pipe cuts nothing", () => {
  const long = "x".repeat(500);
  assert.ok(
    renderTable([{ title: "A", value: (row: string) => row }], [long], { width: undefined })[1]?.includes(long),
  );
});

test("columns without any value are left out", () => {
  const columns: readonly Column<string>[] = [
    { title: "NAME", value: (row) => row },
    { title: "EMPTY", value: () => "" },
  ];
  assert.deepEqual(renderTable(columns, ["a"], { width: 80 }), ["NAME", "a"]);
  assert.deepEqual(
    renderProperties(
      [
        ["A", "1"],
        ["Empty", ""],
      ],
      { width: 80 },
    ),
    ["A  1"],
  );
});

test("durations are short, and grow with the time", () => {
  assert.deepEqual(
    [0, 0.0004, 0.5, 9.94, 340, 999.6, 2310, 59_940, 59_960, 250_000, 11_100_000, 86_400_000 * 12].map(shortDuration),
    ["0ms", "1µs", "500µs", "9.9ms", "340ms", "1.00s", "2.31s", "59.9s", "1m", "4m10s", "3h5m", "12d"],
  );
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e11, noNaN: true }), (durationMs) =>
      assert.ok(displayWidth(shortDuration(durationMs)) <= 8),
    ),
  );
});

test("the terminal filter lets nothing through that steers, however the bytes are split", () => {
  const piece = fc.oneof(
    anyText,
    fc.constantFrom(
      "\u001B[31m",
      "\u001B]0;title\u0007",
      "\u001B]8;;http://x\u001B\\",
      "\u001Bc",
      "\u009B2J",
      "\u001B[",
      "\u001B",
      "\r\n",
      "é",
    ),
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
      (pieces, cuts) => {
        const bytes = Buffer.from(pieces.join(""));
        const filter = createTerminalFilter();
        let output = "";
        for (let at = 0, index = 0; at < bytes.length; index++) {
          const length = cuts[index % cuts.length] ?? 1;
          output += filter(bytes.subarray(at, at + length));
          at += length;
        }
        assert.doesNotMatch(output, /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]/);
      },
    ),
    { numRuns: 500 },
  );
});

test("the terminal filter keeps plain text, split anywhere", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[ -~é日\n\t]*$/u), fc.integer({ min: 1, max: 5 }), (text, length) => {
      const bytes = Buffer.from(text);
      const filter = createTerminalFilter();
      let output = "";
      for (let at = 0; at < bytes.length; at += length) output += filter(bytes.subarray(at, at + length));
      assert.equal(output, text);
    }),
  );
});
