/** What headers look like, so that a mistake in writing them can be named without showing them: pure. */
import { Secret } from "#model/secret.ts";
import type { HeaderShape } from "./observations.ts";

/** Headers that carry credentials, by convention of OTLP backends. */
const CREDENTIAL =
  /^(authorization|.*(api|access|license|ingest)[-_]?(key|token).*|x-honeycomb-team|x-sf-token|.*token)$/;
const PERCENT_ENCODED = /%[0-9a-f]{2}/i;
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;

/** Of all credentials the one that is written worst. */
export function shapeOfCredentials(headers: Readonly<Record<string, string | Secret>>): HeaderShape {
  const shapes = Object.entries(headers)
    .filter(([name]) => CREDENTIAL.test(name))
    .map(([name, value]) => shapeOf(value instanceof Secret ? value.reveal() : value, name === "authorization"));
  return shapes.find((shape) => shape !== "well_formed") ?? shapes[0] ?? "absent";
}

const SCHEME = /^(?:bearer|basic|token|api-?key)$/i;

function shapeOf(value: string, hasScheme: boolean): HeaderShape {
  if (/^["'].*["']$/.test(value)) return "quoted";
  if (PERCENT_ENCODED.test(value)) return "percent_encoded";
  const basic = /^basic(?: +(.*))?$/i.exec(value);
  if (basic !== null && !isBasic(basic[1] ?? "")) return "basic_not_base64";
  return hasScheme ? shapeOfScheme(value.trim().split(/ +/)) : "well_formed";
}

function shapeOfScheme([scheme = "", second, ...rest]: readonly string[]): HeaderShape {
  if (second === undefined) return SCHEME.test(scheme) ? "token_missing" : "scheme_missing";
  return SCHEME.test(scheme) && SCHEME.test(second) && rest.length > 0 ? "scheme_twice" : "well_formed";
}

function isBasic(credentials: string): boolean {
  return BASE64.test(credentials) && Buffer.from(credentials, "base64").includes(":");
}
