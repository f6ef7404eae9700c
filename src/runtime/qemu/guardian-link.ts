/**
 * The runtime's connection to the guardian, kept alive: when it is lost, the
 * guardian is found again, or another one is started, and what that one knows
 * is told. Nothing here concludes anything about guests.
 */
import type { EnsuredGuardian } from "#guardian/ensure-guardian.ts";
import type { GuardianClient } from "#guardian/guardian-client.ts";
import type { GuestReport } from "#guardian/protocol.ts";
import { guardianExited } from "#gen/telemetry/events.ts";
import { nodeGuardianConnected, nodeGuardianExits } from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import { isAlive, isSameProcess } from "#process/identity.ts";
import type { Telemetry } from "#telemetry/port.ts";

export interface GuardianLink {
  /** @throws BlixardError GUARDIAN_UNAVAILABLE */
  start(): Promise<EnsuredGuardian>;
  /** The client of now, or of the guardian that is being found. @throws BlixardError GUARDIAN_UNAVAILABLE */
  client(): Promise<GuardianClient>;
  /** Lets go; a guardian without guests is told to end. */
  stop(): Promise<void>;
}

export interface GuardianLinkOptions {
  readonly ensure: (onExited: (guest: GuestReport) => void) => Promise<EnsuredGuardian>;
  readonly onExited: (guest: GuestReport) => void;
  /** Another connection, perhaps to another guardian: all that it knows. */
  readonly onReconnected: (client: GuardianClient, guests: readonly GuestReport[]) => void;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

const RETRY = { initialDelayMs: 100, maximumDelayMs: 5_000 };
// Longer than a guardian takes to start, shorter than a caller's patience.
const WAIT_MS = 10_000;

export function createGuardianLink(options: GuardianLinkOptions): GuardianLink {
  const { clock, telemetry } = options;
  const connected = telemetry.metrics.bind(nodeGuardianConnected, {});
  const exits = telemetry.metrics.bind(nodeGuardianExits, {});
  const stopped = new AbortController();
  let current: GuardianClient | undefined;
  let reconnecting: Promise<void> = Promise.resolve();

  async function connect(): Promise<EnsuredGuardian> {
    const ensured = await options.ensure(options.onExited);
    if (stopped.signal.aborted) {
      ensured.client.close();
      throw unavailable();
    }
    current = ensured.client;
    connected.set(1);
    reconnecting = reconnectAfter(ensured.client);
    return ensured;
  }

  /** Follows one connection to its end, and then the next. */
  async function reconnectAfter(client: GuardianClient): Promise<void> {
    await client.closed;
    if (stopped.signal.aborted) return;
    current = undefined;
    connected.set(0);
    let hasExited = false;
    for (let failures = 0; !stopped.signal.aborted; failures++) {
      try {
        hasExited ||= reportIfExited(client, isAlive(client.hello.identity));
        const next = await connect();
        // The kernel closes a dying process's sockets before it counts as dead: its successor proves its end.
        hasExited ||= reportIfExited(client, isSameProcess(next.client.hello.identity, client.hello.identity));
        if (!hasExited) telemetry.logger.warn("the connection to the guardian broke off", describe(client));
        await tellGuests(next.client);
        return;
      } catch (error) {
        if (stopped.signal.aborted) return;
        telemetry.logger.error("the guardian cannot be reached, trying again", {}, error);
      }
      const delayMs = Math.min(RETRY.maximumDelayMs, RETRY.initialDelayMs * 2 ** Math.min(failures, 10));
      await clock.delay(delayMs, stopped.signal).catch(() => undefined);
    }
  }

  /** A connection that cannot even list is given up: its own follower takes the next step. */
  async function tellGuests(client: GuardianClient): Promise<void> {
    try {
      options.onReconnected(client, await client.list());
    } catch (error) {
      telemetry.logger.error("the guardian does not tell its guests, connecting anew", {}, error);
      client.close();
    }
  }

  function reportIfExited(client: GuardianClient, stillRuns: boolean): boolean {
    if (stillRuns) return false;
    exits.add(1);
    telemetry.logger.event(guardianExited, "the guardian died, and its guests with it", describe(client));
    return true;
  }

  async function waitForClient(): Promise<GuardianClient> {
    const timeout = new AbortController();
    const end = AbortSignal.any([timeout.signal, stopped.signal]);
    const late = clock.delay(WAIT_MS, end).then(
      () => timeout.abort(),
      () => undefined,
    );
    try {
      while (current === undefined && !end.aborted) await Promise.race([clock.delay(20, end).catch(() => {}), late]);
    } finally {
      timeout.abort();
    }
    if (current === undefined) throw unavailable();
    return current;
  }

  return {
    start: connect,
    client: async () => current ?? waitForClient(),
    async stop() {
      stopped.abort();
      const client = current;
      current = undefined;
      // It refuses while guests run: that is the point of it.
      await client?.shutdown({ force: false }).catch(() => undefined);
      client?.close();
      await reconnecting;
      connected.remove();
    },
  };
}

function describe({ hello }: GuardianClient): { readonly "process.pid": number } {
  return { "process.pid": hello.identity.pid };
}

function unavailable(): BlixardError {
  return new BlixardError("GUARDIAN_UNAVAILABLE", "the guardian of this node's guests cannot be reached", {
    hint: "look into guardian/guardian.log in the node's data directory",
  });
}
