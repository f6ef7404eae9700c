/** Lets a caller read its own write; a cache that cannot follow holds no answer up for long. */
import type { Clock } from "#model/clock.ts";
import type { WatchCache } from "#store/watch-cache.ts";

const TIMEOUT_MS = 1000;

export async function readBack(
  cache: Pick<WatchCache, "waitForRevision">,
  clock: Clock,
  revision: bigint,
  signal: AbortSignal,
): Promise<void> {
  const done = new AbortController();
  const deadline = new AbortController();
  clock.delay(TIMEOUT_MS, done.signal).then(
    () => deadline.abort(),
    () => undefined,
  );
  await cache.waitForRevision(revision, AbortSignal.any([signal, deadline.signal])).catch(() => undefined);
  done.abort();
}
