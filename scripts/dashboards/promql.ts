/**
 * PromQL out of the registry's descriptors: a metric, a label or a label's value that
 * does not exist does not compile. Every selector is bound to the nodes that the
 * dashboard's variables choose.
 *
 * Histograms are read by their classic buckets, and where Prometheus has only stored
 * the native form, by that: `classic or native`.
 */
import type { attributes } from "../../src/gen/telemetry/attributes.ts";
import { nodeBuildInfo } from "../../src/gen/telemetry/metrics.ts";
import { prometheusLabelName } from "../../src/telemetry/exposition/prometheus-names.ts";

export interface Metric {
  readonly prometheusName: string;
  readonly instrument: string;
  readonly attributes: Readonly<Record<string, object>>;
}

type ValueOf<Attribute> = Attribute extends { readonly values: readonly (infer Value extends string)[] }
  ? Value
  : string;
type Match<Value> = Value | readonly Value[] | { readonly not: Value | "" } | `$${string}`;
export type Matchers<M extends Metric> = {
  readonly [Name in keyof M["attributes"]]?: Match<ValueOf<M["attributes"][Name]>>;
};
/** An attribute's name as the registry has it, or a label that Prometheus adds. */
export type Label = keyof typeof attributes | "job" | "instance" | "le";

/** Of a metric that has `error.type`: what failed. */
export const failed = { "error.type": { not: "" } } as const;
/** Grafana's: at least four scrapes. */
const WINDOW = "$__rate_interval";
const CHOSEN_NODES = 'job=~"$job", instance=~"$instance"';

export function labelName(label: Label): string {
  return prometheusLabelName(label);
}

/** As a legend has it: `{{blixard_vm_state}}`. */
export function legend(...labels: readonly Label[]): string {
  return labels.map((label) => `{{${labelName(label)}}}`).join(" ");
}

export function select<M extends Metric>(metric: M, matchers: Matchers<M> = {}): string {
  return `${metric.prometheusName}${selection(matchers)}`;
}

/** Per second. Of a histogram: of its count, to be aggregated (it is `classic or native`). */
export function rate<M extends Metric>(metric: M, matchers: Matchers<M> = {}): string {
  return over("rate", metric, matchers);
}

/** Of a histogram: of its count. */
export function increase<M extends Metric>(metric: M, matchers: Matchers<M> = {}, window = WINDOW): string {
  return over("increase", metric, matchers, window);
}

function over(
  reader: "rate" | "increase",
  { prometheusName, instrument }: Metric,
  matchers: object,
  window = WINDOW,
): string {
  const range = `${selection(matchers)}[${window}]`;
  return instrument === "histogram"
    ? `${reader}(${prometheusName}_count${range}) or histogram_count(${reader}(${prometheusName}${range}))`
    : `${reader}(${prometheusName}${range})`;
}

/** Sums what a histogram was given, per second: for a time, how many of it pass at once on average. */
export function rateOfSum<M extends Metric>({ prometheusName }: M, matchers: Matchers<M> = {}): string {
  const range = `${selection(matchers)}[${WINDOW}]`;
  return `rate(${prometheusName}_sum${range}) or histogram_sum(rate(${prometheusName}${range}))`;
}

/** A quantile of a histogram. */
export function quantile<M extends Metric>(
  q: number,
  { prometheusName }: M,
  by: readonly Label[] = [],
  matchers: Matchers<M> = {},
): string {
  const range = `${selection(matchers)}[${WINDOW}]`;
  const classic = `histogram_quantile(${q}, ${sum(["le", ...by], `rate(${prometheusName}_bucket${range})`)})`;
  return `${classic} or histogram_quantile(${q}, ${sum(by, `rate(${prometheusName}${range})`)})`;
}

/** A histogram's buckets, for a heatmap. */
export function buckets<M extends Metric>({ prometheusName }: M, matchers: Matchers<M> = {}): string {
  const range = `${selection(matchers)}[${WINDOW}]`;
  const classic = sum(["le"], `increase(${prometheusName}_bucket${range})`);
  return `${classic} or on () ${sum([], `increase(${prometheusName}${range})`)}`;
}

export function sum(by: readonly Label[], of: string): string {
  return aggregate("sum", by, of);
}

export function max(by: readonly Label[], of: string): string {
  return aggregate("max", by, of);
}

export function topk(k: number, of: string): string {
  return `topk(${k}, ${of})`;
}

function aggregate(operator: string, by: readonly Label[], of: string): string {
  const grouping = by.length === 0 ? " " : ` by (${by.map(labelName).join(", ")}) `;
  return `${operator}${grouping}(${of})`;
}

/** The share of calls or operations that failed; 0 where there were some and none failed. */
export function failureRatio<M extends Metric & { readonly attributes: { readonly "error.type": object } }>(
  metric: M,
  by: readonly Label[] = [],
  matchers: Matchers<M> = {},
): string {
  const all = sum(by, rate(metric, matchers));
  const failures = sum(by, rate(metric, { ...matchers, ...failed }));
  return `(${failures} or 0 * ${all}) / ${all}`;
}

/** What nodes are called; 1 each. */
const names = `group by (job, instance, ${labelName("blixard.node.id")}) (${select(nodeBuildInfo)})`;

/** Adds the node's own name, `blixard_node_id`, to series with `job` and `instance`. */
export function named(expression: string): string {
  return `${expression} * on (job, instance) group_left (${labelName("blixard.node.id")}) ${names}`;
}

function selection(matchers: object): string {
  const own = Object.entries(matchers).map(([name, match]: [string, unknown]) => matcher(name, match));
  return `{${[CHOSEN_NODES, ...own].join(", ")}}`;
}

function matcher(name: string, match: unknown): string {
  const label = prometheusLabelName(name);
  if (Array.isArray(match)) return `${label}=~"${match.join("|")}"`;
  if (typeof match === "object" && match !== null && "not" in match) return `${label}!="${String(match.not)}"`;
  const value = String(match);
  return `${label}${value.startsWith("$") ? "=~" : "="}"${value}"`;
}
