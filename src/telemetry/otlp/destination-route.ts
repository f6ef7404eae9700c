/**
 * The way of one signal to one destination: its sender, and where things are kept on disk
 * the spool before it and the replay behind it. Destinations share nothing, so a slow one
 * delays no other.
 */
import {
  telemetrySpoolDropped,
  telemetrySpoolItemCount,
  telemetrySpoolLimit,
  telemetrySpoolReplayed,
  telemetrySpoolUsage,
} from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import type { Logger, Metrics } from "../port.ts";
import { startReplay, type Replay } from "../spool/replay.ts";
import type { SpoolPlace } from "../spool/signal-spool.ts";
import { createSpoolFolder, type SpoolFolder } from "../spool/spool-folder.ts";
import type { Destination, OtlpSignal } from "./destination.ts";
import type { DestinationStatus, SpoolUsage } from "./destination-status.ts";
import { createExporterSignals, type ExporterSignals } from "./exporter-signals.ts";
import { createSignalSender, type SignalSender, type SignalSenderTiming } from "./signal-sender.ts";
import type { Transport } from "./send-outcome.ts";

export interface DestinationRoute {
  readonly sender: SignalSender;
  readonly signals: ExporterSignals;
  /** Begins to bring back what an earlier process left. */
  start(): void;
  /** Replays nothing more. */
  stopReplay(): Promise<void>;
  /** Everything was delivered, kept or given up. */
  close(): Promise<void>;
  status(queue: DestinationStatus["queue"]): DestinationStatus;
}

export interface DestinationRouteOptions {
  readonly destination: Destination;
  readonly signal: OtlpSignal;
  readonly index: number;
  readonly transport: Transport;
  /** Absent: nothing is kept on disk. */
  readonly spool?: SpoolPlace;
  readonly clock: Clock;
  readonly random: () => number;
  readonly metrics: Metrics;
  readonly stderrLogger: Logger;
  /** For the gap. */
  readonly logger: () => Logger;
  readonly untraced: <T>(fn: () => T) => T;
  readonly timing?: SignalSenderTiming;
}

export function createDestinationRoute(options: DestinationRouteOptions): DestinationRoute {
  const { destination, signal, clock, random } = options;
  const signals = createExporterSignals({
    destination,
    signal,
    index: options.index,
    metrics: options.metrics,
    stderrLogger: options.stderrLogger,
    logger: options.logger,
    now: () => clock.now(),
  });
  const where = { "blixard.telemetry.destination": destination.display, "blixard.telemetry.signal": signal };
  const { spool, metrics } = options;
  const spoolSignals = spool === undefined ? undefined : createSpoolSignals(metrics, where);
  const folder = spool === undefined ? undefined : createFolder(spool, spoolSignals);
  const sender = createSignalSender({
    transport: options.transport,
    signals,
    clock,
    random,
    untraced: options.untraced,
    ...(folder === undefined ? {} : { keep: (request) => folder.append(request) }),
    ...(options.timing === undefined ? {} : { timing: options.timing }),
  });
  let replay: Replay | undefined;

  function createFolder(place: SpoolPlace, own: SpoolSignals | undefined): SpoolFolder {
    return createSpoolFolder({
      directory: place.directory,
      limitBytes: place.limitBytes,
      disk: place.disk,
      now: () => clock.now(),
      onLost(items, reason) {
        own?.dropped(items, reason);
        sender.abandon(items, reason);
      },
      onProblem: (error) =>
        options.stderrLogger.warn(`cannot keep ${signal} for ${destination.display} on disk`, where, error),
      onUsage: (usage) => own?.usage(usage),
    });
  }

  async function noteLeftovers(leftBehind: SpoolFolder): Promise<void> {
    await leftBehind.open();
    const { oldestMs } = leftBehind.usage();
    if (oldestMs !== undefined) signals.waitingSince(oldestMs);
  }

  return {
    sender,
    signals,
    start() {
      if (folder === undefined || replay !== undefined) return;
      void noteLeftovers(folder);
      replay = startReplay({
        folder,
        sender,
        clock,
        random,
        ...(options.timing === undefined ? {} : { backoff: options.timing.backoff }),
        onReplayed: (items) => spoolSignals?.replayed(items),
        onGivenUp: (items, errorType) => spoolSignals?.dropped(items, errorType),
      });
    },
    stopReplay: async () => replay?.stop(),
    async close() {
      options.transport.close();
      await folder?.close();
    },
    status(queue) {
      const { missedItems, ...standing } = signals.current();
      return {
        destination: destination.display,
        signal,
        index: options.index,
        ...standing,
        droppedItems: missedItems,
        queue,
        ...(folder === undefined ? {} : { spool: folder.usage() }),
      };
    },
  };
}

interface SpoolSignals {
  usage(usage: SpoolUsage): void;
  replayed(items: number): void;
  dropped(items: number, errorType: string): void;
}

function createSpoolSignals(
  metrics: Metrics,
  where: { readonly "blixard.telemetry.destination": string; readonly "blixard.telemetry.signal": OtlpSignal },
): SpoolSignals {
  const level = (cell: { add(value: number): void }): ((value: number) => void) => {
    let last = 0;
    return (value) => {
      cell.add(value - last);
      last = value;
    };
  };
  const bytes = level(metrics.bind(telemetrySpoolUsage, where));
  const limit = level(metrics.bind(telemetrySpoolLimit, where));
  const items = level(metrics.bind(telemetrySpoolItemCount, where));
  const replayed = metrics.bind(telemetrySpoolReplayed, where);
  return {
    usage(usage) {
      bytes(usage.bytes);
      limit(usage.limitBytes);
      items(usage.items);
    },
    replayed: (count) => replayed.add(count),
    dropped: (count, errorType) =>
      metrics.bind(telemetrySpoolDropped, { ...where, "error.type": errorType }).add(count),
  };
}
