/**
 * Which families a page has, decided before anything is written. Names of OpenTelemetry
 * that fall together under one Prometheus name become one family, or the later one is left
 * out when that cannot be. Source: OpenTelemetry "Prometheus and OpenMetrics
 * Compatibility"; names that one family keeps from others: OpenMetrics 1.0, "MetricFamily".
 *
 * Pure: what is decided does not depend on the format, so that every page shows the same.
 */
import type { MetricFamily } from "../metrics/snapshot.ts";
import type { MetricDescriptor } from "../port.ts";
import { prometheusUnit } from "./prometheus-names.ts";

export type PageType = "counter" | "gauge" | "histogram" | "info" | "stateset";

export interface PageFamily {
  /** Translated; with `_total` of a counter and `_info` of an info, without a histogram's suffixes. */
  readonly name: string;
  readonly type: PageType;
  readonly help: string;
  /** Only when the name ends in it. */
  readonly unit: string | undefined;
  /** Mostly one; more when several scopes or names share this one. */
  readonly parts: readonly MetricFamily[];
}

export interface FamilyConflict {
  /** `type`, `name`: the other family is not shown. `help`, `unit`: its text is not shown. */
  readonly kind: "type" | "name" | "help" | "unit";
  /** On the page. */
  readonly prometheusName: string;
  /** OpenTelemetry names. */
  readonly kept: string;
  readonly other: string;
}

export interface PagePlan {
  readonly families: readonly PageFamily[];
  readonly conflicts: readonly FamilyConflict[];
}

/** The page adds this one itself. */
export const TARGET_INFO = "target_info";

interface OpenFamily extends PageFamily {
  readonly parts: MetricFamily[];
}

const suffixes: Readonly<Record<PageType, readonly string[]>> = {
  counter: ["_total", "_created"],
  gauge: [],
  histogram: ["_bucket", "_sum", "_count", "_created"],
  info: ["_info"],
  stateset: [],
};

/** Our own families come first, so that a third party's never displaces one. */
export function planPage(families: readonly MetricFamily[]): PagePlan {
  const byName = new Map<string, OpenFamily>();
  const owners = new Map<string, string>();
  const conflicts: FamilyConflict[] = [];
  reserve(owners, TARGET_INFO, "info", "target");
  const ours = families.filter(({ scope }) => scope === undefined);
  for (const family of [...ours, ...families.filter(({ scope }) => scope !== undefined)]) {
    const { descriptor } = family;
    const name = descriptor.prometheusName;
    const type = pageTypeOf(descriptor);
    const present = byName.get(name);
    const add = (kind: FamilyConflict["kind"], kept: string): void =>
      void conflicts.push({ kind, prometheusName: name, kept, other: descriptor.name });
    if (present === undefined) {
      const owner = ownedNames(name, type)
        .map((owned) => owners.get(owned))
        .find((other) => other !== undefined);
      if (owner !== undefined) {
        add("name", owner);
        continue;
      }
      reserve(owners, name, type, descriptor.name);
      byName.set(name, { name, type, help: descriptor.brief, unit: unitOf(descriptor, type), parts: [family] });
      continue;
    }
    const kept = present.parts[0]?.descriptor.name ?? name;
    if (present.type !== type) {
      add("type", kept);
      continue;
    }
    if (present.help !== descriptor.brief) add("help", kept);
    if (present.unit !== unitOf(descriptor, type)) add("unit", kept);
    present.parts.push(family);
  }
  return { families: [...byName.values()], conflicts };
}

/** The name of a counter's or an info's family in OpenMetrics, which has no suffix. */
export function baseName(name: string, type: PageType): string {
  if (type === "counter") return name.replace(/_total$/, "");
  return type === "info" ? name.replace(/_info$/, "") : name;
}

function pageTypeOf({ instrument }: MetricDescriptor): PageType {
  return instrument === "updowncounter" ? "gauge" : instrument;
}

function unitOf(descriptor: MetricDescriptor, type: PageType): string | undefined {
  if (type === "info" || type === "stateset") return undefined;
  const unit = prometheusUnit(descriptor);
  return unit !== undefined && baseName(descriptor.prometheusName, type).endsWith(`_${unit}`) ? unit : undefined;
}

function ownedNames(name: string, type: PageType): string[] {
  const base = baseName(name, type);
  return [base, ...suffixes[type].map((suffix) => `${base}${suffix}`)];
}

function reserve(owners: Map<string, string>, name: string, type: PageType, owner: string): void {
  for (const owned of ownedNames(name, type)) owners.set(owned, owner);
}
