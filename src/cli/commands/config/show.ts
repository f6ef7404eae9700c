/** `blixard config show` */
import { formatPlace } from "#config/problem.ts";
import { describeDestination, formatOrigin, renderConfig } from "#config/show.ts";
import { choiceOption, defineCommand } from "../../command.ts";
import { configOptions, loadNodeConfig } from "../../config-sources.ts";
import { outputFormats } from "../../output/printer.ts";

export const configShow = defineCommand({
  description:
    "As `node run` with the same flags and environment would take it: TOML that loads again, with the origin of every value. Secrets are redacted.",
  arguments: {},
  options: {
    ...configOptions,
    output: choiceOption(outputFormats, "How the result is printed; default: table, which is TOML.", { short: "o" }),
  },
  examples: [
    { command: "blixard config show --config blixard.toml", explanation: "What a node would run with, and why" },
    {
      command: "OTEL_SERVICE_NAME=edge blixard config show | grep service_name",
      explanation: "Where a value comes from",
    },
  ],
  run: async ({ io, printer }, _arguments, options) => {
    const { entries, fileDestinations, warnings } = await loadNodeConfig(options, io);
    for (const warning of warnings) await io.stderr.write(`warning: ${warning}\n`);
    if (printer.format === "table") {
      await io.stdout.write(renderConfig(entries, fileDestinations));
      return;
    }
    const shown = entries.filter((entry) => entry.shown !== undefined);
    await printer.json(
      Object.fromEntries([
        ...shown.map(({ path, shown: value = "", origin }) => [path, { value, origin: formatOrigin(origin) }] as const),
        ...fileDestinations.map(
          (placed, index) =>
            [
              `destinations.${index}`,
              { value: `${placed.signal} to ${describeDestination(placed)}`, origin: formatPlace(placed.place) },
            ] as const,
        ),
      ]),
    );
  },
});
