/**
 * The guardian: parent of all guests of a node, so that they outlive the daemon
 * and never outlive their right to run.
 *
 * One small process for each data directory, started by the daemon in a session
 * of its own or run as a service, and found by its state file. It starts QEMU,
 * holds consoles, monitors and agents' ports, keeps the capped serial logs, reports exits until
 * they are acknowledged, and kills at the fencing deadline what may run
 * elsewhere. It decides nothing else, imports nothing but Node, and must not
 * crash: its guests die with it.
 *
 *   lock → sweep orphans → load records → listen → serve ⟶ end
 *
 * It ends when a daemon asks for it and no guest runs, by itself when it has had
 * neither guests nor clients for `idleTimeoutMs` (a service does neither), and on
 * SIGTERM, with its guests: that is a host going down, or somebody who means it.
 */
import { mkdir, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BlixardError } from "#model/errors.ts";
import type { ProcessIdentity } from "#process/identity.ts";
import { acquireLock } from "#process/lock-file.ts";
import { createFence } from "./fence.ts";
import { loadReports } from "./guest-records.ts";
import { createGuests } from "./guests.ts";
import { sweepOrphans } from "./orphan-sweep.ts";
import { createOwnLog, type OwnLog } from "./own-log.ts";
import { MAXIMUM_SOCKET_PATH_BYTES } from "./protocol.ts";
import { createSerialHubs } from "./serial-hubs.ts";
import { serialLogLimits } from "./serial-log.ts";
import { startGuardianServer } from "./server.ts";
import { removeGuardianState, writeGuardianState } from "./state-file.ts";

export interface GuardianOptions {
  /** Records, lock, state file and log; survives reboots. */
  readonly stateDir: string;
  /** At most 107 bytes. */
  readonly socketPath: string;
  readonly identity: ProcessIdentity;
  /** The host's boot; tests name another. */
  readonly bootId: string;
  /** undefined: it is run as a service, and stays however little there is to do. */
  readonly idleTimeoutMs: number | undefined;
  readonly now: () => number;
  readonly readUptimeSeconds: () => number;
}

export interface Guardian {
  readonly log: OwnLog;
  /** Resolves when it has ended, by request or for lack of work. */
  readonly ended: Promise<void>;
  /** Ends all guests, then itself. */
  stop(why: string): void;
}

// QEMU obeys SIGTERM at once and writes its disks' caches out.
const STOP_GRACE_MS = 5_000;

/** @throws BlixardError DATA_DIRECTORY_LOCKED while another guardian has this folder */
export async function startGuardian(options: GuardianOptions): Promise<Guardian> {
  const { stateDir, socketPath, identity, bootId, now, readUptimeSeconds } = options;
  requireShortPath(socketPath);
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  await mkdir(dirname(socketPath), { recursive: true, mode: 0o700 });
  const lock = await acquireLock({ lockDir: join(stateDir, "lock"), identity, description: "a guardian" });
  const log = createOwnLog(join(stateDir, "guardian.log"), now);
  const orphans = await sweepOrphans(stateDir);
  const reports = await loadReports({ stateDir, bootId, nowMs: now() });
  // Left by a guardian that was killed; the lock says that nobody listens on it.
  await unlink(socketPath).catch(() => {});

  const { promise: ended, resolve: resolveEnded } = Promise.withResolvers<void>();
  const hubs = createSerialHubs(serialLogLimits);
  const guests = createGuests({
    stateDir,
    bootId,
    hubs,
    reports,
    now,
    readUptimeSeconds,
    onExited: (guest) => {
      log.write("guest ended", { vmId: guest.vmId, instanceId: guest.instanceId, reason: guest.exit?.reason });
      server.broadcastExit(guest);
      watchIdleness();
    },
    onTrouble: (message, error) => log.write(message, {}, error),
  });
  const fence = createFence({
    readUptimeSeconds,
    onDeadline: () => log.write("fencing deadline: guests killed", { count: guests.endFenced() }),
  });
  const server = await startGuardianServer({
    socketPath,
    identity,
    guests,
    hubs,
    fence,
    onClientsChanged: watchIdleness,
    onShutdown: (force) => {
      // Whoever runs it as a service ends it.
      if (force || options.idleTimeoutMs !== undefined) stop("asked to");
    },
    onFence: (deadlineUptimeSeconds) => log.write("fence", { deadlineUptimeSeconds }),
  });
  await writeGuardianState(stateDir, { identity, socketPath });
  log.write("serving", { pid: identity.pid, bootId, orphans, records: reports.length });

  let idleTimer: NodeJS.Timeout | undefined;
  let isStopping = false;
  watchIdleness();

  function watchIdleness(): void {
    clearTimeout(idleTimer);
    if (options.idleTimeoutMs === undefined || isStopping) return;
    if (guests.runningCount > 0 || server.clientCount > 0) return;
    idleTimer = setTimeout(() => stop("nothing to do"), options.idleTimeoutMs);
  }

  function stop(why: string): void {
    if (isStopping) return;
    isStopping = true;
    log.write("ending", { why, guests: guests.runningCount });
    void end();
  }

  async function end(): Promise<void> {
    clearTimeout(idleTimer);
    fence.disarm();
    await guests.endAll("guardian_stopped", STOP_GRACE_MS);
    guests.close();
    await removeGuardianState(stateDir);
    await server.close();
    await lock.release();
    resolveEnded();
  }

  return { log, ended, stop };
}

function requireShortPath(socketPath: string): void {
  const bytes = Buffer.byteLength(socketPath);
  if (bytes <= MAXIMUM_SOCKET_PATH_BYTES) return;
  throw new BlixardError("CONFIG_INVALID", `the socket path ${socketPath} has ${bytes} bytes`, {
    hint: `choose a run directory so that it has at most ${MAXIMUM_SOCKET_PATH_BYTES}`,
  });
}
