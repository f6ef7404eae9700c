/**
 * TOML text → a tree whose every key and value knows where it was written.
 *
 * Used for the node's configuration and for VM files. It knows nothing of which
 * keys exist; `read-section.ts` does. After a syntax error the offending line is
 * left out and the rest is read too, so that one run reports as much as possible.
 *
 * One thing is looser than TOML: a `[table]` may appear again. Its keys are added
 * to it, later ones win, and a warning says so: snippets of a guide can be pasted
 * one below the other. A key twice within one of them is an error.
 */
import { ParseError, parseTOML, type AST } from "toml-eslint-parser";
import { shorten, type Problem } from "./problem.ts";

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

interface Located {
  readonly at: Position;
  /** As it was written. */
  readonly text: string;
}

export type TomlNode = TomlScalar | TomlArray | TomlTable;
export type TomlScalar =
  | (Located & { readonly kind: "string"; readonly value: string })
  | (Located & { readonly kind: "integer" | "float"; readonly value: number })
  | (Located & { readonly kind: "boolean"; readonly value: boolean })
  | (Located & { readonly kind: "datetime" });
export interface TomlArray extends Located {
  readonly kind: "array";
  readonly items: TomlNode[];
}
export interface TomlTable extends Located {
  readonly kind: "table";
  readonly entries: Map<string, TomlEntry>;
}
export interface TomlEntry {
  readonly keyAt: Position;
  readonly node: TomlNode;
}

export interface TomlDocument {
  readonly file: string;
  readonly root: TomlTable;
  readonly problems: readonly Problem[];
  /** Tables that appear again. */
  readonly warnings: readonly Problem[];
  /** False when what remains after syntax errors may have lost its meaning: then report nothing about keys. */
  readonly structureKnown: boolean;
}

/** How often a text is parsed anew after a mistake; a long one less often, as each time costs. */
const MAXIMUM_PARSES = 30;
const MAXIMUM_PARSES_OF_LONG_TEXT = 5;
const LONG_TEXT_LENGTH = 64 * 1024;
const MAXIMUM_DEPTH = 16;

/** Never throws for what the text holds. `file` is its name in problems. */
export function parseTomlDocument(file: string, source: string): TomlDocument {
  const text = source.startsWith("\uFEFF") ? source.slice(1) : source;
  const reader = new DocumentReader(
    file,
    text.length > LONG_TEXT_LENGTH ? MAXIMUM_PARSES_OF_LONG_TEXT : MAXIMUM_PARSES,
  );
  reader.read(text);
  return {
    file,
    root: reader.root,
    problems: reader.problems,
    warnings: reader.warnings,
    structureKnown: reader.structureKnown,
  };
}

class DocumentReader {
  readonly root = emptyTable({ line: 1, column: 1 });
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  structureKnown = true;
  readonly #file: string;
  #parsesLeft: number;

  constructor(file: string, maximumParses: number) {
    this.#file = file;
    this.#parsesLeft = maximumParses;
  }

  read(text: string): void {
    const program = this.#parse(text);
    if (program !== undefined) new TreeBuilder(this.#file, text, this.problems).build(program, this.root);
  }

  #parse(text: string): AST.TOMLProgram | undefined {
    if (this.#parsesLeft-- <= 0) return this.#giveUp("there are too many mistakes to go on reading");
    try {
      return parseTOML(text, { tomlVersion: "1.0" });
    } catch (error) {
      // The parser recurses and spreads: absurd nesting or a huge string ends in a RangeError.
      if (!(error instanceof ParseError)) return this.#giveUp("a value is nested too deeply or far too long");
      return this.#recover(text.split("\n"), error);
    }
  }

  /** Leaves the offending line out, or goes on in a repeated table. */
  #recover(lines: string[], error: ParseError): undefined {
    const offending = lines[error.lineNumber - 1] ?? "";
    const before = lines.slice(0, error.lineNumber - 1);
    if (isRepetition(error) && /^\s*\[(?!\[)/.test(offending)) {
      this.warnings.push({
        ...this.#problemAt(error, offending),
        message: "this table appears again; of keys that are set twice, the last counts",
      });
      this.read(before.join("\n"));
      this.read([...before.map(() => ""), ...lines.slice(error.lineNumber - 1)].join("\n"));
      return undefined;
    }
    this.problems.push(this.#problemAt(error, offending));
    // Without progress, or after a lost table header, what follows would only be noise.
    if (/^\s*(\[|$)|"""|'''/.test(offending) || /Unterminated (array|inline)/.test(error.message))
      this.structureKnown = false;
    if (offending.trim() !== "") this.read([...before, "", ...lines.slice(error.lineNumber)].join("\n"));
    return undefined;
  }

  #giveUp(message: string): undefined {
    this.problems.push({ place: { kind: "file", file: this.#file, line: 1, column: 1 }, message });
    this.structureKnown = false;
    return undefined;
  }

  #problemAt(error: ParseError, line: string): Problem {
    const shown = visibleParts(line);
    return {
      place: { kind: "file", file: this.#file, line: error.lineNumber, column: error.column + 1 },
      message: `not TOML: ${describeSyntaxError(error)}`,
      ...(shown === "" ? {} : { text: `\`${shown}\`` }),
    };
  }
}

function isRepetition(error: ParseError): boolean {
  return error.message.startsWith("Defining a key multiple times");
}

function describeSyntaxError(error: ParseError): string {
  if (error.message.startsWith("Unspecified values")) return "a value is missing";
  if (isRepetition(error)) return "this key or table is already defined";
  return error.message.charAt(0).toLowerCase() + error.message.slice(1);
}

/** A line may hold a secret after its `=`: only what comes before it is shown. */
function visibleParts(line: string): string {
  const equals = line.indexOf("=");
  if (equals >= 0) return shorten(`${line.slice(0, equals).trim()} = …`);
  return /^\s*\[?[\w."' -]*\]?\s*$/.test(line) ? shorten(line) : "";
}

function emptyTable(at: Position): TomlTable {
  return { kind: "table", at, text: "", entries: new Map() };
}

class TreeBuilder {
  readonly #file: string;
  readonly #text: string;
  readonly #problems: Problem[];

  constructor(file: string, text: string, problems: Problem[]) {
    this.#file = file;
    this.#text = text;
    this.#problems = problems;
  }

  /** Adds what the program holds to `root`. */
  build(program: AST.TOMLProgram, root: TomlTable): void {
    for (const item of program.body[0].body) {
      if (item.type === "TOMLKeyValue") {
        this.#addKeyValue(root, item, 0);
        continue;
      }
      const table = this.#openTable(root, item);
      if (table === undefined) continue;
      for (const keyValue of item.body) this.#addKeyValue(table, keyValue, item.key.keys.length);
    }
  }

  /** The table that a `[a.b]` or `[[a.b]]` header opens. */
  #openTable(root: TomlTable, header: AST.TOMLTable): TomlTable | undefined {
    const parts = header.key.keys;
    if (this.#tooDeep(parts.length, positionOf(header))) return undefined;
    let table: TomlTable | undefined = root;
    parts.forEach((part, index) => {
      if (table === undefined) return;
      const last = index === parts.length - 1;
      table = last && header.kind === "array" ? this.#appendTable(table, part) : this.#childTable(table, part);
    });
    return table;
  }

  #childTable(parent: TomlTable, part: AST.TOMLBare | AST.TOMLQuoted): TomlTable | undefined {
    const existing = parent.entries.get(nameOf(part))?.node;
    if (existing?.kind === "table") return existing;
    if (existing?.kind === "array") {
      const latest = existing.items.at(-1);
      return latest?.kind === "table" ? latest : undefined;
    }
    if (existing !== undefined) return undefined;
    const child: TomlTable = { kind: "table", at: positionOf(part), text: this.#textOf(part), entries: new Map() };
    parent.entries.set(nameOf(part), { keyAt: positionOf(part), node: child });
    return child;
  }

  #appendTable(parent: TomlTable, part: AST.TOMLBare | AST.TOMLQuoted): TomlTable | undefined {
    const existing = parent.entries.get(nameOf(part))?.node;
    const child: TomlTable = { kind: "table", at: positionOf(part), text: this.#textOf(part), entries: new Map() };
    if (existing?.kind === "array") existing.items.push(child);
    else if (existing === undefined) {
      const array: TomlArray = { kind: "array", at: positionOf(part), text: this.#textOf(part), items: [child] };
      parent.entries.set(nameOf(part), { keyAt: positionOf(part), node: array });
    } else return undefined;
    return child;
  }

  #addKeyValue(table: TomlTable, keyValue: AST.TOMLKeyValue, depth: number): void {
    const parts = keyValue.key.keys;
    if (this.#tooDeep(depth + parts.length, positionOf(keyValue))) return;
    const last = parts.at(-1);
    let target: TomlTable | undefined = table;
    for (const part of parts.slice(0, -1)) target = target === undefined ? undefined : this.#childTable(target, part);
    if (target === undefined || last === undefined) return;
    const node = this.#node(keyValue.value, depth + parts.length);
    if (node !== undefined) target.entries.set(nameOf(last), { keyAt: positionOf(parts[0] ?? last), node });
  }

  #node(content: AST.TOMLContentNode, depth: number): TomlNode | undefined {
    const located = { at: positionOf(content), text: this.#textOf(content) };
    if (this.#tooDeep(depth, located.at)) return undefined;
    switch (content.type) {
      case "TOMLArray": {
        const items = content.elements.map((element) => this.#node(element, depth + 1));
        return { ...located, kind: "array", items: items.filter((item) => item !== undefined) };
      }
      case "TOMLInlineTable": {
        const table: TomlTable = { ...located, kind: "table", entries: new Map() };
        for (const keyValue of content.body) this.#addKeyValue(table, keyValue, depth);
        return table;
      }
      case "TOMLValue":
        return scalar(content, located);
    }
  }

  #tooDeep(depth: number, at: Position): boolean {
    if (depth <= MAXIMUM_DEPTH) return false;
    const place = { kind: "file", file: this.#file, ...at } as const;
    this.#problems.push({ place, message: `nested deeper than ${MAXIMUM_DEPTH} levels` });
    return true;
  }

  #textOf(node: { readonly range: readonly [number, number] }): string {
    return this.#text.slice(node.range[0], node.range[1]);
  }
}

function scalar(content: AST.TOMLValue, located: Located): TomlScalar {
  switch (content.kind) {
    case "string":
      return { ...located, kind: "string", value: content.value };
    case "integer":
    case "float":
      return { ...located, kind: content.kind, value: content.value };
    case "boolean":
      return { ...located, kind: "boolean", value: content.value };
    default:
      return { ...located, kind: "datetime" };
  }
}

function positionOf(node: {
  readonly loc: { readonly start: { readonly line: number; readonly column: number } };
}): Position {
  return { line: node.loc.start.line, column: node.loc.start.column + 1 };
}

function nameOf(part: AST.TOMLBare | AST.TOMLQuoted): string {
  return part.type === "TOMLBare" ? part.name : part.value;
}
