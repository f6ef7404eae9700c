/** Where a guardian can be found: written when it serves, removed when it ends in order. */
import { readFile, rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseIdentity, type ProcessIdentity } from "#process/identity.ts";

export interface GuardianState {
  readonly identity: ProcessIdentity;
  readonly socketPath: string;
}

const pathIn = (stateDir: string): string => join(stateDir, "guardian.json");

export async function writeGuardianState(stateDir: string, state: GuardianState): Promise<void> {
  const path = pathIn(stateDir);
  await writeFile(`${path}.new`, `${JSON.stringify(state)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** undefined when there is none, or none that can be read. */
export async function readGuardianState(stateDir: string): Promise<GuardianState | undefined> {
  try {
    const value = JSON.parse(await readFile(pathIn(stateDir), "utf8")) as Record<string, unknown>;
    const identity = parseIdentity(value["identity"]);
    const socketPath = value["socketPath"];
    return identity === undefined || typeof socketPath !== "string" ? undefined : { identity, socketPath };
  } catch {
    return undefined;
  }
}

export async function removeGuardianState(stateDir: string): Promise<void> {
  await unlink(pathIn(stateDir)).catch(() => {});
}
