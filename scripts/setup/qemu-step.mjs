import { asRoot, findExecutable, requireDebian, splitPath } from "./host.mjs";
import { tryCommand, runCommand } from "./run-command.mjs";

const PACKAGES = ["qemu-system-x86", "qemu-utils"];
const COMMANDS = ["qemu-system-x86_64", "qemu-img"];

// These packages bring no service (a test reads their file lists); RUNLEVEL=1 tells invoke-rc.d to start
// nothing should one of their dependencies ever bring one.
const APT = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-o", "DPkg::Lock::Timeout=300"];
const UPDATE = [...APT, "update"];
const INSTALL = [...APT, "install", "--no-install-recommends", "-y", ...PACKAGES];

/**
 * The hypervisor. It is the one thing that is installed into the system: its firmware and libraries are
 * looked up at fixed places.
 * @param {{ path: string }} options
 * @returns {import('./main.mjs').Step}
 */
export function createQemuStep({ path }) {
  const folders = splitPath(path);
  return {
    name: "qemu",
    findMissing: () => COMMANDS.filter((command) => findExecutable(command, folders) === undefined),
    describe: () => [`${INSTALL.join(" ")}   (as root)`],
    run: async (say) => {
      requireDebian();
      const install = await asRoot(INSTALL);
      say(install.join(" "));
      // The package lists may be absent or too old for the mirror: refresh them only when that shows.
      if ((await tryCommand(install)).code !== 0) {
        const update = await asRoot(UPDATE);
        say(update.join(" "));
        await tryCommand(update);
        await runCommand(install);
      }
      say("installed");
    },
  };
}
