// When the queue sends: without a network, with time that the test moves.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock, type ManualClock } from "#test/support/manual-clock.ts";
import { type BatchExporter, createBatchExporter, defaultBatchLimits } from "./batch-exporter.ts";
import type { Delivery } from "./signal-sender.ts";

const BATCH_DELAY_MS = 1_000;

interface Scene {
  readonly clock: ManualClock;
  readonly exporter: BatchExporter<number>;
  /** How many items each request had that the sender was given. */
  readonly sent: readonly number[];
  /** The destination takes what it was given last. */
  answer(): Promise<void>;
}

function createScene(maximumBatchItems: number): Scene {
  const clock = createManualClock();
  const sent: number[] = [];
  const unanswered: ((delivery: Delivery) => void)[] = [];
  const exporter = createBatchExporter<number>({
    sender: {
      accepts: () => true,
      deliver: ({ items }) => {
        sent.push(items);
        const { promise, resolve } = Promise.withResolvers<Delivery>();
        unanswered.push(resolve);
        return promise;
      },
      abandon: () => undefined,
    },
    encode: (items) => ({ requests: [{ bytes: Buffer.alloc(0), items: items.length }], oversized: 0 }),
    sizeOf: () => 1,
    signals: { processed: () => undefined, dropped: () => undefined, queued: () => undefined },
    clock,
    limits: { ...defaultBatchLimits, maximumBatchItems, batchDelayMs: BATCH_DELAY_MS },
  });
  return {
    clock,
    exporter,
    sent,
    async answer() {
      unanswered.shift()?.("delivered");
      await clock.advance(0);
    },
  };
}

function enqueue({ exporter }: Scene, count: number): void {
  for (let item = 0; item < count; item++) exporter.enqueue(item);
}

test("what comes while a request is on its way waits for company: an answer does not bring a small request", async () => {
  const scene = createScene(10);
  enqueue(scene, 3);
  await scene.clock.advance(BATCH_DELAY_MS);
  assert.deepEqual(scene.sent, [3]);
  enqueue(scene, 1);
  await scene.answer();
  enqueue(scene, 4);
  await scene.clock.advance(BATCH_DELAY_MS - 1);
  assert.deepEqual(scene.sent, [3], "within the delay");
  await scene.clock.advance(1);
  assert.deepEqual(scene.sent, [3, 5]);
});

test("a full batch does not wait, and all that is due is sent at once", async () => {
  const scene = createScene(10);
  enqueue(scene, 10);
  await scene.clock.advance(0);
  assert.deepEqual(scene.sent, [10]);
  enqueue(scene, 23);
  await scene.answer();
  await scene.answer();
  assert.deepEqual(scene.sent, [10, 10, 10], "full ones follow each other");
  await scene.answer();
  assert.deepEqual(scene.sent, [10, 10, 10]);
  await scene.clock.advance(BATCH_DELAY_MS);
  assert.deepEqual(scene.sent, [10, 10, 10, 3]);
});

test("a flush sends what waits for company, too, and what comes meanwhile", async () => {
  const scene = createScene(10);
  enqueue(scene, 2);
  const flushed = scene.exporter.flush();
  enqueue(scene, 1);
  await scene.answer();
  await scene.answer();
  await flushed;
  assert.deepEqual(scene.sent, [2, 1]);
});
