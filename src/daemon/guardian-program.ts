/** Where a node's guardian is: its program, and what it keeps where. The daemon starts it, or `blixard guardian run` becomes it. */
import { chmod, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Config } from "#config/config.ts";
import { currentUserId, resolveRunDirectory } from "#config/paths.ts";
import { BlixardError } from "#model/errors.ts";
import { ensureDataDirectory } from "./data-directory.ts";

/** In its room when run from source; in a bundle beside the entry, of which this is a chunk. */
export function guardianEntry(): string {
  const fromSource = import.meta.filename.endsWith(".ts");
  return join(import.meta.dirname, fromSource ? "../guardian/main.ts" : "../guardian.js");
}

/** The node's run directory, made when missing. */
export async function ensureRunDirectory({ node }: Config): Promise<string> {
  const directory = node.runDir ?? resolveRunDirectory(node.dataDir, process.env, currentUserId());
  await mkdir(directory, { recursive: true });
  // An unprivileged hypervisor must be able to pass through to its own directory.
  await chmod(directory, 0o711);
  return directory;
}

/** What it gets to know of its environment: it needs no secret, and lives longer than any. */
const PASSED_ON = ["PATH", "NOTIFY_SOCKET", "NODE_COMPILE_CACHE"] as const;

/**
 * Makes this process the guardian, by exec: it shall consist of the guardian alone, whose guests die with it, and
 * a service manager must keep its pid.
 * @throws BlixardError DATA_DIRECTORY_UNUSABLE, DISK_FULL
 */
export async function becomeGuardian(config: Config): Promise<never> {
  const dataDir = resolve(config.node.dataDir);
  await ensureDataDirectory(dataDir);
  const runDir = resolve(await ensureRunDirectory(config));
  const environment = Object.fromEntries(PASSED_ON.map((name) => [name, process.env[name]]));
  process.umask(0o077);
  process.chdir("/");
  process.execve?.(
    process.execPath,
    [
      process.execPath,
      guardianEntry(),
      "--service",
      `--state-dir=${join(dataDir, "guardian")}`,
      `--socket=${join(runDir, "guardian.sock")}`,
    ],
    Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined)),
  );
  throw new BlixardError("INTERNAL", "this Node cannot replace a process by another program", {
    hint: "run it on the Node that Blixard comes with",
  });
}
