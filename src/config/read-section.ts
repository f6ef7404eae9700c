/**
 * A TOML table, read by a schema: values by key path with their places; unknown
 * keys, wrong types and missing required keys become problems.
 */
import { resolve } from "node:path";
import { formatProblem, MAXIMUM_SHOWN_PROBLEMS, shorten, type Place, type Problem } from "./problem.ts";
import { isSection, propertyName, type Key, type Section, type SectionKeys } from "./schema-types.ts";
import { suggest } from "./suggest.ts";
import type { TomlDocument, TomlEntry, TomlNode, TomlTable } from "./toml-document.ts";
import type { ReadContext } from "./value-kinds.ts";

export interface ReadValue {
  readonly value: unknown;
  readonly place: Place;
  /** For values that an `${env:…}` went into: what was written, to be shown instead. */
  readonly written?: string;
}

export interface ReadSectionOptions {
  readonly file: string;
  /** Directory that relative paths start from. */
  readonly baseDirectory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** For `${file:PATH}`; absent: that stands for itself. Throws an Error that says why not. */
  readonly readSubstitute?: (path: string) => string;
  /** What the file may hold, for the message about a wrong key: `the configuration`. */
  readonly subject: string;
  readonly problems: Problem[];
  readonly warnings: string[];
}

/** All values of a document; problems and warnings of the document itself are included. */
export function readDocument(
  document: TomlDocument,
  keys: SectionKeys,
  options: ReadSectionOptions,
): Map<string, ReadValue> {
  options.problems.push(...document.problems);
  options.warnings.push(...document.warnings.map(formatProblem));
  const values = new Map<string, ReadValue>();
  if (document.structureKnown) readTable(document.root, keys, "", options, values);
  return values;
}

function readTable(
  table: TomlTable,
  keys: SectionKeys,
  prefix: string,
  options: ReadSectionOptions,
  values: Map<string, ReadValue>,
): void {
  for (const [name, entry] of table.entries) {
    const item = Object.hasOwn(keys, name) ? keys[name] : undefined;
    if (item === undefined) options.problems.push(unknownKey(name, entry, keys, prefix, options));
    else if (isSection(item)) readInnerSection(item, entry, `${prefix}${name}`, options, values);
    else readKey(item, entry, `${prefix}${name}`, options, values);
  }
}

function readInnerSection(
  item: Section,
  entry: TomlEntry,
  path: string,
  options: ReadSectionOptions,
  values: Map<string, ReadValue>,
): void {
  if (entry.node.kind === "table") {
    readTable(entry.node, item.keys, `${path}.`, options, values);
    return;
  }
  const message = "expected a table of keys";
  // What stands in the place of a table may be a password that belongs into it.
  options.problems.push({ place: placeOf(options.file, entry.node.at), key: path, message });
}

function readKey(
  key: Key<unknown>,
  entry: TomlEntry,
  path: string,
  options: ReadSectionOptions,
  values: Map<string, ReadValue>,
): void {
  let expanded = false;
  const context: ReadContext = {
    baseDirectory: options.baseDirectory,
    expand: (text, node) => {
      const result = expandText(text, options);
      expanded ||= result.expanded;
      if (result.failure === undefined) return result.text;
      return context.fail(result.failure, {
        hideText: true,
        ...(node === undefined ? {} : { node }),
      });
    },
    fail: (message, { node, hideText } = {}) => {
      const at = node ?? entry.node;
      const hidden = hideText === true || (key.kind.secret && node?.kind !== "table");
      options.problems.push({
        place: placeOf(options.file, at.at),
        key: path,
        message,
        ...(hidden ? {} : { text: describeNode(at) }),
      });
      return undefined;
    },
  };
  const value = key.kind.fromToml(entry.node, context);
  if (value === undefined) return;
  const place = placeOf(options.file, entry.keyAt);
  values.set(path, { value, place, ...(expanded ? { written: entry.node.text } : {}) });
}

function unknownKey(
  name: string,
  entry: TomlEntry,
  keys: SectionKeys,
  prefix: string,
  options: ReadSectionOptions,
): Problem {
  const section = prefix === "" ? "at the top" : `in [${prefix.slice(0, -1)}]`;
  // Only the first problems are shown, and a suggestion costs time.
  const worth = options.problems.length < MAXIMUM_SHOWN_PROBLEMS;
  const suggestion = worth ? (suggest(name, Object.keys(keys)) ?? elsewhere(name, keys)) : undefined;
  return {
    place: placeOf(options.file, entry.keyAt),
    message: `unknown key ${section} of ${options.subject}`,
    text: `"${shorten(name)}"`,
    ...(suggestion === undefined ? {} : { suggestion: `"${suggestion}"` }),
  };
}

/** A key of this name one section further down: `bind` for `http_server.bind`. */
function elsewhere(name: string, keys: SectionKeys): string | undefined {
  for (const [sectionName, item] of Object.entries(keys)) {
    if (isSection(item) && Object.hasOwn(item.keys, name)) return `${sectionName}.${name}`;
  }
  return undefined;
}

const SUBSTITUTION = /\$(\$?)\{(env|file):([^}]*)\}/g;
const MAXIMUM_SUBSTITUTIONS = 16;

interface Expansion {
  readonly text: string;
  readonly expanded: boolean;
  readonly failure: string | undefined;
}

/** Replaces `${env:NAME}` and `${file:PATH}`; with two dollars they stand for themselves. */
function expandText(
  text: string,
  {
    environment,
    readSubstitute,
    baseDirectory,
  }: Pick<ReadSectionOptions, "environment" | "readSubstitute" | "baseDirectory">,
): Expansion {
  let count = 0;
  let failure: string | undefined;
  const result = text.replaceAll(SUBSTITUTION, (whole, escape: string, kind: string, name: string) => {
    if (kind === "file" && readSubstitute === undefined) return whole;
    if (escape !== "") return whole.slice(1);
    if (++count > MAXIMUM_SUBSTITUTIONS) failure ??= `has more than ${MAXIMUM_SUBSTITUTIONS} substitutions`;
    if (failure !== undefined) return "";
    if (kind === "file" && readSubstitute !== undefined) {
      try {
        return readSubstitute(resolve(baseDirectory, name));
      } catch (error) {
        failure = `the file ${shorten(name)} cannot be read: ${reasonOf(error)}`;
        return "";
      }
    }
    const value = environment[name];
    if (value === undefined) failure = `the environment variable ${shorten(name)} is not set`;
    return value ?? "";
  });
  return { text: result, expanded: count > 0, failure };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "for an unknown reason";
  if (!("code" in error)) return error.message;
  return error.code === "ENOENT" ? "it is not there" : String(error.code);
}

function describeNode(node: TomlNode): string {
  if (node.kind === "table") return "a table";
  // A list may hold anything, in the wrong place also a secret.
  if (node.kind === "array") return "a list";
  return shorten(node.text);
}

function placeOf(file: string, at: { readonly line: number; readonly column: number }): Place {
  return { kind: "file", file, line: at.line, column: at.column };
}

/** Values by path, as the nested object that the schema describes. */
export function nestValues(
  keys: SectionKeys,
  valueOf: (path: string) => unknown,
  prefix = "",
): Readonly<Record<string, unknown>> {
  const nested = Object.entries(keys).map(([name, item]) => {
    const path = `${prefix}${name}`;
    if (isSection(item)) return [propertyName(name, ""), nestValues(item.keys, valueOf, `${path}.`)];
    return [propertyName(name, item.kind.unit), valueOf(path)];
  });
  return Object.freeze(Object.fromEntries(nested));
}
