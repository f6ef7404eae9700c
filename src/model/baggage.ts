/**
 * W3C Baggage as values: members that travel beside a trace context through every
 * hop. It is hostile input by nature, so a look at it costs the same whatever its
 * size, and what does not fit or is malformed goes as a whole member, never in part.
 * Source: W3C Baggage (format, limits of section 3.3.2, percent-encoding).
 */

export interface BaggageMember {
  /** A token of RFC 7230. */
  readonly key: string;
  /** Percent-decoded. */
  readonly value: string;
  /** As written, each with its `;` before it; "" for none. */
  readonly properties: string;
}

export interface BaggageReading {
  /** Keys are unique: of several members with one key the last counts. */
  readonly members: readonly BaggageMember[];
  /** Members that are none. */
  readonly malformed: number;
  /** Members too many, and one for all that was not even looked at. */
  readonly excess: number;
}

export const baggageLimits = {
  members: 64,
  /** Of the whole header. */
  bytes: 8_192,
  /** More than a listener takes; what is behind is not looked at. */
  examinedCharacters: 16_384,
  examinedMembers: 512,
} as const;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** baggage-octet: printable ASCII without space, `"`, `,`, `;` and `\`. */
const VALUE = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/;

/** Takes anything; never fails. */
export function parseBaggage(header: string): BaggageReading {
  const examined = header.slice(0, baggageLimits.examinedCharacters);
  const isCut = examined.length < header.length;
  const texts = examined.split(",", baggageLimits.examinedMembers + 1);
  // The last one may be half a member.
  if (isCut || texts.length > baggageLimits.examinedMembers) texts.pop();
  const excess = isCut || texts.length === baggageLimits.examinedMembers ? 1 : 0;
  const members = new Map<string, BaggageMember>();
  let malformed = 0;
  for (const text of texts) {
    if (text.trim() === "") continue;
    const member = parseMember(text);
    if (member === undefined) malformed++;
    else members.set(member.key, member);
  }
  return { members: [...members.values()], malformed, excess };
}

/** The header of as many whole members as the limits allow, in their order; undefined for none. */
export function formatBaggage(members: Iterable<BaggageMember>): {
  readonly header: string | undefined;
  readonly dropped: number;
} {
  const parts: string[] = [];
  let bytes = 0;
  let dropped = 0;
  for (const { key, value, properties } of members) {
    // All of it is ASCII: characters are bytes.
    const part = `${key}=${encodeValue(value)}${properties}`;
    const separator = parts.length === 0 ? 0 : 1;
    const fits = parts.length < baggageLimits.members && bytes + separator + part.length <= baggageLimits.bytes;
    if (!fits || !TOKEN.test(key)) {
      dropped++;
      continue;
    }
    parts.push(part);
    bytes += separator + part.length;
  }
  return { header: parts.length === 0 ? undefined : parts.join(","), dropped };
}

/** @param patterns keys; a `*` at the end stands for any rest */
export function createKeyFilter(patterns: readonly string[]): (key: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.endsWith("*")));
  const prefixes = patterns.filter((pattern) => pattern.endsWith("*")).map((pattern) => pattern.slice(0, -1));
  return (key) => exact.has(key) || prefixes.some((prefix) => key.startsWith(prefix));
}

function parseMember(text: string): BaggageMember | undefined {
  const [pair = "", ...rest] = text.split(";");
  const equals = pair.indexOf("=");
  if (equals === -1) return undefined;
  const key = trimBlanks(pair.slice(0, equals));
  const value = trimBlanks(pair.slice(equals + 1));
  if (!TOKEN.test(key) || !VALUE.test(value)) return undefined;
  const properties = rest.map(trimBlanks);
  if (!properties.every(isProperty)) return undefined;
  return { key, value: decodeValue(value), properties: properties.map((property) => `;${property}`).join("") };
}

function isProperty(text: string): boolean {
  const equals = text.indexOf("=");
  if (equals === -1) return TOKEN.test(text);
  return TOKEN.test(trimBlanks(text.slice(0, equals))) && VALUE.test(trimBlanks(text.slice(equals + 1)));
}

/** Optional white space of HTTP: spaces and tabs. */
function trimBlanks(text: string): string {
  return text.replace(/^[ \t]+/, "").replace(/[ \t]+$/, "");
}

/** What is no UTF-8 becomes U+FFFD, as the specification asks; a `%` without two digits stays as it is. */
function decodeValue(value: string): string {
  if (!value.includes("%")) return value;
  const bytes: number[] = [];
  for (let index = 0; index < value.length; index++) {
    const digits = /^%([0-9A-Fa-f]{2})/.exec(value.slice(index, index + 3))?.[1];
    bytes.push(digits === undefined ? value.charCodeAt(index) : Number.parseInt(digits, 16));
    if (digits !== undefined) index += 2;
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

function encodeValue(value: string): string {
  if (VALUE.test(value) && !value.includes("%")) return value;
  let encoded = "";
  for (const byte of new TextEncoder().encode(value)) {
    const character = String.fromCharCode(byte);
    encoded +=
      byte < 0x80 && character !== "%" && VALUE.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
