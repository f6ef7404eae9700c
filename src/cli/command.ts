/**
 * A command as data: its arguments, options and examples, and what it does.
 * `parse-command-line.ts` turns it into a parser and a help page, `completion/`
 * into completions, scripts/generate into docs/reference/cli.md.
 */
import { BlixardError } from "#model/errors.ts";
import type { CommandContext } from "./context.ts";

/** What completes a value: names that the node knows, or files. */
export type CompletionKind = "vm" | "image" | "node" | "file" | "directory";

export interface ArgumentDefinition {
  readonly description: string;
  readonly optional?: boolean;
  readonly values?: readonly string[];
  readonly complete?: CompletionKind;
}

export interface OptionDefinition<T = unknown> {
  readonly description: string;
  /** One letter. */
  readonly short?: string;
  /** What stands for the value in help; undefined for a flag. */
  readonly placeholder: string | undefined;
  readonly repeatable: boolean;
  readonly values?: readonly string[];
  readonly complete?: CompletionKind;
  /** From all values that were given, in order. @throws BlixardError USAGE */
  parse(texts: readonly string[]): T;
}

export type Arguments = Readonly<Record<string, ArgumentDefinition>>;
export type Options = Readonly<Record<string, OptionDefinition>>;

export type ArgumentValues<A extends Arguments> = {
  readonly [Name in keyof A]: A[Name] extends { readonly optional: true } ? string | undefined : string;
};
export type OptionValues<O extends Options> = {
  readonly [Name in keyof O]: O[Name] extends OptionDefinition<infer T> ? T : never;
};

export interface Example {
  readonly command: string;
  readonly explanation: string;
}

export interface Command<A extends Arguments = Arguments, O extends Options = Options> {
  /** Below the summary, on the help page. */
  readonly description?: string;
  readonly arguments: A;
  readonly options: O;
  readonly examples: readonly Example[];
  /** It changes nothing, and is quicker for it: see trace/command-trace.ts. */
  readonly readOnly?: boolean;
  /** Resolves when all is well; the exit code, where it is not 0. */
  run(context: CommandContext, argumentValues: ArgumentValues<A>, options: OptionValues<O>): Promise<number | void>;
}

/** Keeps the types of arguments and options together with `run`. */
export function defineCommand<const A extends Arguments, O extends Options>(command: Command<A, O>): Command<A, O> {
  return command;
}

interface ValueHints {
  readonly short?: string;
  readonly values?: readonly string[];
  readonly complete?: CompletionKind;
}

/** `--follow` */
export function flag(description: string, hints: { readonly short?: string } = {}): OptionDefinition<boolean> {
  return { description, ...hints, placeholder: undefined, repeatable: false, parse: (texts) => texts.length > 0 };
}

/** `--image NAME`; the last one given counts. */
export function option<T>(
  placeholder: string,
  description: string,
  parse: (text: string) => T,
  hints: ValueHints = {},
): OptionDefinition<T | undefined> {
  return {
    description,
    ...hints,
    placeholder,
    repeatable: false,
    parse: (texts) => {
      const last = texts.at(-1);
      return last === undefined ? undefined : parse(last);
    },
  };
}

/** `--label K=V`, any number of times. */
export function repeated<T>(
  placeholder: string,
  description: string,
  parse: (text: string) => T,
  hints: ValueHints = {},
): OptionDefinition<readonly T[]> {
  return { description, ...hints, placeholder, repeatable: true, parse: (texts) => texts.map((text) => parse(text)) };
}

/** One of a few words. */
export function choiceOption<const V extends string>(
  values: readonly V[],
  description: string,
  hints: { readonly short?: string; readonly placeholder?: string } = {},
): OptionDefinition<V | undefined> {
  const { placeholder, ...others } = hints;
  const parse = (text: string): V =>
    values.find((value) => value === text) ?? usageError(`"${text}" is none of ${values.join(", ")}`);
  // Where the words are too long for their place in help they stand in the description.
  const described = placeholder === undefined ? description : `${description} One of ${values.join(", ")}.`;
  return option(placeholder ?? values.join("|"), described, parse, { ...others, values });
}

/** Takes any text. */
export function anyText(text: string): string {
  return text;
}

/** The command line is wrong. */
export function usageError(message: string, hint?: string): never {
  throw new BlixardError("USAGE", message, hint === undefined ? {} : { hint });
}

/** `--on-node-loss` for `onNodeLoss`. */
export function optionName(property: string): string {
  return property.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
