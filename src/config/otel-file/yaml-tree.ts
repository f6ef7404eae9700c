/**
 * YAML text of a declarative configuration → a tree whose every node knows where it
 * was written, with `${…}` replaced as the specification's data model has it.
 *
 * Size, depth and number of nodes are bounded, also of what aliases multiply. It
 * knows nothing of which keys exist. Source: OpenTelemetry specification,
 * specification/configuration/data-model.md.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node, type Pair } from "yaml";
import type { Place, Problem } from "../problem.ts";
import type { Position } from "../toml-document.ts";

export type YamlNode = { readonly at: Position } & YamlValue;
export type YamlValue =
  | { readonly kind: "null" }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "integer" | "float"; readonly value: number }
  | { readonly kind: "boolean"; readonly value: boolean }
  | { readonly kind: "list"; readonly items: readonly YamlNode[] }
  | { readonly kind: "map"; readonly entries: ReadonlyMap<string, YamlEntry> };
export type YamlMap = YamlNode & { readonly kind: "map" };
export interface YamlEntry {
  readonly keyAt: Position;
  readonly node: YamlNode;
}

export interface YamlSource {
  readonly place: (at: Position) => Place;
  readonly text: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** For `${file:PATH}`; throws an Error that says why not. */
  readonly readSubstitute: (path: string) => string;
}

const MAXIMUM_DEPTH = 32;
const MAXIMUM_NODES = 20_000;
const MAXIMUM_PROBLEMS = 20;

/** Undefined after problems, of which there is then at least one. Never throws for what the text holds. */
export function parseYaml(source: YamlSource, problems: Problem[]): YamlNode | undefined {
  const lines = new LineCounter();
  const positionOf = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  try {
    // Duplicate keys are found here: the parser would compare each with all others.
    const document = parseDocument(source.text, {
      version: "1.2",
      schema: "core",
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: "error",
    });
    for (const error of document.errors.slice(0, MAXIMUM_PROBLEMS)) {
      const message = error.code === "MULTIPLE_DOCS" ? "expected one document" : describe(error.code);
      problems.push({ place: source.place(positionOf(error.pos[0])), message: `not YAML: ${message}` });
    }
    if (document.errors.length > 0) return undefined;
    const builder = new TreeBuilder(source, positionOf, problems);
    const tree = builder.build(document.contents, 0);
    return problems.length === 0 ? tree : undefined;
  } catch (error) {
    // The parser recurses: absurd nesting ends in a RangeError.
    if (!(error instanceof RangeError)) throw error;
    problems.push({ place: source.place({ line: 1, column: 1 }), message: "a value is nested too deeply" });
    return undefined;
  }
}

/** The parser's messages quote the text, which may be secret; its codes are words. */
function describe(code: string): string {
  return code.toLowerCase().replaceAll("_", " ");
}

/** Ends the reading: more of the tree would cost more than it is worth. */
class TreeBuilder {
  readonly #source: YamlSource;
  readonly #positionOf: (offset: number) => Position;
  readonly #problems: Problem[];
  readonly #anchors = new Map<string, Node>();
  #nodes = 0;

  constructor(source: YamlSource, positionOf: (offset: number) => Position, problems: Problem[]) {
    this.#source = source;
    this.#positionOf = positionOf;
    this.#problems = problems;
  }

  build(node: Node | null, depth: number): YamlNode {
    const at = this.#positionOf(node?.range?.[0] ?? 0);
    this.#nodes++;
    if (depth > MAXIMUM_DEPTH) return this.#refuse(at, `nested deeper than ${MAXIMUM_DEPTH} levels`);
    if (this.#nodes > MAXIMUM_NODES) return this.#refuse(at, `has more than ${MAXIMUM_NODES} values, aliases resolved`);
    if (node === null) return { at, kind: "null" };
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      return target === undefined
        ? this.#refuse(at, "the alias has no anchor before it")
        : this.build(target, depth + 1);
    }
    if ("anchor" in node && typeof node.anchor === "string") this.#anchors.set(node.anchor, node);
    if (isMap<Node, Node | null>(node)) return this.#map(node.items, at, depth);
    if (isSeq<Node>(node)) {
      const items: YamlNode[] = [];
      for (const item of node.items) {
        if (this.#nodes > MAXIMUM_NODES) break;
        items.push(this.build(item, depth + 1));
      }
      return { at, kind: "list", items };
    }
    return { at, ...this.#scalar(node, at) };
  }

  #map(pairs: readonly Pair<Node, Node | null>[], at: Position, depth: number): YamlNode {
    const entries = new Map<string, YamlEntry>();
    for (const { key, value } of pairs) {
      if (this.#nodes > MAXIMUM_NODES) break;
      const keyAt = this.#positionOf(key.range?.[0] ?? 0);
      if (!isScalar(key)) {
        this.#refuse(keyAt, "expected a plain key");
        continue;
      }
      const name = String(key.value);
      if (entries.has(name)) this.#refuse(keyAt, "this key is already there");
      else entries.set(name, { keyAt, node: this.build(value, depth + 1) });
    }
    return { at, kind: "map", entries };
  }

  #scalar(node: Node, at: Position): YamlValue {
    const value = isScalar(node) ? node.value : undefined;
    if (typeof value === "string") {
      if (!value.includes("$")) return { kind: "string", value };
      const text = this.#substitute(value, at);
      return isScalar(node) && node.type === "PLAIN" ? plainValue(text) : { kind: "string", value: text };
    }
    if (typeof value === "boolean") return { kind: "boolean", value };
    if (typeof value === "number") return { kind: Number.isInteger(value) ? "integer" : "float", value };
    return { kind: "null" };
  }

  #substitute(text: string, at: Position): string {
    // What `$$` makes takes part in no reference.
    return text
      .split("$$")
      .map((piece) => piece.replaceAll(REFERENCE, (_, content: string) => this.#resolve(content, at)))
      .join("$");
  }

  #resolve(content: string, at: Position): string {
    const file = /^file:(.+)$/s.exec(content)?.[1];
    if (file !== undefined) {
      try {
        return this.#source.readSubstitute(file);
      } catch (error) {
        this.#refuse(at, `a file of a substitution cannot be read: ${error instanceof Error ? error.message : ""}`);
        return "";
      }
    }
    const match = VARIABLE.exec(content);
    const [, name, fallback = ""] = match ?? [];
    if (name === undefined) {
      this.#refuse(at, "expected ${NAME}, ${NAME:-default} or ${file:PATH}; $$ stands for a dollar");
      return "";
    }
    return this.#source.environment[name] || fallback;
  }

  #refuse(at: Position, message: string): YamlNode {
    if (this.#problems.length < MAXIMUM_PROBLEMS) this.#problems.push({ place: this.#source.place(at), message });
    return { at, kind: "null" };
  }
}

const REFERENCE = /\$\{([^}]+)\}/g;
const VARIABLE = /^(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^\n]*))?$/;

/** What a plain scalar means by YAML 1.2's core schema. */
export function plainValue(text: string): YamlValue {
  if (/^(~|null|Null|NULL)?$/.test(text)) return { kind: "null" };
  if (/^(true|True|TRUE)$/.test(text)) return { kind: "boolean", value: true };
  if (/^(false|False|FALSE)$/.test(text)) return { kind: "boolean", value: false };
  if (/^([-+]?\d+|0o[0-7]+|0x[0-9a-fA-F]+)$/.test(text)) return { kind: "integer", value: Number(text) };
  if (/^[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$/.test(text)) return { kind: "float", value: Number(text) };
  return { kind: "string", value: text };
}
