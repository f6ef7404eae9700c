/**
 * Delivers the requests of one signal to its destination, one at a time, by the rules
 * of the specification: retry with growing, jittered patience what may be retried,
 * give up what may not, stop bothering a backend that does not take the signal.
 *
 *   starting ─→ ok ⇄ failing
 *       └────────┴──────┴─→ unsupported ─(ten minutes)─→ tries again
 */
import type { Clock } from "#model/clock.ts";
import type { Destination, OtlpSignal } from "./destination.ts";
import type { EncodedRequest } from "./encoded-request.ts";
import type { ExporterSignals } from "./exporter-signals.ts";
import { createGrpcTransport } from "./grpc-transport.ts";
import { createHttpTransport } from "./http-transport.ts";
import { backoffMs, type BackoffOptions, type Transport } from "./send-outcome.ts";

export type Delivery = "delivered" | "failed" | "unsupported";

export interface SignalSender {
  /** False while the destination is known not to take this signal, and after the end: nothing need be collected. */
  accepts(): boolean;
  /** Settles the request, by retrying for at most `retryForMs`. Never rejects. */
  deliver(request: EncodedRequest, retryForMs: number): Promise<Delivery>;
  /** Items that were given up before they became a request. */
  abandon(items: number, errorType: string): void;
  /**
   * The node is stopping: what is waiting is tried now, once more shortly after, and
   * then nothing is: a collector that is down must not hold the node up.
   */
  hurry(): void;
  /** Ends waiting and calls under way; what is not delivered by now has failed. */
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

  async function attemptUntilSettled(request: EncodedRequest, giveUpAtMs: number): Promise<Delivery> {
    for (let attempt = 1; ; attempt++) {
      const startedMs = clock.monotonicMs();
      const outcome = await options.untraced(() => transport.send(request.bytes, aborted.signal));
      signals.attempted(
        (clock.monotonicMs() - startedMs) / 1_000,
        "errorType" in outcome ? outcome.errorType : undefined,
      );
      switch (outcome.kind) {
        case "accepted":
          givenUp = false;
          signals.state("ok");
          if (outcome.note !== undefined) signals.remark(outcome.note);
          signals.exported(request.items);
          return "delivered";
        case "partial": {
          givenUp = false;
          signals.state("ok");
          signals.remark(`partial success: ${outcome.reason}`);
          const rejected = Math.min(outcome.rejectedItems, request.items);
          signals.exported(request.items - rejected);
          signals.exported(rejected, "partial_success");
          return "delivered";
        }
        case "unsupported":
          suspendedUntilMs = clock.monotonicMs() + timing.unsupportedRetryMs;
          signals.state("unsupported", outcome.reason, outcome.errorType);
          return "unsupported";
        case "refused":
          signals.state("failing", outcome.reason, outcome.errorType);
          signals.exported(request.items, outcome.errorType);
          return "failed";
        case "retry": {
          if (!aborted.signal.aborted) signals.state("failing", outcome.reason, outcome.errorType);
          const waitMs = backoffMs(attempt, timing.backoff, options.random, outcome.afterMs);
          const hasTime = clock.monotonicMs() + waitMs < giveUpAtMs;
          if (hasTime && (hurried.signal.aborted ? await lastChance() : await waited(waitMs))) continue;
          signals.exported(request.items, outcome.errorType);
          return "failed";
        }
      }
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
    accepts: () => !aborted.signal.aborted && clock.monotonicMs() >= suspendedUntilMs,
    async deliver(request, retryForMs) {
      if (clock.monotonicMs() < suspendedUntilMs) return "unsupported";
      if (givenUp || aborted.signal.aborted) {
        signals.exported(request.items, "shutdown");
        return "failed";
      }
      signals.inflight(request.items);
      try {
        return await attemptUntilSettled(request, clock.monotonicMs() + retryForMs);
      } finally {
        signals.inflight(-request.items);
      }
    },
    abandon: (items, errorType) => signals.exported(items, errorType),
    hurry: () => hurried.abort(),
    abort: () => aborted.abort(),
    close: () => transport.close(),
  };
}
