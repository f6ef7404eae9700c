/**
 * OpenTelemetry names as Prometheus shows them. Source: OpenTelemetry
 * specification, "Prometheus and OpenMetrics Compatibility". Names are translated
 * before any escaping scheme of the exposition is applied.
 */

import type { MetricDescriptor } from "../port.ts";

/** The parts of a metric that its name depends on. */
export interface NamedMetric {
  readonly name: string;
  readonly unit: string;
  readonly instrument: MetricDescriptor["instrument"];
}

const unitWords: Readonly<Record<string, string>> = {
  d: "days",
  h: "hours",
  min: "minutes",
  s: "seconds",
  ms: "milliseconds",
  us: "microseconds",
  ns: "nanoseconds",
  By: "bytes",
  KiBy: "kibibytes",
  MiBy: "mebibytes",
  GiBy: "gibibytes",
  TiBy: "tibibytes",
  KBy: "kilobytes",
  MBy: "megabytes",
  GBy: "gigabytes",
  TBy: "terabytes",
  V: "volts",
  A: "amperes",
  J: "joules",
  W: "watts",
  g: "grams",
  Cel: "celsius",
  Hz: "hertz",
  "%": "percent",
};

const perUnitWords: Readonly<Record<string, string>> = {
  s: "second",
  min: "minute",
  h: "hour",
  d: "day",
  w: "week",
  mo: "month",
  y: "year",
};

/** The unit's word in the name, or undefined if it has none (`{thing}`, `1` unless a gauge; an info, a stateset). */
export function prometheusUnit(metric: NamedMetric): string | undefined {
  if (metric.instrument === "info" || metric.instrument === "stateset") return undefined;
  const unit = metric.unit.replaceAll(/\{[^}]*\}/g, "").trim();
  if (unit === "1") return metric.instrument === "gauge" ? "ratio" : undefined;
  const [whole = "", per] = unit.split("/");
  const wholeWord = whole === "" ? "" : sanitize(unitWords[whole] ?? whole);
  const perWord = per === undefined || per === "" ? "" : `per_${sanitize(perUnitWords[per] ?? per)}`;
  const word = [wholeWord, perWord].filter((part) => part !== "").join("_");
  return word === "" ? undefined : word;
}

/** The metric's name on the page, with `_total` for counters and `_info` for infos, without histogram suffixes. */
export function prometheusMetricName(metric: NamedMetric): string {
  let name = sanitize(metric.name);
  if (metric.instrument === "counter") name = name.replace(/_total$/, "");
  const unit = prometheusUnit(metric);
  if (unit !== undefined && name !== unit && !name.endsWith(`_${unit}`)) name = `${name}_${unit}`;
  if (metric.instrument === "counter") name = `${name}_total`;
  if (metric.instrument === "info") name = `${name.replace(/_info$/, "")}_info`;
  return /^[0-9]/.test(name) ? `_${name}` : name;
}

/** The attribute's name as a label. Labels with colons are not allowed, unlike metric names. */
export function prometheusLabelName(key: string): string {
  const name = sanitize(key.replaceAll(":", "_"));
  return /^[0-9]/.test(name) ? `key_${name}` : name;
}

/** Never empty: of other libraries' names nobody checks that, and one empty name makes the page unreadable. */
function sanitize(name: string): string {
  if (name === "") return "_";
  return name.replaceAll(/[^a-zA-Z0-9_:]/g, "_").replaceAll(/_{2,}/g, "_");
}
