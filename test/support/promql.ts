/**
 * What PromQL may say of Blixard: every metric and label that an expression names is held against the registry,
 * and what is read as a gauge must be one. Used by the tests of rules and of dashboards.
 *
 *   const catalogue = createCatalogue(await readRegistry("telemetry/registry"));
 *   checkPromql("sum by (job) (rate(blixard_vm_restarts_total[5m]))", catalogue).problems  // none
 *
 * It knows no types of values (promtool does that), and no values of labels but those of closed sets.
 */
import { isDeepStrictEqual } from "node:util";
import { prometheusLabelName, prometheusMetricName } from "../../src/telemetry/exposition/prometheus-names.ts";
import type { AttributeReference, Registry } from "../../scripts/generate/registry.ts";
import { type Expression, type LabelList, type Matcher, parsePromql } from "./promql-parser.ts";

export interface Family {
  /** A part of a histogram counts like a counter. */
  readonly kind: "counter" | "gauge" | "bucket";
  readonly labels: ReadonlyMap<string, LabelOfFamily>;
}

interface LabelOfFamily {
  /** Every series has it. */
  readonly required: boolean;
  /** Of a closed set. */
  readonly values?: readonly string[] | undefined;
}

export interface Catalogue {
  readonly families: ReadonlyMap<string, Family>;
  /** Names of histograms, which have no series of that name. */
  readonly histograms: ReadonlySet<string>;
  /** With one more family: a recorded one, or another program's. */
  with(name: string, family: Family): Catalogue;
}

export interface PromqlReport {
  readonly problems: readonly string[];
  /** That series of the result may have. */
  readonly labels: ReadonlySet<string>;
  /** Of these, the ones that each has. */
  readonly requiredLabels: ReadonlySet<string>;
  /** Metrics that it reads. */
  readonly metrics: ReadonlySet<string>;
}

const targetLabels = ["job", "instance"];

/** A gauge with labels that each of its series has. */
export function gaugeWith(labels: Iterable<string>): Family {
  return { kind: "gauge", labels: new Map([...labels].map((label) => [label, { required: true }])) };
}

/** The registry's metrics as Prometheus has them, and what Prometheus itself says of its targets. */
export function createCatalogue(registry: Registry): Catalogue {
  const attributes = new Map(registry.attributes.map((attribute) => [attribute.name, attribute]));
  const labelsOf = (references: readonly AttributeReference[]): [string, LabelOfFamily][] =>
    references.map(({ name, requirement }) => [
      prometheusLabelName(name),
      { required: requirement === "required", values: attributes.get(name)?.values },
    ]);
  const everywhere: [string, LabelOfFamily][] = [
    ...targetLabels.map((label): [string, LabelOfFamily] => [label, { required: true }]),
    ["otel_metric_overflow", { required: false, values: ["true"] }],
  ];

  const families = new Map<string, Family>();
  const histograms = new Set<string>();
  for (const metric of registry.metrics) {
    const name = prometheusMetricName(metric);
    const labels = new Map([...labelsOf(metric.attributes), ...everywhere]);
    if (metric.instrument === "histogram") {
      histograms.add(name);
      const le = {
        required: true,
        values: metric.buckets === undefined ? undefined : [...metric.buckets.flatMap(boundsOf), "+Inf"],
      };
      families.set(`${name}_bucket`, { kind: "bucket", labels: new Map([...labels, ["le", le]]) });
      families.set(`${name}_sum`, { kind: "counter", labels });
      families.set(`${name}_count`, { kind: "counter", labels });
    } else families.set(name, { kind: metric.instrument === "counter" ? "counter" : "gauge", labels });
  }
  const resource = registry.entities.flatMap((entity) => labelsOf(entity.attributes));
  families.set("target_info", { kind: "gauge", labels: new Map([...resource, ...everywhere]) });
  for (const name of [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
  ])
    families.set(name, gaugeWith(targetLabels));
  families.set("ALERTS", gaugeWith(["alertname", "alertstate", "severity", ...targetLabels]));
  return catalogueOf(families, histograms);
}

/** Text 0.0.4 and OTLP say `30`, OpenMetrics and Prometheus 3 `30.0`. */
function boundsOf(bound: number): readonly string[] {
  return Number.isInteger(bound) ? [String(bound), `${bound}.0`] : [String(bound)];
}

function catalogueOf(families: ReadonlyMap<string, Family>, histograms: ReadonlySet<string>): Catalogue {
  return {
    families,
    histograms,
    with: (name, family) => catalogueOf(new Map([...families, [name, family]]), histograms),
  };
}

// --- The check -------------------------------------------------------------------------

/** Functions whose argument must be a counter, and those that only ask whether there is a series. */
const ofCounters = new Set(["rate", "irate", "increase", "resets"]);
/** Those that also take a native histogram, by the histogram's own name. */
const ofNative = new Set(["rate", "irate", "increase"]);
const ofAnything = new Set(
  "absent absent_over_time present_over_time count_over_time last_over_time timestamp changes count group".split(" "),
);

/** Labels of an expression's series. */
interface Labels {
  readonly possible: ReadonlySet<string>;
  readonly required: ReadonlySet<string>;
  /** A number rather than series. */
  readonly scalar?: boolean;
  /** Native histograms, which have no `le`. */
  readonly native?: boolean;
}

const noLabels: Labels = { possible: new Set(), required: new Set() };
const scalar: Labels = { ...noLabels, scalar: true };

export function checkPromql(text: string, catalogue: Catalogue): PromqlReport {
  const problems: string[] = [];
  const metrics = new Set<string>();
  let labels = noLabels;
  try {
    labels = labelsOf(parsePromql(text), undefined);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    problems.push(error.message);
  }
  return { problems, labels: labels.possible, requiredLabels: labels.required, metrics };

  /** @param reader the function that reads the series, when there is one between them and the result */
  function labelsOf(expression: Expression, reader: string | undefined): Labels {
    switch (expression.kind) {
      case "number":
      case "string":
        return scalar;
      case "negation":
        return labelsOf(expression.of, undefined);
      case "range":
      case "offset":
        return labelsOf(expression.of, reader);
      case "subquery":
        return labelsOf(expression.of, undefined);
      case "selector":
        return ofSelector(expression.metric, expression.matchers, reader);
      case "call":
        return ofCall(expression.name, expression.parameters);
      case "aggregation":
        return ofAggregation(expression);
      case "binary":
        return ofBinary(expression);
    }
  }

  function ofSelector(metric: string | undefined, matchers: readonly Matcher[], reader: string | undefined): Labels {
    const named = matchers.find(({ label }) => label === "__name__");
    const names = metric === undefined ? namesMatching(named) : [metric];
    if (names.length === 0) problems.push("a selector names no metric that there is");
    const native = ofNative.has(reader ?? "") && names.every((name) => catalogue.histograms.has(name));
    const found = names.flatMap((name) => {
      const family = catalogue.families.get(native ? `${name}_count` : name);
      if (family !== undefined) {
        metrics.add(name);
        checkReading(name, family, reader);
        return [family];
      }
      const hint = catalogue.histograms.has(name)
        ? `${name} is a histogram: read its _bucket, _sum or _count`
        : `there is no metric ${name}`;
      problems.push(hint);
      return [];
    });
    for (const matcher of matchers) if (matcher !== named && found.length > 0) checkMatcher(matcher, names, found);
    return {
      native,
      possible: new Set(found.flatMap(({ labels }) => [...labels.keys()])),
      required: new Set(
        found.flatMap((family) =>
          [...family.labels.keys()].filter((label) => found.every(({ labels }) => labels.get(label)?.required)),
        ),
      ),
    };
  }

  function namesMatching(named: Matcher | undefined): string[] {
    if (named === undefined) return [];
    const pattern = named.operator === "=~" ? anchored(named.value) : undefined;
    return [...catalogue.families.keys()].filter((name) => pattern?.test(name) ?? name === named.value);
  }

  function checkReading(name: string, { kind }: Family, reader: string | undefined): void {
    if (reader !== undefined && ofAnything.has(reader)) return;
    const counts = kind !== "gauge";
    if (counts && !ofCounters.has(reader ?? "")) problems.push(`${name} only grows: it needs rate or increase`);
    if (!counts && ofCounters.has(reader ?? "")) problems.push(`${name} is a gauge: ${reader} says nothing of it`);
  }

  function checkMatcher({ label, operator, value }: Matcher, names: readonly string[], found: readonly Family[]): void {
    const known = found.map(({ labels }) => labels.get(label)).filter((entry) => entry !== undefined);
    if (known.length === 0) return void problems.push(`${names.join(", ")} has no label ${label}`);
    const values = known.every((entry) => entry.values !== undefined)
      ? known.flatMap((entry) => entry.values ?? [])
      : undefined;
    // "" matches series without the label; a variable of Grafana's is whatever is chosen.
    if (values === undefined || value === "" || value.includes("$")) return;
    const wanted = operator.endsWith("~") ? alternatives(value) : [value];
    for (const each of wanted) {
      const fits = operator.endsWith("~")
        ? values.some((candidate) => anchored(each).test(candidate))
        : values.includes(each);
      if (!fits) problems.push(`${label} of ${names.join(", ")} is never "${each}", but ${values.join(", ")}`);
    }
  }

  function ofCall(name: string, parameters: readonly Expression[]): Labels {
    const of = parameters.map((parameter) => labelsOf(parameter, name));
    const vector = of.find((labels) => labels.scalar !== true) ?? noLabels;
    const text = (index: number): string => {
      const parameter = parameters[index];
      return parameter?.kind === "string" ? parameter.value : "";
    };
    if (name === "scalar" || name === "time" || name === "pi") return scalar;
    if (name === "vector") return noLabels;
    if (name === "label_replace" || name === "label_join") {
      const sources = name === "label_replace" ? [text(3)] : parameters.slice(3).map((_, index) => text(index + 3));
      demand(sources, vector, `${name}()`);
      return plus(vector, [text(1)]);
    }
    if (name === "histogram_quantile") {
      if (vector.native !== true && !vector.required.has("le"))
        problems.push("histogram_quantile() needs buckets: the label le is lost before it");
      return minus(vector, ["le"]);
    }
    if (name.startsWith("absent")) {
      const [selector] = parameters.map((parameter) => (parameter.kind === "range" ? parameter.of : parameter));
      const equal =
        selector?.kind === "selector"
          ? selector.matchers.filter(({ operator, value }) => operator === "=" && value !== "")
          : [];
      const kept = new Set(equal.map(({ label }) => label));
      return { possible: kept, required: kept };
    }
    return vector;
  }

  function ofAggregation({ operator, grouping, parameters }: Extract<Expression, { kind: "aggregation" }>): Labels {
    const last = parameters.at(-1);
    const inner = last === undefined ? noLabels : labelsOf(last, operator);
    if (parameters.length > 1) for (const parameter of parameters.slice(0, -1)) labelsOf(parameter, undefined);
    demand(grouping?.labels ?? [], inner, grouping?.kind ?? "");
    if (/^(?:topk|bottomk|limitk|limit_ratio)$/.test(operator)) return inner;
    const grouped =
      grouping === undefined
        ? only(inner, [])
        : grouping.kind === "by"
          ? only(inner, grouping.labels)
          : minus(inner, grouping.labels);
    const [counted] = parameters;
    return operator === "count_values" && counted?.kind === "string" ? plus(grouped, [counted.value]) : grouped;
  }

  function ofBinary({ operator, left, right, matching, group }: Extract<Expression, { kind: "binary" }>): Labels {
    // What was not there before has counted from zero since: its value is its increase.
    const isNew = operator === "unless" && right.kind === "offset" && isDeepStrictEqual(left, right.of);
    const reader = isNew ? "increase" : undefined;
    const [one, other] = [labelsOf(left, reader), labelsOf(right, reader)];
    if (one.scalar === true) return other;
    if (other.scalar === true) return one;
    if (operator === "or")
      return {
        possible: new Set([...one.possible, ...other.possible]),
        required: intersect(one.required, other.required),
      };
    checkMatching(one, other, matching);
    if (operator === "and" || operator === "unless") return one;
    if (group !== undefined) {
      const [many, few] = group.kind === "group_left" ? [one, other] : [other, one];
      demand(group.labels, few, group.kind);
      return plus(many, group.labels);
    }
    if (matching?.kind === "on") return only(one, matching.labels);
    return matching === undefined ? one : minus(one, matching.labels);
  }

  function checkMatching(one: Labels, other: Labels, matching: LabelList | undefined): void {
    if (matching?.kind === "on") {
      demand(matching.labels, one, "on, on its left,");
      demand(matching.labels, other, "on, on its right,");
      return;
    }
    const ignored = new Set(matching?.labels);
    for (const [here, there] of [
      [one, other],
      [other, one],
    ] as const) {
      for (const label of here.required)
        if (!ignored.has(label) && !there.possible.has(label))
          problems.push(`the two sides never match: only one has ${label}`);
    }
  }

  function demand(wanted: readonly string[], { possible }: Labels, where: string): void {
    for (const label of wanted)
      if (!possible.has(label)) problems.push(`${where} names ${label}, which no series has there`);
  }
}

function only({ required, ...rest }: Labels, labels: readonly string[]): Labels {
  return { ...rest, possible: new Set(labels), required: intersect(required, new Set(labels)) };
}

function minus({ possible, required, ...rest }: Labels, labels: readonly string[]): Labels {
  const gone = new Set(labels);
  return { ...rest, possible: possible.difference(gone), required: required.difference(gone) };
}

function plus({ possible, required }: Labels, labels: readonly string[]): Labels {
  return { possible: possible.union(new Set(labels)), required };
}

function intersect(one: ReadonlySet<string>, other: ReadonlySet<string>): ReadonlySet<string> {
  return one.intersection(other);
}

/** As Prometheus matches: the whole value. */
function anchored(pattern: string): RegExp {
  return new RegExp(`^(?:${pattern})$`, "u");
}

/** Of `a|b` each by itself: one misspelt among many would not be seen otherwise. */
function alternatives(pattern: string): readonly string[] {
  return /[()[\]\\]/.test(pattern) ? [pattern] : pattern.split("|");
}
