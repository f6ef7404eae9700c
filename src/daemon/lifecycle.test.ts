import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Lifecycle } from "./lifecycle.ts";

const realDelay = (durationMs: number, signal: AbortSignal): Promise<void> => delay(durationMs, undefined, { signal });

test("parts stop in the reverse of the order in which they started", async () => {
  const stopped: string[] = [];
  const lifecycle = new Lifecycle({ delay: realDelay });
  for (const name of ["store", "agent", "api"]) {
    lifecycle.started({ name, stopTimeoutMs: 1000, stop: () => void stopped.push(name) });
  }
  assert.deepEqual(await lifecycle.stop(), []);
  assert.deepEqual(stopped, ["api", "agent", "store"]);
});

test("a part that fails to stop is reported and does not keep the others running", async () => {
  const stopped: string[] = [];
  const lifecycle = new Lifecycle({ delay: realDelay });
  lifecycle.started({ name: "store", stopTimeoutMs: 1000, stop: () => void stopped.push("store") });
  lifecycle.started({
    name: "api",
    stopTimeoutMs: 1000,
    stop: () => {
      throw new Error("socket is gone");
    },
  });
  const failures = await lifecycle.stop();
  assert.deepEqual(stopped, ["store"]);
  assert.equal(failures.length, 1);
  assert.equal(failures[0]?.part, "api");
});

test("a part that hangs is given up at its deadline", async () => {
  const lifecycle = new Lifecycle({ delay: async () => undefined });
  lifecycle.started({ name: "guardian", stopTimeoutMs: 5, stop: () => new Promise<void>(() => undefined) });
  const failures = await lifecycle.stop();
  assert.match(String(failures[0]?.error), /guardian took longer than 5 ms/);
});

test("stopping twice stops each part once", async () => {
  let stops = 0;
  const lifecycle = new Lifecycle({ delay: realDelay });
  lifecycle.started({ name: "api", stopTimeoutMs: 1000, stop: () => void stops++ });
  await Promise.all([lifecycle.stop(), lifecycle.stop()]);
  assert.equal(stops, 1);
});
