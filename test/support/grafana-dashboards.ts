/** Grafana's dashboards as they are shipped: what is in them, and their queries as Prometheus gets them. */
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import type {
  Dashboard,
  DashboardLink,
  Panel,
  RowPanel,
  VariableModel,
} from "@grafana/grafana-foundation-sdk/dashboard";

export const grafanaDir = join(import.meta.dirname, "../../deploy/grafana");

export interface ShippedDashboard extends Dashboard {
  readonly file: string;
}

export interface ShippedPanel extends Panel {
  /** `<dashboard's uid>: <title>`. */
  readonly name: string;
}

export interface ShippedQuery {
  /** Where it is, for people. */
  readonly name: string;
  readonly expr: string;
  readonly exemplars: boolean;
  readonly panel?: ShippedPanel;
}

export async function readDashboards(): Promise<readonly ShippedDashboard[]> {
  const folder = join(grafanaDir, "dashboards");
  const files = (await readdir(folder)).toSorted();
  return Promise.all(
    files.map(async (file) => ({ ...(JSON.parse(await readFile(join(folder, file), "utf8")) as Dashboard), file })),
  );
}

/** Rows too, and what is folded into them. */
export function gridItemsOf({ panels = [] }: Dashboard): readonly (Panel | RowPanel)[] {
  return panels.flatMap((item) => [item, ...(isRow(item) ? item.panels : [])]);
}

export function isRow(item: Panel | RowPanel): item is RowPanel {
  return item.type === "row";
}

export function panelsOf(dashboard: Dashboard): readonly ShippedPanel[] {
  return gridItemsOf(dashboard).flatMap((item) =>
    isRow(item) ? [] : [{ ...item, name: `${dashboard.uid}: ${item.title}` }],
  );
}

export function variablesOf(dashboard: Dashboard): readonly VariableModel[] {
  return dashboard.templating.list ?? [];
}

interface TargetJson {
  readonly expr: string;
  readonly exemplar?: boolean;
  readonly datasource: { readonly type: string; readonly uid: string };
}

export function targetsOf(panel: Panel): readonly TargetJson[] {
  return (panel.targets ?? []) as readonly unknown[] as readonly TargetJson[];
}

/** Of panels, annotations and variables: all that goes to Prometheus. */
export function queriesOf(dashboard: Dashboard): readonly ShippedQuery[] {
  const ofPanels = panelsOf(dashboard).flatMap((panel) =>
    targetsOf(panel)
      .filter(({ datasource }) => datasource.type === "prometheus")
      .map(({ expr, exemplar = false }) => ({ name: panel.name, expr, exemplars: exemplar, panel })),
  );
  const ofAnnotations = (dashboard.annotations.list ?? []).map(({ name, expr = "" }) => ({
    name: `${dashboard.uid}: ${name}`,
    expr,
    exemplars: false,
  }));
  const ofVariables = variablesOf(dashboard).flatMap(({ name, definition }) => {
    const selector = /^label_values\((?<selector>.+), \w+\)$/.exec(definition ?? "")?.groups?.["selector"];
    return selector === undefined
      ? []
      : [{ name: `${dashboard.uid}: $${name}`, expr: `group (${selector})`, exemplars: false }];
  });
  return [...ofPanels, ...ofAnnotations, ...ofVariables];
}

/** Links of the dashboard, of panels and of fields. */
export function linkUrlsOf(dashboard: Dashboard): readonly string[] {
  const ofFields = panelsOf(dashboard).flatMap(({ links = [], fieldConfig }) => [
    ...links,
    ...((fieldConfig?.defaults.links ?? []) as DashboardLink[]),
    ...(fieldConfig?.overrides ?? []).flatMap(({ properties }) =>
      properties.flatMap(({ id, value }) => (id === "links" ? (value as DashboardLink[]) : [])),
    ),
  ]);
  return [...(dashboard.links ?? []), ...ofFields].flatMap(({ url }) => (url === undefined || url === "" ? [] : [url]));
}

/**
 * As Grafana would send it.
 * @throws for a variable that is not among `values`
 */
export function substitute(expr: string, values: Readonly<Record<string, string>>): string {
  return expr.replaceAll(/\$(?:\{(\w+)\}|(\w+))/g, (_, braced: string | undefined, bare: string | undefined) => {
    const name = braced ?? bare ?? "";
    const value = values[name];
    if (value === undefined) throw new Error(`there is no variable ${name}: ${expr}`);
    return value;
  });
}
