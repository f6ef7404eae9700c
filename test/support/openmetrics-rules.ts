/** What each type of family asks of its samples. Source: OpenMetrics 1.0, "Metric Types"; Prometheus "Exposition formats". */
import type { PageFamily, PageFormat, PageSample } from "./openmetrics-validator.ts";

type Fail = (message: string) => never;

const suffixes: Readonly<Record<string, Readonly<Partial<Record<PageFormat, readonly string[]>>>>> = {
  unknown: { openmetrics: [""] },
  untyped: { prometheus_text: [""] },
  gauge: { openmetrics: [""], prometheus_text: [""] },
  counter: { openmetrics: ["_total", "_created"], prometheus_text: [""] },
  stateset: { openmetrics: [""] },
  info: { openmetrics: ["_info"] },
  histogram: { openmetrics: ["_bucket", "_sum", "_count", "_created"], prometheus_text: ["_bucket", "_sum", "_count"] },
  gaugehistogram: { openmetrics: ["_bucket", "_gcount", "_gsum"] },
  summary: { openmetrics: ["", "_sum", "_count", "_created"], prometheus_text: ["", "_sum", "_count"] },
};

/** Canonical in OpenMetrics: a point or an exponent. */
const CANONICAL = /^(\+Inf|-?\d+\.\d+|-?\d+(\.\d+)?e[+-]?\d+)$/;

/** What may follow a family's name in its samples; undefined when the format has no such type. */
export function sampleSuffixes(type: string, format: PageFormat): readonly string[] | undefined {
  return Object.hasOwn(suffixes, type) ? suffixes[type]?.[format] : undefined;
}

/** @throws Error when the samples of a family break a rule of its type */
export function checkFamily(family: PageFamily, format: PageFormat): void {
  const fail = (message: string): never => {
    throw new Error(`${family.name}: ${message}`);
  };
  checkOrder(family, fail);
  for (const sample of family.samples) checkSample(family, sample, format, fail);
  if (family.type === "histogram" || family.type === "gaugehistogram") checkHistogram(family, format, fail);
  if (family.type === "summary") checkSummary(family, fail);
}

/** Names that a family keeps from others, with or without samples of that name. */
export function checkClashes(families: readonly PageFamily[], format: PageFormat): void {
  const owners = new Map<string, string>();
  for (const { name, type } of families) {
    for (const owned of new Set([name, ...(sampleSuffixes(type, format) ?? []).map((suffix) => `${name}${suffix}`)])) {
      const other = owners.get(owned);
      if (other !== undefined) throw new Error(`${owned} belongs to ${other} and to ${name}`);
      owners.set(owned, name);
    }
  }
}

function checkSample(
  { name: familyName, type }: PageFamily,
  { name, labels, value }: PageSample,
  format: PageFormat,
  fail: Fail,
): void {
  const suffix = name.slice(familyName.length);
  const counts = type === "counter" || ["_total", "_bucket", "_count", "_sum", "_gcount"].includes(suffix);
  if (counts && Number.isNaN(value)) fail(`${name} is NaN`);
  // Prometheus text lets a sum fall.
  const mayFall = format === "prometheus_text" && suffix === "_sum";
  if (counts && value < 0 && !mayFall) fail(`${name} is below zero`);
  if (["_bucket", "_count", "_gcount"].includes(suffix) && type !== "counter" && !Number.isInteger(value)) {
    fail(`${name} is no whole number`);
  }
  if (suffix === "_created" && !(value >= 0)) fail(`${name} is no time`);
  if (type === "info" && value !== 1) fail("an info is not 1");
  if (type === "stateset") {
    if (value !== 0 && value !== 1) fail("a state is neither 0 nor 1");
    if (!labels.has(familyName)) fail("a state without its label");
  }
  if (suffix === "_bucket" && !CANONICAL.test(labels.get("le") ?? "")) fail(`le ${labels.get("le")} is not canonical`);
}

/** All samples of one thing (the same labels but for le, quantile and state) stand together. */
function checkOrder(family: PageFamily, fail: Fail): void {
  const seen = new Set<string>();
  let last: string | undefined;
  for (const sample of family.samples) {
    const key = keyOf(family, sample);
    if (key !== last && seen.has(key)) fail(`${key} comes twice`);
    seen.add(key);
    last = key;
  }
}

function keyOf({ name, type }: PageFamily, sample: PageSample): string {
  const own = type.endsWith("histogram") ? "le" : type === "summary" ? "quantile" : type === "stateset" ? name : "";
  return JSON.stringify(
    [...sample.labels].filter(([label]) => label !== own).toSorted(([left], [right]) => (left < right ? -1 : 1)),
  );
}

function checkHistogram(family: PageFamily, format: PageFormat, fail: Fail): void {
  const [countSuffix, sumSuffix] = family.type === "histogram" ? ["_count", "_sum"] : ["_gcount", "_gsum"];
  for (const samples of Map.groupBy(family.samples, (sample) => keyOf(family, sample)).values()) {
    const find = (suffix: string): PageSample | undefined =>
      samples.find((sample) => sample.name === `${family.name}${suffix}`);
    const lowest = checkBuckets(
      samples.filter((sample) => sample.name.endsWith("_bucket")),
      fail,
    );
    const count = find(countSuffix);
    const sum = find(sumSuffix);
    if ((count === undefined) !== (sum === undefined)) fail(`only one of ${countSuffix} and ${sumSuffix}`);
    if (format === "prometheus_text" && count === undefined) fail(`no ${countSuffix}`);
    if (family.type === "histogram" && sum !== undefined && lowest.bound < 0 && format === "openmetrics") {
      fail("a sum although there are buckets below zero");
    }
    if (family.type === "gaugehistogram" && sum !== undefined && sum.value < 0 && lowest.bound >= 0) {
      fail("a sum below zero without buckets below zero");
    }
    if (count !== undefined && count.value !== lowest.total) fail(`${countSuffix} is not the last bucket`);
  }
}

function checkBuckets(buckets: readonly PageSample[], fail: Fail): { bound: number; total: number } {
  let last = { bound: -Infinity, value: 0 };
  let lowest: number | undefined;
  for (const { labels, value, exemplar } of buckets) {
    const le = labels.get("le") ?? "";
    const bound = le === "+Inf" ? Infinity : Number(le);
    lowest ??= bound;
    if (!(bound > last.bound)) fail(`le ${le} does not ascend`);
    if (value < last.value) fail(`bucket ${le} is not cumulative`);
    if (exemplar !== undefined && !(exemplar.value > last.bound && exemplar.value <= bound)) {
      fail(`the exemplar ${exemplar.value} is not inside bucket ${le}`);
    }
    last = { bound, value };
  }
  if (last.bound !== Infinity) fail("no bucket +Inf");
  return { bound: lowest ?? Infinity, total: last.value };
}

function checkSummary(family: PageFamily, fail: Fail): void {
  for (const { name, labels, value } of family.samples) {
    if (name !== family.name) continue;
    const quantile = labels.get("quantile") ?? fail("a quantile without its label");
    if (!CANONICAL.test(quantile) || !(Number(quantile) >= 0 && Number(quantile) <= 1)) fail(`quantile ${quantile}`);
    if (value < 0) fail("a quantile below zero");
  }
}
