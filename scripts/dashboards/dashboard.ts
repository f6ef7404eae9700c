/**
 * What all dashboards have in common: the variables that choose nodes, the annotations,
 * the links between dashboards, and rows of panels laid out on Grafana's grid.
 *
 *   datasource -> job (a cluster) -> node (by its own name) -> instance (hidden; what series carry)
 */
import {
  AnnotationQueryBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableHide,
  VariableRefresh,
  VariableSort,
  type Dashboard,
  type VariableModel,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";
import { nodeBuildInfo, otelSdkSpanStarted, raftLeaderChanges, vmRestarts } from "../../src/gen/telemetry/metrics.ts";
import { type PanelSpec, prometheusSource } from "./panels.ts";
import { labelName, type Metric, type Label, select } from "./promql.ts";

const COLUMNS = 24;
/** On every dashboard: the menu lists those that have it. */
const TAG = "blixard";
const NODE_LABEL = labelName("blixard.node.id");

export interface Row {
  /** What the row answers. */
  readonly question: string;
  readonly panels: readonly PanelSpec[];
  readonly collapsed?: boolean;
}

export interface DashboardSpec {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly Row[];
  /** After those that all have. */
  readonly variables?: readonly Variable[];
}

interface Variable {
  build(): VariableModel;
}

export function buildDashboard({ uid, title, description, rows, variables = [] }: DashboardSpec): Dashboard {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .timezone("browser")
    .time({ from: "now-1h", to: "now" })
    .refresh("30s")
    .editable()
    .tooltip(DashboardCursorSync.Crosshair)
    .variables([...chooseNodes(), ...variables])
    .annotations(annotations().map(inSight))
    .links([
      inSight(
        new DashboardLinkBuilder("Blixard")
          .type(DashboardLinkType.Dashboards)
          .tags([TAG])
          .asDropdown(true)
          .includeVars(true)
          .keepTime(true)
          .icon("external link"),
      ),
    ]);
  layOut(builder, rows);
  return builder.build();
}

/** Beside the variables: the SDK's default is a menu that has to be opened first. */
function inSight<T extends { placement?: unknown }>(builder: { build(): T }): { build(): T } {
  return {
    build() {
      const built = builder.build();
      delete built.placement;
      return built;
    },
  };
}

/** Rows below each other; within one, panels from left to right, those of a line as high as its highest. */
function layOut(builder: DashboardBuilder, rows: readonly Row[]): void {
  let id = 1;
  let y = 0;
  for (const { question, panels, collapsed = false } of rows) {
    const row = new RowBuilder(question).id(id++).collapsed(collapsed).gridPos({ x: 0, y: y++, w: COLUMNS, h: 1 });
    const placed = linesOf(panels).flatMap((line) => {
      const h = Math.max(...line.map(({ height }) => height));
      let x = 0;
      const built = line.map((spec) => {
        const panel = spec.build(id++, { x, y, h });
        x += spec.width;
        return panel;
      });
      y += h;
      return built;
    });
    if (collapsed) for (const panel of placed) row.withPanel({ build: () => panel });
    builder.withRow(row);
    if (!collapsed) for (const panel of placed) builder.withPanel({ build: () => panel });
  }
}

function linesOf(panels: readonly PanelSpec[]): PanelSpec[][] {
  const lines: PanelSpec[][] = [];
  let used = COLUMNS;
  for (const panel of panels) {
    if (used + panel.width > COLUMNS) {
      lines.push([]);
      used = 0;
    }
    lines.at(-1)?.push(panel);
    used += panel.width;
  }
  return lines;
}

function chooseNodes(): Variable[] {
  return [
    new DatasourceVariableBuilder("datasource").label("Prometheus").type("prometheus"),
    labelVariable({ name: "job", label: "Cluster", metric: nodeBuildInfo, of: "job", where: "" }),
    labelVariable({
      name: "node",
      label: "Node",
      metric: nodeBuildInfo,
      of: "blixard.node.id",
      where: 'job=~"$job"',
    }),
    // Links carry the node; what series call it follows from that.
    notInLinks(
      labelVariable({
        name: "instance",
        label: "Instance",
        metric: nodeBuildInfo,
        of: "instance",
        where: `job=~"$job", ${NODE_LABEL}=~"$node"`,
      }).hide(VariableHide.HideVariable),
    ),
  ];
}

/** Some of the values of a label, or all. */
export function labelVariable(options: {
  readonly name: string;
  readonly label: string;
  readonly metric: Metric;
  readonly of: Label;
  readonly where: string;
}): QueryVariableBuilder {
  const { name, label, metric, of, where } = options;
  const series = metric.prometheusName + (metric.instrument === "histogram" ? "_count" : "");
  const query = `label_values(${series}${where === "" ? "" : `{${where}}`}, ${labelName(of)})`;
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(prometheusSource)
    .query({ query, refId: name })
    .definition(query)
    .multi(true)
    .includeAll(true)
    .current({ selected: true, text: ["All"], value: ["$__all"] })
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.NaturalAsc);
}

export function lokiVariable(): Variable {
  return new DatasourceVariableBuilder("loki").label("Loki").type("loki");
}

function notInLinks(variable: Variable): Variable {
  return { build: () => ({ ...variable.build(), skipUrlSync: true }) };
}

/** Marks in time, each with the name of its node. */
function annotations(): AnnotationQueryBuilder[] {
  const cause = labelName("blixard.vm.exit_cause");
  const chosen = `group by (job, instance, ${NODE_LABEL})`;
  const reporting = `${chosen} (${select(nodeBuildInfo)})`;
  const withName = (expression: string): string =>
    `(${expression}) * on (job, instance) group_left (${NODE_LABEL}) ${reporting}`;
  return [
    annotation("Daemon restarts", "blue", {
      expr: withName(`max by (job, instance) (resets(${select(otelSdkSpanStarted)}[2m])) > 0`),
      title: `{{${NODE_LABEL}}} started again`,
    }),
    annotation("VM restarts", "orange", {
      expr: withName(`sum by (job, instance, ${cause}) (increase(${select(vmRestarts)}[2m])) > 0`),
      title: `{{${NODE_LABEL}}} restarted a VM ({{${cause}}})`,
    }),
    annotation("Leader changes", "purple", {
      expr: withName(`increase(${select(raftLeaderChanges)}[2m]) > 0`),
      title: `{{${NODE_LABEL}}} saw a new leader`,
    }),
    annotation("Nodes lost", "red", {
      expr: `${chosen} (${select(nodeBuildInfo)} offset 5m) unless ${reporting}`,
      title: `{{${NODE_LABEL}}} no longer reports`,
    }),
  ];
}

function annotation(
  name: string,
  color: string,
  { expr, title }: { readonly expr: string; readonly title: string },
): AnnotationQueryBuilder {
  return new AnnotationQueryBuilder()
    .name(name)
    .enable(true)
    .hide(false)
    .iconColor(color)
    .datasource(prometheusSource)
    .expr(expr)
    .step("60s")
    .titleFormat(title)
    .target(new DataqueryBuilder().refId("Anno").expr(expr).legendFormat(title).interval("60s").range());
}
