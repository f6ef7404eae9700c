import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./run-command.mjs";

/**
 * @typedef {object} LockedPackage
 * @property {string} [version]
 * @property {string} [integrity]
 * @property {boolean} [optional]
 * @property {string | string[]} [os]
 * @property {string | string[]} [cpu]
 * @property {string | string[]} [libc]
 */

// Options that a user's npm configuration could turn against the lockfile.
const INSTALL = ["npm", "ci", "--ignore-scripts", "--include=dev", "--include=optional", "--no-audit", "--no-fund"];

/**
 * The locked packages. npm writes node_modules/.package-lock.json last, so comparing it with the lockfile
 * tells a finished install from an interrupted one; no stamp of our own is needed.
 * @param {{ repositoryDir: string }} options
 * @returns {import('./main.mjs').Step}
 */
export function createNodeModulesStep({ repositoryDir }) {
  return {
    name: "packages",
    findMissing: () => findMissingPackages(repositoryDir),
    describe: () => [INSTALL.join(" ")],
    run: async (say) => {
      say(INSTALL.join(" "));
      await runCommand(INSTALL, { cwd: repositoryDir });
      say("installed");
    },
  };
}

/**
 * @param {string} repositoryDir
 * @returns {string[]}
 */
export function findMissingPackages(repositoryDir) {
  const wanted = readPackages(join(repositoryDir, "package-lock.json"));
  const present = readPackages(join(repositoryDir, "node_modules", ".package-lock.json"));
  const missing = [];
  for (const [folder, locked] of Object.entries(wanted)) {
    const installed = present[folder];
    if (folder === "" || (installed === undefined && mayBeAbsent(locked))) continue;
    const same = installed?.version === locked.version && installed?.integrity === locked.integrity;
    if (!same || !existsSync(join(repositoryDir, folder, "package.json"))) {
      missing.push(folder.replace("node_modules/", ""));
    }
  }
  return missing;
}

/**
 * @param {string} file
 * @returns {Record<string, LockedPackage>}
 */
function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages ?? {};
  } catch {
    return {};
  }
}

/**
 * npm leaves out optional packages for other machines, and whatever only those need.
 * @param {LockedPackage} locked
 */
function mayBeAbsent(locked) {
  if (locked.optional !== true) return false;
  if (locked.os === undefined && locked.cpu === undefined) return true;
  // The pinned Node is built for glibc, so this machine is nothing else.
  return !(allows(locked.os, process.platform) && allows(locked.cpu, process.arch) && allows(locked.libc, "glibc"));
}

/**
 * @param {string | string[] | undefined} rule npm's notation: names, or `!name`
 * @param {string} value
 */
function allows(rule, value) {
  const list = [rule ?? []].flat();
  if (list.includes(`!${value}`)) return false;
  return list.includes(value) || list.every((entry) => entry.startsWith("!"));
}
