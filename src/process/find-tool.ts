/**
 * Where an outside program is: an absolute path as configured, else the
 * caller's PATH, else the cache that set-up fills without installing anything.
 * Tools are looked up where they are needed, so that a node which never uses
 * one never asks for it.
 */
import { accessSync, constants, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { BlixardError } from "#model/errors.ts";

export interface FindToolOptions {
  /** Folders to search, as in `PATH`. */
  readonly path: string;
  /** The cache of `findCacheDir`; absent: not searched. */
  readonly cacheDir?: string;
}

/** Debian packages by tool, for the hint. */
const packages: Readonly<Record<string, string>> = {
  etcd: "etcd-server",
  etcdctl: "etcd-client",
  ip: "iproute2",
  nice: "coreutils",
  passt: "passt",
  "qemu-img": "qemu-utils",
  "qemu-system-x86_64": "qemu-system-x86",
  setpriv: "util-linux",
  "systemd-notify": "systemd",
  unshare: "util-linux",
};

/** Below the cache, in the order of the search. */
const cacheFolders = ["root/usr/bin", "root/usr/sbin", "root/bin"];

/**
 * The absolute path of a program.
 * @param name a bare name, or an absolute path, which is only checked
 * @throws BlixardError TOOL_MISSING
 */
export function findTool(name: string, { path, cacheDir }: FindToolOptions): string {
  const candidates = isAbsolute(name)
    ? [name]
    : [
        ...path.split(delimiter).filter((folder) => isAbsolute(folder)),
        ...(cacheDir === undefined ? [] : cacheFolders.map((folder) => join(cacheDir, folder))),
      ].map((folder) => join(folder, name));
  const found = candidates.find(isExecutable);
  if (found !== undefined) return found;
  throw new BlixardError("TOOL_MISSING", `${name} is missing or cannot be executed`, { hint: hintFor(name, cacheDir) });
}

function hintFor(name: string, cacheDir: string | undefined): string {
  const packageName = packages[name];
  if (packageName === undefined) return "run `npm run setup` as the node's user, or set its path in the configuration";
  return cacheDir === undefined
    ? `install the Debian package ${packageName} (looked for on PATH)`
    : `install the Debian package ${packageName}, or run \`npm run setup\` as the node's user (looked for on PATH and in ${cacheDir})`;
}

/** `$BLIXARD_CACHE_DIR`, else `blixard` below the user's cache directory. */
export function findCacheDir(environment: Readonly<Record<string, string | undefined>>): string {
  const own = environment["BLIXARD_CACHE_DIR"];
  if (own !== undefined && own !== "") return resolve(own);
  const home = environment["HOME"] || homedir();
  return join(environment["XDG_CACHE_HOME"] || join(home, ".cache"), "blixard");
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
