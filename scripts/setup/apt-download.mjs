import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand, tryCommand } from './run-command.mjs';

/**
 * @typedef {object} AptSource
 * @property {string[]} options apt's `-o` arguments that select the package lists
 */

// apt checks every file against the SHA-256 in the signed package lists. Its own sandbox user could not
// write into the cache, which belongs to whoever runs set-up.
const UNSANDBOXED = ['-o', 'APT::Sandbox::User='];

/**
 * Downloads packages with everything they depend on that `isWanted` names, without installing them. The
 * system's package lists are used when they will do; else private ones are fetched into the cache, which
 * needs no root and changes nothing outside.
 * @param {{ roots: string[], isWanted: (name: string) => boolean, downloadDir: string, listsDir: string, say: (text: string) => void }} options
 * @returns {Promise<string[]>} the .deb files
 */
export async function downloadPackages({ roots, isWanted, downloadDir, listsDir, say }) {
  mkdirSync(downloadDir, { recursive: true });
  const system = await tryDownload({ options: [] }, roots, isWanted, downloadDir, say);
  if (system !== undefined) return system;
  say('the system\'s package lists are absent or outdated; apt-get update into the cache');
  const source = await fetchPrivateLists(listsDir);
  const names = await resolvePackages(source, roots, isWanted);
  await download(source, names, downloadDir);
  return findDownloads(names, downloadDir);
}

/**
 * @param {AptSource} source
 * @param {string[]} roots
 * @param {(name: string) => boolean} isWanted
 * @param {string} downloadDir
 * @param {(text: string) => void} say
 */
async function tryDownload(source, roots, isWanted, downloadDir, say) {
  try {
    const names = await resolvePackages(source, roots, isWanted);
    say(`apt-get download ${names.join(' ')}`);
    await download(source, names, downloadDir);
    return findDownloads(names, downloadDir);
  } catch {
    return undefined;
  }
}

/**
 * @param {string} listsDir
 * @returns {Promise<AptSource>}
 */
async function fetchPrivateLists(listsDir) {
  mkdirSync(join(listsDir, 'lists', 'partial'), { recursive: true });
  mkdirSync(join(listsDir, 'archives', 'partial'), { recursive: true });
  const source = {
    options: [
      ['-o', `Dir::State::lists=${join(listsDir, 'lists')}`],
      ['-o', `Dir::Cache=${listsDir}`],
      ['-o', 'APT::Update::Post-Invoke::='],
    ].flat(),
  };
  // A foreign source that cannot be reached must not stop us: what counts is whether the download works.
  await tryCommand(['apt-get', ...UNSANDBOXED, ...source.options, 'update']);
  return source;
}

/**
 * @param {AptSource} source
 * @param {string[]} roots
 * @param {(name: string) => boolean} isWanted
 */
async function resolvePackages(source, roots, isWanted) {
  const seen = new Set(roots);
  for (const name of seen) {
    const listing = await runCommand(['apt-cache', ...source.options, 'depends', '--important', name]);
    for (const dependency of parseDependencies(listing)) {
      if (isWanted(dependency)) seen.add(dependency);
    }
  }
  return [...seen].sort();
}

/**
 * @param {string} listing the output of `apt-cache depends`
 * @returns {string[]} the names of real packages depended on
 */
export function parseDependencies(listing) {
  const names = [];
  for (const line of listing.split('\n')) {
    const match = /^\s*\|?(?:Pre)?Depends: ([a-z0-9][a-z0-9.+-]*)(?::any)?$/.exec(line);
    if (match?.[1] !== undefined) names.push(match[1]);
    const provider = /^ {4}([a-z0-9][a-z0-9.+-]*)$/.exec(line);
    if (provider?.[1] !== undefined) names.push(provider[1]);
  }
  return names;
}

/**
 * @param {AptSource} source
 * @param {string[]} names
 * @param {string} downloadDir
 */
async function download(source, names, downloadDir) {
  await runCommand(['apt-get', ...UNSANDBOXED, ...source.options, 'download', ...names], { cwd: downloadDir });
}

/**
 * @param {string[]} names
 * @param {string} downloadDir
 */
function findDownloads(names, downloadDir) {
  const files = readdirSync(downloadDir).filter((file) => file.endsWith('.deb'));
  return files.filter((file) => names.includes(file.split('_')[0] ?? '')).map((file) => join(downloadDir, file));
}
