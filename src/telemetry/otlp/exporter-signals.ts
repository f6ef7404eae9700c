/**
 * What the OTLP client says of itself: `otel.sdk.exporter.*` and the state of its
 * destination as metrics, and on stderr one line for each change. Failures are never
 * exported themselves: the way out is what is broken.
 */
import { telemetryDestinationState as stateChanged } from "#gen/telemetry/events.ts";
import {
  otelSdkExporterMetricDataPointExported,
  otelSdkExporterMetricDataPointInflight,
  otelSdkExporterOperationDuration,
  otelSdkExporterSpanExported,
  otelSdkExporterSpanInflight,
  telemetryDestinationState,
} from "#gen/telemetry/metrics.ts";
import type { CounterCell, GaugeCell, Logger, Metrics, UpDownCounterCell } from "../port.ts";
import type { Destination, OtlpSignal } from "./destination.ts";

const states = ["starting", "ok", "failing", "unsupported"] as const;
export type DestinationState = (typeof states)[number];

export interface ExporterSignals {
  /** Items on their way: positive when handed over, negative when settled. */
  inflight(change: number): void;
  /** Items that were exported, or that failed for good with `errorType`. */
  exported(items: number, errorType?: string): void;
  /** One attempt. */
  attempted(durationSeconds: number, errorType?: string): void;
  state(state: DestinationState, reason?: string, errorType?: string): void;
  /** Something to know once: a partial success, an odd answer. */
  remark(text: string): void;
}

export interface ExporterSignalsOptions {
  readonly destination: Destination;
  readonly signal: OtlpSignal;
  readonly metrics: Metrics;
  /** Writes to stderr only. */
  readonly stderrLogger: Logger;
  /** Unix time in ms. */
  readonly now: () => number;
}

const SINGULAR: Readonly<Record<OtlpSignal, string>> = { traces: "span", metrics: "metric", logs: "log" };

/** While it fails, losses are said this often. */
const LOSS_REPORT_INTERVAL_MS = 60_000;

export function createExporterSignals(options: ExporterSignalsOptions): ExporterSignals {
  const { destination, signal, metrics, stderrLogger } = options;
  const type = `otlp_${destination.protocol === "grpc" ? "grpc" : "http"}_${SINGULAR[signal]}_exporter`;
  const component = {
    "otel.component.type": type,
    "otel.component.name": `${type}/0`,
    "server.address": destination.host,
    "server.port": destination.port,
  };
  const where = { "blixard.telemetry.destination": destination.display, "blixard.telemetry.signal": signal };
  const items = itemCells(metrics, signal, component);
  const stateCells = new Map<DestinationState, GaugeCell>(
    states.map((state) => [
      state,
      metrics.bind(telemetryDestinationState, { ...where, "blixard.telemetry.destination_state": state }),
    ]),
  );
  const remarked = new Set<string>();
  let current: DestinationState | undefined;
  let lostItems = 0;
  let nextLossReportMs = 0;

  function enter(state: DestinationState): void {
    current = state;
    for (const [candidate, cell] of stateCells) cell.set(candidate === state ? 1 : 0);
  }

  function reportLoss(count: number): void {
    lostItems += count;
    if (options.now() < nextLossReportMs) return;
    nextLossReportMs = options.now() + LOSS_REPORT_INTERVAL_MS;
    stderrLogger.warn(`${signal} were lost: they could not be exported`, {
      ...where,
      "blixard.telemetry.item_count": lostItems,
    });
    lostItems = 0;
  }

  enter("starting");
  return {
    inflight: (change) => items?.inflight.add(change),
    exported(count, errorType) {
      items?.exported(errorType).add(count);
      if (errorType !== undefined) reportLoss(count);
    },
    attempted(durationSeconds, errorType) {
      const failure = errorType === undefined ? {} : { "error.type": errorType };
      metrics.bind(otelSdkExporterOperationDuration, { ...component, ...failure }).record(durationSeconds);
    },
    state(state, reason, errorType) {
      if (state === current) return;
      enter(state);
      const attributes = { ...where, "blixard.telemetry.destination_state": state } as const;
      const failure = errorType === undefined ? {} : { "error.type": errorType };
      if (state === "failing") {
        stderrLogger.warn(`cannot export ${signal} to ${destination.display}: ${reason}`, {
          ...attributes,
          ...failure,
        });
      } else {
        stderrLogger.event(stateChanged, describe(state, signal, destination.display), { ...attributes, ...failure });
      }
    },
    remark(text) {
      if (remarked.size >= 10 || remarked.has(text)) return;
      remarked.add(text);
      stderrLogger.warn(`${destination.display} says about ${signal}: ${text}`, where);
    },
  };
}

function describe(state: DestinationState, signal: OtlpSignal, display: string): string {
  return state === "unsupported"
    ? `${display} does not take ${signal}; trying again every ten minutes`
    : `${signal} are exported to ${display}`;
}

interface ItemCells {
  readonly inflight: UpDownCounterCell;
  exported(errorType: string | undefined): CounterCell;
}

interface Component {
  readonly "otel.component.type": string;
  readonly "otel.component.name": string;
  readonly "server.address": string;
  readonly "server.port": number;
}

function itemCells(metrics: Metrics, signal: OtlpSignal, component: Component): ItemCells | undefined {
  const withError = (errorType: string | undefined): Component & { readonly "error.type"?: string } =>
    errorType === undefined ? component : { ...component, "error.type": errorType };
  switch (signal) {
    case "traces":
      return {
        inflight: metrics.bind(otelSdkExporterSpanInflight, component),
        exported: (errorType) => metrics.bind(otelSdkExporterSpanExported, withError(errorType)),
      };
    case "metrics":
      return {
        inflight: metrics.bind(otelSdkExporterMetricDataPointInflight, component),
        exported: (errorType) => metrics.bind(otelSdkExporterMetricDataPointExported, withError(errorType)),
      };
    case "logs":
      return undefined;
  }
}
