// Namespaces for a run of the stack. `enterNamespaces` runs the script again as the only thing in new ones; when it
// ends, everything that was started in there has ended too. `arrangeNamespaces` is then the first thing to happen.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  accessSync,
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * A root of our own with all of the machine in it, so that the stack's folders can be made anywhere. The shell stays
 * as process 1: it takes care of orphans, which Node.js would leave as zombies.
 */
const INIT = `
set -e
mount -t tmpfs -o mode=755 stack "$0"
for entry in /*; do
  if [ -L "$entry" ]; then cp -P "$entry" "$0$entry"
  elif [ -d "$entry" ]; then mkdir "$0$entry" && mount --rbind "$entry" "$0$entry"
  fi
done
cd "$0"
set +e
chroot "$0" "$@"
exit $?
`;

/** @returns the exit code of the command, which ran in namespaces of its own */
export async function enterNamespaces(command: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const becomeRoot = process.getuid?.() === 0 ? [] : ["--map-root-user"];
  const flags = ["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"];
  assertUnshare([...becomeRoot, ...flags]);
  const root = mkdtempSync(join(tmpdir(), "blixard-root-"));
  const init = ["sh", "-c", INIT, root];
  const child = spawn("unshare", [...becomeRoot, ...flags, "--", ...init, ...command], {
    stdio: "inherit",
    env: { ...environment, BLIXARD_STACK_MACHINE_NETWORK: readlinkSync("/proc/self/ns/net") },
  });
  const stop = (): void => void child.kill("SIGKILL");
  process.once("SIGTERM", stop).once("SIGINT", stop).once("exit", stop);
  await once(child, "exit");
  process.off("exit", stop);
  rmdirSync(root);
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

/**
 * In the new namespaces: a /run of our own, an /etc and a /var in which the stack's files can be put, and only the
 * names exist that we give. Those of the machine stay as they are.
 */
export function arrangeNamespaces(): void {
  execFileSync("ip", ["link", "set", "lo", "up"]);
  execFileSync("mount", ["-t", "tmpfs", "-o", "mode=755", "stack", "/run"]);
  for (const path of ["/etc", "/var"]) shadow(path);
  for (const [path, text] of [
    ["/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"],
    ["/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"],
  ] as const) {
    rmSync(path, { force: true });
    writeFileSync(path, text);
  }
}

/** Puts a folder of ours over one of the machine's: the same in it, but what is added is ours. */
function shadow(path: string): void {
  const ours = `/run/shadow${path}`;
  mkdirSync(ours, { recursive: true });
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const [from, to] = [join(path, entry.name), join(ours, entry.name)];
    if (entry.isDirectory()) {
      mkdirSync(to);
      execFileSync("mount", ["--rbind", from, to]);
    } else if (entry.isSymbolicLink()) {
      symlinkSync(readlinkSync(from), to);
    } else if (entry.isFile() && isReadable(from)) {
      copyFileSync(from, to);
    }
  }
  execFileSync("mount", ["--rbind", ours, path]);
}

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
