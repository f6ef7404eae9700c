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
  /** False while the destination is known not to take this signal: then nothing need be collected. */
  accepts(): boolean;
  /** Settles the request, by retrying for at most `retryForMs`. Never rejects. */
  deliver(request: EncodedRequest, retryForMs: number): Promise<Delivery>;
  /** Items that were given up before they became a request. */
  abandon(items: number, errorType: string): void;
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
          signals.state("ok");
          if (outcome.note !== undefined) signals.remark(outcome.note);
          signals.exported(request.items);
          return "delivered";
        case "partial": {
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
          const mayWait = clock.monotonicMs() + waitMs < giveUpAtMs && (await waited(waitMs));
          if (mayWait) continue;
          signals.exported(request.items, outcome.errorType);
          return "failed";
        }
      }
    }
  }

  async function waited(waitMs: number): Promise<boolean> {
    try {
      await clock.delay(waitMs, aborted.signal);
      return true;
    } catch {
      return false;
    }
  }

  return {
    accepts: () => clock.monotonicMs() >= suspendedUntilMs,
    async deliver(request, retryForMs) {
      signals.inflight(request.items);
      try {
        return await attemptUntilSettled(request, clock.monotonicMs() + retryForMs);
      } finally {
        signals.inflight(-request.items);
      }
    },
    abandon: (items, errorType) => signals.exported(items, errorType),
    abort: () => aborted.abort(),
    close: () => transport.close(),
  };
}
