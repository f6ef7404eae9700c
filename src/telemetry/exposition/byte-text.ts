/**
 * Text as it goes to the wire. A byte string holds one character for each byte of the
 * UTF-8 form, so that it can be kept with a series and written as latin1, which is
 * the fastest way from a string into a buffer.
 */

const QUOTED_SPECIAL = /[\\\n"]/;

/** The UTF-8 bytes of `text`, one character each. Lone surrogates become U+FFFD. */
export function toByteString(text: string): string {
  // Through a buffer in any case: the result is flat and keeps nothing of the pieces it was made of.
  return Buffer.from(text, "utf8").toString("latin1");
}

/** Of a label's value in both formats, and of HELP in OpenMetrics. */
export function escapeQuoted(text: string): string {
  if (!QUOTED_SPECIAL.test(text)) return text;
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

/** Of HELP in the text format 0.0.4. */
export function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

/** A sample's value. */
export function formatValue(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return String(value);
}

/**
 * A bucket's bound, the same text as from Prometheus's own libraries (Go's `%g`): series keep their
 * `le` when a scraper changes between text and protobuf. Source: OpenMetrics 1.0, "Canonical Numbers".
 */
export function formatBound(bound: number): string {
  if (!Number.isFinite(bound)) return formatValue(bound);
  const [mantissa = "", exponent = ""] = bound.toExponential().split("e");
  const power = Math.abs(Number(exponent));
  if (Number(exponent) >= -4 && Number(exponent) < 6) return Number.isInteger(bound) ? `${bound}.0` : String(bound);
  return `${mantissa}e${exponent.startsWith("-") ? "-" : "+"}${String(power).padStart(2, "0")}`;
}
