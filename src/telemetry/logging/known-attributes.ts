/** Which attribute keys the registry knows, so that no log record carries another. */
import { attributes } from "#gen/telemetry/attributes.ts";

/** Names that stand for all below them: `baggage` for `baggage.user`. */
const templates = Object.entries(attributes)
  .filter(([, attribute]) => "template" in attribute)
  .map(([name]) => `${name}.`);

export function isKnownAttribute(key: string): boolean {
  if (Object.hasOwn(attributes, key)) return !templates.includes(`${key}.`);
  return templates.some((template) => key.startsWith(template) && key.length > template.length);
}
