/**
 * The CLI: one command line → one exit code.
 *
 *   words → command (command-table.ts) → options (parse-command-line.ts)
 *         → run, with a connection to the node and a trace
 *         → spans handed in, failure rendered, exit code
 *
 * Called by main.ts and by tests. A mistyped word starts nothing. It must stay
 * quick to load: whatever a command needs is imported by that command.
 */
import { suggest } from "#config/suggest.ts";
import { BlixardError } from "#model/errors.ts";
import { findNode } from "./client/find-node.ts";
import { NodeConnection } from "./client/node-connection.ts";
import type { Command } from "./command.ts";
import { commandTable, type NounEntry, plainCommands, type VerbEntry } from "./command-table.ts";
import { exitCodeOf, exitCodes, failureAsJson, InterruptedError, renderFailure } from "./failure.ts";
import { type CliIo, OutputClosedError } from "./io.ts";
import { type OutputFormat, outputFormats, Printer } from "./output/printer.ts";
import { chooseStyle } from "./output/style.ts";
import { CommandTrace } from "./trace/command-trace.ts";

/** Never throws. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  try {
    return await dispatch(argv, io);
  } catch (error) {
    return reportFailure(error, argv, io);
  }
}

async function dispatch(argv: readonly string[], io: CliIo): Promise<number> {
  const [first, ...rest] = moveLeadingOptions(argv);
  if (first === undefined || first === "help" || first === "-h" || first === "--help")
    return printTopHelp(first === "help" ? rest : [], io);
  if (first === "--version") return printVersion(io);
  if (first === "__complete") return printCompletions(rest, io);
  const plain = own(plainCommands, first);
  if (plain !== undefined) return runVerb(first, plain, rest, io);
  const noun = own(commandTable, first);
  if (noun === undefined)
    throw unknownWord("command", first, [...Object.keys(commandTable), ...Object.keys(plainCommands)], "blixard");
  return runNoun(first, noun, rest, io);
}

async function runNoun(name: string, noun: NounEntry, [verb, ...rest]: readonly string[], io: CliIo): Promise<number> {
  if (verb === undefined || verb === "-h" || verb === "--help" || verb === "help") {
    await io.stdout.write(await nounHelp(name, noun, io));
    return verb === undefined ? exitCodes.usage : exitCodes.done;
  }
  const entry = own(noun.verbs, verb);
  if (entry === undefined) throw unknownWord(`verb of ${name}`, verb, Object.keys(noun.verbs), `blixard ${name}`);
  return runVerb(`${name} ${verb}`, entry, rest, io);
}

async function runVerb(name: string, entry: VerbEntry, argv: readonly string[], io: CliIo): Promise<number> {
  const [command, { parseCommandLine }] = await Promise.all([entry.load(), import("./parse-command-line.ts")]);
  const line = parseCommandLine(name, entry.summary, command, argv, io.stdout.columns);
  if (line.kind === "help") {
    await io.stdout.write(line.text);
    return exitCodes.done;
  }
  return runCommand(name, command, line.argumentValues, line.options, io);
}

async function runCommand(
  name: string,
  command: Command,
  argumentValues: Readonly<Record<string, string | undefined>>,
  options: Readonly<Record<string, unknown>>,
  io: CliIo,
): Promise<number> {
  const trace = new CommandTrace(name, io, command.readOnly !== true);
  const text = (property: string): string | undefined =>
    typeof options[property] === "string" ? options[property] : undefined;
  const target = { endpoint: text("endpoint"), dataDir: text("dataDir"), tokenFile: text("tokenFile") };
  await using node = new NodeConnection(() => findNode(target, io), trace);
  const printer = new Printer(outputFormats.find((format) => format === options["output"]) ?? "table", io);
  let exitCode: number;
  let failure: unknown;
  try {
    const context = { io, printer, node, trace, signal: io.interrupted };
    exitCode = (await command.run(context, requireArguments(argumentValues), options)) ?? exitCodes.done;
  } catch (error) {
    failure = io.interrupted.aborted ? new InterruptedError() : await asBlixardError(error);
    exitCode = await reportFailureAs(failure, printer.format, io);
  }
  if (trace.hasCalls) {
    const { handInSpans } = await import("./trace/hand-in.ts");
    const spans = trace.finish({
      exitCode,
      processId: io.processId,
      ...(failure instanceof BlixardError ? { error: failure } : {}),
    });
    await handInSpans(node, spans, trace.context.sampled);
  }
  return exitCode;
}

/** The parser has checked that what must be there is there; optional arguments stay undefined. */
function requireArguments(values: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  return values as Readonly<Record<string, string>>;
}

/** `--data-dir X vm list` is `vm list --data-dir X`. */
function moveLeadingOptions(argv: readonly string[]): readonly string[] {
  let index = 0;
  for (
    let word = argv[0];
    word !== undefined && /^(--(endpoint|data-dir|token-file|output)(=.*)?|-o.*)$/.test(word);
    word = argv[index]
  ) {
    index += word.includes("=") || /^-o./.test(word) ? 1 : 2;
  }
  return [...argv.slice(index), ...argv.slice(0, index)];
}

function unknownWord(kind: string, word: string, known: readonly string[], scope: string): BlixardError {
  const suggestion = suggest(word, known);
  const help = `\`${scope} --help\` lists what there is.`;
  const shown = word.slice(0, 60);
  return new BlixardError("USAGE", `there is no ${kind} "${shown}"`, {
    hint: suggestion === undefined ? help : `Did you mean \`${scope} ${suggestion}\`? ${help}`,
  });
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

async function printTopHelp(words: readonly string[], io: CliIo): Promise<number> {
  const [noun, verb] = words;
  if (noun !== undefined) return dispatch([noun, ...(verb === undefined ? [] : [verb]), "--help"], io);
  const [{ renderOverview }, { topExamples, topDescription }] = await Promise.all([
    import("./parse-command-line.ts"),
    import("./overview.ts"),
  ]);
  const entries = Object.entries({ ...commandTable, ...plainCommands }).map(([name, { summary }]) => ({
    name,
    summary,
  }));
  await io.stdout.write(renderOverview("blixard", topDescription, entries, topExamples, io.stdout.columns));
  return exitCodes.done;
}

async function nounHelp(name: string, noun: NounEntry, io: CliIo): Promise<string> {
  const [{ renderOverview }, { nounExamples }] = await Promise.all([
    import("./parse-command-line.ts"),
    import("./overview.ts"),
  ]);
  const entries = Object.entries(noun.verbs).map(([verb, { summary }]) => ({ name: verb, summary }));
  return renderOverview(
    `blixard ${name}`,
    `Commands for ${noun.summary}.`,
    entries,
    own(nounExamples, name) ?? [],
    io.stdout.columns,
  );
}

async function printVersion(io: CliIo): Promise<number> {
  const { version } = await import("./version.ts");
  await io.stdout.write(`blixard ${version}\n`);
  return exitCodes.done;
}

async function printCompletions(words: readonly string[], io: CliIo): Promise<number> {
  const { completeLine } = await import("./completion/complete.ts");
  const candidates = await completeLine(words, io);
  if (candidates.length > 0) await io.stdout.write(`${candidates.join("\n")}\n`);
  return exitCodes.done;
}

/** A failed call, with what the node said about it. */
async function asBlixardError(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || error.name !== "ConnectError") return error;
  const { fromRpcError } = await import("./client/rpc-error.ts");
  return fromRpcError(error);
}

async function reportFailure(error: unknown, argv: readonly string[], io: CliIo): Promise<number> {
  const asJson = argv.some(
    (word, index) =>
      /^(-o=?|--output=)json$/.test(word) || (/^(-o|--output)$/.test(word) && argv[index + 1] === "json"),
  );
  return reportFailureAs(error, asJson ? "json" : "table", io);
}

async function reportFailureAs(error: unknown, format: OutputFormat, io: CliIo): Promise<number> {
  if (error instanceof OutputClosedError) return exitCodes.done;
  try {
    if (!(error instanceof InterruptedError)) {
      const lines =
        format === "json" ? [failureAsJson(error)] : renderFailure(error, chooseStyle(io.stderr, io.environment));
      await io.stderr.write(`${lines.join("\n")}\n`);
      if (io.environment["BLIXARD_DEBUG"] === "1" && error instanceof Error)
        await io.stderr.write(`${error.stack ?? ""}\n`);
    }
  } catch {
    // Nobody reads stderr either.
  }
  return exitCodeOf(error);
}
