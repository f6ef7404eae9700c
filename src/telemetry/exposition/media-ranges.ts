/**
 * Accept headers and their kin. Source: RFC 9110 sections 5.6 and 12.5. Headers are hostile
 * input: what cannot be read is as good as absent.
 */

export interface MediaRange {
  readonly type: string;
  readonly subtype: string;
  readonly parameters: ReadonlyMap<string, string>;
  /** 0 to 1. */
  readonly quality: number;
}

export interface HeaderElement {
  /** Lower-case. */
  readonly value: string;
  /** Names in lower case, values as they were, without quotes. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly quality: number;
}

const MAXIMUM_HEADER_LENGTH = 4_096;
const MAXIMUM_ELEMENTS = 64;
const QUALITY = /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/;

export function parseMediaRanges(header: string): MediaRange[] {
  const ranges: MediaRange[] = [];
  for (const { value, parameters, quality } of parseElements(header)) {
    const [type, subtype, more] = value.split("/");
    if (type === undefined || subtype === undefined || subtype === "" || more !== undefined) continue;
    ranges.push({ type, subtype, parameters, quality });
  }
  return ranges;
}

/** `value;name=parameter;q=0.5`, separated by commas. */
export function parseElements(header: string): HeaderElement[] {
  if (header.length > MAXIMUM_HEADER_LENGTH) return [];
  return splitOutsideQuotes(header, ",")
    .slice(0, MAXIMUM_ELEMENTS)
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map(parseElement);
}

function parseElement(text: string): HeaderElement {
  const [value = "", ...rest] = splitOutsideQuotes(text, ";").map((part) => part.trim());
  const parameters = new Map<string, string>();
  for (const parameter of rest) {
    const equals = parameter.indexOf("=");
    if (equals <= 0) continue;
    const key = parameter.slice(0, equals).trim().toLowerCase();
    const raw = parameter.slice(equals + 1).trim();
    const quoted = /^"(.*)"$/.exec(raw)?.[1];
    parameters.set(key, quoted === undefined ? raw : quoted.replaceAll(/\\(.)/g, "$1"));
  }
  return { value: value.toLowerCase(), parameters, quality: parseQuality(parameters.get("q")) };
}

/** A quality between 0 and 1; absent: 1; malformed: 0. */
function parseQuality(text: string | undefined): number {
  if (text === undefined) return 1;
  return QUALITY.test(text) ? Number(text) : 0;
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  if (!text.includes('"')) return text.split(separator);
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === '"') quoted = !quoted;
    else if (quoted && character === "\\") index++;
    else if (!quoted && character === separator) {
      parts.push(text.slice(start, index));
      start = index + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}
