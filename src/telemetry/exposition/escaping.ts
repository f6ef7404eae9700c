/**
 * Escaping schemes of Prometheus, for scrapers that cannot take every character in a name.
 * Source: Prometheus "Escaping schemes". They are applied to translated names, which have
 * none but the old alphabet's characters: only `dots` changes those (it doubles underscores).
 */
export type EscapingScheme = "allow-utf-8" | "underscores" | "dots" | "values";

export function escapeName(name: string, scheme: EscapingScheme | undefined): string {
  return scheme === "dots" ? name.replaceAll("_", "__") : name;
}
