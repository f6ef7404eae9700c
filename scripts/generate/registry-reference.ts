/** `docs/reference/telemetry.md`: every signal, for people. */
import { prometheusMetricName } from "../../src/telemetry/exposition/prometheus-names.ts";
import type { GeneratedFiles } from "./output.ts";
import type { AttributeReference, Registry, RegistryAttribute, RegistryMetric } from "./registry.ts";

/** @param upstreamVersion of the conventions that the names were checked against */
export function generateRegistryReference(registry: Registry, upstreamVersion: string): GeneratedFiles {
  const text = [
    "# Telemetry reference",
    "",
    "Generated from `telemetry/registry/` by `npm run generate`. Do not edit.",
    "",
    "Attributes in *italics* are optional; a dot in an attribute's name is `_` in a Prometheus label",
    "(`blixard.vm.state` is `blixard_vm_state`). Histograms have `_bucket`, `_sum` and `_count` on the Prometheus page.",
    "",
    "A name under `blixard.` is Blixard's own; it may still change while its stability is *development*. Every other",
    `name is OpenTelemetry's, as its semantic conventions ${upstreamVersion} have it, with the stability that they give it.`,
    "",
    "## Metrics",
    ...metricSections(registry.metrics),
    "",
    "## Spans",
    "",
    "| span | kind | stability | attributes | what it is |",
    "|---|---|---|---|---|",
    ...registry.spans.map((span) =>
      row(`\`${span.name}\``, span.kind, stabilityOf(span), attributeList(span.attributes), span.brief),
    ),
    "",
    "## Events",
    "",
    "Log records with an event name.",
    "",
    "| event | severity | stability | attributes | what it is |",
    "|---|---|---|---|---|",
    ...registry.events.map((event) =>
      row(`\`${event.name}\``, event.severity, stabilityOf(event), attributeList(event.attributes), event.brief),
    ),
    "",
    "## Resource",
    "",
    "On every signal, as far as the machine and the environment say it. Nothing is asked over a network for it.",
    "",
    "| entity | stability | attributes | what it is |",
    "|---|---|---|---|",
    ...registry.entities.map((entity) =>
      row(`\`${entity.name}\``, stabilityOf(entity), attributeList(entity.attributes), entity.brief),
    ),
    "",
    "## Attributes",
    "",
    "| attribute | type | stability | what it is |",
    "|---|---|---|---|",
    ...registry.attributes.map((attribute) =>
      row(`\`${attribute.name}\``, typeOf(attribute), stabilityOf(attribute), describeAttribute(attribute)),
    ),
    "",
  ].join("\n");
  return new Map([["docs/reference/telemetry.md", text]]);
}

function metricSections(metrics: readonly RegistryMetric[]): string[] {
  const sections = Map.groupBy(metrics, (metric) =>
    metric.name
      .split(".")
      .slice(0, metric.name.startsWith("blixard.") ? 2 : 1)
      .join("."),
  );
  return [...sections].flatMap(([namespace, members]) => [
    "",
    `### \`${namespace}.*\``,
    "",
    "| metric | Prometheus name | instrument | unit | stability | attributes | what it is |",
    "|---|---|---|---|---|---|---|",
    ...members.map((metric) =>
      row(
        `\`${metric.name}\``,
        `\`${prometheusMetricName(metric)}\``,
        metric.instrument,
        `\`${metric.unit}\``,
        stabilityOf(metric),
        attributeList(metric.attributes),
        metric.brief,
      ),
    ),
  ]);
}

function attributeList(references: readonly AttributeReference[]): string {
  return references
    .map(({ name, requirement, condition }) => {
      if (requirement === "required") return `\`${name}\``;
      return condition === undefined ? `*\`${name}\`*` : `*\`${name}\`* (${condition})`;
    })
    .join(", ");
}

function stabilityOf({ stability }: { readonly stability: string }): string {
  return stability.replace("_", " ");
}

function typeOf({ type, values }: RegistryAttribute): string {
  return values === undefined ? type : values.map((value) => `\`${value}\``).join(", ");
}

function describeAttribute({ brief, specifiedBy }: RegistryAttribute): string {
  return specifiedBy === undefined ? brief : `${brief} Source: ${specifiedBy}.`;
}

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}
