/** The configuration as `node run` and `config show` load it: file, environment and the flags both have. */
import { hostname } from "node:os";
import { type LoadedConfig, loadConfig } from "#config/config.ts";
import { currentUserId } from "#config/paths.ts";
import { anyText, choiceOption, option } from "./command.ts";
import type { CliIo } from "./io.ts";

export const configOptions = {
  config: option(
    "FILE",
    "The configuration (TOML). Default: BLIXARD_CONFIG, else none: every key has a default.",
    anyText,
    { short: "c", complete: "file" },
  ),
  dataDir: option("DIRECTORY", "Where the node keeps everything (node.data_dir).", anyText, { complete: "directory" }),
  logLevel: choiceOption(
    ["debug", "info", "warn", "error"],
    "Least severity that is logged (observability.logging.level).",
  ),
  logFormat: choiceOption(["human", "json"], "How log lines look (observability.logging.format)."),
};

export interface ConfigFlags {
  readonly config: string | undefined;
  readonly dataDir: string | undefined;
  readonly logLevel: string | undefined;
  readonly logFormat: string | undefined;
}

/** @throws BlixardError CONFIG_UNREADABLE, ConfigError */
export function loadNodeConfig(
  { config, dataDir, logLevel, logFormat }: ConfigFlags,
  io: CliIo,
): Promise<LoadedConfig> {
  const flags = {
    ...flagFor("node.data_dir", "--data-dir", dataDir),
    ...flagFor("observability.logging.level", "--log-level", logLevel),
    ...flagFor("observability.logging.format", "--log-format", logFormat),
  };
  const file = config ?? (io.environment["BLIXARD_CONFIG"] || undefined);
  const host = { hostName: hostname(), isRoot: currentUserId() === 0, workingDirectory: io.workingDirectory };
  return loadConfig(file, { environment: io.environment, flags, host, signal: io.interrupted });
}

function flagFor(path: string, name: string, text: string | undefined) {
  return text === undefined ? {} : { [path]: { flag: name, text } };
}
