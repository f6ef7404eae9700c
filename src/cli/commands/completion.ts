/** `blixard completion` */
import { defineCommand } from "../command.ts";
import { completionScripts, shells } from "../completion/scripts.ts";

export const completion = defineCommand({
  description: "It completes nouns, verbs, options, and the names of VMs, images and nodes.",
  arguments: { shell: { description: "The shell.", values: shells } },
  options: {},
  examples: [
    { command: 'eval "$(blixard completion bash)"', explanation: "For this bash; put it into ~/.bashrc for all" },
    { command: "blixard completion fish | source", explanation: "For this fish" },
  ],
  run: async ({ io }, { shell }) => {
    const known = shells.find((candidate) => candidate === shell);
    if (known !== undefined) await io.stdout.write(completionScripts[known]);
  },
});
