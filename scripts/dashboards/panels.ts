/**
 * The kinds of panels that the dashboards are made of, with the settings they share:
 * one look, legends with numbers, and a description that says what a panel means and
 * what to do. A panel that is empty on a healthy single node says when it is not.
 */
import {
  AxisPlacement,
  BigValueColorMode,
  BigValueGraphMode,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  LogsSortOrder,
  ReduceDataOptionsBuilder,
  ScaleDistribution,
  ScaleDistributionConfigBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
  type DataSourceRef,
} from "@grafana/grafana-foundation-sdk/common";
import {
  FieldColorBuilder,
  FieldColorModeId,
  MappingType,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type DynamicConfigValue,
  type Panel,
  type Threshold,
  type ValueMapping,
} from "@grafana/grafana-foundation-sdk/dashboard";
import {
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  HeatmapTooltipBuilder,
  PanelBuilder as HeatmapBuilder,
  YAxisConfigBuilder,
} from "@grafana/grafana-foundation-sdk/heatmap";
import { PanelBuilder as LogsBuilder } from "@grafana/grafana-foundation-sdk/logs";
import { DataqueryBuilder as LokiQueryBuilder } from "@grafana/grafana-foundation-sdk/loki";
import { DataqueryBuilder, PromQueryFormat } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as StateTimelineBuilder } from "@grafana/grafana-foundation-sdk/statetimeline";
import { PanelBuilder as TableBuilder } from "@grafana/grafana-foundation-sdk/table";
import { PanelBuilder as TimeseriesBuilder } from "@grafana/grafana-foundation-sdk/timeseries";

const A = 0x41;

export const prometheusSource: DataSourceRef = { type: "prometheus", uid: "${datasource}" };
const lokiSource: DataSourceRef = { type: "loki", uid: "${loki}" };

/** Of the grid's 24 columns. */
export interface Place {
  readonly x: number;
  readonly y: number;
  readonly h: number;
}

export interface PanelSpec {
  readonly width: number;
  readonly height: number;
  build(id: number, place: Place): Panel;
}

export interface Query {
  readonly expr: string;
  readonly legend?: string;
  /** Of a histogram or a counter: shows the traces behind it. */
  readonly exemplars?: boolean;
}

/** From `value` on that colour; below the first `ok`. */
export type Steps = readonly (readonly [value: number, color: "green" | "yellow" | "orange" | "red" | "blue"])[];

export interface PanelOptions {
  readonly title: string;
  /** What it means, and what to do. */
  readonly description: string;
  readonly width?: number;
  readonly height?: number;
  /** Grafana's id of a unit. */
  readonly unit?: string;
  readonly decimals?: number;
  readonly min?: number;
  readonly max?: number;
  readonly base?: string;
  readonly steps?: Steps;
  readonly mappings?: readonly ValueMapping[];
  /** When there is something to see, if a healthy single node shows nothing; with what the panel says until then. */
  readonly emptyUntil?: readonly [event: string, text: string];
  readonly links?: readonly Link[];
}

export interface Link {
  readonly title: string;
  readonly url: string;
}

/** Names for numbers, with colours. */
export function states(...entries: readonly (readonly [value: number, text: string, color: string])[]): ValueMapping {
  return {
    type: MappingType.ValueToText,
    options: Object.fromEntries(entries.map(([value, text, color], index) => [value, { text, color, index }])),
  };
}

export const yesNo = states([1, "yes", "green"], [0, "no", "red"]);

export function timeSeries(
  options: PanelOptions & {
    readonly queries: readonly Query[];
    readonly stacked?: boolean;
    /** Numbers beside the legend. */
    readonly calculations?: readonly string[];
    /** Names of series that are drawn as a dashed line: limits. */
    readonly limits?: readonly string[];
  },
): PanelSpec {
  const { queries, stacked = false, calculations = ["lastNotNull", "max"], limits = [] } = options;
  return panel(options, 8, 8, () => {
    const builder = new TimeseriesBuilder()
      .lineWidth(1)
      .fillOpacity(stacked ? 40 : 10)
      .showPoints(VisibilityMode.Never)
      .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.PaletteClassicByName))
      .axisSoftMin(0)
      .legend(
        new VizLegendOptionsBuilder()
          .displayMode(LegendDisplayMode.Table)
          .placement(LegendPlacement.Bottom)
          .showLegend(true)
          .calcs([...calculations])
          .sortBy("Last *")
          .sortDesc(true),
      )
      .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
    if (stacked) builder.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group("A"));
    if (options.steps !== undefined)
      builder.thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed));
    for (const name of limits)
      builder.overrideByName(name, [
        { id: "custom.lineStyle", value: { fill: "dash", dash: [8, 8] } },
        { id: "custom.fillOpacity", value: 0 },
        { id: "custom.stacking", value: { mode: "none", group: "A" } },
      ]);
    return withQueries(builder, queries);
  });
}

export function stat(
  options: PanelOptions & { readonly queries: readonly Query[]; readonly graph?: boolean },
): PanelSpec {
  return panel(options, 4, 4, () =>
    withQueries(
      new StatBuilder()
        .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]).fields("").values(false))
        .colorMode(
          options.steps === undefined && options.mappings === undefined
            ? BigValueColorMode.None
            : BigValueColorMode.Value,
        )
        .graphMode(options.graph === false ? BigValueGraphMode.None : BigValueGraphMode.Area),
      options.queries,
    ),
  );
}

/** Where the measurements of a histogram lie; points in it are traces, if they were made in spans. */
export function heatmap(options: PanelOptions & { readonly expr: string; readonly exemplars?: boolean }): PanelSpec {
  const { unit, exemplars = true, ...rest } = options;
  return panel(rest, 8, 8, () =>
    new HeatmapBuilder()
      .calculate(false)
      .color(
        new HeatmapColorOptionsBuilder()
          .mode(HeatmapColorMode.Scheme)
          .scheme("Oranges")
          .fill("dark-orange")
          .exponent(0.5)
          .steps(64),
      )
      .yAxis(
        new YAxisConfigBuilder()
          .axisPlacement(AxisPlacement.Left)
          .scaleDistribution(new ScaleDistributionConfigBuilder().type(ScaleDistribution.Linear))
          .unit(unit ?? "short"),
      )
      .filterValues({ build: () => ({ le: 1e-9 }) })
      .tooltip(new HeatmapTooltipBuilder().mode(TooltipDisplayMode.Single).yHistogram(true).showColorScale(true))
      .exemplarsColor("rgba(255,0,255,0.7)")
      .showLegend()
      .withTarget(promQuery({ expr: options.expr, legend: "{{le}}", exemplars }, 0).format(PromQueryFormat.Heatmap)),
  );
}

/** States over time, one line a series. */
export function stateTimeline(options: PanelOptions & { readonly queries: readonly Query[] }): PanelSpec {
  return panel(options, 12, 6, () =>
    withQueries(
      new StateTimelineBuilder()
        .showValue(VisibilityMode.Never)
        .mergeValues(true)
        .rowHeight(0.8)
        .legend(
          new VizLegendOptionsBuilder()
            .displayMode(LegendDisplayMode.List)
            .placement(LegendPlacement.Bottom)
            .showLegend(true)
            .calcs([]),
        ),
      options.queries,
    ),
  );
}

export interface Column {
  readonly title: string;
  /** Of series with the labels of the table's rows. */
  readonly expr: string;
  readonly unit?: string;
  readonly decimals?: number;
  readonly steps?: Steps;
  readonly mappings?: readonly ValueMapping[];
}

/** One row for each set of `labels`, one column for each query. */
export function table(
  options: PanelOptions & {
    readonly columns: readonly Column[];
    /** Label -> title of its column, in order. Other labels are left out. */
    readonly labels: Readonly<Record<string, string>>;
    /** On the column with this title. */
    readonly rowLink?: Link & { readonly column: string };
    readonly sortBy: string;
  },
): PanelSpec {
  const { columns, labels, rowLink } = options;
  const refs = columns.map((_, index) => refId(index));
  const valueField = (index: number): string => (columns.length === 1 ? "Value" : `Value #${refs[index] ?? ""}`);
  return panel(options, 24, 9, () => {
    const builder = new TableBuilder().sortBy([{ build: () => ({ displayName: options.sortBy, desc: true }) }]);
    for (const [index, column] of columns.entries()) {
      builder.withTarget(promQuery({ expr: column.expr }, index).format(PromQueryFormat.Table).instant());
      const properties = columnProperties(column);
      if (properties.length > 0) builder.overrideByName(column.title, properties);
    }
    if (rowLink !== undefined)
      builder.overrideByName(rowLink.column, [{ id: "links", value: [{ title: rowLink.title, url: rowLink.url }] }]);
    const renamed = { ...labels, ...Object.fromEntries(columns.map(({ title }, index) => [valueField(index), title])) };
    return builder
      .withTransformation({ id: "merge", options: {} })
      .withTransformation({
        id: "filterFieldsByName",
        options: { include: { names: Object.keys(renamed) } },
      })
      .withTransformation({
        id: "organize",
        options: {
          excludeByName: {},
          indexByName: Object.fromEntries(Object.keys(renamed).map((name, index) => [name, index])),
          renameByName: renamed,
        },
      });
  });
}

function columnProperties({ unit, decimals, steps, mappings }: Column): DynamicConfigValue[] {
  return [
    ...(unit === undefined ? [] : [{ id: "unit", value: unit }]),
    ...(decimals === undefined ? [] : [{ id: "decimals", value: decimals }]),
    ...(mappings === undefined ? [] : [{ id: "mappings", value: mappings }]),
    ...(steps === undefined ? [] : [{ id: "thresholds", value: { mode: "absolute", steps: thresholds(steps) } }]),
    ...(steps === undefined && mappings === undefined
      ? []
      : [{ id: "custom.cellOptions", value: { type: "color-text" } }]),
  ];
}

/** Of Loki; records link to their traces by what the data source derives from them. */
export function logs(options: PanelOptions & { readonly expr: string }): PanelSpec {
  return panel(
    options,
    24,
    10,
    () =>
      new LogsBuilder()
        .showTime(true)
        .wrapLogMessage(true)
        .enableLogDetails(true)
        .sortOrder(LogsSortOrder.Descending)
        .withTarget(new LokiQueryBuilder().refId("A").expr(options.expr).queryType("range").datasource(lokiSource)),
    lokiSource,
  );
}

/** What all builders of the SDK have. */
interface CommonBuilder {
  build(): Panel;
  id(id: number): this;
  title(title: string): this;
  description(description: string): this;
  datasource(source: DataSourceRef): this;
  gridPos(place: Place & { readonly w: number }): this;
  unit(unit: string): this;
  decimals(decimals: number): this;
  min(min: number): this;
  max(max: number): this;
  mappings(mappings: ValueMapping[]): this;
  thresholds(thresholds: ThresholdsConfigBuilder): this;
  noValue(text: string): this;
}

function panel(
  options: PanelOptions,
  defaultWidth: number,
  defaultHeight: number,
  create: () => CommonBuilder,
  source = prometheusSource,
): PanelSpec {
  const { width = defaultWidth, height = defaultHeight, emptyUntil } = options;
  return {
    width,
    height,
    build(id, place) {
      const empty = emptyUntil === undefined ? "" : `\n\nEmpty until ${emptyUntil[0]}.`;
      const builder = create()
        .id(id)
        .title(options.title)
        .description(options.description + empty)
        .datasource(source)
        .gridPos({ ...place, w: width });
      if (options.unit !== undefined) builder.unit(options.unit);
      if (options.decimals !== undefined) builder.decimals(options.decimals);
      if (options.min !== undefined) builder.min(options.min);
      if (options.max !== undefined) builder.max(options.max);
      if (options.mappings !== undefined) builder.mappings([...options.mappings]);
      if (emptyUntil !== undefined) builder.noValue(emptyUntil[1]);
      builder.thresholds(
        new ThresholdsConfigBuilder()
          .mode(ThresholdsMode.Absolute)
          .steps(thresholds(options.steps ?? [], options.base)),
      );
      const built = builder.build();
      // The SDK's type of these links is that of a dashboard's menu, which has more to it.
      if (options.links !== undefined) Object.assign(built.fieldConfig?.defaults ?? {}, { links: options.links });
      return built;
    },
  };
}

function thresholds(steps: Steps, base = "green"): Threshold[] {
  return [{ value: null, color: base }, ...steps.map(([value, color]) => ({ value, color }))];
}

function withQueries<B extends CommonBuilder & { withTarget(target: DataqueryBuilder): B }>(
  builder: B,
  queries: readonly Query[],
): B {
  for (const [index, query] of queries.entries()) builder.withTarget(promQuery(query, index).range());
  return builder;
}

function promQuery({ expr, legend, exemplars = false }: Query, index: number): DataqueryBuilder {
  const query = new DataqueryBuilder().refId(refId(index)).expr(expr).datasource(prometheusSource);
  if (legend !== undefined) query.legendFormat(legend);
  if (exemplars) query.exemplar(true);
  return query;
}

/** A, B, … as Grafana's editor has it. */
function refId(index: number): string {
  return String.fromCodePoint(A + index);
}
