/** `blixard node run` */
import { defineCommand } from "../../command.ts";
import { version } from "../../version.ts";
import { configOptions, loadNodeConfig } from "../../config-sources.ts";

export const nodeRun = defineCommand({
  description:
    "Runs until SIGTERM or Ctrl-C; guests run on, and are found again at the next start. Prints one line when it serves. Flags win over OTEL_*, these over BLIXARD_*, these over the file.",
  arguments: {},
  options: configOptions,
  examples: [
    { command: "blixard node run", explanation: "A node with every default" },
    { command: "blixard node run --config /etc/blixard/blixard.toml --log-format json", explanation: "As a service" },
  ],
  run: async ({ io }, _arguments, options) => {
    const { config, warnings } = await loadNodeConfig(options, io);
    const { runNode } = await import("#daemon/run-node.ts");
    io.releaseSignals();
    return runNode(config, { version, warnings });
  },
});
