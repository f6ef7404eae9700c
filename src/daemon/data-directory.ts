/**
 * The data directory and who it belongs to: made when missing, refused with a
 * clear error when it cannot be used. `node.json` ties it to one node of one
 * cluster for its whole life.
 */
import { randomUUID } from "node:crypto";
import { chmod, mkdir, open, readFile, rename, statfs } from "node:fs/promises";
import { join } from "node:path";
import { BlixardError } from "#model/errors.ts";

export interface NodeIdentity {
  readonly nodeId: string;
  /** UUID of the cluster that the node made or joined. */
  readonly clusterId: string;
}

/** Below this nothing can be promised: etcd alone preallocates 64 MB of log. */
const MINIMUM_FREE_BYTES = 192 * 1024 * 1024;

/**
 * Makes the directory with a mode that lets an unprivileged hypervisor pass
 * through it (0711) and lets nobody else list it.
 * @throws BlixardError DATA_DIRECTORY_UNUSABLE, DISK_FULL
 */
export async function ensureDataDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    await chmod(directory, 0o711);
    const probe = await open(join(directory, ".write-probe"), "w", 0o600);
    await probe.close();
  } catch (error) {
    throw unusable(directory, error);
  }
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize < MINIMUM_FREE_BYTES) {
    throw new BlixardError(
      "DISK_FULL",
      `the file system of ${directory} has ${Math.floor((bavail * bsize) / 1024 ** 2)} MiB left; a node needs at least ${MINIMUM_FREE_BYTES / 1024 ** 2} MiB`,
      { hint: "Free some space or point node.data_dir at another file system." },
    );
  }
}

/**
 * Who the directory belongs to; written when it is new.
 * @param newClusterId makes or learns the cluster's id when the directory is new
 * @throws BlixardError DATA_DIRECTORY_CORRUPT, CONFIG_INVALID when the node is called otherwise now
 */
export async function ensureNodeIdentity(
  directory: string,
  nodeId: string,
  newClusterId: () => Promise<string> = async () => randomUUID(),
): Promise<NodeIdentity> {
  const path = join(directory, "node.json");
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw unusable(directory, error);
  });
  if (text === undefined) {
    const identity = { nodeId, clusterId: await newClusterId() };
    await writeDurably(path, `${JSON.stringify({ schemaVersion: 1, ...identity }, null, 2)}\n`);
    return identity;
  }
  const identity = parseIdentity(text);
  if (identity === undefined) {
    throw new BlixardError("DATA_DIRECTORY_CORRUPT", `${path} is not what a node wrote`, {
      hint: "Restore it from a backup, or start with an empty data directory.",
    });
  }
  if (identity.nodeId !== nodeId) {
    throw new BlixardError("CONFIG_INVALID", `${directory} belongs to node "${identity.nodeId}", not to "${nodeId}"`, {
      hint: `Set node.id = "${identity.nodeId}", or give this node a data directory of its own.`,
    });
  }
  return identity;
}

function parseIdentity(text: string): NodeIdentity | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { schemaVersion, nodeId, clusterId } = value as Readonly<Record<string, unknown>>;
  const isUuid = typeof clusterId === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(clusterId);
  return schemaVersion === 1 && typeof nodeId === "string" && isUuid ? { nodeId, clusterId } : undefined;
}

/** Write, sync, rename: the file is whole or absent after a crash. */
async function writeDurably(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

function unusable(directory: string, cause: unknown): BlixardError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new BlixardError("DISK_FULL", `the file system of ${directory} is full`, {
      cause,
      hint: "Free some space or point node.data_dir at another file system.",
    });
  }
  return new BlixardError("DATA_DIRECTORY_UNUSABLE", `cannot use ${directory} as the data directory`, {
    cause,
    hint: "It must be a directory that the node's user may write to: check the path, its owner and that it is not mounted read-only.",
  });
}
