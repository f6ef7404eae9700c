/** Waits for a condition, however long it takes up to a deadline: what tests do instead of sleeping. */
import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 10;
const TIMEOUT_MS = 30_000;

/**
 * Resolves with the first value that is neither false nor undefined.
 * @throws when there is none before the deadline, with `what` in the message
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs: number = TIMEOUT_MS,
): Promise<Exclude<T, false | undefined>> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>;
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`);
    await delay(POLL_MS);
  }
}
