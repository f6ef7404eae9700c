/**
 * The last line against a second copy of a guest. The kernel kills guests with
 * their guardian, except in the instant between a fork and the program's start.
 * Guests carry their guardian's state folder in their environment; a guardian
 * that starts, alone by its lock, kills whatever still carries it.
 */
import { readFileSync, readdirSync } from "node:fs";
import { type ProcessIdentity, readIdentity } from "#process/identity.ts";
import { endProcess } from "#process/kill-ladder.ts";

const MARK = "BLIXARD_GUARDIAN_STATE";

/** The environment of everything that the guardian starts. */
export function guestEnvironment(stateDir: string): Readonly<Record<string, string>> {
  return { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", [MARK]: stateDir };
}

/** Kills what an earlier guardian of the same folder has left; returns how many there were. */
export async function sweepOrphans(stateDir: string): Promise<number> {
  const orphans = findMarked(stateDir);
  await Promise.all(orphans.map((orphan) => endProcess(orphan, { graceMs: 0 })));
  return orphans.length;
}

function findMarked(stateDir: string): ProcessIdentity[] {
  const found: ProcessIdentity[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const identity = isMarked(name, stateDir) ? readIdentity(Number(name)) : undefined;
    if (identity !== undefined) found.push(identity);
  }
  return found;
}

function isMarked(pid: string, stateDir: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`${MARK}=${stateDir}`);
  } catch {
    // Not ours to read, so not ours, or gone.
    return false;
  }
}
