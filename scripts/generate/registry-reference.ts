/** `docs/reference/telemetry.md`: every signal, for people. */
import { prometheusMetricName } from "../../src/telemetry/exposition/prometheus-names.ts";
import type { GeneratedFiles } from "./output.ts";
import type { AttributeReference, Registry, RegistryMetric } from "./registry.ts";

export function generateRegistryReference(registry: Registry): GeneratedFiles {
  const text = [
    "# Telemetry reference",
    "",
    "Generated from `telemetry/registry/` by `npm run generate`. Do not edit.",
    "",
    "Attributes in *italics* are optional; a dot in an attribute's name is `_` in a Prometheus label",
    "(`blixard.vm.state` is `blixard_vm_state`). Histograms have `_bucket`, `_sum` and `_count` on the Prometheus page.",
    "",
    "## Metrics",
    ...metricSections(registry.metrics),
    "",
    "## Spans",
    "",
    "| span | kind | attributes | what it is |",
    "|---|---|---|---|",
    ...registry.spans.map((span) => row(`\`${span.name}\``, span.kind, attributeList(span.attributes), span.brief)),
    "",
    "## Events",
    "",
    "Log records with an event name.",
    "",
    "| event | severity | attributes | what it is |",
    "|---|---|---|---|",
    ...registry.events.map((event) =>
      row(`\`${event.name}\``, event.severity, attributeList(event.attributes), event.brief),
    ),
    "",
    "## Attributes",
    "",
    "| attribute | type | what it is |",
    "|---|---|---|",
    ...registry.attributes.map(({ name, type, values, brief }) =>
      row(`\`${name}\``, values === undefined ? type : values.map((value) => `\`${value}\``).join(", "), brief),
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
    "| metric | Prometheus name | instrument | unit | attributes | what it is |",
    "|---|---|---|---|---|---|",
    ...members.map((metric) =>
      row(
        `\`${metric.name}\``,
        `\`${prometheusMetricName(metric)}\``,
        metric.instrument,
        `\`${metric.unit}\``,
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

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}
