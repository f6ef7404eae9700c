import { homedir } from "node:os";
import { join, resolve } from "node:path";

/**
 * The place of everything that is downloaded. The convention the daemon relies on: unpacked
 * packages in the folder `root`, the guest kernel in the folder `kernel`.
 * @param {Record<string, string | undefined>} env
 */
export function findCacheDir(env) {
  if (env["BLIXARD_CACHE_DIR"]) return resolve(env["BLIXARD_CACHE_DIR"]);
  return join(env["XDG_CACHE_HOME"] || join(env["HOME"] || homedir(), ".cache"), "blixard");
}

/**
 * Where unpacked packages keep their commands, before and after Debian merged /bin into /usr/bin.
 * @param {string} cacheDir
 */
export function toolFolders(cacheDir) {
  return ["usr/bin", "usr/sbin", "bin", "sbin"].map((folder) => join(cacheDir, "root", folder));
}
