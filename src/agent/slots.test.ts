import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { createSlots } from "./slots.ts";

test("no more run at a time than there are slots, in the order they came", async () => {
  const slots = createSlots(2);
  const started: number[] = [];
  const gates = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
  const { signal } = new AbortController();
  const work = gates.map((gate, index) =>
    slots.run(signal, async () => {
      started.push(index);
      await gate.promise;
    }),
  );
  await nextTurn();
  assert.deepEqual(started, [0, 1]);
  gates[1]?.resolve();
  await nextTurn();
  assert.deepEqual(started, [0, 1, 2]);
  for (const gate of gates) gate.resolve();
  await Promise.all(work);
  assert.deepEqual(started, [0, 1, 2, 3]);
});

test("who gives up waiting takes no slot", async () => {
  const slots = createSlots(1);
  const gate = Promise.withResolvers<void>();
  const first = slots.run(new AbortController().signal, () => gate.promise);
  const impatient = new AbortController();
  const second = slots.run(impatient.signal, async () => "ran");
  impatient.abort(new Error("no time"));
  await assert.rejects(second, /no time/);
  gate.resolve();
  await first;
  assert.equal(await slots.run(new AbortController().signal, async () => "free"), "free");
});
