import type { TraceContext } from "../trace-context.ts";

/** Headers of a request as the propagation formats read them. */
export interface HeaderReader {
  /** By lower-case name; several of one name are joined by commas. */
  get(name: string): string | undefined;
  /** Lower-case names of all headers. */
  names(): Iterable<string>;
}

/** Headers of a call to others, by lower-case name. */
export type Headers = Record<string, string>;

/** One way to write a trace context into headers. */
export interface TraceFormat {
  /** Undefined when there is none, or it is malformed. */
  extract(headers: HeaderReader): TraceContext | undefined;
  inject(context: TraceContext, headers: Headers): void;
}

/**
 * An id that may be given in any case and without its leading zeros (or with 64 bits
 * where 128 are meant), in full length; undefined when it is none.
 */
export function paddedId(text: string | undefined, length: 16 | 32): string | undefined {
  if (text === undefined || text.length > length || !/^[0-9a-fA-F]+$/.test(text)) return undefined;
  const id = text.toLowerCase().padStart(length, "0");
  return /^0+$/.test(id) ? undefined : id;
}
