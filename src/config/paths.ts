/**
 * Where a node keeps its things, by one rule for the daemon and the CLI: so the
 * CLI finds a node by its data directory alone.
 *
 * Sockets are not in the data directory because their paths may have at most 107
 * bytes; the run directory is short whatever the data directory is called.
 */
import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

/** `/var/lib/blixard` as root, else `.blixard` in the working directory. */
export function defaultDataDirectory(host: { readonly isRoot: boolean; readonly workingDirectory: string }): string {
  return host.isRoot ? "/var/lib/blixard" : join(host.workingDirectory, ".blixard");
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The run directory of the node that keeps its data in `dataDirectory`:
 * `/run/blixard/<8 hex>` as root, else below `$XDG_RUNTIME_DIR/blixard`, and
 * without that `/tmp/blixard-<uid>`. The 8 hex digits are the beginning of the
 * sha256 of the data directory's resolved path. `BLIXARD_NODE__RUN_DIR` wins.
 */
export function resolveRunDirectory(
  dataDirectory: string,
  environment: Environment,
  userId: number = currentUserId(),
): string {
  const given = environment["BLIXARD_NODE__RUN_DIR"];
  if (given !== undefined && given !== "") return resolve(given);
  return join(runBase(environment, userId), dataDirectoryHash(dataDirectory));
}

/** Where the CLI looks for a node: at its own user's place, then at root's. */
export function runDirectoryCandidates(
  dataDirectory: string,
  environment: Environment,
  userId: number = currentUserId(),
): readonly string[] {
  const own = resolveRunDirectory(dataDirectory, environment, userId);
  return [...new Set([own, join("/run/blixard", dataDirectoryHash(dataDirectory))])];
}

function runBase(environment: Environment, userId: number): string {
  if (userId === 0) return "/run/blixard";
  const runtimeDirectory = environment["XDG_RUNTIME_DIR"];
  return runtimeDirectory?.startsWith("/") === true ? join(runtimeDirectory, "blixard") : `/tmp/blixard-${userId}`;
}

/** 0 is root. */
export function currentUserId(): number {
  return process.geteuid?.() ?? 0;
}

function dataDirectoryHash(dataDirectory: string): string {
  return createHash("sha256")
    .update(resolveThroughLinks(resolve(dataDirectory)))
    .digest("hex")
    .slice(0, 8);
}

/** The real path of what exists of it, so that it is the same before and after it is made. */
function resolveThroughLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(resolveThroughLinks(parent), basename(path));
  }
}

/** Name of the file in the run directory that says where a ready node listens. */
export const ENDPOINTS_FILE = "endpoints.json";

/** Content of `endpoints.json`. */
export interface Endpoints {
  readonly nodeId: string;
  readonly pid: number;
  /** Of the process, as `/proc/<pid>/stat` has it: tells a live node from a reused pid. */
  readonly startTime: string;
  readonly api: {
    /** Path of the unix socket. */
    readonly unix: string;
    /** `host:port` */
    readonly tcp: string;
  };
  /** URL of the scrape page, when it is served. */
  readonly metrics?: string;
  /** File with the token that calls by TCP need. */
  readonly tokenFile?: string;
}
