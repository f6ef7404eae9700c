/**
 * Frees a full store. At its quota a member raises an alarm and refuses every
 * write, lease grants too, until someone forgets history, gives the space back and
 * lifts the alarm. On a node that supervises its own member, that someone is this.
 */
import type { Clock } from "#model/clock.ts";
import type { Logger } from "#telemetry/port.ts";
import { pause } from "../clock.ts";
import type { EtcdMaintenance } from "./etcd-maintenance.ts";

export interface SpaceKeeperOptions {
  readonly maintenance: Pick<EtcdMaintenance, "status" | "recoverSpace">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How often the alarm is looked for. Default 10 s. */
  readonly intervalMs?: number;
  /** A store that is full of what is needed fills again at once: between two tries. Default 5 min. */
  readonly retryMs?: number;
}

export interface SpaceKeeper extends AsyncDisposable {
  start(): void;
  stop(): Promise<void>;
}

const DEFAULT_INTERVAL_MS = 10_000;
const DEFAULT_RETRY_MS = 5 * 60_000;

export function createSpaceKeeper(options: SpaceKeeperOptions): SpaceKeeper {
  const { maintenance, clock, logger } = options;
  const stopping = new AbortController();
  let running: Promise<void> | undefined;

  async function run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const tried = await recoverIfFull(signal);
      const waitMs = tried ? (options.retryMs ?? DEFAULT_RETRY_MS) : (options.intervalMs ?? DEFAULT_INTERVAL_MS);
      await pause(clock, waitMs, signal);
    }
  }

  /** Whether it was tried. */
  async function recoverIfFull(signal: AbortSignal): Promise<boolean> {
    try {
      const { alarms } = await maintenance.status(signal);
      if (!alarms.includes("NOSPACE")) return false;
    } catch {
      // It does not answer: others see and say so.
      return false;
    }
    try {
      logger.warn("the store's database is full: forgetting its history to make room");
      await maintenance.recoverSpace(signal);
      logger.warn("the store's database takes writes again");
    } catch (error) {
      if (!signal.aborted) logger.error("the store's database is full and no room could be made", {}, error);
    }
    return true;
  }

  async function stop(): Promise<void> {
    stopping.abort();
    await running;
  }

  return {
    start() {
      running ??= run(stopping.signal);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
