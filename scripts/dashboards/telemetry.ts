/** Telemetry of telemetry: does what nodes say of themselves arrive, and what does it cost? */
import {
  otelSdkExporterLogExported,
  otelSdkExporterMetricDataPointExported,
  otelSdkExporterOperationDuration,
  otelSdkExporterSpanExported,
  otelSdkProcessorLogQueueCapacity,
  otelSdkProcessorLogQueueSize,
  otelSdkProcessorSpanQueueCapacity,
  otelSdkProcessorSpanQueueSize,
  otelSdkSpanStarted,
  telemetryBaggageDropped,
  telemetryCollectionAge,
  telemetryCollectionDuration,
  telemetryDestinationState,
  telemetryExemplars,
  telemetryLogAttributesDropped,
  telemetryLogSuppressed,
  telemetryMeasurementsDropped,
  telemetryRecorderSpanCount,
  telemetryRecorderSpanDropped,
  telemetryRecorderSpanLimit,
  telemetryScrapeDuration,
  telemetryScrapeRejected,
  telemetryScrapeSize,
  telemetrySeriesCount,
  telemetrySeriesLimit,
  telemetrySeriesOverflows,
  telemetrySpoolDropped,
  telemetrySpoolItemCount,
  telemetrySpoolLimit,
  telemetrySpoolReplayed,
  telemetrySpoolUsage,
  telemetryTombstonesDropped,
} from "../../src/gen/telemetry/metrics.ts";
import type { DashboardSpec, Row } from "./dashboard.ts";
import { uids } from "./links.ts";
import { heatmap, type PanelOptions, stat, states, stateTimeline, timeSeries } from "./panels.ts";
import { buckets, failed, increase, legend, max, type Metric, quantile, rate, select, sum, topk } from "./promql.ts";

const exported = {
  spans: otelSdkExporterSpanExported,
  points: otelSdkExporterMetricDataPointExported,
  logs: otelSdkExporterLogExported,
} as const;
const byOtlp: PanelOptions["emptyUntil"] & object = [
  "an OTLP endpoint is set (`[observability.tracing] otlp_endpoint`)",
  "nothing goes out by OTLP",
];
const scraped: PanelOptions["emptyUntil"] & object = ["somebody scrapes", "nobody scrapes"];

export function telemetryDashboard(): DashboardSpec {
  return {
    uid: uids.telemetry,
    title: "Blixard / Telemetry",
    description:
      "The pipeline that feeds all other dashboards. `blixard telemetry doctor` proves it end to end and names the fix.",
    rows: [arrives(), outage(), scrapes(), cardinality(), fresh(), traces(), lost()],
  };
}

function arrives(): Row {
  return {
    question: "Does it arrive?",
    panels: [
      stateTimeline({
        title: "Destinations",
        description:
          "Whether each destination takes each signal. `failing`: run `blixard telemetry doctor`. `unsupported`: it does not take that signal, and is asked again every ten minutes.",
        width: 24,
        mappings: [
          states([1, "ok", "green"], [0, "starting", "blue"], [2, "unsupported", "yellow"], [3, "failing", "red"]),
        ],
        queries: [
          { expr: destinationStates(), legend: legend("blixard.telemetry.signal", "blixard.telemetry.destination") },
        ],
        emptyUntil: byOtlp,
      }),
      timeSeries({
        title: "Exported",
        description: "Spans, metric points and log records that destinations took, per second.",
        queries: Object.entries(exported).map(([name, metric]) => ({
          expr: sum([], rate(metric, { "error.type": "" })),
          legend: name,
        })),
        emptyUntil: byOtlp,
      }),
      timeSeries({
        title: "Failed exports",
        description:
          "Spans, points and records that were given up on, by the error; what waits in the spool is not among them. Steady: run `blixard telemetry doctor`.",
        queries: Object.entries(exported).map(([name, metric]) => ({
          expr: sum(["error.type"], rate(metric, failed)),
          legend: `${name}: ${legend("error.type")}`,
        })),
        emptyUntil: ["an export has failed", "no failed exports"],
      }),
      timeSeries({
        title: "Time of an export, 99th percentile",
        description:
          "Until the destination has answered, by its exporter. Near the timeout (10 s) exports start to fail.",
        unit: "s",
        queries: [
          {
            expr: quantile(0.99, otelSdkExporterOperationDuration, ["otel.component.name"]),
            legend: legend("otel.component.name"),
          },
        ],
        emptyUntil: byOtlp,
      }),
    ],
  };
}

/** ok 1, unsupported 2, failing 3, starting 0: of each destination and signal. */
function destinationStates(): string {
  const of = (state: "ok" | "unsupported" | "failing"): string =>
    max(
      ["blixard.telemetry.destination", "blixard.telemetry.signal"],
      select(telemetryDestinationState, { "blixard.telemetry.destination_state": state }),
    );
  return `${of("ok")} + 2 * ${of("unsupported")} + 3 * ${of("failing")}`;
}

function outage(): Row {
  const share = (used: Metric, limit: Metric, name: string) => ({
    expr: max([], `${sum(["job", "instance"], select(used))} / ${sum(["job", "instance"], select(limit))}`),
    legend: name,
  });
  return {
    question: "What happens to it while a destination is away?",
    panels: [
      timeSeries({
        title: "Queues",
        description:
          "How full the fullest queues in memory are. Full ones overflow to the disk, and what does not fit there is lost and counted.",
        unit: "percentunit",
        max: 1,
        steps: [[0.8, "red"]],
        queries: [
          share(otelSdkProcessorSpanQueueSize, otelSdkProcessorSpanQueueCapacity, "spans"),
          share(otelSdkProcessorLogQueueSize, otelSdkProcessorLogQueueCapacity, "logs"),
        ],
        emptyUntil: byOtlp,
      }),
      timeSeries({
        title: "Spool on disk",
        description:
          "Bytes that wait for a destination to come back, and the limit. At the limit the oldest are given up.",
        unit: "bytes",
        limits: ["/limit$/"],
        queries: [
          {
            expr: sum(["blixard.telemetry.signal"], select(telemetrySpoolUsage)),
            legend: legend("blixard.telemetry.signal"),
          },
          {
            expr: sum(["blixard.telemetry.signal"], select(telemetrySpoolLimit)),
            legend: `${legend("blixard.telemetry.signal")} limit`,
          },
        ],
        emptyUntil: byOtlp,
      }),
      timeSeries({
        title: "Waiting, replayed, lost",
        description: "Items on disk, those that a destination took after it was back, and those that were lost.",
        queries: [
          { expr: sum([], select(telemetrySpoolItemCount)), legend: "waiting" },
          { expr: sum([], increase(telemetrySpoolReplayed)), legend: "replayed" },
          { expr: sum([], increase(telemetrySpoolDropped)), legend: "lost" },
        ],
        emptyUntil: byOtlp,
      }),
    ],
  };
}

function scrapes(): Row {
  return {
    question: "How are the scrapes?",
    panels: [
      timeSeries({
        title: "Time of a scrape, 95th percentile",
        description:
          "From the request to the end of the page, by format. Prometheus gives up after its `scrape_timeout`.",
        unit: "s",
        width: 6,
        queries: [
          {
            expr: quantile(0.95, telemetryScrapeDuration, ["blixard.telemetry.format"]),
            legend: legend("blixard.telemetry.format"),
          },
        ],
        emptyUntil: scraped,
      }),
      heatmap({
        title: "Time of a scrape",
        description: "Where the single ones lie.",
        unit: "s",
        width: 6,
        expr: buckets(telemetryScrapeDuration),
        exemplars: false,
        emptyUntil: scraped,
      }),
      timeSeries({
        title: "Size of a page, median",
        description: "Before compression. It grows with the series below.",
        unit: "bytes",
        width: 6,
        queries: [
          {
            expr: quantile(0.5, telemetryScrapeSize, ["blixard.telemetry.format"]),
            legend: legend("blixard.telemetry.format"),
          },
        ],
        emptyUntil: scraped,
      }),
      timeSeries({
        title: "Refused or cut off",
        description:
          "`busy` is too many at once, `stalled` a scraper that does not read, `timeout` one that takes too long, `auth` wrong credentials.",
        width: 6,
        queries: [
          {
            expr: sum(["blixard.telemetry.rejection_reason"], increase(telemetryScrapeRejected)),
            legend: legend("blixard.telemetry.rejection_reason"),
          },
        ],
        emptyUntil: ["a scrape was refused or cut off", "none was refused"],
      }),
    ],
  };
}

function cardinality(): Row {
  const metric = ["blixard.telemetry.metric"] as const;
  return {
    question: "What does it cost, and who costs most?",
    panels: [
      stat({
        title: "Series",
        description:
          "Live series of the chosen nodes. `blixard telemetry cardinality --vms N` tells what more VMs would cost.",
        width: 6,
        height: 8,
        queries: [{ expr: sum([], select(telemetrySeriesCount)) }],
      }),
      timeSeries({
        title: "Series, ten highest",
        description: "By metric: what to look at first when there are too many.",
        width: 9,
        queries: [{ expr: topk(10, sum(metric, select(telemetrySeriesCount))), legend: legend(...metric) }],
      }),
      timeSeries({
        title: "Nearest to their limit, ten highest",
        description:
          "Share of its budget that a metric has used, on the node where it is highest. At 100 % further series are merged into one, `otel_metric_overflow`; the overflows show it.",
        unit: "percentunit",
        width: 9,
        max: 1,
        steps: [[0.8, "red"]],
        queries: [
          {
            expr: topk(10, max(metric, `${select(telemetrySeriesCount)} / ${select(telemetrySeriesLimit)}`)),
            legend: legend(...metric),
          },
          { expr: sum(metric, increase(telemetrySeriesOverflows)), legend: `${legend(...metric)} overflows` },
        ],
      }),
    ],
  };
}

function fresh(): Row {
  const group = ["blixard.telemetry.group"] as const;
  return {
    question: "Are the numbers fresh?",
    panels: [
      timeSeries({
        title: "Age of what was collected",
        description:
          "By group, on the node where it is oldest. A group that hangs keeps its last numbers and grows here; scrapes go on.",
        unit: "s",
        width: 12,
        steps: [[60, "red"]],
        queries: [{ expr: max(group, select(telemetryCollectionAge)), legend: legend(...group) }],
      }),
      timeSeries({
        title: "Time to collect, 95th percentile",
        description: "By group. It costs no scrape anything, but what takes long is old when it is read.",
        unit: "s",
        width: 12,
        queries: [{ expr: quantile(0.95, telemetryCollectionDuration, group), legend: legend(...group) }],
      }),
    ],
  };
}

function traces(): Row {
  const sampling = ["otel.span.sampling_result"] as const;
  return {
    question: "Which traces are kept, and which leave?",
    panels: [
      timeSeries({
        title: "Spans started",
        description:
          "RECORD_AND_SAMPLE is exported; RECORD_ONLY stays on the node for `blixard vm trace`, unless its trace is promoted.",
        unit: "cps",
        queries: [{ expr: sum(sampling, rate(otelSdkSpanStarted)), legend: legend(...sampling) }],
      }),
      timeSeries({
        title: "Spans kept on nodes",
        description: "Beside the most that are kept. Full is normal after a while: new ones make the oldest go.",
        limits: ["limit"],
        queries: [
          { expr: sum([], select(telemetryRecorderSpanCount)), legend: "kept" },
          { expr: sum([], select(telemetryRecorderSpanLimit)), legend: "limit" },
        ],
      }),
      timeSeries({
        title: "Exemplars",
        description:
          "Measurements that were kept with the span they were made in. None while there are spans: `exemplars` is off, or nothing is exported.",
        unit: "cps",
        queries: [{ expr: sum([], rate(telemetryExemplars)), legend: "exemplars" }],
      }),
    ],
  };
}

function lost(): Row {
  return {
    question: "What was left out?",
    panels: [
      timeSeries({
        title: "Log records and attributes",
        description:
          "Records of which too many alike came, and attributes that the registry does not know. `blixard telemetry log-level` changes how much is logged.",
        queries: [
          { expr: sum([], increase(telemetryLogSuppressed)), legend: "records alike" },
          { expr: sum([], increase(telemetryLogAttributesDropped)), legend: "attributes" },
        ],
      }),
      timeSeries({
        title: "Measurements and ends of series",
        description:
          "Values that no metric can take, and ends of series that a destination was not told of because it was away too long.",
        queries: [
          { expr: sum([], increase(telemetryMeasurementsDropped)), legend: "measurements" },
          { expr: sum([], increase(telemetryTombstonesDropped)), legend: "ends of series" },
        ],
        emptyUntil: ["something was left out", "nothing was left out"],
      }),
      timeSeries({
        title: "Spans and baggage",
        description:
          "Spans that made room for newer ones on their node, and callers' baggage that did not travel on, by reason.",
        queries: [
          { expr: sum([], increase(telemetryRecorderSpanDropped)), legend: "spans replaced" },
          {
            expr: sum(["blixard.telemetry.baggage_drop_reason"], increase(telemetryBaggageDropped)),
            legend: `baggage ${legend("blixard.telemetry.baggage_drop_reason")}`,
          },
        ],
      }),
    ],
  };
}
