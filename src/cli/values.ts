/** Values of options that several commands take. Each refuses with words that the option's name goes before. */
import { parseDuration, parseSize } from "#model/quantity.ts";
import { usageError } from "./command.ts";

export function durationMs(text: string): number {
  return parseDuration(text) ?? usageError(`"${text}" is no duration`, "Write it with a unit, such as 30s or 2m.");
}

export function sizeBytes(text: string): number {
  return parseSize(text) ?? usageError(`"${text}" is no size`, "Write it with a unit, such as 256MiB or 10GB.");
}

export function wholeNumber(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isNaN(value) ? usageError(`"${text}" is no whole number`) : value;
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

/** `key=value`; the value may be empty, and may hold further equals signs. */
export function keyValue(text: string): KeyValue {
  const equals = text.indexOf("=");
  if (equals <= 0) return usageError(`"${text}" is not KEY=VALUE`);
  return { key: text.slice(0, equals), value: text.slice(equals + 1) };
}
