/** A kind that holds a list of tables: `[[disks]]`. */
import { propertyName, type Key, type ObjectOf, type SectionKeys } from "./schema-types.ts";
import { suggest } from "./suggest.ts";
import type { TomlNode, TomlTable } from "./toml-document.ts";
import { quote, type ReadContext, type ValueKind } from "./value-kinds.ts";

type RowKeys = Readonly<Record<string, Key<unknown>>>;

export interface TableListOptions {
  /** One of them, for messages: `disk`. */
  readonly noun: string;
  readonly maximumItems: number;
}

/** Rows of the given keys; only in TOML, not in text. */
export function tableList<const Keys extends RowKeys & SectionKeys>(
  keys: Keys,
  { noun, maximumItems }: TableListOptions,
): ValueKind<readonly ObjectOf<Keys>[]> {
  return {
    type: `list of tables, at most ${maximumItems}`,
    unit: "",
    secret: false,
    fromToml(node, context) {
      if (node.kind !== "array") return context.fail(`expected [[tables]], one for each ${noun}`, { node });
      if (node.items.length > maximumItems)
        return context.fail(`expected at most ${maximumItems}`, { node, hideText: true });
      const rows = node.items.map((item) => readRow(item, keys, noun, context));
      // Made from the same keys that give the row its type.
      return rows.includes(undefined) ? undefined : (rows as ObjectOf<Keys>[]);
    },
    fromText: (_text, context) => context.fail("can only be given in a file"),
    show: (rows) => `[${rows.map((row) => JSON.stringify(row)).join(", ")}]`,
  };
}

function readRow(
  node: TomlNode,
  keys: RowKeys,
  noun: string,
  context: ReadContext,
): Readonly<Record<string, unknown>> | undefined {
  if (node.kind !== "table") return context.fail(`expected a table for each ${noun}`, { node });
  const unknown = reportUnknownKeys(node, keys, noun, context);
  const pairs = Object.entries(keys).map(
    ([name, key]) => [propertyName(name, key.kind.unit), readCell(node, name, key, noun, context)] as const,
  );
  return unknown || pairs.some(([, cell]) => cell === undefined)
    ? undefined
    : Object.fromEntries(pairs.map(([name, cell]) => [name, cell?.value]));
}

function reportUnknownKeys(table: TomlTable, keys: RowKeys, noun: string, context: ReadContext): boolean {
  const unknown = [...table.entries].filter(([name]) => !Object.hasOwn(keys, name));
  for (const [name, entry] of unknown) {
    const suggestion = suggest(name, Object.keys(keys));
    const node: TomlNode = { kind: "string", value: name, text: quote(name), at: entry.keyAt };
    context.fail(`unknown key of a ${noun}${suggestion === undefined ? "" : ` (did you mean "${suggestion}"?)`}`, {
      node,
    });
  }
  return unknown.length > 0;
}

function readCell(
  table: TomlTable,
  name: string,
  key: Key<unknown>,
  noun: string,
  context: ReadContext,
): { readonly value: unknown } | undefined {
  const entry = table.entries.get(name);
  if (entry !== undefined) {
    const value = key.kind.fromToml(entry.node, context);
    return value === undefined ? undefined : { value };
  }
  if (key.required) return context.fail(`a ${noun} needs "${name}"`, { node: table });
  return { value: key.default.kind === "value" ? key.default.value : undefined };
}
