/**
 * A strict reader of metric pages, for tests: OpenMetrics 1.0 text and Prometheus text
 * 0.0.4. It accepts less than scrapers do; what it accepts every scraper reads alike.
 * Sources: OpenMetrics 1.0 "Text format", Prometheus "Exposition formats".
 */

export type PageFormat = "openmetrics" | "prometheus_text";

export interface PageSample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

export interface PageFamily {
  readonly name: string;
  readonly type: string;
  readonly unit: string | undefined;
  readonly help: string | undefined;
  readonly samples: readonly PageSample[];
}

interface OpenFamily {
  readonly name: string;
  type: string;
  unit: string | undefined;
  help: string | undefined;
  readonly samples: PageSample[];
}

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*/;
const VALUE = /^(NaN|[+-]Inf|[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?)$/;
const CANONICAL_BOUND = /^(\+Inf|-?\d+\.\d+|-?\d+(\.\d+)?e[+-]?\d+)$/;
const suffixes: Readonly<Record<string, Readonly<Record<PageFormat, readonly string[]>>>> = {
  counter: { openmetrics: ["_total", "_created"], prometheus_text: [""] },
  gauge: { openmetrics: [""], prometheus_text: [""] },
  info: { openmetrics: ["_info"], prometheus_text: [] },
  histogram: { openmetrics: ["_bucket", "_sum", "_count", "_created"], prometheus_text: ["_bucket", "_sum", "_count"] },
};

/** The families of a page. @throws Error with the number of the first line that is wrong */
export function readPage(text: string, format: PageFormat): PageFamily[] {
  const families = new Map<string, OpenFamily>();
  const sampleOwners = new Map<string, string>();
  let current: OpenFamily | undefined;
  let seenEof = false;
  if (!text.endsWith("\n")) throw new Error("the page does not end in a line feed");

  for (const [index, line] of text.slice(0, -1).split("\n").entries()) {
    const fail = (message: string): never => {
      throw new Error(`line ${index + 1}: ${message}: ${line.slice(0, 200)}`);
    };
    if (seenEof) fail("something after # EOF");
    if (line === "") fail("an empty line");
    if (line.includes("\r")) fail("a carriage return");
    if (line === "# EOF" && format === "openmetrics") seenEof = true;
    else if (line.startsWith("#")) current = readMetadata(line, format, families, current, fail);
    else {
      if (current === undefined) return fail("a sample without a TYPE");
      readSample(line, format, current, sampleOwners, fail);
    }
  }
  if (format === "openmetrics" && !seenEof) throw new Error("the page does not end in # EOF");
  for (const family of families.values()) if (family.type === "histogram") checkHistogram(family, format);
  checkClashes(families);
  return [...families.values()];
}

type Fail = (message: string) => never;

function readMetadata(
  line: string,
  format: PageFormat,
  families: Map<string, OpenFamily>,
  current: OpenFamily | undefined,
  fail: Fail,
): OpenFamily {
  const [, keyword = "", name = "", rest = ""] =
    /^# (TYPE|UNIT|HELP) (\S+)(?: (.*))?$/.exec(line) ?? fail("not metadata");
  if (!METRIC_NAME.test(name)) fail("not a metric's name");
  if (keyword === "TYPE") {
    if (families.has(name)) fail("the family was there already");
    if (suffixes[rest] === undefined) fail("not a type");
    if (format === "openmetrics" && rest === "counter" && name.endsWith("_total"))
      fail("a counter's TYPE has no _total");
    if (format === "prometheus_text" && rest === "info") fail("0.0.4 has no info");
    const family: OpenFamily = { name, type: rest, unit: undefined, help: undefined, samples: [] };
    families.set(name, family);
    return family;
  }
  if (current === undefined || current.name !== name) return fail(`${keyword} before TYPE, or of another family`);
  if (current.samples.length > 0) fail(`${keyword} after a sample`);
  if (current.help !== undefined) fail(`${keyword} after HELP`);
  if (keyword === "UNIT") {
    if (format === "prometheus_text") fail("0.0.4 has no UNIT");
    if (current.unit !== undefined) fail("a second UNIT");
    if (!name.endsWith(`_${rest}`) || current.type === "info") fail("the unit is not the name's suffix");
    current.unit = rest;
  } else {
    current.help = unescapeText(rest, format === "openmetrics", fail);
  }
  return current;
}

function readSample(
  line: string,
  format: PageFormat,
  family: OpenFamily,
  owners: Map<string, string>,
  fail: Fail,
): void {
  const name = /^[^\s{]+/.exec(line)?.[0] ?? "";
  if (!METRIC_NAME.test(name)) fail("not a metric's name");
  const allowed = suffixes[family.type]?.[format] ?? [];
  if (!allowed.some((suffix) => `${family.name}${suffix}` === name)) fail(`not a sample of ${family.name}`);
  const labels = new Map<string, string>();
  let rest = line.slice(name.length);
  if (rest.startsWith("{")) rest = readLabels(rest.slice(1), labels, fail);
  const [, valueText = ""] = /^ (\S+)$/.exec(rest) ?? fail("not one value");
  if (!VALUE.test(valueText)) fail("not a number");
  const value = toNumber(valueText);
  const cumulative = name !== family.name || family.type === "counter";
  if (cumulative && family.type !== "gauge" && (Number.isNaN(value) || value < 0)) fail("a count below zero");
  const identity = `${name}${JSON.stringify([...labels].toSorted(([a], [b]) => (a < b ? -1 : 1)))}`;
  if (owners.has(identity)) fail("the series was there already");
  owners.set(identity, family.name);
  family.samples.push({ name, labels, value });
}

/** Reads up to the closing brace and gives what is left. */
function readLabels(text: string, labels: Map<string, string>, fail: Fail): string {
  let rest = text;
  while (!rest.startsWith("}")) {
    if (labels.size > 0) rest = rest.startsWith(",") ? rest.slice(1) : fail("no comma between labels");
    const name = LABEL_NAME.exec(rest)?.[0] ?? fail("not a label's name");
    if (labels.has(name)) fail(`label ${name} twice`);
    const [whole, quoted = ""] = /^="((?:[^"\\]|\\.)*)"/.exec(rest.slice(name.length)) ?? fail("not a label's value");
    labels.set(name, unescapeText(quoted, true, fail));
    rest = rest.slice(name.length + whole.length);
  }
  return rest.slice(1);
}

function unescapeText(text: string, quotes: boolean, fail: Fail): string {
  return text.replaceAll(/\\(.?)/gs, (_, escaped: string) => {
    if (escaped === "n") return "\n";
    if (escaped === "\\" || (quotes && escaped === '"')) return escaped;
    return fail(`\\${escaped} is no escape`);
  });
}

function toNumber(text: string): number {
  if (text === "+Inf") return Infinity;
  return text === "-Inf" ? -Infinity : Number(text);
}

function checkHistogram(family: OpenFamily, format: PageFormat): void {
  const fail = (message: string): never => {
    throw new Error(`${family.name}: ${message}`);
  };
  const keyOf = (sample: PageSample): string => JSON.stringify([...sample.labels].filter(([name]) => name !== "le"));
  for (const [key, samples] of Map.groupBy(family.samples, keyOf)) {
    const buckets = samples.filter((sample) => sample.name.endsWith("_bucket"));
    let last = { bound: -Infinity, value: 0 };
    for (const { labels, value } of buckets) {
      const le = labels.get("le") ?? fail("a bucket without le");
      if (!CANONICAL_BOUND.test(le)) fail(`le ${le} is not canonical`);
      const bound = toNumber(le);
      if (!(bound > last.bound)) fail(`le ${le} does not ascend`);
      if (value < last.value || !Number.isInteger(value)) fail(`bucket ${le} of ${key} is not cumulative`);
      last = { bound, value };
    }
    if (last.bound !== Infinity) fail("no bucket +Inf");
    const count = samples.find((sample) => sample.name.endsWith("_count")) ?? fail("no _count");
    if (count.value !== last.value) fail("_count is not the last bucket");
    if (!samples.some((sample) => sample.name.endsWith("_sum"))) fail(`no _sum in ${format}`);
  }
}

/** In OpenMetrics no family may own a name that is a sample of another. */
function checkClashes(families: ReadonlyMap<string, OpenFamily>): void {
  for (const family of families.values()) {
    for (const suffix of ["_total", "_created", "_bucket", "_sum", "_count", "_info"]) {
      const other = families.get(`${family.name}${suffix}`);
      const owned = suffixes[family.type]?.openmetrics.includes(suffix) === true;
      if (other !== undefined && owned) throw new Error(`${other.name} clashes with a sample of ${family.name}`);
    }
  }
}
