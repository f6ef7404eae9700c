/** The labels of a series: attributes under their Prometheus names. */
import type { AttributeValue } from "../port.ts";
import { escapeQuoted } from "./byte-text.ts";
import { prometheusLabelName } from "./prometheus-names.ts";

type LabelName = (key: string) => string;
type Attributes = readonly (readonly [key: string, value: AttributeValue])[];

/** `a="1",b="2"` of the attributes, in their order; empty when there are none. */
export function labelsText(attributes: Attributes, labelName: LabelName = prometheusLabelName): string {
  if (hasClash(attributes, labelName)) return textOf(joinedPairs(attributes, labelName));
  let text = "";
  for (let index = 0; index < attributes.length; index++) {
    const [key, value] = attributes[index] ?? ["", ""];
    const quoted = typeof value === "string" ? escapeQuoted(value) : value;
    text += `${index === 0 ? "" : ","}${labelName(key)}="${quoted}"`;
  }
  return text;
}

/** Each label's name and value, in the attributes' order. */
export function forEachLabel(
  attributes: Attributes,
  labelName: LabelName,
  visit: (name: string, value: string) => void,
): void {
  if (hasClash(attributes, labelName)) {
    for (const [name, value] of joinedPairs(attributes, labelName)) visit(name, value);
    return;
  }
  for (const [key, value] of attributes) visit(labelName(key), typeof value === "string" ? value : String(value));
}

/** A label name for each key, looked up once. */
export function cachedLabelNames(labelName: LabelName): LabelName {
  const names = new Map<string, string>();
  return (key) => names.get(key) ?? names.getOrInsertComputed(key, labelName);
}

/** A label may occur once. Few attributes, and rarely a clash: no set is worth its cost. */
function hasClash(attributes: Attributes, labelName: LabelName): boolean {
  for (let index = 1; index < attributes.length; index++) {
    const name = labelName(attributes[index]?.[0] ?? "");
    for (let earlier = 0; earlier < index; earlier++) {
      if (labelName(attributes[earlier]?.[0] ?? "") === name) return true;
    }
  }
  return false;
}

/** Attributes that become one label: their values joined by `;`, in the order of the attributes' names. */
function joinedPairs(attributes: Attributes, labelName: LabelName): (readonly [name: string, value: string])[] {
  const byName = Map.groupBy(attributes, ([key]) => labelName(key));
  return [...byName].map(([name, sources]) => {
    const values = sources.toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, value]) => String(value));
    return [name, values.join(";")];
  });
}

function textOf(pairs: readonly (readonly [name: string, value: string])[]): string {
  return pairs.map(([name, value]) => `${name}="${escapeQuoted(value)}"`).join(",");
}
