/**
 * The one place that knows commander: command data → parser and help pages.
 * Nothing here exits or prints; a wrong command line is a BlixardError USAGE.
 */
import { Argument, Command as Parser, CommanderError, Option } from "commander";
import { suggest } from "#config/suggest.ts";
import { BlixardError } from "#model/errors.ts";
import {
  type ArgumentDefinition,
  type Command,
  type Example,
  type OptionDefinition,
  optionName,
  usageError,
} from "./command.ts";

export type ParsedLine =
  | {
      readonly kind: "run";
      readonly argumentValues: Readonly<Record<string, string | undefined>>;
      readonly options: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: "help"; readonly text: string };

/** @throws BlixardError USAGE */
export function parseCommandLine(
  name: string,
  summary: string,
  command: Command,
  argv: readonly string[],
  columns: number,
): ParsedLine {
  const parser = createParser(`blixard ${name}`, summary, command, columns);
  if (asksForHelp(argv)) return { kind: "help", text: helpPage(parser, command.examples) };
  try {
    parser.parse(argv, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) throw usageOf(error, name, command, argv);
    throw error;
  }
  const given: Readonly<Record<string, string[] | true | undefined>> = parser.opts();
  const options = Object.entries(command.options).map(([property, definition]) => [
    property,
    readOption(property, definition, given[property]),
  ]);
  const argumentValues = Object.keys(command.arguments).map((property, index) => [
    property,
    parser.processedArgs[index],
  ]);
  checkValues(command, Object.fromEntries(argumentValues));
  return { kind: "run", argumentValues: Object.fromEntries(argumentValues), options: Object.fromEntries(options) };
}

/** The help page of `blixard` or of one noun. */
export function renderOverview(
  name: string,
  description: string,
  entries: readonly { readonly name: string; readonly summary: string }[],
  examples: readonly Example[],
  columns: number,
): string {
  const parser = new Parser(name)
    .description(description)
    .usage(name === "blixard" ? "<noun> <verb> [options]" : "<verb> [options]");
  parser
    .configureHelp({ helpWidth: columns })
    .helpCommand(false)
    .helpOption("-h, --help", "this page, or that of a verb");
  if (name === "blixard") parser.option("--version", "the version");
  for (const entry of entries) parser.command(entry.name).summary(entry.summary).helpOption(false);
  return helpPage(parser, examples);
}

function createParser(name: string, summary: string, command: Command, columns: number): Parser {
  const parser = new Parser(name).description(
    command.description === undefined ? summary : `${summary}\n\n${command.description}`,
  );
  parser
    .exitOverride()
    .allowExcessArguments(false)
    .configureHelp({ helpWidth: columns })
    .helpOption("-h, --help", "this page");
  parser.configureOutput({ writeOut: () => {}, writeErr: () => {}, outputError: () => {} });
  for (const [property, definition] of Object.entries(command.arguments))
    parser.addArgument(createArgument(property, definition));
  for (const [property, definition] of Object.entries(command.options))
    parser.addOption(createOption(property, definition));
  return parser;
}

function createArgument(property: string, { description, optional, values }: ArgumentDefinition): Argument {
  const placeholder = values?.join("|") ?? optionName(property);
  return new Argument(optional === true ? `[${placeholder}]` : `<${placeholder}>`, description);
}

function createOption(property: string, { short, placeholder, description, repeatable }: OptionDefinition): Option {
  const long = `--${optionName(property)}`;
  const flags = short === undefined ? long : `-${short}, ${long}`;
  const option = new Option(
    placeholder === undefined ? flags : `${flags} <${placeholder}>`,
    repeatable ? `${description} (may be repeated)` : description,
  );
  option.attributeName = () => property;
  // Every value is kept, as text: the definition decides what they mean together.
  if (placeholder !== undefined)
    option.argParser((text: string, previous: readonly string[] | undefined) => [...(previous ?? []), text]);
  return option;
}

function readOption(
  property: string,
  definition: OptionDefinition,
  given: readonly string[] | true | undefined,
): unknown {
  const texts = given === undefined ? [] : given === true ? [""] : given;
  try {
    return definition.parse(texts);
  } catch (error) {
    if (!(error instanceof BlixardError) || error.code !== "USAGE") throw error;
    const hint = error.hint ?? `It takes ${definition.placeholder ?? "no value"}.`;
    throw new BlixardError("USAGE", `--${optionName(property)}: ${error.message}`, { hint });
  }
}

function checkValues(command: Command, values: Readonly<Record<string, string | undefined>>): void {
  for (const [property, { values: allowed }] of Object.entries(command.arguments)) {
    const value = values[property];
    if (allowed === undefined || value === undefined || allowed.includes(value)) continue;
    const suggestion = suggest(value, allowed);
    usageError(
      `"${value}" is none of ${allowed.join(", ")}`,
      suggestion === undefined ? undefined : `Did you mean ${suggestion}?`,
    );
  }
}

/** `-h` or `--help` before a `--`. */
function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  return (end === -1 ? argv : argv.slice(0, end)).some((word) => word === "-h" || word === "--help");
}

function usageOf(error: CommanderError, name: string, command: Command, argv: readonly string[]): BlixardError {
  const message = error.message.replace(/^error: /, "").split("\n", 1)[0] ?? error.code;
  const unknown = error.code === "commander.unknownOption" ? /'--?([^'=]+)/.exec(message)?.[1] : undefined;
  const suggestion = unknown === undefined ? undefined : suggest(unknown, Object.keys(command.options).map(optionName));
  const help = `\`blixard ${name} --help\` shows what it takes.`;
  const extra = error.code === "commander.excessArguments" ? ` (${argv.join(" ")})` : "";
  return new BlixardError("USAGE", `${message}${extra}`, {
    hint: suggestion === undefined ? help : `Did you mean --${suggestion}? ${help}`,
  });
}

function helpPage(parser: Parser, examples: readonly Example[]): string {
  const shown = examples.map(({ command, explanation }) => `  # ${explanation}\n  ${command}\n`);
  return `${parser.helpInformation()}${shown.length === 0 ? "" : `\nExamples:\n${shown.join("\n")}`}`;
}
