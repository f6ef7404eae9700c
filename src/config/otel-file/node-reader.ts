/**
 * Typed access to a tree of YAML: a wrong type is a problem with its place, a key
 * that nobody has asked for is a warning. Null counts as absent, as the schema of
 * the declarative configuration says. Values are never quoted: any may be secret.
 */
import { formatPlace, shorten, type Place, type Problem } from "../problem.ts";
import type { Position } from "../toml-document.ts";
import type { YamlMap, YamlNode } from "./yaml-tree.ts";

export interface Report {
  readonly place: (at: Position) => Place;
  readonly problems: Problem[];
  readonly warnings: string[];
}

export interface Located<T> {
  readonly value: T;
  readonly at: Position;
}

/** One map. Ask for every key that has a meaning, then call `end`. */
export class NodeReader {
  /** Of the map, for messages: `tracer_provider.processors[0]`. */
  readonly path: string;
  readonly at: Position;
  readonly report: Report;
  readonly #node: YamlMap;
  readonly #known = new Set<string>();

  constructor(node: YamlMap, path: string, report: Report) {
    this.#node = node;
    this.at = node.at;
    this.path = path;
    this.report = report;
  }

  get names(): readonly string[] {
    return [...this.#node.entries.keys()];
  }

  string(name: string): Located<string> | undefined {
    const node = this.#get(name);
    if (node === undefined) return undefined;
    return node.kind === "string" ? { value: node.value, at: node.at } : this.#expected(name, node, "a string");
  }

  integer(name: string, minimum = 0): Located<number> | undefined {
    const node = this.#get(name);
    if (node === undefined) return undefined;
    const fits = node.kind === "integer" && Number.isSafeInteger(node.value) && node.value >= minimum;
    return fits ? { value: node.value, at: node.at } : this.#expected(name, node, `an integer of at least ${minimum}`);
  }

  /** From 0 to 1. */
  ratio(name: string): Located<number> | undefined {
    const node = this.#get(name);
    if (node === undefined) return undefined;
    const fits = (node.kind === "integer" || node.kind === "float") && node.value >= 0 && node.value <= 1;
    return fits ? { value: node.value, at: node.at } : this.#expected(name, node, "a number from 0 to 1");
  }

  boolean(name: string): Located<boolean> | undefined {
    const node = this.#get(name);
    if (node === undefined) return undefined;
    return node.kind === "boolean" ? { value: node.value, at: node.at } : this.#expected(name, node, "true or false");
  }

  choice<const V extends string>(name: string, values: readonly V[]): Located<V> | undefined {
    const node = this.#get(name);
    if (node === undefined) return undefined;
    const value = node.kind === "string" ? values.find((candidate) => candidate === node.value) : undefined;
    return value === undefined
      ? this.#expected(name, node, values.join(", ").replace(/, ([^,]*)$/, " or $1"))
      : { value, at: node.at };
  }

  /** Any value. */
  node(name: string): YamlNode | undefined {
    return this.#get(name);
  }

  map(name: string): NodeReader | undefined {
    const node = this.#get(name);
    return node === undefined ? undefined : this.#asMap(node, this.pathOf(name), "a map");
  }

  /** Of maps; each must be one. */
  maps(name: string): readonly NodeReader[] {
    const node = this.#get(name);
    if (node === undefined) return [];
    if (node.kind !== "list") {
      this.#expected(name, node, "a list");
      return [];
    }
    return node.items
      .map((item, index) => this.#asMap(item, `${this.pathOf(name)}[${index}]`, "a map"))
      .filter((reader) => reader !== undefined);
  }

  /** The one key of a map that stands for a choice (`exporter: { otlp_http: … }`), its value a map or nothing. */
  variant(): { readonly name: string; readonly reader: NodeReader } | undefined {
    const [name, ...others] = this.names;
    if (name === undefined || others.length > 0) {
      this.fail(this.at, "expected exactly one key");
      return undefined;
    }
    const empty: YamlMap = { at: this.at, kind: "map", entries: new Map() };
    const node = this.#get(name) ?? empty;
    const reader = this.#asMap(node, this.pathOf(name), "a map or nothing");
    return reader === undefined ? undefined : { name, reader };
  }

  /** Present with a value, it is told to have no effect. */
  unsupported(name: string, reason: string): void {
    const node = this.#get(name);
    if (node !== undefined) this.warn(node.at, `${this.pathOf(name)} has no effect: ${reason}`);
  }

  /** Accepted, whatever it is. */
  ignore(name: string): void {
    this.#known.add(name);
  }

  /** Warns of every key that was not asked for. */
  end(): void {
    for (const [name, { keyAt }] of this.#node.entries) {
      if (!this.#known.has(name))
        this.warn(keyAt, `${this.pathOf(shorten(name))} has no effect: Blixard does not know it`);
    }
  }

  fail(at: Position, message: string): undefined {
    const key = this.path === "" ? {} : { key: this.path };
    this.report.problems.push({ place: this.report.place(at), ...key, message });
    return undefined;
  }

  warn(at: Position, message: string): void {
    this.report.warnings.push(`${formatPlace(this.report.place(at))}: ${message}`);
  }

  pathOf(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }

  /** Undefined when it is absent or null. */
  #get(name: string): YamlNode | undefined {
    this.#known.add(name);
    const node = this.#node.entries.get(name)?.node;
    return node === undefined || node.kind === "null" ? undefined : node;
  }

  #asMap(node: YamlNode, path: string, expectation: string): NodeReader | undefined {
    if (node.kind === "map") return new NodeReader(node, path, this.report);
    this.report.problems.push({ place: this.report.place(node.at), key: path, message: `expected ${expectation}` });
    return undefined;
  }

  #expected(name: string, node: YamlNode, expectation: string): undefined {
    const message = `expected ${expectation}, found ${describeKind(node)}`;
    this.report.problems.push({ place: this.report.place(node.at), key: this.pathOf(name), message });
    return undefined;
  }
}

function describeKind({ kind }: YamlNode): string {
  switch (kind) {
    case "null":
      return "nothing";
    case "string":
      return "another string";
    case "integer":
      return "an integer";
    case "float":
      return "a number";
    case "boolean":
      return "a boolean";
    default:
      return `a ${kind}`;
  }
}
