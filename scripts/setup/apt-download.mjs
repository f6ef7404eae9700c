import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runCommand, tryCommand } from "./run-command.mjs";
import { SetupError } from "./setup-error.mjs";

// apt checks every file against the SHA-256 in the signed package lists. Its own sandbox user could not
// write into the cache, which belongs to whoever runs set-up.
const UNSANDBOXED = ["-o", "APT::Sandbox::User=root"];

/**
 * Downloads packages with everything they depend on that `isWanted` names, without installing them. The
 * system's package lists are used when they will do; else private ones are fetched into the cache, which
 * needs no root and changes nothing outside.
 * @param {{ roots: string[], isWanted: (name: string) => boolean, downloadDir: string, listsDir: string, say: (text: string) => void }} options
 * @returns {Promise<string[]>} the .deb files
 */
export async function downloadPackages({ roots, isWanted, downloadDir, listsDir, say }) {
  mkdirSync(downloadDir, { recursive: true });
  try {
    return await downloadFrom([], { roots, isWanted, downloadDir, say });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say("the package lists of the system will not do; apt-get update into the cache");
    const privateLists = await fetchPrivateLists(listsDir);
    return downloadFrom(privateLists, { roots, isWanted, downloadDir, say });
  }
}

/**
 * @param {string[]} lists apt's options that select the package lists
 * @param {{ roots: string[], isWanted: (name: string) => boolean, downloadDir: string, say: (text: string) => void }} options
 */
async function downloadFrom(lists, { roots, isWanted, downloadDir, say }) {
  const names = await resolvePackages(lists, roots, isWanted);
  const download = ["apt-get", ...UNSANDBOXED, ...lists, "download"];
  // Asked from elsewhere: in the download folder apt does not list what is there already.
  const files = parseUris(await runCommand([...download, "--print-uris", ...names], { cwd: "/" }));
  if (files.length !== names.length) throw new SetupError(`apt knows ${files.length} of ${names.length} packages`);
  for (const file of files) removeDamaged(join(downloadDir, file.name), file.sha256);
  say(`apt-get download ${names.join(" ")}`);
  await runCommand([...download, ...names], { cwd: downloadDir });
  return files.map((file) => join(downloadDir, file.name));
}

/**
 * @param {string} listsDir
 * @returns {Promise<string[]>}
 */
async function fetchPrivateLists(listsDir) {
  const lists = join(listsDir, "lists");
  mkdirSync(join(lists, "partial"), { recursive: true });
  mkdirSync(join(listsDir, "archives", "partial"), { recursive: true });
  const options = ["-o", `Dir::State::lists=${lists}`, "-o", `Dir::Cache=${listsDir}`];
  // A foreign source that cannot be reached must not stop us: what counts is whether the download works.
  await tryCommand(["apt-get", ...UNSANDBOXED, ...options, "update"]);
  return options;
}

/**
 * @param {string[]} lists
 * @param {string[]} roots
 * @param {(name: string) => boolean} isWanted
 */
async function resolvePackages(lists, roots, isWanted) {
  /** @type {Set<string>} */
  const seen = new Set();
  // Whole generations at a time: each call of apt-cache may take seconds to read the lists.
  for (let fresh = roots; fresh.length > 0;) {
    for (const name of fresh) seen.add(name);
    const listing = await runCommand(["apt-cache", ...lists, "depends", "--important", ...fresh]);
    const wanted = parseDependencies(listing).filter((name) => isWanted(name) && !seen.has(name));
    fresh = [...new Set(wanted)];
  }
  return [...seen].sort();
}

/**
 * @param {string} listing the output of `apt-cache depends`
 * @returns {string[]} the names of real packages depended on
 */
export function parseDependencies(listing) {
  const names = [];
  for (const line of listing.split("\n")) {
    const match = /^\s*\|?(?:Pre)?Depends: ([a-z0-9][a-z0-9.+-]*)(?::any)?$/.exec(line);
    if (match?.[1] !== undefined) names.push(match[1]);
    const provider = /^ {4}([a-z0-9][a-z0-9.+-]*)$/.exec(line);
    if (provider?.[1] !== undefined) names.push(provider[1]);
  }
  return names;
}

/**
 * apt goes on with a download that was cut off, but takes one of the right size for granted.
 * @param {string} file
 * @param {string} sha256
 */
function removeDamaged(file, sha256) {
  if (!existsSync(file)) return;
  if (createHash("sha256").update(readFileSync(file)).digest("hex") !== sha256) rmSync(file);
}

/**
 * @param {string} listing the output of `apt-get download --print-uris`: 'uri' file size hash
 * @returns {{ name: string, sha256: string }[]}
 */
export function parseUris(listing) {
  const files = [];
  for (const line of listing.split("\n")) {
    const match = /^'[^']+' (\S+\.deb) \d+ SHA256:([0-9a-f]{64})$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) files.push({ name: match[1], sha256: match[2] });
  }
  return files;
}
