/** `blixard guardian run` */
import { configOptions, loadNodeConfig } from "../../config-sources.ts";
import { defineCommand } from "../../command.ts";

export const guardianRun = defineCommand({
  description:
    'Runs until SIGTERM, which ends all guests of the node. For service managers: a node whose configuration says `runtime.guardian = "service"` waits for it, and can be restarted apart from its guests. It reads the same configuration, of which the directories count.',
  arguments: {},
  options: { config: configOptions.config, dataDir: configOptions.dataDir },
  examples: [
    {
      command: "blixard guardian run --config /etc/blixard/blixard.toml",
      explanation: "As a service, beside that of `node run`",
    },
  ],
  run: async ({ io }, _arguments, { config: file, dataDir }) => {
    const flags = { config: file, dataDir, logLevel: undefined, logFormat: undefined };
    const { config } = await loadNodeConfig(flags, io);
    const { becomeGuardian } = await import("#daemon/guardian-program.ts");
    await becomeGuardian(config);
  },
});
