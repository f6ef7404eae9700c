/**
 * What we emit under names of OpenTelemetry's, checked against upstream's own table:
 * known, not deprecated, with its type, instrument, unit, kind and stability, and with the
 * attributes that it requires. Findings have the ids that Weaver's live check gives.
 */
import type { Finding, FindingLevel } from "./finding.ts";
import type { AttributeReference, Registry, RegistryAttribute, RegistryMetric } from "./registry.ts";
import type { UpstreamEntry, UpstreamSignal, UpstreamTable } from "./upstream.ts";

interface Subject {
  readonly name: string;
  readonly file: string;
  readonly stability: string;
}
type Report = (id: string, level: FindingLevel, subject: Subject, message: string) => void;

/** Instruments of ours that upstream has not, as what they are sent. */
const SENT_AS: Readonly<Record<string, string>> = { info: "updowncounter", stateset: "updowncounter" };

export function checkAgainstUpstream(registry: Registry, upstream: UpstreamTable): Finding[] {
  const findings: Finding[] = [];
  const report: Report = (id, level, { name, file }, message) =>
    findings.push({ id, level, subject: name, message, file });
  const namespaces = new Set(Object.keys(upstream.attributes).flatMap(namespacesOf));

  for (const attribute of registry.attributes) checkAttribute(attribute, upstream, namespaces, report);
  for (const metric of registry.metrics.filter(isUpstream)) checkMetric(metric, upstream, report);
  for (const span of registry.spans.filter(isUpstream)) {
    const known = upstream.spans[span.id.replace(/^span\./, "")];
    if (known === undefined) {
      report("missing_span", "violation", span, `upstream has no ${span.id}`);
      continue;
    }
    if (known.kind !== span.kind) report("unexpected_kind", "violation", span, `it is a ${known.kind} span upstream`);
    checkSignal(span, span.attributes, known, report);
  }
  for (const event of registry.events.filter(isUpstream)) {
    const known = upstream.events[event.name];
    if (known === undefined) report("missing_event", "violation", event, "upstream has no event of this name");
    else checkSignal(event, event.attributes, known, report);
  }
  for (const entity of registry.entities.filter(isUpstream)) {
    const known = upstream.entities[entity.name];
    if (known === undefined) report("missing_entity", "violation", entity, "upstream has no entity of this name");
    else checkSignal(entity, entity.attributes, known, report, "entity_");
  }
  return findings;
}

function isUpstream({ file }: { readonly file: string }): boolean {
  return file.startsWith("opentelemetry/");
}

function checkAttribute(
  attribute: RegistryAttribute,
  upstream: UpstreamTable,
  namespaces: ReadonlySet<string>,
  report: Report,
): void {
  const { name } = attribute;
  const known = upstream.attributes[name];
  if (known !== undefined && known.type !== "unknown") {
    checkEntry(attribute, known, report);
    if (known.type.replace(/^template\[(.*)\]$/, "$1") !== attribute.type) {
      report("type_mismatch", "violation", attribute, `its type is ${known.type} upstream, not ${attribute.type}`);
    }
    for (const value of attribute.values ?? []) {
      if (known.values?.includes(value) === false) {
        // Upstream's enumerations are open, but what is none of theirs must be a choice, not a slip.
        report("undefined_enum_variant", "information", attribute, `${value} is none of upstream's values`);
      }
    }
  } else if (known !== undefined) checkEntry(attribute, known, report);
  if (known !== undefined) return;
  const template = Object.entries(upstream.attributes).find(
    ([key, { type }]) => type.startsWith("template[") && name.startsWith(`${key}.`),
  );
  if (template !== undefined) {
    report("template_attribute", "information", attribute, `it is one of upstream's ${template[0]}.*`);
    return;
  }
  const extended = namespacesOf(name).findLast((namespace) => namespaces.has(namespace));
  if (extended !== undefined)
    report("extends_namespace", "information", attribute, `${extended} is a namespace of upstream's`);
  if (isUpstream(attribute) && attribute.specifiedBy === undefined)
    report("missing_attribute", "violation", attribute, "upstream has no attribute of this name");
}

function checkMetric(metric: RegistryMetric, upstream: UpstreamTable, report: Report): void {
  const known = upstream.metrics[metric.name];
  if (known === undefined) {
    report("missing_metric", "violation", metric, "upstream has no metric of this name");
    return;
  }
  const sentAs = SENT_AS[metric.instrument] ?? metric.instrument;
  if (known.instrument !== sentAs)
    report("unexpected_instrument", "violation", metric, `it is a ${known.instrument} upstream, not a ${sentAs}`);
  if (known.unit !== metric.unit)
    report("unit_mismatch", "violation", metric, `its unit is ${known.unit} upstream, not ${metric.unit}`);
  checkSignal(metric, metric.attributes, known, report);
}

/** Name, stability and attributes of a signal that upstream has. */
function checkSignal(
  signal: Subject & { readonly omits: Readonly<Record<string, string>> },
  references: readonly AttributeReference[],
  known: UpstreamSignal,
  report: Report,
  prefix = "",
): void {
  checkEntry(signal, known, report);
  const ours = new Map(references.map((reference) => [reference.name, reference.requirement]));
  for (const [name, level] of Object.entries(known.attributes)) {
    const mine = ours.get(name);
    const reason = signal.omits[name];
    if (mine !== undefined && reason !== undefined)
      report("unnecessary_omission", "improvement", signal, `${name} is omitted and there all the same`);
    if (level === "required" && mine !== undefined && mine !== "required") {
      report("requirement_mismatch", "violation", signal, `${name} is required upstream, not ${mine}`);
    }
    if (mine !== undefined || reason !== undefined) continue;
    report(`${prefix}${level}_attribute_not_present`, ABSENT[level], signal, `upstream: ${name} is ${level}`);
  }
  for (const name of Object.keys(signal.omits)) {
    if (known.attributes[name] === undefined)
      report("unnecessary_omission", "improvement", signal, `upstream does not have ${name} here`);
  }
}

const ABSENT = {
  required: "violation",
  conditionally_required: "improvement",
  recommended: "information",
  opt_in: "information",
} as const satisfies Record<string, FindingLevel>;

function checkEntry(subject: Subject, known: UpstreamEntry, report: Report): void {
  if (known.deprecated !== undefined) {
    const instead = known.deprecated === "" ? "" : `: use ${known.deprecated}`;
    report("deprecated", "violation", subject, `upstream has deprecated it${instead}`);
  }
  if (known.stability !== subject.stability) {
    report("stability_mismatch", "violation", subject, `it is ${known.stability} upstream, not ${subject.stability}`);
  }
  if (known.stability !== "stable") report("not_stable", "information", subject, `it is ${known.stability} upstream`);
}

/** `a.b.c` → `a`, `a.b`. */
function namespacesOf(name: string): string[] {
  const parts = name.split(".");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("."));
}
