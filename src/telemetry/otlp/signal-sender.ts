/**
 * Delivers the requests of one signal to one destination by the rules of the
 * specification: retry with growing, jittered patience what may be retried, give up what
 * may not, stop bothering a backend that does not take the signal.
 *
 *   starting ─→ ok ⇄ failing
 *       └────────┴──────┴─→ unsupported ─(ten minutes)─→ tries again
 *
 * With a disk to keep things on (`keep`), a request that finds nobody is kept at once, and
 * so is every other until the next attempt is due: nothing queues up behind a destination
 * that is down. What was kept comes back through `replay` (spool/replay.ts). Without one, a
 * request waits in memory and those behind it with it.
 *
 * At most one fresh and one kept request are on their way at a time.
 */
import type { Clock } from "#model/clock.ts";
import type { Destination, OtlpSignal } from "./destination.ts";
import type { EncodedRequest } from "./encoded-request.ts";
import type { ExporterSignals } from "./exporter-signals.ts";
import { createGrpcTransport } from "./grpc-transport.ts";
import { createHttpTransport } from "./http-transport.ts";
import { backoffMs, type BackoffOptions, type SendOutcome, type Transport } from "./send-outcome.ts";

/** `delivered`: taken, or kept on disk until it can be. */
export type Delivery = "delivered" | "failed" | "unsupported";

export type Replay =
  | { readonly kind: "delivered" }
  /** The destination will not take it. */
  | { readonly kind: "refused"; readonly errorType: string }
  /** Not now; with the server's own idea of when. */
  | { readonly kind: "later"; readonly errorType: string; readonly afterMs?: number };

export interface SignalSender {
  /** False while the destination is known not to take this signal, and after the end: nothing need be collected. */
  accepts(): boolean;
  /** Settles the request, by retrying for at most `retryForMs`. Never rejects. */
  deliver(request: EncodedRequest, retryForMs: number): Promise<Delivery>;
  /** One attempt with a request that was kept. Never rejects. */
  replay(request: EncodedRequest): Promise<Replay>;
  /** Until another attempt makes sense; 0: now. */
  patienceMs(): number;
  /** Fresh requests that the destination took since the start: a sign that it works. */
  readonly takenRequests: number;
  /** Items that were given up before they became a request, or while they were kept. */
  abandon(items: number, errorType: string): void;
  /**
   * The node is stopping: what is waiting is tried now, once more shortly after, and
   * then nothing is: a collector that is down must not hold the node up.
   */
  hurry(): void;
  /** Ends waiting and calls under way; what is neither delivered nor kept by now has failed. */
  abort(): void;
  close(): void;
}

export interface SignalSenderTiming {
  readonly backoff: BackoffOptions;
  /** How long an unsupported destination is left alone. */
  readonly unsupportedRetryMs: number;
}

export const defaultSenderTiming: SignalSenderTiming = {
  backoff: { initialMs: 1_000, maximumMs: 30_000 },
  unsupportedRetryMs: 10 * 60_000,
};

export interface SignalSenderOptions {
  readonly transport: Transport;
  readonly signals: ExporterSignals;
  readonly clock: Clock;
  readonly random: () => number;
  /** Runs the transport's calls where no span is made. */
  readonly untraced: <T>(fn: () => T) => T;
  /** Keeps a request until the destination is back; false when it cannot. */
  readonly keep?: (request: EncodedRequest) => Promise<boolean>;
  readonly timing?: SignalSenderTiming;
}

export function createTransport(destination: Destination, signal: OtlpSignal, userAgent: string): Transport {
  return destination.protocol === "grpc"
    ? createGrpcTransport(destination, signal, userAgent)
    : createHttpTransport(destination, signal, userAgent);
}

export function createSignalSender(options: SignalSenderOptions): SignalSender {
  const { transport, signals, clock } = options;
  const timing = options.timing ?? defaultSenderTiming;
  const aborted = new AbortController();
  const hurried = new AbortController();
  /** Requests fail at once: hurried, and the last one found nobody. */
  let givenUp = false;
  let suspendedUntilMs = Number.NEGATIVE_INFINITY;
  /** Fresh requests in a row that found nobody. */
  let failures = 0;
  /** While it is down, with a disk: the next attempt's time. */
  let nextAttemptMs = Number.NEGATIVE_INFINITY;
  let takenRequests = 0;

  const isSuspended = (): boolean => clock.monotonicMs() < suspendedUntilMs;

  /** One attempt; what it means for the request's items is counted unless it may be tried again. */
  async function attempt(request: EncodedRequest): Promise<SendOutcome> {
    const startedMs = clock.monotonicMs();
    const outcome = await options.untraced(() => transport.send(request.bytes, aborted.signal));
    const errorType = "errorType" in outcome ? outcome.errorType : undefined;
    signals.attempted((clock.monotonicMs() - startedMs) / 1_000, errorType);
    settle(request, outcome);
    return outcome;
  }

  /** From the first attempt to the end of the last wait. */
  async function inFlight<T>(request: EncodedRequest, work: Promise<T>): Promise<T> {
    signals.inflight(request.items);
    try {
      return await work;
    } finally {
      signals.inflight(-request.items);
    }
  }

  function settle(request: EncodedRequest, outcome: SendOutcome): void {
    switch (outcome.kind) {
      case "accepted":
        reached();
        if (outcome.note !== undefined) signals.remark(outcome.note);
        signals.exported(request.items);
        return;
      case "partial": {
        reached();
        signals.remark(`partial success: ${outcome.reason}`);
        const rejected = Math.min(outcome.rejectedItems, request.items);
        signals.exported(request.items - rejected);
        if (rejected > 0) signals.exported(rejected, "rejected");
        return;
      }
      case "unsupported":
        suspendedUntilMs = clock.monotonicMs() + timing.unsupportedRetryMs;
        signals.state("unsupported", failureOf(outcome));
        return;
      case "refused":
        signals.state("failing", failureOf(outcome));
        signals.exported(request.items, outcome.errorType);
        return;
      case "retry":
        return;
    }
  }

  function reached(): void {
    givenUp = false;
    failures = 0;
    nextAttemptMs = Number.NEGATIVE_INFINITY;
    signals.state("ok");
  }

  async function deliverFresh(request: EncodedRequest, giveUpAtMs: number): Promise<Delivery> {
    for (;;) {
      const outcome = await attempt(request);
      if (outcome.kind === "unsupported") return "unsupported";
      if (outcome.kind === "refused") return "failed";
      if (outcome.kind !== "retry") {
        takenRequests++;
        return "delivered";
      }
      if (!aborted.signal.aborted) signals.state("failing", failureOf(outcome));
      const waitMs = backoffMs(++failures, timing.backoff, options.random, outcome.afterMs);
      if (options.keep !== undefined) {
        nextAttemptMs = clock.monotonicMs() + waitMs;
        if (await options.keep(request)) return "delivered";
      }
      const hasTime = clock.monotonicMs() + waitMs < giveUpAtMs;
      if (hasTime && (hurried.signal.aborted ? await lastChance() : await waited(waitMs))) continue;
      signals.exported(request.items, outcome.errorType);
      return "failed";
    }
  }

  /** False when nothing will come of another attempt. */
  async function waited(waitMs: number): Promise<boolean> {
    try {
      await clock.delay(waitMs, AbortSignal.any([aborted.signal, hurried.signal]));
    } catch {
      // Hurried: try now.
    }
    return !aborted.signal.aborted;
  }

  async function lastChance(): Promise<boolean> {
    if (givenUp) return false;
    givenUp = true;
    try {
      await clock.delay(timing.backoff.initialMs / 4, aborted.signal);
      return true;
    } catch {
      return false;
    }
  }

  return {
    accepts: () => !aborted.signal.aborted && !isSuspended(),
    async deliver(request, retryForMs) {
      if (isSuspended()) return "unsupported";
      const isOver = givenUp || aborted.signal.aborted;
      const isEarly = clock.monotonicMs() < nextAttemptMs;
      if ((isOver || isEarly) && options.keep !== undefined && (await options.keep(request))) return "delivered";
      if (isOver) {
        signals.exported(request.items, "shutdown");
        return "failed";
      }
      return inFlight(request, deliverFresh(request, clock.monotonicMs() + retryForMs));
    },
    async replay(request) {
      const outcome = await inFlight(request, attempt(request));
      if (outcome.kind === "accepted" || outcome.kind === "partial") return { kind: "delivered" };
      if (outcome.kind === "refused") return { kind: "refused", errorType: outcome.errorType };
      // One kept request that fails says little about a destination that takes fresh ones.
      if (outcome.kind === "retry" && !aborted.signal.aborted && (failures > 0 || takenRequests === 0)) {
        signals.state("failing", failureOf(outcome));
      }
      const afterMs = outcome.kind === "retry" ? outcome.afterMs : undefined;
      return { kind: "later", errorType: outcome.errorType, ...(afterMs === undefined ? {} : { afterMs }) };
    },
    patienceMs: () => Math.max(0, Math.max(suspendedUntilMs, nextAttemptMs) - clock.monotonicMs()),
    get takenRequests() {
      return takenRequests;
    },
    abandon: (items, errorType) => signals.exported(items, errorType),
    hurry: () => hurried.abort(),
    abort: () => aborted.abort(),
    close: () => transport.close(),
  };
}

function failureOf(outcome: Exclude<SendOutcome, { readonly kind: "accepted" | "partial" }>): {
  readonly errorType: string;
  readonly reason: string;
  readonly cause?: NonNullable<typeof outcome.cause>;
} {
  const { errorType, reason, cause } = outcome;
  return { errorType, reason, ...(cause === undefined ? {} : { cause }) };
}
