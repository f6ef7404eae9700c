/**
 * The node's sign of life. Renews the lease three times per TTL; when the lease is
 * lost it registers again. A beat that is not confirmed is counted and tried again
 * soon: guests never notice, only the lease's time runs.
 */
import { nodeHeartbeatMissed } from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import { toBlixardError } from "#model/errors.ts";
import type { NodeRegistration } from "#model/node.ts";
import type { Telemetry } from "#telemetry/port.ts";
import type { ControlPlane, Heartbeat } from "./control-plane.ts";

export interface HeartbeatOptions {
  readonly controlPlane: Pick<ControlPlane, "register" | "heartbeat">;
  readonly registration: NodeRegistration;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

export interface Heartbeats {
  /** Registers; beats from then on. @throws BlixardError when the node cannot be registered */
  start(): Promise<void>;
  /** The last one that was confirmed. */
  readonly last: Heartbeat | undefined;
  stop(): Promise<void>;
}

const BEATS_PER_TTL = 3;
const RETRIES_PER_TTL = 10;

export function createHeartbeats(options: HeartbeatOptions): Heartbeats {
  const { controlPlane, registration, clock, telemetry } = options;
  const stopped = new AbortController();
  let last: Heartbeat | undefined;
  let loop: Promise<void> | undefined;
  let misses = 0;

  async function beat(mustRegister: boolean): Promise<"confirmed" | "lease_lost" | "missed"> {
    try {
      last = mustRegister ? await controlPlane.register(registration) : await controlPlane.heartbeat();
      if (misses > 0) telemetry.logger.info(`heartbeats are confirmed again, ${misses} were missed`);
      misses = 0;
      return "confirmed";
    } catch (error) {
      if (stopped.signal.aborted) return "missed";
      const failure = toBlixardError(error);
      telemetry.metrics.bind(nodeHeartbeatMissed, { "error.type": failure.code }).add(1);
      if (misses++ === 0) telemetry.logger.warn("a heartbeat was not confirmed", {}, failure);
      return failure.code === "LEASE_LOST" ? "lease_lost" : "missed";
    }
  }

  async function run(): Promise<void> {
    let mustRegister = false;
    let delayMs = intervalMs(BEATS_PER_TTL);
    while (await pause(delayMs)) {
      const outcome = await beat(mustRegister);
      mustRegister = outcome === "lease_lost" || (mustRegister && outcome === "missed");
      delayMs = outcome === "lease_lost" ? 0 : intervalMs(outcome === "confirmed" ? BEATS_PER_TTL : RETRIES_PER_TTL);
    }
  }

  /** False: stopped meanwhile. */
  async function pause(delayMs: number): Promise<boolean> {
    await clock.delay(delayMs, stopped.signal).catch(() => undefined);
    return !stopped.signal.aborted;
  }

  function intervalMs(parts: number): number {
    return (last?.ttlMs ?? 0) / parts;
  }

  return {
    async start() {
      last = await controlPlane.register(registration);
      loop = telemetry.tracing.run(undefined, run);
    },
    get last() {
      return last;
    },
    async stop() {
      stopped.abort();
      await loop;
    },
  };
}
