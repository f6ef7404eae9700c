import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { tryCommand } from "./run-command.mjs";
import { SetupError } from "./setup-error.mjs";

/**
 * @param {string} name
 * @param {string[]} folders
 * @returns {string | undefined} the first executable file of that name
 */
export function findExecutable(name, folders) {
  for (const folder of folders) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      // not in this folder
    }
  }
  return undefined;
}

/** @param {string} path the value of PATH */
export function splitPath(path) {
  return path.split(delimiter).filter((folder) => folder !== "");
}

/** Throws unless this is a Debian whose apt can give us what we need; the error says what to install instead. */
export function requireDebian() {
  const problem = explainForeignHost(readOsRelease(), process.arch);
  if (problem !== undefined) throw new SetupError(problem, 2);
}

/** @returns {string} the text of /etc/os-release, empty where there is none */
export function readOsRelease() {
  try {
    return readFileSync("/etc/os-release", "utf8");
  } catch {
    return "";
  }
}

/**
 * @param {string} osRelease the text of /etc/os-release
 * @param {string} architecture as Node names it
 * @returns {string | undefined} nothing on a Debian for x86-64
 */
export function explainForeignHost(osRelease, architecture) {
  /** @param {string} key */
  const read = (key) => new RegExp(`^${key}="?([^"\n]*)"?$`, "m").exec(osRelease)?.[1];
  if (read("ID") === "debian" && architecture === "x64") return undefined;
  return [
    `set-up installs by itself only on Debian 12 or newer for x86-64; this is ${read("PRETTY_NAME") ?? "another system"} (${architecture}).`,
    "Install these with your own package manager, so that the commands are on PATH, and run set-up again:",
    "  QEMU 7.2 or newer           qemu-system-x86_64, qemu-img",
    "  etcd 3.4 or newer           etcd, etcdctl",
    "  busybox, statically linked  busybox",
    "  Prometheus 2.42 or newer    prometheus, promtool",
    "  passt                       passt",
    "  Python 3                    python3, with the package prometheus_client",
    "and put a guest kernel for x86-64 into the cache: kernel/vmlinux (uncompressed, with a PVH entry),",
    "kernel/version (its release) and kernel/modules/ (its /lib/modules/<release>).",
  ].join("\n");
}

/**
 * How to become root for one command.
 * @param {string[]} argv
 * @returns {Promise<string[]>} argv with the prefix it needs
 */
export async function asRoot(argv) {
  if (process.getuid?.() === 0) return argv;
  const quiet = await tryCommand(["sudo", "-n", "true"]);
  if (quiet.code === 0) return ["sudo", "-n", ...argv];
  if (quiet.code !== 127 && process.stdin.isTTY) {
    const asked = await tryCommand(["sudo", "-v"]);
    if (asked.code === 0) return ["sudo", ...argv];
  }
  throw new SetupError(
    `this needs root, and neither root nor sudo is at hand. Have the owner of the machine run:\n  ${argv.join(" ")}`,
    2,
  );
}
