/**
 * What a scraper gets: format, escaping scheme and content encoding from its Accept
 * and Accept-Encoding headers. Source: RFC 9110 section 12.5. Headers are hostile
 * input: what cannot be read is as good as absent.
 */
import type { EscapingScheme, PageFormat } from "./page.ts";

export interface NegotiatedFormat {
  readonly format: PageFormat;
  readonly escaping: EscapingScheme | undefined;
  readonly contentType: string;
}

interface MediaRange {
  readonly type: string;
  readonly subtype: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly quality: number;
}

interface Offer {
  readonly format: PageFormat;
  readonly type: string;
  readonly subtype: string;
  readonly version: string;
}

const offers: readonly Offer[] = [
  { format: "openmetrics", type: "application", subtype: "openmetrics-text", version: "1.0.0" },
  { format: "prometheus_text", type: "text", subtype: "plain", version: "0.0.4" },
];
const MAXIMUM_HEADER_LENGTH = 4_096;
const MAXIMUM_RANGES = 64;

const schemes: Readonly<Record<string, EscapingScheme>> = {
  "allow-utf-8": "allow-utf-8",
  "allow-utf8": "allow-utf-8",
  underscores: "underscores",
  dots: "dots",
  values: "values",
};

/** The format of the highest quality; no Accept, or nothing acceptable: text 0.0.4. */
export function negotiateFormat(accept: string | undefined): NegotiatedFormat {
  const ranges = parseMediaRanges(accept ?? "");
  const candidates = offers
    .map((offer) => ({ offer, ...matchOffer(offer, ranges) }))
    // A wildcard alone is no wish for OpenMetrics: curl sends one.
    .filter(({ offer, quality, specificity }) => quality > 0 && (offer.format !== "openmetrics" || specificity > 0))
    .toSorted((left, right) => right.quality - left.quality || right.specificity - left.specificity);
  const [best] = candidates;
  const format = best?.offer.format ?? "prometheus_text";
  const escaping = schemes[best?.range?.parameters.get("escaping")?.toLowerCase() ?? ""];
  const { type, subtype, version } = best?.offer ?? { type: "text", subtype: "plain", version: "0.0.4" };
  const contentType = `${type}/${subtype}; version=${version}; charset=utf-8${escaping === undefined ? "" : `; escaping=${escaping}`}`;
  return { format, escaping, contentType };
}

/** Whether gzip is wanted at least as much as no encoding. */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const codings = new Map<string, number>();
  for (const part of splitHeader(acceptEncoding ?? "")) {
    const { value, parameters } = parseElement(part);
    codings.set(value, parseQuality(parameters.get("q")));
  }
  const gzip = codings.get("gzip") ?? codings.get("x-gzip") ?? codings.get("*") ?? 0;
  return gzip > 0 && gzip >= (codings.get("identity") ?? 0);
}

interface Match {
  readonly quality: number;
  /** 3: type and version, 2: type, 1: `type/*`, 0: any, -1: none. */
  readonly specificity: number;
  readonly range: MediaRange | undefined;
}

/** The most specific range decides; among equally specific ones the best. */
function matchOffer(offer: Offer, ranges: readonly MediaRange[]): Match {
  let best: Match = { quality: 0, specificity: -1, range: undefined };
  for (const range of ranges) {
    const specificity = specificityOf(range, offer);
    if (specificity < 0) continue;
    const better = specificity > best.specificity || (specificity === best.specificity && range.quality > best.quality);
    if (better) best = { quality: range.quality, specificity, range };
  }
  return best;
}

function specificityOf(range: MediaRange, offer: Offer): number {
  if (range.type === "*" && range.subtype === "*") return 0;
  if (range.type !== offer.type) return -1;
  if (range.subtype === "*") return 1;
  if (range.subtype !== offer.subtype) return -1;
  const charset = range.parameters.get("charset");
  if (charset !== undefined && charset.toLowerCase() !== "utf-8") return -1;
  const version = range.parameters.get("version");
  if (version === undefined) return 2;
  return version === offer.version ? 3 : -1;
}

function parseMediaRanges(header: string): MediaRange[] {
  const ranges: MediaRange[] = [];
  for (const part of splitHeader(header)) {
    const { value, parameters } = parseElement(part);
    const [type, subtype, more] = value.split("/");
    if (type === undefined || subtype === undefined || subtype === "" || more !== undefined) continue;
    ranges.push({ type, subtype, parameters, quality: parseQuality(parameters.get("q")) });
  }
  return ranges;
}

function splitHeader(header: string): string[] {
  if (header.length > MAXIMUM_HEADER_LENGTH) return [];
  return header
    .split(",", MAXIMUM_RANGES)
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function parseElement(text: string): { value: string; parameters: Map<string, string> } {
  const [value = "", ...rest] = text.split(";").map((part) => part.trim());
  const parameters = new Map<string, string>();
  for (const parameter of rest) {
    const equals = parameter.indexOf("=");
    if (equals <= 0) continue;
    const key = parameter.slice(0, equals).trim().toLowerCase();
    const raw = parameter.slice(equals + 1).trim();
    parameters.set(key, raw.replace(/^"(.*)"$/, "$1"));
  }
  return { value: value.toLowerCase(), parameters };
}

/** A quality between 0 and 1; absent: 1; malformed: 0. */
function parseQuality(text: string | undefined): number {
  if (text === undefined) return 1;
  return /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(text) ? Number(text) : 0;
}
