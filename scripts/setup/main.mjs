// Set-up: brings everything the project needs onto this machine, and nothing else.
//
// Run by `npm run setup` before anything is installed, so it is plain JavaScript for Node 20 and imports
// only Node itself. Each step says whether it is satisfied (cheaply), what it would do, and does it:
//
//   node_modules   the locked packages, the pinned Node among them   (npm ci, no install scripts)
//   qemu           the hypervisor                                    (apt-get install)
//   tool cache     etcd, busybox, prometheus, passt, python, kernel  (apt-get download, unpacked, not installed)
//
// It must not start or enable a service, write under /boot, or open a port.
// Environment: BLIXARD_SETUP=manual prints only, and ends with 2 while something is missing; BLIXARD_CACHE_DIR moves the cache.
// Exit codes: 0 done, 2 this machine lacks something that only its owner can give, 3 a step failed.

import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createNodeModulesStep } from "./node-modules-step.mjs";
import { findCacheDir } from "./cache-dir.mjs";
import { explainForeignHost, readOsRelease } from "./host.mjs";
import { createQemuStep } from "./qemu-step.mjs";
import { createReport } from "./report.mjs";
import { createToolCacheStep } from "./tool-cache-step.mjs";
import { SetupError } from "./setup-error.mjs";

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {() => string[]} findMissing what is not there yet; empty when the step is satisfied
 * @property {() => string[]} describe the commands the step would run, one a line
 * @property {(say: (text: string) => void) => Promise<void>} run
 */

const LOCK_BUSY = 75;
const LOCK_MARK = "BLIXARD_SETUP_LOCKED";

const repositoryDir = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const cacheDir = findCacheDir(process.env);
const path = process.env["PATH"] ?? "";

/** @type {Step[]} */
const steps = [
  createNodeModulesStep({ repositoryDir }),
  createQemuStep({ path }),
  createToolCacheStep({
    cacheDir,
    path,
    isDebian: explainForeignHost(readOsRelease(), process.arch) === undefined,
    pinnedNode: join(repositoryDir, "node_modules", ".bin", "node"),
  }),
];

process.exitCode = await main();

/** @returns {Promise<number>} the exit code */
async function main() {
  const report = createReport(process.stdout);
  const pending = steps.filter((step) => step.findMissing().length > 0);
  if (pending.length === 0) {
    report.line("nothing is missing");
    return 0;
  }
  if (process.env["BLIXARD_SETUP"] === "manual") {
    for (const step of pending) {
      report.line(`${step.name}: missing ${summarise(step.findMissing())}; would run`);
      for (const command of step.describe()) report.plain(`  ${command}`);
    }
    report.line("nothing was done, as BLIXARD_SETUP=manual asks; what follows set-up cannot run yet");
    return 2;
  }
  if (process.env[LOCK_MARK] === undefined) return runLocked(report);
  try {
    for (const step of pending) {
      report.line(`${step.name}: missing ${summarise(step.findMissing())}`);
      await step.run((text) => report.line(`${step.name}: ${text}`));
      const missing = step.findMissing();
      if (missing.length > 0) {
        throw new SetupError(`${step.name}: still missing after the step: ${summarise(missing)}`);
      }
    }
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    report.fail(error.message);
    return error.exitCode;
  }
  report.line("set-up complete");
  return 0;
}

/**
 * Runs this program again under two kernel locks, one for the checkout and one for the cache: `flock`
 * lets go when its holder dies, however it dies.
 * @param {import('./report.mjs').Report} report
 */
function runLocked(report) {
  const lockFiles = [join(repositoryDir, ".cache", "setup.lock"), join(cacheDir, "setup.lock")];
  try {
    for (const file of lockFiles) mkdirSync(dirname(file), { recursive: true });
  } catch (error) {
    report.fail(
      `the checkout and ${cacheDir} must be writable: ${error instanceof Error ? error.message : String(error)}`,
    );
    return 2;
  }
  const again = [process.execPath, fileURLToPath(import.meta.url)];
  const env = { ...process.env, [LOCK_MARK]: "1" };
  /** @param {string[]} options */
  const lock = (options) => {
    const argv = lockFiles.flatMap((file) => ["flock", ...options, file]).concat(again);
    return spawnSync("/usr/bin/env", argv, { stdio: "inherit", env });
  };
  let result = lock(["--nonblock", "--conflict-exit-code", String(LOCK_BUSY)]);
  if (result.status === LOCK_BUSY) {
    report.line("another set-up is running; waiting for it");
    result = lock([]);
  }
  if (result.status === 127) {
    report.fail("`flock` is missing; install the package util-linux");
    return 2;
  }
  return result.status ?? 3;
}

/** @param {string[]} names */
function summarise(names) {
  const shown = names.slice(0, 4).join(", ");
  return names.length > 4 ? `${shown} and ${names.length - 4} more` : shown;
}
