import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { downloadPackages } from "./apt-download.mjs";
import { toolFolders } from "./cache-dir.mjs";
import { findExecutable, requireDebian, splitPath } from "./host.mjs";
import { unpackKernel } from "./guest-kernel.mjs";
import { runCommand } from "./run-command.mjs";

// Debian packages that are unpacked, never installed: installed, they would start services or touch /boot.
const ROOTS = [
  "busybox-static",
  "etcd-client",
  "etcd-server",
  "linux-image-cloud-amd64",
  "passt",
  "prometheus",
  "python3-prometheus-client",
];

/** What of their dependencies comes along: the real kernel behind the meta package, and Python. */
const WANTED_DEPENDENCIES = [
  /^linux-(image|modules|binary)-[0-9].*-amd64$/,
  /^(lib)?python3(\.[0-9]+)?(-minimal|-stdlib|-decorator)?$/,
  /^libexpat1$/,
];

/** Raise it when the way of unpacking changes; a change of the package list does so by itself. */
const LAYOUT_VERSION = 1;

const TOOLS = ["etcd", "etcdctl", "busybox", "prometheus", "promtool", "passt", "python3"];
const KERNEL_FILES = ["vmlinux", "version", "modules"];

/**
 * @typedef {object} ToolCacheOptions
 * @property {string} cacheDir
 * @property {string} path the value of PATH
 * @property {boolean} isDebian whether apt can fill the cache
 * @property {string} pinnedNode
 */

/**
 * The tools and the guest kernel, in a cache of their own. A generation is made beside the present one
 * and put in place by renaming a symbolic link, so that nobody ever sees half of it:
 *
 *   <cache>/root    → generations/<key>/root      unpacked packages
 *   <cache>/kernel  → generations/<key>/kernel    vmlinux, vmlinuz, version, modules/
 *
 * Downloads stay until the generation is complete: a set-up that was killed goes on where it stopped.
 * @param {ToolCacheOptions} options
 * @returns {import('./main.mjs').Step}
 */
export function createToolCacheStep(options) {
  const { cacheDir } = options;
  return {
    name: "tools",
    findMissing: () => findMissingTools(options),
    describe: () => [
      `cd ${join(cacheDir, "downloads")} && apt-get download ${ROOTS.join(" ")}   (and the kernel and Python behind them)`,
      `for package in *.deb; do dpkg-deb --extract $package ${join(cacheDir, "root")}; done`,
      `extract ${join(cacheDir, "kernel", "vmlinux")} from the kernel's vmlinuz`,
    ],
    run: (say) => buildGeneration(options, say),
  };
}

/**
 * Where apt can fill the cache, all of it must be there. Elsewhere the owner of the machine provides the
 * tools, and PATH will do.
 * @param {ToolCacheOptions} options
 */
export function findMissingTools({ cacheDir, path, isDebian }) {
  const folders = toolFolders(cacheDir);
  if (!isDebian) folders.push(...splitPath(path));
  const missing = TOOLS.filter((tool) => findExecutable(tool, folders) === undefined);
  missing.push(...KERNEL_FILES.filter((file) => !existsSync(join(cacheDir, "kernel", file))));
  if (missing.length > 0 || !isDebian) return missing;
  return existsSync(generationDir(cacheDir)) ? [] : ["the present package list"];
}

/** @param {string} cacheDir */
function generationDir(cacheDir) {
  const key = createHash("sha256").update(JSON.stringify([LAYOUT_VERSION, ROOTS, WANTED_DEPENDENCIES.map(String)]));
  return join(cacheDir, "generations", key.digest("hex").slice(0, 12));
}

/**
 * @param {ToolCacheOptions} options
 * @param {(text: string) => void} say
 */
async function buildGeneration({ cacheDir, pinnedNode }, say) {
  requireDebian();
  const downloadDir = join(cacheDir, "downloads");
  const packages = await downloadPackages({
    roots: ROOTS,
    isWanted: (name) => WANTED_DEPENDENCIES.some((pattern) => pattern.test(name)),
    downloadDir,
    listsDir: join(cacheDir, "apt"),
    say,
  });

  const finalDir = generationDir(cacheDir);
  const buildDir = `${finalDir}.partial`;
  rmSync(buildDir, { recursive: true, force: true });
  mkdirSync(join(buildDir, "root"), { recursive: true });
  say(`unpacking ${packages.length} packages into ${join(cacheDir, "root")}`);
  for (const file of packages) await runCommand(["dpkg-deb", "--extract", file, join(buildDir, "root")]);
  const version = unpackKernel({
    rootDir: join(buildDir, "root"),
    kernelDir: join(buildDir, "kernel"),
    decompressors: { busybox: findExecutable("busybox", toolFolders(buildDir)) ?? "busybox", pinnedNode },
  });
  say(`guest kernel ${version}`);

  rmSync(finalDir, { recursive: true, force: true });
  renameSync(buildDir, finalDir);
  for (const name of ["root", "kernel"]) pointTo(join(cacheDir, name), join(finalDir, name));
  removeOtherGenerations(finalDir);
  for (const leftover of [downloadDir, join(cacheDir, "apt")]) rmSync(leftover, { recursive: true, force: true });
}

/**
 * @param {string} link
 * @param {string} target
 */
function pointTo(link, target) {
  const fresh = `${link}.new`;
  rmSync(fresh, { force: true });
  symlinkSync(target, fresh);
  renameSync(fresh, link);
}

/** @param {string} keptDir */
function removeOtherGenerations(keptDir) {
  const parent = join(keptDir, "..");
  for (const name of readdirSync(parent)) {
    if (join(parent, name) !== keptDir) rmSync(join(parent, name), { recursive: true, force: true });
  }
}
