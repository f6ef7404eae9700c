/**
 * The naming rules of the registry, checked before anything is generated from it.
 * Findings carry the ids that Weaver uses where it has one for the case, and ours
 * where it has not. Upstream names are taken as they are: for them only the rules
 * about clashes hold.
 */
import { prometheusLabelName, prometheusMetricName } from "../../src/telemetry/exposition/prometheus-names.ts";
import type { Finding } from "./finding.ts";
import type { Registry, RegistryMetric } from "./registry.ts";
import { checkAgainstUpstream } from "./upstream-check.ts";
import type { UpstreamTable } from "./upstream.ts";

type Report = (id: string, subject: { readonly name: string; readonly file: string }, message: string) => void;

const subsystems = ["raft", "vm", "grpc", "peer", "node", "store", "image", "scheduler", "telemetry"];
const NAME = /^[a-z][a-z0-9]*(_[a-z0-9]+)*(\.[a-z][a-z0-9]*(_[a-z0-9]+)*)+$/;
const SPAN_NAME = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$/;
const UNIT = /^(1|s|By|Hz|By\/s|\{[a-z][a-z_]*\}|\{[a-z][a-z_]*\}\/s)$/;
const unitParts = new Set([
  "total",
  "seconds",
  "second",
  "ms",
  "milliseconds",
  "bytes",
  "byte",
  "ratio",
  "percent",
  "s",
  "by",
]);
const STATE_PART = /^((is|has)_.*|state|usable|reachable|schedulable|connected|enabled|term|index|count|size)$/;
const reservedSuffixes = ["_total", "_created", "_bucket", "_sum", "_info"];

/** What breaks a rule, in the order of the registry; none means that code may be generated. */
export function checkRegistry(registry: Registry, upstream: UpstreamTable): Finding[] {
  return [...checkNamingRules(registry), ...checkAgainstUpstream(registry, upstream)];
}

function checkNamingRules(registry: Registry): Finding[] {
  const findings: Finding[] = [];
  const report: Report = (id, { name, file }, message) =>
    findings.push({ id, level: "violation", subject: name, message, file });
  const signals = [...registry.metrics, ...registry.spans, ...registry.events, ...registry.entities];

  for (const kind of [registry.attributes, registry.metrics, registry.events]) {
    checkNames(kind, report);
    checkNamespaces(kind, report);
  }
  for (const kind of [registry.attributes, registry.metrics, registry.spans, registry.events])
    checkDuplicates(kind, report);
  for (const span of registry.spans) {
    if (!SPAN_NAME.test(span.name))
      report("invalid_format", span, "a span's name is lower case, with dots between parts");
  }
  for (const attribute of registry.attributes) {
    if (attribute.type === "string" && attribute.values === undefined && !attribute.hasExamples) {
      report("missing_examples", attribute, "an attribute of type string needs examples");
    }
  }
  const known = new Set(registry.attributes.map((attribute) => attribute.name));
  for (const signal of signals) {
    const seen = new Set<string>();
    for (const { name } of signal.attributes) {
      if (!known.has(name)) report("missing_attribute", signal, `attribute ${name} is not declared`);
      if (seen.has(name)) report("duplicate_attribute", signal, `attribute ${name} is named twice`);
      seen.add(name);
    }
  }
  const perVm = new Set(registry.attributes.filter((attribute) => attribute.perVm).map((attribute) => attribute.name));
  const closed = new Set(registry.attributes.filter(({ values }) => values !== undefined).map(({ name }) => name));
  for (const metric of registry.metrics) {
    checkMetric(metric, perVm, report);
    if (metric.instrument === "stateset") checkStateset(metric, closed, report);
    if (metric.instrument === "info") checkInfo(metric, report);
  }
  checkPrometheusNames(registry.metrics, report);
  return findings;
}

type Named = readonly { readonly name: string; readonly file: string }[];

function checkNames(named: Named, report: Report): void {
  for (const subject of named) {
    const isOwn = subject.file.startsWith("blixard/");
    if (isOwn && !subject.name.includes(".")) {
      report("missing_namespace", subject, "a name begins with a namespace");
      continue;
    }
    // Upstream's names are as they are; that they are upstream's is checked against its table.
    if (isOwn && !NAME.test(subject.name)) {
      report(
        "invalid_format",
        subject,
        "a name is lower case, with dots between namespaces and snake_case inside a part",
      );
      continue;
    }
    if (subject.name.startsWith("blixard.") !== isOwn) {
      report(
        "missing_namespace",
        subject,
        "our own names begin with `blixard.` and live in blixard/, upstream's in opentelemetry/",
      );
    }
  }
}

/** A name that is also the namespace of another one: a query or a document tree cannot hold both. */
function checkNamespaces(named: Named, report: Report): void {
  const names = new Set(named.map(({ name }) => name));
  for (const subject of named) {
    const parts = subject.name.split(".");
    for (let length = 1; length < parts.length; length++) {
      const namespace = parts.slice(0, length).join(".");
      if (names.has(namespace)) report("illegal_namespace", subject, `its namespace ${namespace} is a name itself`);
    }
  }
}

function checkDuplicates(named: Named, report: Report): void {
  const seen = new Map<string, string>();
  for (const subject of named) {
    const other = seen.get(subject.name);
    if (other !== undefined) report("duplicate_definition", subject, `also declared in ${other}`);
    seen.set(subject.name, subject.file);
  }
}

function checkMetric(metric: RegistryMetric, perVm: ReadonlySet<string>, report: Report): void {
  checkBuckets(metric, report);
  const vmAttributes = metric.attributes.filter(({ name }) => perVm.has(name)).map(({ name }) => name);
  if (vmAttributes.length > 0 && (!metric.perVm || metric.instrument === "histogram")) {
    report(
      "per_vm_attribute",
      metric,
      `${vmAttributes.join(", ")}: a metric that names VMs is marked per_vm, and is no histogram`,
    );
  }
  if (!UNIT.test(metric.unit))
    report("invalid_unit", metric, `unit ${metric.unit} is not one of s, By, 1, Hz, {thing}`);
  if (!metric.name.startsWith("blixard.")) return;

  const parts = metric.name.split(".");
  const last = parts.at(-1) ?? "";
  if (!subsystems.includes(parts[1] ?? ""))
    report("unknown_subsystem", metric, `subsystems are ${subsystems.join(", ")}`);
  for (const word of parts.flatMap((part) => part.split("_"))) {
    if (unitParts.has(word))
      report("unit_in_name", metric, `${word} does not belong in a name: units and _total are added for Prometheus`);
  }
  if (metric.unit === "1" && (metric.instrument !== "gauge" || STATE_PART.test(last))) {
    report("unit_mismatch", metric, "unit 1 is for ratios: counts and 0/1 gauges have an annotation such as {state}");
  }
  if (metric.instrument === "updowncounter" && /[^su]s$/.test(last)) {
    report("invalid_format", metric, "an up-down counter's name is singular: `.count`");
  }
  checkWellKnownEnding(metric, last, report);
}

type Ending = { readonly instruments: readonly RegistryMetric["instrument"][]; readonly unit: RegExp };
const endings: Readonly<Record<string, Ending>> = {
  duration: { instruments: ["histogram"], unit: /^s$/ },
  time: { instruments: ["counter"], unit: /^s$/ },
  io: { instruments: ["counter"], unit: /^By$/ },
  utilization: { instruments: ["gauge"], unit: /^1$/ },
  usage: { instruments: ["updowncounter", "gauge"], unit: /^(By|s|\{.*\})$/ },
  limit: { instruments: ["updowncounter", "gauge"], unit: /^(By|\{.*\})$/ },
  count: { instruments: ["updowncounter"], unit: /^\{.*\}$/ },
  age: { instruments: ["gauge"], unit: /^s$/ },
};

function checkWellKnownEnding(metric: RegistryMetric, last: string, report: Report): void {
  const ending = endings[last];
  if (ending === undefined) return;
  if (!ending.instruments.includes(metric.instrument)) {
    report(
      "unexpected_instrument",
      metric,
      `.${last} is a ${ending.instruments.join(" or ")}, not a ${metric.instrument}`,
    );
  }
  if (!ending.unit.test(metric.unit)) report("unit_mismatch", metric, `.${last} does not have the unit ${metric.unit}`);
}

function checkBuckets(metric: RegistryMetric, report: Report): void {
  const { buckets } = metric;
  if (metric.instrument === "histogram" && (buckets === undefined || buckets.length === 0)) {
    report("missing_buckets", metric, "a histogram names its buckets");
  }
  if (metric.instrument !== "histogram" && buckets !== undefined)
    report("unexpected_buckets", metric, "only a histogram has buckets");
  if (
    buckets?.some((bound, index) => index > 0 && bound <= (buckets[index - 1] ?? Number.NEGATIVE_INFINITY)) === true
  ) {
    report("invalid_buckets", metric, "buckets ascend");
  }
}

/** Source: OpenMetrics 1.0, "StateSet": the label that tells the state has the name of the metric. */
function checkStateset(metric: RegistryMetric, closed: ReadonlySet<string>, report: Report): void {
  const states = metric.attributes.filter(({ name }) => name === metric.name && closed.has(name));
  if (states.length !== 1) {
    report("invalid_stateset", metric, `a stateset has a closed attribute ${metric.name}: its states`);
  }
  checkUnitless(metric, report);
}

function checkInfo(metric: RegistryMetric, report: Report): void {
  if (metric.attributes.length === 0) report("invalid_info", metric, "an info says what it is in attributes");
  checkUnitless(metric, report);
}

function checkUnitless(metric: RegistryMetric, report: Report): void {
  if (metric.declaredInstrument !== "updowncounter")
    report("unexpected_instrument", metric, `an ${metric.instrument} is declared as the updowncounter it is by OTLP`);
  if (!/^\{.*\}$/.test(metric.unit))
    report("unit_mismatch", metric, `a ${metric.instrument} has no unit but an annotation such as {state}`);
}

/** Every sample name may belong to one family, and a metric's labels must stay apart. */
function checkPrometheusNames(metrics: readonly RegistryMetric[], report: Report): void {
  const owners = new Map<string, string>();
  for (const metric of metrics) {
    const name = prometheusMetricName(metric);
    const base = name.replace(/_total$/, "");
    if (
      metric.instrument !== "counter" &&
      metric.instrument !== "info" &&
      reservedSuffixes.some((suffix) => name.endsWith(suffix))
    ) {
      report("prometheus_reserved_suffix", metric, `${name} ends in a suffix that Prometheus gives a meaning`);
    }
    const samples =
      metric.instrument === "histogram"
        ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`, `${name}_created`]
        : metric.instrument === "counter"
          ? [base, name, `${base}_created`]
          : metric.instrument === "info"
            ? [name.replace(/_info$/, ""), name]
            : [name];
    for (const sample of samples) {
      const owner = owners.get(sample);
      if (owner !== undefined) report("prometheus_name_collision", metric, `${sample} is a sample of ${owner} too`);
      else owners.set(sample, metric.name);
    }
    const labels = new Map<string, string>(metric.instrument === "histogram" ? [["le", "the bucket's bound"]] : []);
    for (const attribute of metric.attributes) {
      const label = prometheusLabelName(attribute.name);
      const other = labels.get(label);
      if (other !== undefined)
        report("prometheus_label_collision", metric, `${attribute.name} and ${other} are both the label ${label}`);
      labels.set(label, attribute.name);
    }
  }
}
