import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './run-command.mjs';

/**
 * @typedef {object} LockedPackage
 * @property {string} [version]
 * @property {string} [integrity]
 * @property {boolean} [optional]
 * @property {string[]} [os]
 * @property {string[]} [cpu]
 * @property {string[]} [libc]
 */

// Options that a user's npm configuration could turn against the lockfile.
const INSTALL = ['npm', 'ci', '--ignore-scripts', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];

/**
 * The locked packages. npm writes node_modules/.package-lock.json last, so comparing it with the lockfile
 * tells a finished install from an interrupted one; no stamp of our own is needed.
 * @param {{ repositoryDir: string }} options
 * @returns {import('./main.mjs').Step}
 */
export function createNodeModulesStep({ repositoryDir }) {
  return {
    name: 'packages',
    findMissing: () => findMissingPackages(repositoryDir),
    describe: () => [INSTALL.join(' ')],
    run: async (say) => {
      say(INSTALL.join(' '));
      await runCommand(INSTALL, { cwd: repositoryDir });
      say('installed');
    },
  };
}

/**
 * @param {string} repositoryDir
 * @returns {string[]}
 */
export function findMissingPackages(repositoryDir) {
  const wanted = readPackages(join(repositoryDir, 'package-lock.json'));
  const present = readPackages(join(repositoryDir, 'node_modules', '.package-lock.json'));
  const missing = [];
  for (const [folder, locked] of Object.entries(wanted)) {
    if (folder === '' || !isForThisMachine(locked)) continue;
    const installed = present[folder];
    const same = installed?.version === locked.version && installed?.integrity === locked.integrity;
    if (!same || !existsSync(join(repositoryDir, folder, 'package.json'))) {
      missing.push(folder.replace('node_modules/', ''));
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
    return JSON.parse(readFileSync(file, 'utf8')).packages ?? {};
  } catch {
    return {};
  }
}

/** @param {LockedPackage} locked */
function isForThisMachine(locked) {
  if (locked.optional !== true) return true;
  return (
    allows(locked.os, process.platform) && allows(locked.cpu, process.arch) && allows(locked.libc, libcFamily())
  );
}

/**
 * @param {string[] | undefined} list npm's notation: names, or `!name`
 * @param {string} value
 */
function allows(list, value) {
  if (list === undefined || list.length === 0) return true;
  if (list.includes(`!${value}`)) return false;
  return list.includes(value) || list.every((entry) => entry.startsWith('!'));
}

function libcFamily() {
  const report = /** @type {{ header?: { glibcVersionRuntime?: string } }} */ (process.report?.getReport() ?? {});
  return report.header?.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
}
