/** The labels of a series: attributes under their Prometheus names. */
import type { AttributeValue } from "../port.ts";
import { escapeQuoted } from "./byte-text.ts";
import { prometheusLabelName } from "./prometheus-names.ts";

/** `a="1",b="2"` of the attributes, in their order; empty when there are none. */
export function labelsText(
  attributes: Iterable<readonly [key: string, value: AttributeValue]>,
  labelName: (key: string) => string = prometheusLabelName,
): string {
  const values = new Map<string, [key: string, value: string][]>();
  for (const [key, value] of attributes) {
    values.getOrInsertComputed(labelName(key), () => []).push([key, String(value)]);
  }
  return [...values].map(([name, sources]) => `${name}="${escapeQuoted(joinValues(sources))}"`).join(",");
}

/** Attributes that become one label: their values, in the order of the attributes' names. */
function joinValues(sources: readonly [key: string, value: string][]): string {
  return sources
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([, value]) => value)
    .join(";");
}
