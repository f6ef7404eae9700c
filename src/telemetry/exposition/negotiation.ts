/**
 * What a scraper gets: format, escaping scheme and content encoding from its Accept
 * and Accept-Encoding headers. Source: RFC 9110 section 12.5; Prometheus "Content
 * negotiation".
 */
import type { EscapingScheme } from "./escaping.ts";
import { type MediaRange, parseElements, parseMediaRanges } from "./media-ranges.ts";
import type { PageFormat } from "./page.ts";

export interface NegotiatedFormat {
  readonly format: PageFormat;
  /** Undefined: none was asked for; names are in the old alphabet anyway. */
  readonly escaping: EscapingScheme | undefined;
  readonly contentType: string;
}

export type ContentCoding = "gzip" | "identity";

interface Offer {
  readonly format: PageFormat;
  readonly type: string;
  readonly subtype: string;
  /** Parameters that a range may name, and must then name like this. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Whether a range must name all of them. */
  readonly strict: boolean;
}

const plainText: Offer = {
  format: "prometheus_text",
  type: "text",
  subtype: "plain",
  parameters: { version: "0.0.4", charset: "utf-8" },
  strict: false,
};

/** Among equal wishes the first wins. */
const offers: readonly Offer[] = [
  {
    format: "openmetrics",
    type: "application",
    subtype: "openmetrics-text",
    parameters: { version: "1.0.0", charset: "utf-8" },
    strict: false,
  },
  plainText,
  { ...plainText, parameters: { version: "1.0.0", charset: "utf-8" } },
  {
    format: "prometheus_protobuf",
    type: "application",
    subtype: "vnd.google.protobuf",
    parameters: { proto: "io.prometheus.client.MetricFamily", encoding: "delimited" },
    // The type alone could mean any message.
    strict: true,
  },
];

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
  const [best] = offers
    .map((offer) => ({ offer, ...matchOffer(offer, ranges) }))
    // A wildcard alone is no wish for anything but plain text: curl sends one.
    .filter(({ offer, quality, specificity }) => quality > 0 && (offer === plainText || specificity > ANY_SUBTYPE))
    .toSorted((left, right) => right.quality - left.quality || right.specificity - left.specificity);
  const { format, type, subtype, parameters } = best?.offer ?? plainText;
  const escaping = schemes[best?.range?.parameters.get("escaping")?.toLowerCase() ?? ""];
  const shown = Object.entries({ ...parameters, ...(escaping === undefined ? {} : { escaping }) });
  const contentType = [`${type}/${subtype}`, ...shown.map(([key, value]) => `${key}=${value}`)].join("; ");
  return { format, escaping, contentType };
}

/** The coding of the highest quality; among equal wishes gzip. Nothing acceptable: none, which everybody can read. */
export function negotiateCoding(acceptEncoding: string | undefined): ContentCoding {
  const qualities = new Map(parseElements(acceptEncoding ?? "").map(({ value, quality }) => [value, quality]));
  const rest = qualities.get("*");
  const gzip = qualities.get("gzip") ?? qualities.get("x-gzip") ?? rest ?? 0;
  // What is not named stays acceptable unless it was refused: RFC 9110 section 12.5.3.
  const identity = qualities.get("identity") ?? (rest === 0 ? 0 : LEAST);
  return gzip > 0 && gzip >= identity ? "gzip" : "identity";
}

/** Less than any quality that a header can name. */
const LEAST = 0.0001;
const NO_MATCH = -1;
const ANY = 0;
const ANY_SUBTYPE = 1;
const TYPE = 2;

interface Match {
  readonly quality: number;
  /** From `NO_MATCH` to `TYPE`; each parameter that was named is one more. */
  readonly specificity: number;
  readonly range: MediaRange | undefined;
}

/** The most specific range decides; among equally specific ones the best. */
function matchOffer(offer: Offer, ranges: readonly MediaRange[]): Match {
  let best: Match = { quality: 0, specificity: NO_MATCH, range: undefined };
  for (const range of ranges) {
    const specificity = specificityOf(range, offer);
    if (specificity === NO_MATCH) continue;
    const better = specificity > best.specificity || (specificity === best.specificity && range.quality > best.quality);
    if (better) best = { quality: range.quality, specificity, range };
  }
  return best;
}

function specificityOf(range: MediaRange, offer: Offer): number {
  if (range.type === "*" && range.subtype === "*") return ANY;
  if (range.type !== offer.type) return NO_MATCH;
  if (range.subtype === "*") return ANY_SUBTYPE;
  if (range.subtype !== offer.subtype) return NO_MATCH;
  let named = 0;
  for (const [key, value] of Object.entries(offer.parameters)) {
    const wanted = range.parameters.get(key);
    if (wanted === undefined) {
      if (offer.strict) return NO_MATCH;
    } else if (wanted.toLowerCase() === value.toLowerCase()) named++;
    else return NO_MATCH;
  }
  return TYPE + named;
}
