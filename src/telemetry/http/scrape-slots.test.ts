import assert from "node:assert/strict";
import { test } from "node:test";
import { createScrapeSlots, type ScrapeSlots } from "./scrape-slots.ts";

function slotsOf(maximum: number, maximumPerClient: number): { slots: ScrapeSlots; advance: (ms: number) => void } {
  let nowMs = 0;
  const slots = createScrapeSlots({ maximum, maximumPerClient, stallMs: 1_000, monotonicMs: () => nowMs });
  return { slots, advance: (ms) => void (nowMs += ms) };
}

const never = (): void => assert.fail("a scrape was cut that should have gone on");

test("there are only so many places, and one that is given back is free", () => {
  const { slots } = slotsOf(2, 2);
  const first = slots.acquire("a", never) ?? assert.fail();
  assert.ok(slots.acquire("b", never));
  assert.equal(slots.acquire("c", never), undefined);
  first[Symbol.dispose]();
  assert.ok(slots.acquire("c", never));
});

test("one client cannot have them all", () => {
  const { slots } = slotsOf(4, 2);
  assert.ok(slots.acquire("a", never));
  assert.ok(slots.acquire("a", never));
  assert.equal(slots.acquire("a", never), undefined);
  assert.ok(slots.acquire("b", never));
});

test("who has stopped reading makes room for another, the longest stalled first", () => {
  const { slots, advance } = slotsOf(3, 3);
  const cut: string[] = [];
  for (const name of ["x", "y", "z"]) {
    (slots.acquire("slow", () => void cut.push(name)) ?? assert.fail()).blocked();
    advance(400);
  }
  // x has been stalled for 1,200 ms, y for 800.
  assert.ok(slots.acquire("fast", never));
  assert.deepEqual(cut, ["x"]);
  assert.equal(slots.acquire("fast", never), undefined);
  advance(400);
  assert.ok(slots.acquire("fast", never));
  assert.deepEqual(cut, ["x", "y"]);
});

test("who reads on is not cut, however long it takes", () => {
  const { slots, advance } = slotsOf(1, 1);
  const slot = slots.acquire("a", never) ?? assert.fail();
  for (let time = 0; time < 100; time++) {
    slot.blocked();
    advance(900);
    slot.resumed();
  }
  assert.equal(slots.acquire("b", never), undefined);
});

test("nobody pushes out one who has less", () => {
  const { slots, advance } = slotsOf(3, 3);
  (slots.acquire("modest", never) ?? assert.fail()).blocked();
  slots.acquire("greedy", never);
  slots.acquire("greedy", never);
  advance(5_000);
  assert.equal(slots.acquire("greedy", never), undefined);
});

test("a client that comes again takes the place of its own stalled scrape", () => {
  const { slots, advance } = slotsOf(4, 1);
  let cuts = 0;
  (slots.acquire("a", () => void cuts++) ?? assert.fail()).blocked();
  advance(1_000);
  assert.ok(slots.acquire("a", never));
  assert.equal(cuts, 1);
});
