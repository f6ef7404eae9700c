import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { displayWidth } from "../output/text.ts";
import { renderWaterfall } from "./render-waterfall.ts";
import { orderSpans, type WaterfallSpan } from "./span-tree.ts";

const id = fc.constantFrom("", "a", "b", "c", "d", "e", "f", "g");
const time = fc.bigInt({ min: 0n, max: 10n ** 13n });
const words = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.constant("blixard.v1.VmService/CreateVm"),
);
/** Anything at all: doubled ids, cycles, own parents, ends before starts. */
const anySpan: fc.Arbitrary<WaterfallSpan> = fc.record({
  spanId: id,
  parentSpanId: id,
  name: words,
  service: fc.oneof(fc.constantFrom("blixard", "blixard-cli", "guest"), words),
  startUnixNano: time,
  endUnixNano: time,
  error: fc.boolean(),
  statusMessage: words,
  notes: fc.array(words, { maxLength: 2 }),
});
const anySpans = fc.array(anySpan, { maxLength: 30 });

test("every span is drawn exactly once, whatever parents say", () => {
  fc.assert(
    fc.property(anySpans, (spans) => {
      const drawn = orderSpans(spans).map(({ span }) => span);
      assert.equal(drawn.length, spans.length);
      assert.equal(new Set(drawn).size, new Set(spans).size);
    }),
  );
});

test("no line is wider than asked for, steers a terminal or spans two lines", () => {
  fc.assert(
    fc.property(anySpans, fc.integer({ min: 20, max: 250 }), fc.boolean(), (spans, width, unicode) => {
      for (const line of renderWaterfall(spans, { width, unicode })) {
        assert.ok(displayWidth(line) <= width, `${displayWidth(line)} > ${width}: ${JSON.stringify(line)}`);
        assert.doesNotMatch(line, /[\p{Cc}\p{Cf}]/u);
      }
    }),
    { numRuns: 300 },
  );
});

test("a failed span has a mark that needs no colour", () => {
  fc.assert(
    fc.property(fc.array(anySpan, { minLength: 1, maxLength: 10 }), fc.boolean(), (spans, unicode) => {
      const plain = spans.map((span) => ({ ...span, name: "name", service: "s", statusMessage: "", notes: [] }));
      const lines = renderWaterfall(plain, { width: 200, unicode }).slice(1);
      const marked = lines.filter((line) => line.includes(unicode ? "✗ name" : "x name")).length;
      assert.equal(marked, spans.filter(({ error }) => error).length);
    }),
  );
});

/** A proper tree: children inside their parents. */
const chain = fc.integer({ min: 1, max: 40 }).map((depth) =>
  Array.from({ length: depth }, (_, level): WaterfallSpan => ({
    spanId: `s${level}`,
    parentSpanId: level === 0 ? "" : `s${level - 1}`,
    name: `level-${level}`,
    service: "blixard",
    startUnixNano: BigInt(level) * 1_000_000n,
    endUnixNano: BigInt(200 - level) * 1_000_000n,
    error: false,
    statusMessage: "",
    notes: [],
  })),
);

test("a child comes below its parent, and its bar lies within its parent's", () => {
  fc.assert(
    fc.property(chain, fc.integer({ min: 120, max: 200 }), (spans, width) => {
      const lines = renderWaterfall(spans.toReversed(), { width }).slice(1);
      assert.deepEqual(
        lines.map((line) => /level-\d+/.exec(line)?.[0]),
        spans.map(({ name }) => name),
      );
      const bars = lines.map((line) => ({ start: line.search(/[█▏]/), end: line.length }));
      for (const [index, bar] of bars.entries()) {
        const parent = bars[index - 1];
        assert.ok(bar.start >= 0);
        if (parent !== undefined)
          assert.ok(bar.start >= parent.start && bar.end <= parent.end, JSON.stringify({ parent, bar }));
      }
    }),
  );
});

test("ten thousand spans in one chain are drawn", () => {
  const spans = Array.from({ length: 10_000 }, (_, level): WaterfallSpan => ({
    spanId: `s${level}`,
    parentSpanId: `s${level - 1}`,
    name: "deep",
    service: "",
    startUnixNano: 0n,
    endUnixNano: 1n,
    error: false,
    statusMessage: "",
    notes: [],
  }));
  assert.equal(renderWaterfall(spans, { width: 80 }).length, 10_001);
});
