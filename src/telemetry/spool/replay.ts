/**
 * Brings back what was kept while a destination was down: oldest first, one request at a
 * time, and at most half of the time, so that fresh data is not delayed. It also asks,
 * with the oldest request, whether the destination is back when nothing fresh does.
 *
 * A request that fails again and again while fresh ones are taken is the trouble itself:
 * it is given up, and counted.
 */
import type { Clock } from "#model/clock.ts";
import { backoffMs, type BackoffOptions } from "../otlp/send-outcome.ts";
import type { SignalSender } from "../otlp/signal-sender.ts";
import type { SpoolFolder, SpooledRequest } from "./spool-folder.ts";

export interface ReplayOptions {
  readonly folder: SpoolFolder;
  readonly sender: Pick<SignalSender, "replay" | "patienceMs" | "takenRequests" | "abandon">;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onReplayed: (items: number) => void;
  /** Neither delivered nor kept any longer; the sender has counted them. */
  readonly onGivenUp: (items: number, errorType: string) => void;
  readonly backoff?: BackoffOptions;
  /** Default 8 MiB. */
  readonly maximumBytesPerSecond?: number;
}

export interface Replay {
  /** After the request under way; resolves when nothing is. */
  stop(): Promise<void>;
}

const DEFAULT_BACKOFF: BackoffOptions = { initialMs: 1_000, maximumMs: 30_000 };
const DEFAULT_BYTES_PER_SECOND = 8 * 1024 * 1024;
/** Failures of one request, after each of which a fresh one was taken. */
const MAXIMUM_SOLE_FAILURES = 5;

export function startReplay(options: ReplayOptions): Replay {
  const { folder, sender, clock } = options;
  const backoff = options.backoff ?? DEFAULT_BACKOFF;
  const bytesPerSecond = options.maximumBytesPerSecond ?? DEFAULT_BYTES_PER_SECOND;
  const stopped = new AbortController();
  let notBeforeMs = Number.NEGATIVE_INFINITY;
  let failures = 0;
  let soleFailures = 0;
  let takenAtFailure = 0;

  async function dueTime(): Promise<void> {
    for (;;) {
      const waitMs = Math.max(sender.patienceMs(), notBeforeMs - clock.monotonicMs());
      if (waitMs <= 0) return;
      await clock.delay(waitMs, stopped.signal);
    }
  }

  function postpone(afterMs?: number): void {
    notBeforeMs = clock.monotonicMs() + backoffMs(++failures, backoff, options.random, afterMs);
  }

  async function replayOne(request: SpooledRequest): Promise<void> {
    const startedMs = clock.monotonicMs();
    const result = await sender.replay(request);
    const tookMs = clock.monotonicMs() - startedMs;
    switch (result.kind) {
      case "delivered":
        options.onReplayed(request.items);
        return settled(request, tookMs);
      case "refused":
        options.onGivenUp(request.items, result.errorType);
        return settled(request, tookMs);
      case "later": {
        if (failures > 0 && sender.takenRequests > takenAtFailure) soleFailures++;
        takenAtFailure = sender.takenRequests;
        postpone(result.afterMs);
        if (soleFailures < MAXIMUM_SOLE_FAILURES) return;
        sender.abandon(request.items, result.errorType);
        options.onGivenUp(request.items, result.errorType);
        return settled(request, tookMs);
      }
    }
  }

  async function settled(request: SpooledRequest, tookMs: number): Promise<void> {
    failures = 0;
    soleFailures = 0;
    notBeforeMs = clock.monotonicMs() + Math.max(tookMs, (request.bytes.length / bytesPerSecond) * 1_000);
    await folder.settle();
  }

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        await folder.filled(stopped.signal);
        await dueTime();
      } catch {
        return;
      }
      if (stopped.signal.aborted) return;
      const request = await folder.next();
      if (request !== undefined) await replayOne(request);
      // The disk refused, or nothing was left that can be read.
      else if (folder.usage().items > 0) postpone();
    }
  }

  const running = run();
  return {
    async stop() {
      stopped.abort();
      await running;
    },
  };
}
