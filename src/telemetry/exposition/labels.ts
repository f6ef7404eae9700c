/** The labels of a series: attributes under their Prometheus names. */
import type { AttributeValue } from "../port.ts";
import { escapeQuoted } from "./byte-text.ts";
import { prometheusLabelName } from "./prometheus-names.ts";

type LabelName = (key: string) => string;

/** `a="1",b="2"` of the attributes, in their order; empty when there are none. */
export function labelsText(
  attributes: readonly (readonly [key: string, value: AttributeValue])[],
  labelName: LabelName = prometheusLabelName,
): string {
  let text = "";
  for (let index = 0; index < attributes.length; index++) {
    const [key, value] = attributes[index] ?? ["", ""];
    const name = labelName(key);
    // A label may occur once. Few attributes, and rarely a clash: no set is worth its cost.
    for (let earlier = 0; earlier < index; earlier++) {
      if (labelName(attributes[earlier]?.[0] ?? "") === name) return joinedLabelsText(attributes, labelName);
    }
    text += `${index === 0 ? "" : ","}${name}="${typeof value === "string" ? escapeQuoted(value) : value}"`;
  }
  return text;
}

/** A label name for each key, looked up once. */
export function cachedLabelNames(labelName: LabelName): LabelName {
  const names = new Map<string, string>();
  return (key) => names.get(key) ?? names.getOrInsertComputed(key, labelName);
}

/** Attributes that become one label: their values joined by `;`, in the order of the attributes' names. */
function joinedLabelsText(
  attributes: readonly (readonly [key: string, value: AttributeValue])[],
  labelName: LabelName,
): string {
  const byName = Map.groupBy(attributes, ([key]) => labelName(key));
  const labels = [...byName].map(([name, sources]) => {
    const values = sources.toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, value]) => String(value));
    return `${name}="${escapeQuoted(values.join(";"))}"`;
  });
  return labels.join(",");
}
