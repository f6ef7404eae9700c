/**
 * What a supervised member keeps on disk, beside etcd's own data:
 *
 *   <dataDir>/etcd/           0700
 *     data/                   etcd's --data-dir
 *     member.json             its name, and the newest etcd that has opened the data
 *     process.json            who ran last, to end what a crashed daemon left behind
 *     etcd.log, etcd.log.1    its log, capped
 *     removed                 it was removed from its cluster: never start it again
 */
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BlixardError } from "#model/errors.ts";
import { parseIdentity, type ProcessIdentity } from "#process/identity.ts";
import { type EtcdVersion, formatEtcdVersion, isOlderMinor, parseEtcdVersion } from "./etcd-version.ts";

export interface MemberPaths {
  readonly root: string;
  readonly data: string;
  readonly log: string;
  readonly member: string;
  readonly process: string;
  readonly removed: string;
}

export interface MemberFile {
  readonly name: string;
  /** Of the newest etcd that has opened the data; undefined before the first start. */
  readonly etcdVersion: EtcdVersion | undefined;
  /** It has served once: from then on its log must be there. */
  readonly bootstrapped: boolean;
}

const MEMBER_NAME = /^[a-z0-9-]{1,64}$/;

export function memberPathsIn(dataDir: string): MemberPaths {
  const root = join(dataDir, "etcd");
  return {
    root,
    data: join(root, "data"),
    log: join(root, "etcd.log"),
    member: join(root, "member.json"),
    process: join(root, "process.json"),
    removed: join(root, "removed"),
  };
}

/** @throws BlixardError DATA_DIRECTORY_UNUSABLE, DISK_FULL */
export async function ensureMemberDirectory(paths: MemberPaths): Promise<void> {
  try {
    await mkdir(paths.root, { recursive: true, mode: 0o700 });
    await mkdir(paths.data, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw toDirectoryError(paths.root, cause);
  }
}

/** The member's file, made with a fresh name when there is none. @throws BlixardError DATA_DIRECTORY_CORRUPT, … */
export async function ensureMemberFile(paths: MemberPaths, newName: () => string): Promise<MemberFile> {
  const text = await readOptional(paths.member);
  if (text !== undefined) return parseMemberFile(paths.member, text);
  const member: MemberFile = { name: newName(), etcdVersion: undefined, bootstrapped: false };
  await writeMemberFile(paths, member);
  return member;
}

export async function writeMemberFile(paths: MemberPaths, member: MemberFile): Promise<void> {
  const { name, etcdVersion, bootstrapped } = member;
  await replaceFile(paths.member, {
    name,
    bootstrapped,
    ...(etcdVersion === undefined ? {} : { etcdVersion: formatEtcdVersion(etcdVersion) }),
  });
}

function parseMemberFile(path: string, text: string): MemberFile {
  const { name, etcdVersion, bootstrapped } = parseObject(text);
  if (typeof name !== "string" || !MEMBER_NAME.test(name)) {
    throw new BlixardError("DATA_DIRECTORY_CORRUPT", `${path} does not hold a member's name`, {
      hint: "Restore the data directory from a backup, or move its folder etcd/ away to begin with an empty store.",
    });
  }
  return {
    name,
    etcdVersion: typeof etcdVersion === "string" ? parseEtcdVersion(etcdVersion) : undefined,
    bootstrapped: bootstrapped === true,
  };
}

/**
 * etcd takes a data directory without a log for a new one and begins again with nothing, or with half of
 * what there was. @throws BlixardError DATA_DIRECTORY_CORRUPT when a member that has served has lost its log
 */
export async function checkLogPresent(paths: MemberPaths, member: MemberFile): Promise<void> {
  if (!member.bootstrapped) return;
  const folder = join(paths.data, "member", "wal");
  const names = await readdir(folder).catch(() => []);
  if (names.some((name) => name.endsWith(".wal"))) return;
  throw new BlixardError("DATA_DIRECTORY_CORRUPT", `the store's write-ahead log is missing (${folder})`, {
    hint: "Restore the data directory from a backup, or move its folder etcd/ away to begin with an empty store.",
  });
}

/** @throws BlixardError TOOL_TOO_OLD when a newer etcd has opened the data: that cannot be undone */
export function checkNotDowngraded(member: MemberFile, version: EtcdVersion, dataDir: string): void {
  if (member.etcdVersion === undefined || !isOlderMinor(version, member.etcdVersion)) return;
  const written = formatEtcdVersion(member.etcdVersion);
  throw new BlixardError(
    "TOOL_TOO_OLD",
    `the store in ${dataDir} was written by etcd ${written}, and this is etcd ${formatEtcdVersion(version)}`,
    { hint: `Use etcd ${member.etcdVersion.major}.${member.etcdVersion.minor} or newer.` },
  );
}

export async function readProcessFile(paths: MemberPaths): Promise<ProcessIdentity | undefined> {
  const text = await readOptional(paths.process);
  return text === undefined ? undefined : parseIdentity(parseObject(text));
}

export async function writeProcessFile(paths: MemberPaths, identity: ProcessIdentity): Promise<void> {
  await replaceFile(paths.process, identity);
}

export async function isMarkedRemoved(paths: MemberPaths): Promise<boolean> {
  return (await readOptional(paths.removed)) !== undefined;
}

export async function markRemoved(paths: MemberPaths): Promise<void> {
  await replaceFile(paths.removed, {});
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw toDirectoryError(path, error);
  }
}

/** Whole or not at all, whenever the machine stops. */
async function replaceFile(path: string, value: object): Promise<void> {
  const temporary = `${path}.new`;
  try {
    await writeFile(temporary, `${JSON.stringify(value)}\n`, { mode: 0o600, flush: true });
    await rename(temporary, path);
  } catch (cause) {
    throw toDirectoryError(path, cause);
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

export function toDirectoryError(path: string, cause: unknown): BlixardError {
  const code = codeOf(cause);
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new BlixardError("DISK_FULL", `there is no space left for ${path}`, {
      cause,
      hint: "Free some space on that disk.",
    });
  }
  return new BlixardError("DATA_DIRECTORY_UNUSABLE", `${path} cannot be used`, {
    cause,
    hint: "Let the user that runs the node own its data directory.",
  });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
