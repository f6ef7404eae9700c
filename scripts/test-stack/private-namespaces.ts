// Namespaces for a run of the stack. `enterNamespaces` runs the script again as the only thing in new ones; when it
// ends, everything that was started in there has ended too. `arrangeNamespaces` is then the first thing to happen.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readlinkSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

/** @returns the exit code of the command, which ran in namespaces of its own */
export async function enterNamespaces(command: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const becomeRoot = process.getuid?.() === 0 ? [] : ["--map-root-user"];
  const flags = ["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"];
  assertUnshare([...becomeRoot, ...flags]);
  // The shell is process 1 in there: it takes care of orphans, which Node.js would leave as zombies.
  const init = ["sh", "-c", '"$@"; exit $?', "sh"];
  const child = spawn("unshare", [...becomeRoot, ...flags, "--", ...init, ...command], {
    stdio: "inherit",
    env: { ...environment, BLIXARD_STACK_MACHINE_NETWORK: readlinkSync("/proc/self/ns/net") },
  });
  const stop = (): void => void child.kill("SIGKILL");
  process.once("SIGTERM", stop).once("SIGINT", stop).once("exit", stop);
  await once(child, "exit");
  process.off("exit", stop);
  return child.exitCode ?? 1;
}

function assertUnshare(flags: readonly string[]): void {
  try {
    const script = "ip link add blixard-try type bridge && ip link delete blixard-try";
    execFileSync("unshare", [...flags, "--", "sh", "-c", script], { stdio: ["ignore", "ignore", "pipe"] });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      "the stack runs in namespaces of its own, with a bridge: that needs root, or user namespaces that the " +
        `machine lets everybody make, and the commands unshare (util-linux) and ip (iproute2). ${reason}`,
      { cause: error },
    );
  }
}

/** In the new namespaces: a /run of our own, and only the names exist that we give. */
export function arrangeNamespaces(): void {
  execFileSync("ip", ["link", "set", "lo", "up"]);
  execFileSync("mount", ["-t", "tmpfs", "-o", "mode=755", "stack", "/run"]);
  replaceFile("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
  replaceFile("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n");
}

/** For this run only: the file of the machine stays as it is. */
function replaceFile(path: string, text: string): void {
  const replacement = `/run/${basename(path)}`;
  writeFileSync(replacement, text);
  execFileSync("mount", ["--bind", replacement, path]);
}
