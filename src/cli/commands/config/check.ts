/** `blixard config check` */
import { choiceOption, defineCommand } from "../../command.ts";
import { loadNodeConfig } from "../../config-sources.ts";
import { outputFormats } from "../../output/printer.ts";
import { printable } from "../../output/text.ts";

export const configCheck = defineCommand({
  description:
    "Every problem at once, with line, column and what was probably meant; then the exit code is 2. The environment counts as for `node run`.",
  arguments: { file: { description: "The configuration (TOML).", complete: "file" } },
  options: { output: choiceOption(outputFormats, "How the result is printed; default: table.", { short: "o" }) },
  examples: [{ command: "blixard config check blixard.toml", explanation: "Find mistakes before a node does" }],
  run: async ({ io, printer }, { file }) => {
    const { warnings } = await loadNodeConfig(
      { config: file, dataDir: undefined, logLevel: undefined, logFormat: undefined },
      io,
    );
    if (printer.format !== "table") {
      await printer.json({ file, valid: true, warnings: [...warnings] });
      return;
    }
    for (const warning of warnings) await io.stderr.write(`warning: ${warning}\n`);
    await printer.lines([printable(`${file} is valid`)]);
  },
});
