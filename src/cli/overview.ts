/** What the help pages say that lists commands. */
import type { Example } from "./command.ts";

export const topDescription =
  "Blixard runs microVMs on one machine or many, and shows why everything is in the state it is in.\n\n" +
  "Exit codes: 0 done, 1 your fault, 2 usage or configuration, 3 our fault or node unreachable, 4 timed out waiting.";

export const topExamples: readonly Example[] = [
  { command: "blixard node run", explanation: "Run a node in the foreground" },
  {
    command: "blixard vm create web --image demo --publish 8080:80 --wait",
    explanation: "Create a microVM and wait until its guest is ready",
  },
  { command: "blixard vm trace web", explanation: "See where the time went" },
];

export const nounExamples: Readonly<Record<string, readonly Example[]>> = {
  vm: [
    { command: "blixard vm create web --image demo --wait", explanation: "Create a VM" },
    { command: "blixard vm get web", explanation: "See why it is in its state" },
  ],
  image: [
    { command: "blixard image import demo --kernel vmlinux --initrd initrd.cpio.gz", explanation: "Import an image" },
  ],
  node: [{ command: "blixard node run --config blixard.toml", explanation: "Run a node" }],
  cluster: [{ command: "blixard cluster status", explanation: "See who leads" }],
  config: [{ command: "blixard config check blixard.toml", explanation: "Find every mistake at once" }],
};
