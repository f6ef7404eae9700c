/**
 * A strict reader of metric pages, for tests: OpenMetrics 1.0 text and Prometheus text 0.0.4
 * and 1.0.0 (alike for names of the old alphabet). It accepts less than scrapers do; what it
 * accepts every scraper reads alike: every sample has a TYPE before it, points have no
 * timestamps, numbers and bounds are canonical. The rules of each type are in
 * openmetrics-rules.ts. Sources: OpenMetrics 1.0 "Text format", Prometheus "Exposition formats".
 */
import { checkClashes, checkFamily, sampleSuffixes } from "./openmetrics-rules.ts";

export type PageFormat = "openmetrics" | "prometheus_text";

export interface PageExemplar {
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
  readonly timestampSeconds: number | undefined;
}

export interface PageSample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
  readonly exemplar: PageExemplar | undefined;
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
const NUMBER = String.raw`(?:NaN|[+-]?Inf|[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)`;
const FINITE_TIME = /^\d+(\.\d+)?$/;
const VALUE = new RegExp(`^ (${NUMBER})(?= |$)`);
const EXEMPLAR_VALUE = new RegExp(`^ (${NUMBER})(?: (\\S+))?$`);
const MAXIMUM_EXEMPLAR_CODE_POINTS = 128;

/** The families of a page. @throws Error with the number of the first line that is wrong */
export function readPage(text: string, format: PageFormat): PageFamily[] {
  const families = new Map<string, OpenFamily>();
  const identities = new Set<string>();
  let current: OpenFamily | undefined;
  let seenEof = false;
  if (text !== "" && !text.endsWith("\n")) throw new Error("the page does not end in a line feed");
  if (!text.isWellFormed()) throw new Error("the page is not UTF-8");

  for (const [index, line] of text.split("\n").slice(0, -1).entries()) {
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
      const sample = readSample(line, format, current, fail);
      const identity = `${sample.name}${JSON.stringify([...sample.labels].toSorted(([a], [b]) => (a < b ? -1 : 1)))}`;
      if (identities.has(identity)) fail("the series was there already");
      identities.add(identity);
      current.samples.push(sample);
    }
  }
  if (format === "openmetrics" && !seenEof) throw new Error("the page does not end in # EOF");
  for (const family of families.values()) checkFamily(family, format);
  checkClashes([...families.values()], format);
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
    if (sampleSuffixes(rest, format) === undefined) fail("not a type");
    if (format === "openmetrics" && rest === "counter" && name.endsWith("_total"))
      fail("a counter's TYPE has no _total");
    if (format === "openmetrics" && rest === "info" && name.endsWith("_info")) fail("an info's TYPE has no _info");
    const family: OpenFamily = { name, type: rest, unit: undefined, help: undefined, samples: [] };
    families.set(name, family);
    return family;
  }
  if (current === undefined || current.name !== name) return fail(`${keyword} before TYPE, or of another family`);
  if (current.samples.length > 0) fail(`${keyword} after a sample`);
  if (current.help !== undefined) fail(`${keyword} after HELP`);
  if (keyword === "UNIT") {
    if (format === "prometheus_text") fail("Prometheus text has no UNIT");
    if (current.unit !== undefined) fail("a second UNIT");
    if (rest === "" || !name.endsWith(`_${rest}`)) fail("the unit is not the name's suffix");
    if (current.type === "info" || current.type === "stateset") fail(`a unit of a ${current.type}`);
    current.unit = rest;
  } else {
    current.help = unescapeText(rest, format === "openmetrics", fail);
  }
  return current;
}

function readSample(line: string, format: PageFormat, family: OpenFamily, fail: Fail): PageSample {
  const name = /^[^\s{]+/.exec(line)?.[0] ?? "";
  if (!METRIC_NAME.test(name)) fail("not a metric's name");
  const allowed = sampleSuffixes(family.type, format) ?? [];
  if (!allowed.some((suffix) => `${family.name}${suffix}` === name)) fail(`not a sample of ${family.name}`);
  const labels = new Map<string, string>();
  let rest = line.slice(name.length);
  if (rest.startsWith("{")) rest = readLabels(rest.slice(1), labels, fail);
  const [valuePart, valueText = ""] = VALUE.exec(rest) ?? fail("not a number");
  rest = rest.slice(valuePart.length);
  const value = toNumber(valueText);
  if (rest === "") return { name, labels, value, exemplar: undefined };
  if (!rest.startsWith(" # {")) fail("something after the value");
  const exemplar = readExemplar(rest.slice(" # {".length), format, fail);
  const exemplars = family.type === "counter" ? "_total" : family.type.endsWith("histogram") ? "_bucket" : undefined;
  if (exemplars === undefined || name !== `${family.name}${exemplars}`) fail("no place for an exemplar");
  return { name, labels, value, exemplar };
}

function readExemplar(text: string, format: PageFormat, fail: Fail): PageExemplar {
  if (format !== "openmetrics") fail("Prometheus text has no exemplars");
  const labels = new Map<string, string>();
  const rest = readLabels(text, labels, fail);
  const [, valueText = "", timeText] = EXEMPLAR_VALUE.exec(rest) ?? fail("not an exemplar's value");
  const codePoints = [...labels].reduce(
    (sum, [name, value]) => sum + Array.from(name).length + Array.from(value).length,
    0,
  );
  if (codePoints > MAXIMUM_EXEMPLAR_CODE_POINTS) fail(`an exemplar of ${codePoints} code points`);
  if (timeText !== undefined && !FINITE_TIME.test(timeText)) fail("not an exemplar's time");
  return {
    labels,
    value: toNumber(valueText),
    timestampSeconds: timeText === undefined ? undefined : Number(timeText),
  };
}

/** Reads up to the closing brace and gives what is left. */
function readLabels(text: string, labels: Map<string, string>, fail: Fail): string {
  let rest = text;
  while (!rest.startsWith("}")) {
    if (labels.size > 0) rest = rest.startsWith(",") ? rest.slice(1) : fail("no comma between labels");
    const name = LABEL_NAME.exec(rest)?.[0] ?? fail("not a label's name");
    if (name.startsWith("__")) fail("a label's name that is reserved");
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
  if (/^\+?Inf$/.test(text)) return Infinity;
  return text === "-Inf" ? -Infinity : Number(text);
}
