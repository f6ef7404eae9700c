/** Names of enum values for reading: `ON_FAILURE` is `on-failure`; empty for the unspecified and the unknown. */
export function enumText(enumeration: Readonly<Record<string, number>>, value: number | undefined): string {
  const name = Object.keys(enumeration).find((key) => enumeration[key] === value);
  return name === undefined || name === "UNSPECIFIED" ? "" : name.toLowerCase().replaceAll("_", "-");
}
