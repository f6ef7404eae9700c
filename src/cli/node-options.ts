/** Options that every command has which talks to a node. */
import { anyText, choiceOption, option } from "./command.ts";
import { outputFormats } from "./output/printer.ts";

export const nodeOptions = {
  output: choiceOption(outputFormats, "How the result is printed; default: table.", { short: "o" }),
  endpoint: option(
    "ADDRESS",
    "The node: unix:PATH or http://HOST:PORT. Default: found by its data directory.",
    anyText,
  ),
  dataDir: option(
    "DIRECTORY",
    "The data directory of the node. Default: BLIXARD_DATA_DIR, else where a node keeps it.",
    anyText,
    { complete: "directory" },
  ),
  tokenFile: option("FILE", "File with the token for an --endpoint by HTTP. Default: BLIXARD_TOKEN_FILE.", anyText, {
    complete: "file",
  }),
};
