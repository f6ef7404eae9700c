/** `blixard telemetry cardinality` */
import { create } from "@bufbuild/protobuf";
import {
  GetCardinalityRequestSchema,
  GetCardinalityResponseSchema,
  TelemetryService,
  type GetCardinalityResponse,
  type MetricCardinality,
} from "#gen/api/blixard/v1/telemetry_pb.ts";
import { choiceOption, defineCommand, option, usageError } from "../../command.ts";
import { nodeOptions } from "../../node-options.ts";
import { renderTable, type TableLayout } from "../../output/table.ts";
import { printable } from "../../output/text.ts";
import { wholeNumber } from "../../values.ts";

const DEFAULT_VMS = 1_000;
const DEFAULT_ATTRIBUTE_VALUES = 10;
/** Above this share of its limit a metric is warned of. */
const NEAR_LIMIT = 0.8;
const sortKeys = ["series", "samples", "share", "overflow", "forecast", "name"] as const;
type SortKey = (typeof sortKeys)[number];

interface Forecasted {
  readonly vms: number;
  readonly attributeValues: number;
}

export const telemetryCardinality = defineCommand({
  description:
    "What each metric of the node costs in series and in lines of its page, how near it is to its limit, and what more VMs or one more attribute would cost. A metric over its limit merges further series into one; cardinality_limit in [observability.metrics] raises it.",
  arguments: {},
  options: {
    vms: option("COUNT", `Forecast for so many more VMs. Default: ${DEFAULT_VMS}.`, positiveNumber),
    attributeValues: option(
      "COUNT",
      `Forecast for one more attribute with so many values. Default: ${DEFAULT_ATTRIBUTE_VALUES}.`,
      positiveNumber,
    ),
    sort: choiceOption(sortKeys, "What comes first; default: series."),
    ...nodeOptions,
  },
  examples: [
    { command: "blixard telemetry cardinality", explanation: "Who costs what, and what 1,000 more VMs would cost" },
    {
      command: "blixard telemetry cardinality --vms 5000 --sort forecast",
      explanation: "Whether 5,000 more would fit",
    },
    {
      command: `blixard telemetry cardinality -o json | jq -r '.metrics[] | select(.overflows) | .name'`,
      explanation: "Metrics that have reached their limit",
    },
  ],
  readOnly: true,
  run: async ({ node, io, printer, signal }, _arguments, options) => {
    const forecasted = {
      vms: options.vms ?? DEFAULT_VMS,
      attributeValues: options.attributeValues ?? DEFAULT_ATTRIBUTE_VALUES,
    };
    const telemetry = await node.client(TelemetryService);
    const request = create(GetCardinalityRequestSchema, {
      additionalVms: forecasted.vms,
      additionalAttributeValues: forecasted.attributeValues,
    });
    const response = await telemetry.getCardinality(request, { signal });
    response.metrics.sort(comparisons[options.sort ?? "series"]);
    await printer.message(GetCardinalityResponseSchema, response, (layout) => table(response, forecasted, layout));
    for (const warning of warningsOf(response, forecasted)) await io.stderr.write(`warning: ${printable(warning)}\n`);
  },
});

function positiveNumber(text: string): number {
  return wholeNumber(text) || usageError(`"${text}" is no count`, "Give a whole number from 1 on.");
}

const byName = (left: MetricCardinality, right: MetricCardinality): number => (left.name < right.name ? -1 : 1);
const descending =
  (valueOf: (metric: MetricCardinality) => number) =>
  (left: MetricCardinality, right: MetricCardinality): number =>
    valueOf(right) - valueOf(left) || byName(left, right);

const comparisons: Readonly<Record<SortKey, (left: MetricCardinality, right: MetricCardinality) => number>> = {
  series: descending(({ series }) => series),
  samples: descending(({ samples }) => samples),
  share: descending(shareOf),
  overflow: descending(({ overflows }) => Number(overflows)),
  forecast: descending(({ forecast }) => Number(forecast?.seriesWithAdditionalVms ?? 0n)),
  name: byName,
};

function shareOf({ series, limit }: MetricCardinality): number {
  return limit === 0 ? 0 : series / limit;
}

function table(response: GetCardinalityResponse, { vms, attributeValues }: Forecasted, layout: TableLayout) {
  const { metrics, series, samples, forecast } = response;
  const rows = renderTable<MetricCardinality>(
    [
      { title: "METRIC", value: ({ name }) => name },
      { title: "SERIES", align: "right", value: (metric) => String(metric.series), style: colourOf },
      { title: "LIMIT", align: "right", value: ({ limit }) => String(limit) },
      { title: "SHARE", align: "right", value: (metric) => percent(shareOf(metric)), style: colourOf },
      { title: "SAMPLES", align: "right", value: (metric) => String(metric.samples) },
      { title: "OVERFLOW", align: "right", value: ({ overflows }) => (overflows === 0n ? "" : String(overflows)) },
      { title: "PER VM", value: ({ perVm }) => (perVm ? "yes" : "") },
      { title: `+${vms} VMS`, align: "right", value: (metric) => afterVms(metric) },
      {
        title: `×${attributeValues} VALUES`,
        align: "right",
        value: (metric) => String(metric.forecast?.seriesWithAdditionalAttribute ?? ""),
      },
      { title: "VMS LEFT", align: "right", value: (metric) => String(metric.forecast?.vmsUntilLimit ?? "") },
    ],
    metrics,
    layout,
  );
  return [
    ...rows,
    "",
    `${series} series, ${samples} samples on the page, of ${metrics.length} metrics with ${response.vms} ${response.vms === 1 ? "VM" : "VMs"}.`,
    ...(response.vms === 0
      ? ["No VM runs on this node: what one costs shows when one does."]
      : [`With ${vms} more VMs ${forecast?.seriesWithAdditionalVms ?? 0n} series.`]),
    `With one more attribute of ${attributeValues} values everywhere ${forecast?.seriesWithAdditionalAttribute ?? 0n} series.`,
    ...(forecast?.vmsUntilLimit === undefined
      ? []
      : [`${forecast.vmsUntilLimit} more VMs fit before a limit is reached.`]),
  ];
}

/** Empty where VMs do not count. */
function afterVms({ perVm, forecast }: MetricCardinality): string {
  return perVm ? String(forecast?.seriesWithAdditionalVms ?? "") : "";
}

function percent(share: number): string {
  return share > 0 && share < 0.01 ? "<1 %" : `${Math.round(share * 100)} %`;
}

function colourOf(metric: MetricCardinality) {
  if (metric.overflows > 0n) return "red";
  return shareOf(metric) > NEAR_LIMIT ? "yellow" : undefined;
}

function warningsOf({ metrics }: GetCardinalityResponse, { vms }: Forecasted): readonly string[] {
  return metrics.flatMap((metric) => {
    const { name, series, limit, overflows, perVm, forecast } = metric;
    if (overflows > 0n) return [`${name} has reached its limit of ${limit}: ${overflows} times one more was merged`];
    if (shareOf(metric) > NEAR_LIMIT) return [`${name} has ${series} of at most ${limit} series`];
    const then = forecast?.seriesWithAdditionalVms ?? 0n;
    return perVm && then > BigInt(limit)
      ? [`${name} would need ${then} series with ${vms} more VMs; its limit is ${limit}`]
      : [];
  });
}
