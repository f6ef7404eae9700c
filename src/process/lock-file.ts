/**
 * A lock on a directory, held by a living process and by nobody else.
 *
 * Each contender writes a claim whose name is its own identity, then looks for
 * other claims. Two that claim at once cannot both miss each other, because
 * both write before they look. Only claims of dead processes or of an earlier
 * boot are removed, and as no identity ever comes back, removing one can never
 * hit a living lock: that is what a single lock file cannot give.
 */
import { mkdir, readFile, readdir, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { BlixardError } from "#model/errors.ts";
import { isAlive, type ProcessIdentity } from "./identity.ts";

export interface LockOptions {
  /** Made when absent; nothing else lives in it. */
  readonly lockDir: string;
  readonly identity: ProcessIdentity;
  /** For the one who is refused: "node node-1". At most 200 characters are kept. */
  readonly description: string;
}

export interface DirectoryLock extends AsyncDisposable {
  release(): Promise<void>;
}

// Contenders that claimed at the same moment all withdraw and come back at different times.
const ATTEMPTS = 5;
const BACKOFF_MS = 20;

const CLAIM = /^(\d{1,10})\.(\d{1,20})\.([0-9a-f-]{1,64})$/;

/** @throws BlixardError DATA_DIRECTORY_LOCKED with the holder's pid */
export async function acquireLock(options: LockOptions): Promise<DirectoryLock> {
  const { lockDir, identity } = options;
  await mkdir(lockDir, { recursive: true, mode: 0o700 });
  const claim = join(lockDir, claimNameOf(identity));
  for (let attempt = 1; ; attempt++) {
    await claimOnce(claim, lockDir, options.description);
    const other = await findOtherHolder(lockDir, identity);
    if (other === undefined) break;
    await unlink(claim);
    if (attempt === ATTEMPTS) throw await lockedError(lockDir, other);
    await delay(BACKOFF_MS * attempt * (0.5 + Math.random()));
  }
  const release = async (): Promise<void> => unlink(claim).catch(ignoreMissing);
  return { release, [Symbol.asyncDispose]: release };
}

async function claimOnce(claim: string, lockDir: string, description: string): Promise<void> {
  try {
    await writeFile(claim, `${description.slice(0, 200)}\n`, { flag: "wx", mode: 0o600 });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
    throw new BlixardError("DATA_DIRECTORY_LOCKED", `this process already holds ${lockDir}`, { cause });
  }
}

/** Removes what the dead have left and returns a living holder. */
async function findOtherHolder(lockDir: string, own: ProcessIdentity): Promise<ProcessIdentity | undefined> {
  let holder: ProcessIdentity | undefined;
  for (const name of await readdir(lockDir)) {
    const identity = parseClaimName(name);
    if (identity === undefined || name === claimNameOf(own)) continue;
    if (isAlive(identity)) holder = identity;
    else await unlink(join(lockDir, name)).catch(ignoreMissing);
  }
  return holder;
}

function claimNameOf(identity: ProcessIdentity): string {
  return `${identity.pid}.${identity.startTicks}.${identity.bootId}`;
}

function parseClaimName(name: string): ProcessIdentity | undefined {
  const match = CLAIM.exec(name);
  return match === null ? undefined : { pid: Number(match[1]), startTicks: Number(match[2]), bootId: match[3] ?? "" };
}

async function lockedError(lockDir: string, holder: ProcessIdentity): Promise<BlixardError> {
  const text = await readFile(join(lockDir, claimNameOf(holder)), "utf8").catch(() => "");
  const who = text.trim() === "" ? "another process" : text.trim();
  return new BlixardError("DATA_DIRECTORY_LOCKED", `${join(lockDir, "..")} is in use by ${who} (pid ${holder.pid})`, {
    hint: "stop that process, or give this one another data directory",
  });
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
