/**
 * What could come next on a command line: the shells' scripts ask for it by
 * `blixard __complete WORDS…`, the last word being the one that is typed. Names of
 * VMs, images and nodes are asked of the node, quickly or not at all.
 */
import type { CompletionKind, OptionDefinition } from "../command.ts";
import { optionName } from "../command.ts";
import { commandTable, type NounEntry, plainCommands } from "../command-table.ts";
import type { CliIo } from "../io.ts";
import type { Command } from "../command.ts";

/** Tells the shell to complete files or directories itself. */
export const FILES = ":files";
export const DIRECTORIES = ":directories";

export type NameLookup = (kind: "vm" | "image" | "node", words: readonly string[]) => Promise<readonly string[]>;

/** Candidates that begin with the last word; or one of `FILES`, `DIRECTORIES`. Never fails. */
export async function completeLine(words: readonly string[], io: CliIo): Promise<readonly string[]> {
  const { createNameLookup } = await import("./name-lookup.ts");
  return completeWords(words, createNameLookup(io));
}

export async function completeWords(words: readonly string[], lookUp: NameLookup): Promise<readonly string[]> {
  const typed = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const [first = "", second = ""] = before;
  if (before.length === 0)
    return matching(typed, [...Object.keys(commandTable), ...Object.keys(plainCommands), "--help", "--version"]);
  const plain = Object.hasOwn(plainCommands, first) ? plainCommands[first] : undefined;
  if (plain !== undefined) return completeCommand(await plain.load(), before.slice(1), typed, lookUp);
  const noun: NounEntry | undefined = Object.hasOwn(commandTable, first) ? commandTable[first] : undefined;
  if (noun === undefined) return [];
  if (before.length === 1) return matching(typed, [...Object.keys(noun.verbs), "--help"]);
  const verb = Object.hasOwn(noun.verbs, second) ? noun.verbs[second] : undefined;
  return verb === undefined ? [] : completeCommand(await verb.load(), before.slice(2), typed, lookUp);
}

async function completeCommand(
  command: Command,
  given: readonly string[],
  typed: string,
  lookUp: NameLookup,
): Promise<readonly string[]> {
  const previous = given.at(-1);
  const awaiting = previous === undefined ? undefined : findOption(command, previous);
  if (awaiting?.placeholder !== undefined) return completeValue(awaiting, typed, given, lookUp);
  if (typed.startsWith("-")) {
    const equals = typed.indexOf("=");
    const option = equals === -1 ? undefined : findOption(command, typed.slice(0, equals));
    if (option === undefined)
      return matching(typed, [...Object.keys(command.options).map((name) => `--${optionName(name)}`), "--help"]);
    const values = await completeValue(option, typed.slice(equals + 1), given, lookUp);
    return values.map((value) => (value.startsWith(":") ? value : `${typed.slice(0, equals)}=${value}`));
  }
  const argument = Object.values(command.arguments)[countArguments(command, given)];
  return argument === undefined ? [] : completeValue(argument, typed, given, lookUp);
}

function findOption(command: Command, word: string): OptionDefinition | undefined {
  return Object.entries(command.options).find(
    ([name, { short }]) => word === `--${optionName(name)}` || (short !== undefined && word === `-${short}`),
  )?.[1];
}

/** How many of the words are arguments: neither options nor their values. */
function countArguments(command: Command, given: readonly string[]): number {
  return given.filter((word, index) => {
    const before = given[index - 1];
    const isValue = before !== undefined && findOption(command, before)?.placeholder !== undefined;
    return !word.startsWith("-") && !isValue;
  }).length;
}

interface Completable {
  readonly values?: readonly string[];
  readonly complete?: CompletionKind;
}

async function completeValue(
  { values, complete }: Completable,
  typed: string,
  given: readonly string[],
  lookUp: NameLookup,
): Promise<readonly string[]> {
  if (values !== undefined) return matching(typed, values);
  if (complete === undefined) return [];
  if (complete === "file") return [FILES];
  if (complete === "directory") return [DIRECTORIES];
  return matching(typed, await lookUp(complete, given));
}

function matching(typed: string, candidates: readonly string[]): readonly string[] {
  return candidates.filter((candidate) => candidate.startsWith(typed));
}
