/**
 * How a schema is written down: sections of keys, each key with its kind, default
 * and description. Validation, environment names, `config show`, the reference
 * and the type of the configuration all derive from it.
 */
import type { ValueKind } from "./value-kinds.ts";

/** What defaults may be computed from. */
export interface DefaultContext {
  readonly host: ConfigHost;
  /** The value of another key, by its full path, with its default; no cycles. */
  readonly get: (path: string) => unknown;
}

/** What the machine and the process contribute to defaults. */
export interface ConfigHost {
  readonly hostName: string;
  readonly isRoot: boolean;
  readonly workingDirectory: string;
}

export type Default<T> =
  | { readonly kind: "none" }
  | { readonly kind: "value"; readonly value: T }
  /** `text` says it in the reference. */
  | { readonly kind: "computed"; readonly text: string; compute(context: DefaultContext): T }
  /** The value of a key of the same kind while `when` holds, else `otherwise`. */
  | { readonly kind: "follows"; readonly path: string; readonly otherwise: T; when(context: DefaultContext): boolean };

export interface Key<T, Unit extends string = string> {
  readonly kind: ValueKind<T, Unit>;
  readonly description: string;
  readonly default: Default<T>;
  readonly required: boolean;
}

export interface Section<Keys extends SectionKeys = SectionKeys> {
  readonly description: string;
  readonly keys: Keys;
}

export interface SectionKeys {
  readonly [name: string]: Key<unknown> | Section;
}

type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name;
type PropertyName<Name extends string, Item> =
  Item extends Key<unknown, infer Unit> ? `${CamelCase<Name>}${Unit}` : CamelCase<Name>;

/** The typed object that a schema describes: TOML's nesting, camelCase, units last. */
export type ObjectOf<Keys> = {
  readonly [Name in keyof Keys & string as PropertyName<Name, Keys[Name]>]: Keys[Name] extends Section<infer Inner>
    ? ObjectOf<Inner>
    : Keys[Name] extends Key<infer T>
      ? T
      : never;
};

/** The property of `ObjectOf` that a key's value goes to. */
export function propertyName(name: string, unit: string): string {
  return name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase()) + unit;
}

export function isSection(item: Key<unknown> | Section): item is Section {
  return "keys" in item;
}

export function section<const Keys extends SectionKeys>(description: string, keys: Keys): Section<Keys> {
  return { description, keys };
}

/** A key that may be absent. */
export function optional<T, Unit extends string>(
  kind: ValueKind<T, Unit>,
  description: string,
): Key<T | undefined, Unit> {
  return { kind, description, default: { kind: "none" }, required: false };
}

/** A key that must be given. */
export function required<T, Unit extends string>(kind: ValueKind<T, Unit>, description: string): Key<T, Unit> {
  return { kind, description, default: { kind: "none" }, required: true };
}

/** A key with a fixed default. */
export function withDefault<T, Unit extends string>(
  kind: ValueKind<T, Unit>,
  value: NoInfer<T>,
  description: string,
): Key<T, Unit> {
  return { kind, description, default: { kind: "value", value }, required: false };
}

/** A key whose default is worked out; `text` says how, in the reference. */
export function withComputedDefault<T, Unit extends string>(
  kind: ValueKind<T, Unit>,
  text: string,
  compute: (context: DefaultContext) => NoInfer<T>,
  description: string,
): Key<T, Unit> {
  return { kind, description, default: { kind: "computed", text, compute }, required: false };
}

export interface Following<T> {
  /** Full path of a key of the same kind. */
  readonly path: string;
  readonly otherwise: T;
  readonly when: (context: DefaultContext) => boolean;
}

/** A key that takes the value of another one of its kind, while `when` holds. */
export function following<T, Unit extends string, Otherwise extends NoInfer<T> | undefined>(
  kind: ValueKind<T, Unit>,
  { path, otherwise, when }: Following<Otherwise>,
  description: string,
): Key<T | Otherwise, Unit> {
  return { kind, description, default: { kind: "follows", path, otherwise, when }, required: false };
}
