/** Finds the node's guardian, or starts one unless that is somebody else's business: the daemon's way in. */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { BlixardError, toBlixardError } from "#model/errors.ts";
import { isAlive } from "#process/identity.ts";
import { createLineSplitter } from "#process/line-splitter.ts";
import { type ChildHandle, spawnProcess } from "#process/spawn.ts";
import { connectGuardian, type GuardianClient } from "./guardian-client.ts";
import { fromReplyError, type GuestReport, parseObject } from "./protocol.ts";
import { readGuardianState } from "./state-file.ts";

export interface EnsureGuardianOptions {
  /** Below the data directory: what the guardian must find again after a reboot. */
  readonly stateDir: string;
  /** In the run directory; at most 107 bytes. */
  readonly socketPath: string;
  /** undefined: it is run as a service, and only found here. */
  readonly program: GuardianProgram | undefined;
  readonly onExited: (guest: GuestReport) => void;
  /** Without guests and clients it ends after this time; default 60 s. */
  readonly idleTimeoutMs?: number;
  /** For finding or starting it; default 15 s. */
  readonly timeoutMs?: number;
}

export interface GuardianProgram {
  /** Node's executable; default our own. */
  readonly nodePath?: string;
  /** `src/guardian/main.ts`, or `guardian.js` of the bundle. */
  readonly entryPath: string;
  readonly extraArguments?: readonly string[];
}

export interface EnsuredGuardian {
  readonly client: GuardianClient;
  /** It was there before. */
  readonly adopted: boolean;
}

const TIMEOUT_MS = 15_000;
const START_TIMEOUT_MS = 10_000;
const RETRY_MS = 50;

/** @throws BlixardError GUARDIAN_UNAVAILABLE */
export async function ensureGuardian(options: EnsureGuardianOptions): Promise<EnsuredGuardian> {
  const end = performance.now() + (options.timeoutMs ?? TIMEOUT_MS);
  for (;;) {
    try {
      const found = await findGuardian(options);
      if (found !== undefined) return { client: found, adopted: true };
      if (options.program !== undefined && (await startGuardianProcess(options, options.program))) {
        const client = await findGuardian(options);
        if (client !== undefined) return { client, adopted: false };
      }
    } catch (error) {
      if (!isWorthRetrying(error) || performance.now() > end) throw error;
    }
    if (performance.now() > end) {
      throw unavailable(options);
    }
    await delay(RETRY_MS);
  }
}

function unavailable({ program, stateDir }: EnsureGuardianOptions): BlixardError {
  const log = `look into ${join(stateDir, "guardian.log")}`;
  return program === undefined
    ? new BlixardError("GUARDIAN_UNAVAILABLE", "no guardian runs, and runtime.guardian leaves it to a service", {
        hint: `start it (systemctl start blixard-guardian, or \`blixard guardian run\`), or ${log}`,
      })
    : new BlixardError("GUARDIAN_UNAVAILABLE", "no guardian could be found or started in time", { hint: log });
}

/** It may be on its way out, or just starting; anything else will not change by waiting. */
function isWorthRetrying(error: unknown): boolean {
  return toBlixardError(error).code === "GUARDIAN_UNAVAILABLE";
}

async function findGuardian(options: EnsureGuardianOptions): Promise<GuardianClient | undefined> {
  const state = await readGuardianState(options.stateDir);
  if (state === undefined || !isAlive(state.identity)) return undefined;
  return connectGuardian({ state, onExited: options.onExited });
}

/** Whether it serves; false when another one holds the lock and will be found in a moment. */
async function startGuardianProcess(options: EnsureGuardianOptions, program: GuardianProgram): Promise<boolean> {
  const { stateDir, socketPath } = options;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  // Nothing writes there but a dying Node: no cap is needed, each guardian begins it anew.
  const stderr = openSync(join(stateDir, "guardian.stderr"), "w", 0o600);
  try {
    const child = await spawnProcess({
      command: program.nodePath ?? process.execPath,
      args: [
        program.entryPath,
        `--state-dir=${stateDir}`,
        `--socket=${socketPath}`,
        ...(options.idleTimeoutMs === undefined ? [] : [`--idle-timeout-ms=${options.idleTimeoutMs}`]),
        ...(program.extraArguments ?? []),
      ],
      cwd: "/",
      stdout: "pipe",
      stderr,
      detached: true,
      umask: 0o077,
    });
    child.unref();
    return await readFirstWord(child);
  } finally {
    closeSync(stderr);
  }
}

async function readFirstWord(child: ChildHandle): Promise<boolean> {
  const { promise: line, resolve } = Promise.withResolvers<string | undefined>();
  const splitter = createLineSplitter({ maximumBytes: 64 * 1024, onLine: resolve });
  child.stdout?.on("data", (chunk: Buffer) => splitter.push(chunk));
  child.stdout?.once("close", () => resolve(undefined));
  const timer = setTimeout(() => resolve(undefined), START_TIMEOUT_MS);
  const text = await line;
  clearTimeout(timer);
  child.stdout?.destroy();
  if (text === undefined) {
    throw new BlixardError("GUARDIAN_UNAVAILABLE", "the guardian did not come up");
  }
  const message = parseObject(text);
  if (message["ready"] === true) return true;
  const error = fromReplyError(message["error"]);
  if (error.code === "DATA_DIRECTORY_LOCKED") return false;
  throw error;
}
