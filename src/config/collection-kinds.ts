/** Kinds that hold several values of one kind: lists and maps. */
import { quote, type ValueKind } from "./value-kinds.ts";

const MAXIMUM_ITEMS = 1024;

/** In TOML an array, in text separated by commas. */
export function list<T>(item: ValueKind<T>, maximumItems: number = MAXIMUM_ITEMS): ValueKind<readonly T[]> {
  const tooMany = `expected at most ${maximumItems} items`;
  const complete = (items: readonly (T | undefined)[]): readonly T[] | undefined => {
    const read = items.filter((value) => value !== undefined);
    return read.length === items.length ? read : undefined;
  };
  return {
    type: `list of ${item.type}`,
    unit: "",
    secret: item.secret,
    fromToml(node, context) {
      if (node.kind !== "array")
        return context.fail(`expected a list of ${item.type}`, { node, hideText: item.secret });
      if (node.items.length > maximumItems) return context.fail(tooMany, { node, hideText: true });
      return complete(node.items.map((element) => item.fromToml(element, context)));
    },
    fromText(value, context) {
      const parts = value
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== "");
      return parts.length > maximumItems
        ? context.fail(tooMany, { hideText: true })
        : complete(parts.map((part) => item.fromText(part, context)));
    },
    show: (value) => `[${value.map((element) => item.show(element)).join(", ")}]`,
  };
}

export interface MapOptions {
  readonly keyPattern: RegExp;
  readonly keyExpectation: string;
}

/** In TOML a table, in text `key=value,key=value` with percent-encoded values, as OpenTelemetry writes headers. */
export function map<T, Unit extends string>(
  item: ValueKind<T, Unit>,
  options: MapOptions,
): ValueKind<Readonly<Record<string, T>>, Unit> {
  const build = (pairs: readonly (readonly [string, T | undefined])[]): Readonly<Record<string, T>> | undefined => {
    if (pairs.some(([, value]) => value === undefined)) return undefined;
    return Object.fromEntries(pairs.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
  };
  const keyFits = (name: string): boolean => options.keyPattern.test(name) && name !== "__proto__";
  return {
    type: `table of ${item.type}`,
    unit: item.unit,
    secret: item.secret,
    fromToml(node, context) {
      if (node.kind !== "table")
        return context.fail(`expected a table of ${item.type}`, { node, hideText: item.secret });
      if (node.entries.size > MAXIMUM_ITEMS)
        return context.fail(`expected at most ${MAXIMUM_ITEMS} entries`, { node, hideText: true });
      return build(
        [...node.entries].map(([name, entry]) => {
          if (keyFits(name)) return [name, item.fromToml(entry.node, context)];
          return [
            name,
            context.fail(options.keyExpectation, { node: { ...entry.node, at: entry.keyAt, text: quote(name) } }),
          ];
        }),
      );
    },
    fromText(value, context) {
      const parts = value
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== "");
      if (parts.length > MAXIMUM_ITEMS)
        return context.fail(`expected at most ${MAXIMUM_ITEMS} entries`, { hideText: true });
      return build(
        parts.map((part) => {
          const equals = part.indexOf("=");
          const name = percentDecoded(part.slice(0, equals).trim());
          const decoded = percentDecoded(part.slice(equals + 1).trim());
          if (equals <= 0 || name === undefined || decoded === undefined) {
            return [
              part,
              context.fail("expected key=value,key=value with percent-encoded values", { hideText: item.secret }),
            ];
          }
          return [
            name,
            keyFits(name)
              ? item.fromText(decoded, context)
              : context.fail(options.keyExpectation, { hideText: item.secret }),
          ];
        }),
      );
    },
    show: (value) => {
      const pairs = Object.entries(value).map(([name, element]) => `${showKey(name)} = ${item.show(element)}`);
      return pairs.length === 0 ? "{}" : `{ ${pairs.join(", ")} }`;
    },
  };
}

function percentDecoded(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

function showKey(name: string): string {
  return /^[\w-]+$/.test(name) ? name : quote(name);
}
