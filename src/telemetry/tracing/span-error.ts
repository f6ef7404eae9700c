/**
 * What a span and a log record say about an error: a type of low cardinality
 * (`error.type`) and a message for people. Source: semantic conventions, "Recording errors".
 */
import { BlixardError, causeChain } from "#model/errors.ts";

const MAXIMUM_TYPE_LENGTH = 64;

/** `error.type`: our code, a system error's code (`ECONNREFUSED`), or the class's name. */
export function errorTypeOf(error: unknown): string {
  if (error instanceof BlixardError) return error.code;
  if (!(error instanceof Error)) return typeof error === "string" ? "Error" : "_OTHER";
  const code: unknown = "code" in error ? error.code : undefined;
  const type = typeof code === "string" && code !== "" ? code : error.name;
  return type.slice(0, MAXIMUM_TYPE_LENGTH);
}

/** The cause chain as one line, outermost first. */
export function errorMessageOf(error: unknown): string {
  return causeChain(error).join(": ");
}
