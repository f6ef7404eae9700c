/**
 * Most servers that expect TLS just close a connection of plain text: from that alone it
 * looks as if they had been restarted. So a destination of plain text that closes
 * connections without an answer is asked, now and then, whether it speaks TLS.
 */
import { connect } from "node:tls";
import type { Destination } from "./destination.ts";
import { describeProblem } from "./network-problem.ts";
import type { SendOutcome } from "./send-outcome.ts";

const ASK_EVERY_MS = 60_000;
const HANDSHAKE_MS = 1_000;

export interface TlsSuspicion {
  /** The same outcome, or the better one. */
  explain(outcome: SendOutcome, abort: AbortSignal): Promise<SendOutcome>;
}

export function createTlsSuspicion(destination: Destination): TlsSuspicion {
  let nextMs = Number.NEGATIVE_INFINITY;
  let speaksTls = false;
  return {
    async explain(outcome, abort) {
      if (destination.secure || outcome.kind !== "retry" || outcome.cause !== "connection_reset") return outcome;
      if (performance.now() >= nextMs) {
        nextMs = performance.now() + ASK_EVERY_MS;
        speaksTls = await greet(destination, AbortSignal.any([abort, AbortSignal.timeout(HANDSHAKE_MS)]));
      }
      if (!speaksTls) return outcome;
      const cause = "plaintext_to_tls_port";
      return { ...outcome, cause, reason: describeProblem(cause, "it answers a TLS handshake; use https://") };
    },
  };
}

/** Whether a TLS handshake is answered, be it with a refusal. Whose certificate it is does not matter here. */
function greet({ host, port }: Destination, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false);
    const socket = connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ["h2", "http/1.1"] });
    const settle = (answer: boolean): void => {
      signal.removeEventListener("abort", giveUp);
      socket.destroy();
      resolve(answer);
    };
    const giveUp = (): void => settle(false);
    signal.addEventListener("abort", giveUp, { once: true });
    socket.once("secureConnect", () => settle(true));
    socket.on("error", (error) => settle(/\balert\b/i.test(error.message)));
    socket.once("close", () => settle(false));
  });
}
