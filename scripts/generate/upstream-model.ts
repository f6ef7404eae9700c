/**
 * From the YAML of OpenTelemetry's semantic conventions to one small table. Reads both
 * forms that upstream uses side by side: `groups` (v1) and `definition/2`. Pure.
 */
import { z } from "zod";
import type { RequirementLevel, UpstreamSignal, UpstreamTable } from "./upstream.ts";

/** What this project can come to touch: vendors' own names and signals of others would triple the table. */
const ATTRIBUTE_NAMESPACES = new Set(
  (
    "client cloud code container cpu db deployment disk error event exception faas file host http k8s linux log network " +
    "nodejs os otel process rpc server service system telemetry thread url v8js"
  ).split(" "),
);
const SIGNAL_NAMESPACES = new Set("db exception http nodejs otel process rpc system v8js".split(" "));

const level = z.union([z.string(), z.record(z.string(), z.unknown())]).optional();
const text = z.string().optional();
const member = z.looseObject({ value: z.union([z.string(), z.number()]), deprecated: z.unknown().optional() });
const attribute = z.looseObject({
  id: text,
  key: text,
  ref: text,
  ref_group: text,
  type: z.union([z.string(), z.looseObject({ members: z.array(member) })]).optional(),
  stability: text,
  deprecated: z.unknown().optional(),
  requirement_level: level,
});
const group = z.looseObject({
  id: text,
  type: text,
  name: z.unknown().optional(),
  metric_name: text,
  instrument: text,
  unit: text,
  span_kind: text,
  kind: text,
  extends: text,
  stability: text,
  deprecated: z.unknown().optional(),
  attributes: z.array(attribute).default([]),
  identity: z.array(attribute).default([]),
  description: z.array(attribute).default([]),
});
const document = z.looseObject({
  groups: z.array(group).default([]),
  attributes: z.array(attribute).default([]),
  attribute_groups: z.array(group).default([]),
  metrics: z.array(group).default([]),
  spans: z.array(group).default([]),
  events: z.array(group).default([]),
  entities: z.array(group).default([]),
});
type Attribute = z.infer<typeof attribute>;
type Group = z.infer<typeof group>;

export function buildUpstreamTable(
  documents: readonly unknown[],
  source: { readonly version: string; readonly commit: string },
): UpstreamTable {
  const groups = documents.flatMap((raw) => groupsOf(raw));
  const byId = new Map(groups.map((one) => [one.id ?? "", one]));
  const table = {
    ...source,
    attributes: {} as Record<string, UpstreamTable["attributes"][string]>,
    metrics: {} as Record<string, UpstreamTable["metrics"][string]>,
    spans: {} as Record<string, UpstreamTable["spans"][string]>,
    events: {} as Record<string, UpstreamTable["events"][string]>,
    entities: {} as Record<string, UpstreamTable["entities"][string]>,
  };
  for (const one of groups) {
    for (const each of one.attributes) addAttribute(table.attributes, each);
    const signal: UpstreamSignal = {
      stability: one.stability ?? "development",
      ...deprecation(one.deprecated),
      attributes: attributesOf(one, byId, []),
    };
    const name = nameOf(one);
    if (one.type === "entity" && isIn(ATTRIBUTE_NAMESPACES, name)) table.entities[name] = signal;
    if (!isIn(SIGNAL_NAMESPACES, name)) continue;
    if (one.type === "metric") {
      table.metrics[name] = { instrument: one.instrument ?? "", unit: one.unit ?? "", ...signal };
    } else if (one.type === "span") table.spans[name] = { kind: one.span_kind ?? one.kind ?? "", ...signal };
    else if (one.type === "event") table.events[name] = signal;
  }
  return {
    ...source,
    attributes: sorted(table.attributes),
    metrics: sorted(table.metrics),
    spans: sorted(table.spans),
    events: sorted(table.events),
    entities: sorted(table.entities),
  };
}

/** A name as a release of `@opentelemetry/semantic-conventions` declares it. */
export interface ReleasedName {
  readonly kind: "ATTR" | "METRIC" | "EVENT";
  readonly name: string;
  readonly stable: boolean;
  readonly deprecated?: string;
}

/** @param declarations the text of a `.d.ts` of the package */
export function parseReleasedNames(declarations: string): ReleasedName[] {
  const pattern = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(?:export )?declare const (ATTR|METRIC|EVENT)_\w+: "([^"]+)"/g;
  return [...declarations.matchAll(pattern)].map(([, comment = "", kind, name = ""]) => ({
    kind: kind as ReleasedName["kind"],
    name,
    stable: !comment.includes("@experimental"),
    ...(comment.includes("@deprecated")
      ? { deprecated: /@deprecated[^`]*Replaced by `([^`]+)`/i.exec(comment)?.[1] ?? "" }
      : {}),
  }));
}

/**
 * The table as of a release that is newer than the checkout: a checkout may lag behind, and
 * the package has names and stability, but no types, units or levels.
 */
export function overlayRelease(table: UpstreamTable, names: readonly ReleasedName[], version: string): UpstreamTable {
  const attributes: Record<string, UpstreamTable["attributes"][string]> = { ...table.attributes };
  const renamed = new Map<string, string>();
  for (const { name, deprecated } of names.filter(({ kind }) => kind === "ATTR")) {
    const old = attributes[name];
    if (old === undefined || deprecated === undefined || old.deprecated !== undefined) continue;
    attributes[name] = { ...old, deprecated };
    if (deprecated === "") continue;
    attributes[deprecated] ??= old;
    renamed.set(name, deprecated);
  }
  for (const { kind, name, stable, deprecated } of names) {
    if (kind !== "ATTR" || !isIn(ATTRIBUTE_NAMESPACES, name)) continue;
    const known = attributes[name] ?? { type: "unknown", stability: "development" };
    const stability = stable ? "stable" : known.stability === "stable" ? "development" : known.stability;
    attributes[name] = { ...known, stability, ...(deprecated === undefined ? {} : { deprecated }) };
  }
  const released = new Map(names.filter(({ kind }) => kind === "METRIC").map((each) => [each.name, each]));
  const metrics = Object.entries(table.metrics).map(([name, metric]) => {
    const { stable = false, deprecated } = released.get(name) ?? {};
    return [
      name,
      { ...metric, ...(stable ? { stability: "stable" } : {}), ...(deprecated === undefined ? {} : { deprecated }) },
    ] as const;
  });
  const renameIn = <T extends UpstreamSignal>(signals: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(
      Object.entries(signals).map(([name, signal]) => [
        name,
        {
          ...signal,
          attributes: Object.fromEntries(
            Object.entries(signal.attributes).map(([key, value]) => [renamed.get(key) ?? key, value]),
          ),
        },
      ]),
    );
  return {
    version,
    commit: table.commit,
    attributes: sorted(attributes),
    metrics: renameIn(Object.fromEntries(metrics)),
    spans: renameIn(table.spans),
    events: renameIn(table.events),
    entities: renameIn(table.entities),
  };
}

/** JSON with one line for each name: small, and a difference reads like a list of changes. */
export function formatUpstreamTable(table: UpstreamTable): string {
  const sections = Object.entries(table).map(([key, value]) => {
    if (typeof value === "string") return `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`;
    const lines = Object.entries(value).map(([name, entry]) => `    ${JSON.stringify(name)}: ${JSON.stringify(entry)}`);
    return `  ${JSON.stringify(key)}: {\n${lines.join(",\n")}\n  }`;
  });
  return `{\n${sections.join(",\n")}\n}\n`;
}

/** Both forms as groups of the first one. */
function groupsOf(raw: unknown): Group[] {
  const parsed = document.parse(raw ?? {});
  const as = (type: string, key: (one: Group) => Partial<Group>, groups: readonly Group[]): Group[] =>
    groups.map((one) => ({ ...one, type, ...key(one) }));
  return [
    ...parsed.groups,
    { ...group.parse({}), type: "attribute_group", attributes: parsed.attributes },
    ...as("attribute_group", () => ({}), parsed.attribute_groups),
    ...as("metric", (one) => ({ metric_name: textOf(one.name) ?? one.type }), parsed.metrics),
    ...as("span", (one) => ({ id: `span.${one.type}` }), parsed.spans),
    ...as("event", (one) => ({ name: textOf(one.name) ?? one.type }), parsed.events),
    ...as("entity", (one) => ({ name: one.type, attributes: [...one.identity, ...one.description] }), parsed.entities),
  ];
}

function nameOf(one: Group): string {
  if (one.type === "metric") return one.metric_name ?? "";
  if (one.type === "span") return (one.id ?? "").replace(/^span\./, "");
  return textOf(one.name) ?? "";
}

function addAttribute(attributes: Record<string, UpstreamTable["attributes"][string]>, each: Attribute): void {
  const name = each.id ?? each.key;
  if (name === undefined || each.type === undefined || !isIn(ATTRIBUTE_NAMESPACES, name)) return;
  const entry = {
    type: typeof each.type === "string" ? each.type : enumType(each.type.members),
    stability: each.stability ?? "development",
    ...deprecation(each.deprecated),
    ...(typeof each.type === "string" ? {} : { values: each.type.members.map(({ value }) => value) }),
  };
  // A name that was deprecated and declared anew is what the new declaration says.
  if (attributes[name] === undefined || attributes[name].deprecated !== undefined) attributes[name] = entry;
}

function enumType(members: readonly { readonly value: string | number }[]): string {
  return members.every(({ value }) => typeof value === "number") ? "int" : "string";
}

/** Own references over those of what it extends. */
function attributesOf(
  one: Group,
  byId: ReadonlyMap<string, Group>,
  seen: readonly string[],
): Record<string, RequirementLevel> {
  const id = one.id ?? "";
  if (id !== "" && seen.includes(id)) return {};
  const inherited = (parent: string | undefined): Record<string, RequirementLevel> => {
    const found = parent === undefined ? undefined : byId.get(parent);
    return found === undefined ? {} : attributesOf(found, byId, [...seen, id]);
  };
  const all = inherited(one.extends);
  for (const each of one.attributes) {
    if (each.ref_group !== undefined) Object.assign(all, inherited(each.ref_group));
    const name = each.ref ?? each.id;
    if (name === undefined) continue;
    all[name] = each.requirement_level === undefined ? (all[name] ?? "recommended") : levelOf(each.requirement_level);
  }
  return all;
}

function levelOf(raw: Exclude<Attribute["requirement_level"], undefined>): RequirementLevel {
  const name = typeof raw === "string" ? raw : Object.keys(raw)[0];
  return name === "required" || name === "conditionally_required" || name === "opt_in" ? name : "recommended";
}

/** The new name where there is one, else the empty text. */
function deprecation(raw: unknown): { readonly deprecated?: string } {
  if (raw === undefined || raw === null) return {};
  const renamed = z.looseObject({ renamed_to: z.string() }).safeParse(raw);
  return { deprecated: renamed.success ? renamed.data.renamed_to : "" };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function isIn(namespaces: ReadonlySet<string>, name: string): boolean {
  return namespaces.has(name.split(".", 1)[0] ?? "");
}

function sorted<T>(entries: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(entries).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
