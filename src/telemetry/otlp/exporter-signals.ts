/**
 * What the OTLP client says of one destination of one signal: `otel.sdk.exporter.*` and
 * the destination's state as metrics, on stderr one line for each change, and a record of
 * the gap when it is back. Failures are never exported while they last: the way out is
 * what is broken.
 */
import { telemetryDestinationState as stateChanged, telemetryGap } from "#gen/telemetry/events.ts";
import {
  otelSdkExporterLogExported,
  otelSdkExporterLogInflight,
  otelSdkExporterMetricDataPointExported,
  otelSdkExporterMetricDataPointInflight,
  otelSdkExporterOperationDuration,
  otelSdkExporterSpanExported,
  otelSdkExporterSpanInflight,
  telemetryDestinationState,
} from "#gen/telemetry/metrics.ts";
import type { CounterCell, GaugeCell, Logger, Metrics, UpDownCounterCell } from "../port.ts";
import type { Destination, OtlpSignal } from "./destination.ts";
import { destinationStates, type DestinationError, type DestinationState } from "./destination-status.ts";
import type { NetworkProblem } from "./send-outcome.ts";

export interface ExporterSignals {
  /** Items on their way: positive when handed over, negative when settled. */
  inflight(change: number): void;
  /** Items that were exported, or that failed for good with `errorType`. */
  exported(items: number, errorType?: string): void;
  /** Items that never came to the exporter. Whoever refused them counts them. */
  missed(items: number): void;
  /** One attempt. */
  attempted(durationSeconds: number, errorType?: string): void;
  /** The state, and where it is a bad one the failure it comes from. */
  state(state: DestinationState, failure?: ExportFailure): void;
  /** Something of an earlier process waits since then (Unix ms) for the destination to come back. */
  waitingSince(timeMs: number): void;
  /** Something to know once: a partial success, an odd answer. */
  remark(text: string): void;
  current(): ExporterStanding;
}

export interface ExportFailure {
  readonly reason: string;
  readonly errorType: string;
  readonly cause?: NetworkProblem;
}

export interface ExporterStanding {
  readonly state: DestinationState;
  /** Unix time in ms. */
  readonly sinceMs: number;
  readonly lastError?: DestinationError;
  readonly exportedItems: number;
  readonly failedItems: number;
  readonly missedItems: number;
}

export interface ExporterSignalsOptions {
  readonly destination: Destination;
  readonly signal: OtlpSignal;
  /** Its place among the signal's destinations; default 0. */
  readonly index?: number;
  readonly metrics: Metrics;
  /** Writes to stderr only. */
  readonly stderrLogger: Logger;
  /** For what is also exported: the gap. Default the other one. */
  readonly logger?: () => Logger;
  /** Unix time in ms. */
  readonly now: () => number;
}

const SINGULAR: Readonly<Record<OtlpSignal, string>> = { traces: "span", metrics: "metric", logs: "log" };

/** While it fails, losses are said this often. */
const LOSS_REPORT_INTERVAL_MS = 60_000;
const MAXIMUM_REMARKS = 10;

export function createExporterSignals(options: ExporterSignalsOptions): ExporterSignals {
  const { destination, signal, metrics, stderrLogger, now } = options;
  const component = componentOf(destination, signal, options.index ?? 0);
  const where = { "blixard.telemetry.destination": destination.display, "blixard.telemetry.signal": signal };
  const items = itemCells(metrics, signal, component);
  const stateCells = new Map<DestinationState, GaugeCell>(
    destinationStates.map((state) => [
      state,
      metrics.bind(telemetryDestinationState, { ...where, "blixard.telemetry.destination_state": state }),
    ]),
  );
  const gap = createGapWatch(options);
  const losses = createLossReport(options);
  const remarked = new Set<string>();
  let standing: ExporterStanding = {
    state: "starting",
    sinceMs: now(),
    exportedItems: 0,
    failedItems: 0,
    missedItems: 0,
  };

  function enter(state: DestinationState): void {
    standing = { ...standing, state, sinceMs: now() };
    for (const [candidate, cell] of stateCells) cell.set(candidate === state ? 1 : 0);
  }

  function say(state: DestinationState, failure: ExportFailure | undefined): void {
    const attributes = {
      ...where,
      "blixard.telemetry.destination_state": state,
      ...(failure === undefined ? {} : { "error.type": failure.errorType }),
    } as const;
    if (state === "failing") {
      stderrLogger.warn(`cannot export ${signal} to ${destination.display}: ${failure?.reason}`, attributes);
    } else stderrLogger.event(stateChanged, describe(state, signal, destination.display), attributes);
  }

  enter("starting");
  return {
    inflight: (change) => items.inflight.add(change),
    exported(count, errorType) {
      items.exported(errorType).add(count);
      if (errorType === undefined) standing = { ...standing, exportedItems: standing.exportedItems + count };
      else {
        standing = { ...standing, failedItems: standing.failedItems + count };
        // What a destination rejects it was there to reject.
        if (errorType !== "rejected") gap.lost(count);
        losses.report(count);
      }
    },
    missed(count) {
      standing = { ...standing, missedItems: standing.missedItems + count };
      gap.lost(count);
      losses.report(count);
    },
    attempted(durationSeconds, errorType) {
      const failure = errorType === undefined ? {} : { "error.type": errorType };
      metrics.bind(otelSdkExporterOperationDuration, { ...component, ...failure }).record(durationSeconds);
    },
    state(state, failure) {
      if (failure !== undefined) standing = { ...standing, lastError: { ...failure, timeMs: now() } };
      if (state === "failing") gap.opened(now());
      if (state !== standing.state) {
        enter(state);
        say(state, failure);
      }
      if (state === "ok") gap.closed();
    },
    waitingSince: (timeMs) => gap.opened(timeMs),
    remark(text) {
      if (remarked.size >= MAXIMUM_REMARKS || remarked.has(text)) return;
      remarked.add(text);
      stderrLogger.warn(`${destination.display} says about ${signal}: ${text}`, where);
    },
    current: () => standing,
  };
}

function describe(state: DestinationState, signal: OtlpSignal, display: string): string {
  return state === "unsupported"
    ? `${display} does not take ${signal}; trying again every ten minutes`
    : `${signal} are exported to ${display}`;
}

interface LossReport {
  report(items: number): void;
}

function createLossReport({ destination, signal, stderrLogger, now }: ExporterSignalsOptions): LossReport {
  let lostItems = 0;
  let nextReportMs = 0;
  return {
    report(items) {
      lostItems += items;
      if (now() < nextReportMs) return;
      nextReportMs = now() + LOSS_REPORT_INTERVAL_MS;
      stderrLogger.warn(`${signal} were lost: they could not be exported`, {
        "blixard.telemetry.destination": destination.display,
        "blixard.telemetry.signal": signal,
        "blixard.telemetry.item_count": lostItems,
      });
      lostItems = 0;
    },
  };
}

interface GapWatch {
  opened(fromMs: number): void;
  lost(items: number): void;
  closed(): void;
}

/** From the first failure, or the oldest of what an earlier process left, to the first success. */
function createGapWatch(options: ExporterSignalsOptions): GapWatch {
  const { destination, signal, now } = options;
  let fromMs: number | undefined;
  let lostItems = 0;
  return {
    opened: (timeMs) => void (fromMs = Math.min(fromMs ?? timeMs, timeMs)),
    lost: (items) => void (lostItems += items),
    closed() {
      if (fromMs !== undefined) {
        const loss = lostItems === 0 ? "nothing was lost" : `${lostItems} were lost`;
        const logger = options.logger?.() ?? options.stderrLogger;
        logger.event(telemetryGap, `${signal} could not be exported to ${destination.display} for a while; ${loss}`, {
          "blixard.telemetry.destination": destination.display,
          "blixard.telemetry.signal": signal,
          "blixard.telemetry.gap.from": new Date(fromMs).toISOString(),
          "blixard.telemetry.gap.to": new Date(now()).toISOString(),
          "blixard.telemetry.gap.lost": lostItems,
        });
      }
      fromMs = undefined;
      lostItems = 0;
    },
  };
}

interface Component {
  readonly "otel.component.type": string;
  readonly "otel.component.name": string;
  readonly "server.address": string;
  readonly "server.port": number;
}

function componentOf({ protocol, host, port }: Destination, signal: OtlpSignal, index: number): Component {
  const type = `otlp_${protocol.replace("/protobuf", "").replace("/", "_")}_${SINGULAR[signal]}_exporter`;
  return {
    "otel.component.type": type,
    "otel.component.name": `${type}/${index}`,
    "server.address": host,
    "server.port": port,
  };
}

interface ItemCells {
  readonly inflight: UpDownCounterCell;
  exported(errorType: string | undefined): CounterCell;
}

const inflightMetric = {
  traces: otelSdkExporterSpanInflight,
  metrics: otelSdkExporterMetricDataPointInflight,
  logs: otelSdkExporterLogInflight,
} as const;

const exportedMetric = {
  traces: otelSdkExporterSpanExported,
  metrics: otelSdkExporterMetricDataPointExported,
  logs: otelSdkExporterLogExported,
} as const;

function itemCells(metrics: Metrics, signal: OtlpSignal, component: Component): ItemCells {
  return {
    inflight: metrics.bind(inflightMetric[signal], component),
    exported: (errorType) =>
      metrics.bind(
        exportedMetric[signal],
        errorType === undefined ? component : { ...component, "error.type": errorType },
      ),
  };
}
