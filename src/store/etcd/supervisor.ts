/**
 * The consensus member of this node: an etcd process, started, watched and
 * restarted here. It listens on unix sockets only and dies with the daemon.
 *
 *   stopped ─► starting ─► ready ─► (process ended) ─► waiting ─► starting
 *                 │          │                            │
 *                 └─ failed  └─► stopped (SIGTERM)        └─► failed, removed: terminal
 *
 * The daemon starts it before anything that needs the store and stops it last.
 * It must not touch the store's content; `etcd-key-value-store.ts` does.
 */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#model/clock.ts";
import { BlixardError, withContext } from "#model/errors.ts";
import { endProcess } from "#process/kill-ladder.ts";
import { type ChildHandle, spawnProcess } from "#process/spawn.ts";
import type { Logger } from "#telemetry/port.ts";
import { backoffMs, pause } from "../clock.ts";
import { createEtcdConnection } from "./connection.ts";
import { isSlowDisk, measureFdatasync, percentile99, planElectionTimers } from "./disk-probe.ts";
import { type EtcdEndpoint, unixEndpoint } from "./endpoint.ts";
import {
  CLIENT_SOCKET_NAME,
  type EtcdArgumentsOptions,
  PEER_SOCKET_NAME,
  planEtcdArguments,
  planEtcdEnvironment,
} from "./etcd-arguments.ts";
import { diagnoseMemberEnd, isWorthRestarting } from "./etcd-failure.ts";
import { createEtcdMaintenance } from "./etcd-maintenance.ts";
import { type EtcdVersion, formatEtcdVersion, readEtcdVersion } from "./etcd-version.ts";
import {
  checkLogPresent,
  checkNotDowngraded,
  ensureMemberDirectory,
  ensureMemberFile,
  isMarkedRemoved,
  markRemoved,
  type MemberFile,
  memberPathsIn,
  readProcessFile,
  toDirectoryError,
  writeMemberFile,
  writeProcessFile,
} from "./member-files.ts";
import { type MemberLog, openMemberLog } from "./member-log.ts";

export interface EtcdSupervisorOptions {
  /** Absolute path of the binary. */
  readonly etcdPath: string;
  /** The node's; the member uses `etcd/` in it. */
  readonly dataDir: string;
  /** Exists, 0700, short: the sockets appear in it and it becomes the member's working directory. */
  readonly runDir: string;
  readonly clock: Clock;
  /** Between 0 (inclusive) and 1. */
  readonly random: () => number;
  readonly logger: Logger;
  /** Told of every unexpected end, before the member is started again. */
  readonly onExit?: (exit: MemberExit) => void;
  /** Size at which the member refuses writes. Default 4 GiB. */
  readonly quotaBytes?: number;
  /** History that watchers may fall behind. Default 10 minutes. */
  readonly compactionRetentionMs?: number;
  /** Voters of its cluster: with the disk, they decide the election timers. Default 1. */
  readonly memberCount?: number;
  /** From the start of the process to the first answer. Default 60 s. */
  readonly startTimeoutMs?: number;
  readonly tracing?: EtcdArgumentsOptions["tracing"];
  /** Durations of fdatasync in ms, ascending. Default: measured. */
  readonly measureDisk?: (directory: string) => Promise<readonly number[]>;
}

export interface MemberExit {
  readonly pid: number;
  readonly code: number | undefined;
  readonly error: BlixardError | undefined;
  /** Whether it will be started again. */
  readonly restarting: boolean;
}

export type MemberState =
  | { readonly kind: "stopped" | "starting" | "ready" | "removed" }
  | { readonly kind: "waiting" | "failed"; readonly error: BlixardError };

export interface EtcdSupervisor extends AsyncDisposable {
  /**
   * Resolves when the member serves; on an error nothing is left running.
   * @throws BlixardError TOOL_MISSING, TOOL_TOO_OLD, DATA_DIRECTORY_CORRUPT, DATA_DIRECTORY_UNUSABLE, DISK_FULL,
   * STORE_UNAVAILABLE, CANCELLED
   */
  start(signal?: AbortSignal): Promise<void>;
  /** SIGTERM, and SIGKILL when that takes longer than 5 s. */
  stop(): Promise<void>;
  readonly state: MemberState;
  /** Where clients connect; known from the beginning. */
  readonly endpoint: EtcdEndpoint;
  /** After `start`. */
  readonly version: EtcdVersion | undefined;
  readonly pid: number | undefined;
}

const DEFAULT_QUOTA_BYTES = 4 * 1024 ** 3;
const DEFAULT_RETENTION_MS = 10 * 60_000;
const DEFAULT_START_TIMEOUT_MS = 60_000;
const STOP_GRACE_MS = 5000;
const POLL_MS = 25;
const RESTART = { initialMs: 200, maximumMs: 10_000 };
/** A member that ran this long had recovered: the next restart is quick again. */
const STABLE_MS = 60_000;

interface RunningMember {
  readonly child: ChildHandle;
  readonly startedAtMs: number;
}

export function createEtcdSupervisor(options: EtcdSupervisorOptions): EtcdSupervisor {
  const { clock, random, logger, runDir } = options;
  const paths = memberPathsIn(options.dataDir);
  const endpoint = unixEndpoint(join(runDir, CLIENT_SOCKET_NAME));
  const stopping = new AbortController();
  let state: MemberState = { kind: "stopped" };
  let version: EtcdVersion | undefined;
  let running: RunningMember | undefined;
  let watching: Promise<void> | undefined;
  let log: MemberLog | undefined;
  let memberFile: MemberFile | undefined;
  let plannedArguments: readonly string[] = [];

  /** Everything that is decided once per start of the daemon. */
  async function prepare(signal: AbortSignal | undefined): Promise<void> {
    version = await readEtcdVersion(options.etcdPath, signal);
    await ensureMemberDirectory(paths);
    if (await isMarkedRemoved(paths)) throw removedError(options.dataDir);
    const member = await ensureMemberFile(paths, () => `blixard-${randomBytes(8).toString("hex")}`);
    checkNotDowngraded(member, version, options.dataDir);
    await checkLogPresent(paths, member);
    await endPredecessor();
    const electionTimers = planElectionTimers(await measureDisk(), options.memberCount ?? 1);
    plannedArguments = planEtcdArguments({
      version,
      memberName: member.name,
      dataDir: paths.data,
      electionTimers,
      quotaBytes: options.quotaBytes ?? DEFAULT_QUOTA_BYTES,
      compactionRetentionMs: options.compactionRetentionMs ?? DEFAULT_RETENTION_MS,
      ...(options.tracing === undefined ? {} : { tracing: options.tracing }),
    });
    memberFile = { ...member, etcdVersion: version };
    await writeMemberFile(paths, memberFile);
    log = openMemberLog({ path: paths.log });
  }

  /** A member of a crashed daemon is about to end by itself; two must never share the sockets. */
  async function endPredecessor(): Promise<void> {
    const identity = await readProcessFile(paths);
    if (identity === undefined) return;
    const outcome = await endProcess(identity, { graceMs: STOP_GRACE_MS });
    if (outcome === "still_there") {
      throw new BlixardError("DATA_DIRECTORY_LOCKED", `an etcd of an earlier run (pid ${identity.pid}) does not end`, {
        hint: `End it by hand: kill -9 ${identity.pid}`,
      });
    }
  }

  async function measureDisk(): Promise<readonly number[]> {
    const measure = options.measureDisk ?? ((directory: string) => measureFdatasync({ directory, clock }));
    try {
      const durations = await measure(paths.root);
      if (isSlowDisk(durations)) {
        logger.warn(
          `the disk of ${paths.root} takes ${percentile99(durations).toFixed(1)} ms to make a write durable: ` +
            "every change of a VM waits for this disk",
        );
      }
      return durations;
    } catch (cause) {
      throw toDirectoryError(paths.root, cause);
    }
  }

  async function spawnMember(): Promise<RunningMember> {
    await Promise.all([CLIENT_SOCKET_NAME, PEER_SOCKET_NAME].map((name) => rm(join(runDir, name), { force: true })));
    const child = await spawnProcess({
      command: options.etcdPath,
      args: plannedArguments,
      cwd: runDir,
      // Nothing of ours: ETCD_* variables would override the arguments.
      environment: {
        PATH: process.env["PATH"],
        ...planEtcdEnvironment(version ?? { major: 3, minor: 4, patch: 0 }, process.arch),
      },
      umask: 0o077,
      stderr: "pipe",
      parentDeathSignal: "TERM",
      // Ctrl-C goes to the daemon, which stops its member last.
      detached: true,
    });
    if (child.stderr !== undefined) log?.follow(child.stderr);
    return { child, startedAtMs: clock.monotonicMs() };
  }

  /** @throws why it does not serve; it is ended then */
  async function launch(signal: AbortSignal): Promise<RunningMember> {
    const member = await spawnMember();
    try {
      await writeProcessFile(paths, member.child.identity);
      await waitUntilServing(member, signal);
      return member;
    } catch (error) {
      await endProcess(member.child.identity, { graceMs: STOP_GRACE_MS, exited: member.child.exited });
      throw error;
    }
  }

  async function waitUntilServing({ child, startedAtMs }: RunningMember, signal: AbortSignal): Promise<void> {
    const timeoutMs = options.startTimeoutMs ?? DEFAULT_START_TIMEOUT_MS;
    const connection = createEtcdConnection({ endpoints: [endpoint] });
    const maintenance = createEtcdMaintenance(connection);
    let exited = false;
    const exit = child.exited.then((status) => {
      exited = true;
      return status;
    });
    try {
      for (;;) {
        if (exited) throw endErrorOf(await exit);
        if (signal.aborted) throw new BlixardError("CANCELLED", "the start of the consensus member was cancelled");
        try {
          await Promise.race([maintenance.checkServing(signal), exit]);
          if (!exited) return;
        } catch (error) {
          if (clock.monotonicMs() - startedAtMs > timeoutMs) {
            throw new BlixardError("STORE_UNAVAILABLE", `the consensus member does not serve within ${timeoutMs} ms`, {
              cause: error,
              hint: `See its log, ${paths.log}; if it never serves, its data is damaged: restore it from a backup.`,
            });
          }
          await pause(clock, POLL_MS, signal);
        }
      }
    } finally {
      connection.close();
    }
  }

  function endErrorOf(exit: Awaited<ChildHandle["exited"]>): BlixardError {
    const end = diagnoseMemberEnd(exit, log?.lastLines() ?? [], paths.data);
    return end.kind === "removed" ? removedError(options.dataDir) : end.error;
  }

  /** Waits for the member to end and starts it again, until it is stopped or cannot run. */
  async function watchMember(): Promise<void> {
    const { signal } = stopping;
    for (let failures = 0; running !== undefined;) {
      const { child, startedAtMs } = running;
      const exit = await child.exited;
      if (signal.aborted) return;
      if (clock.monotonicMs() - startedAtMs > STABLE_MS) failures = 0;
      running = undefined;
      const end = diagnoseMemberEnd(exit, log?.lastLines() ?? [], paths.data);
      if (end.kind === "removed") return await becomeRemoved(child.pid);
      running = await restart(end.error, { pid: child.pid, code: exit.code }, () => failures++, signal);
      if (signal.aborted) return await endMember();
    }
  }

  /** The next running member; undefined: stopped, or not worth another try. */
  async function restart(
    error: BlixardError,
    exit: { readonly pid: number; readonly code: number | undefined },
    nextFailure: () => number,
    signal: AbortSignal,
  ): Promise<RunningMember | undefined> {
    let reason = error;
    options.onExit?.({ ...exit, error, restarting: isWorthRestarting(error) });
    while (!signal.aborted) {
      if (!isWorthRestarting(reason)) {
        state = { kind: "failed", error: reason };
        logger.error("the consensus member cannot run", {}, reason);
        return undefined;
      }
      state = { kind: "waiting", error: reason };
      logger.warn("the consensus member ended, starting it again", {}, reason);
      await pause(clock, backoffMs(nextFailure(), { ...RESTART, random }), signal);
      if (signal.aborted) return undefined;
      try {
        const member = await launch(signal);
        state = { kind: "ready" };
        return member;
      } catch (cause) {
        if (signal.aborted) return undefined;
        reason = cause instanceof BlixardError ? cause : withContext(cause, "the consensus member does not start");
      }
    }
    return undefined;
  }

  async function becomeRemoved(pid: number): Promise<void> {
    state = { kind: "removed" };
    await markRemoved(paths).catch((error: unknown) => logger.warn("the removal cannot be noted on disk", {}, error));
    logger.error("this node's consensus member was removed from its cluster and is not started again");
    options.onExit?.({ pid, code: 0, error: removedError(options.dataDir), restarting: false });
  }

  async function start(signal?: AbortSignal): Promise<void> {
    state = { kind: "starting" };
    try {
      await prepare(signal);
      running = await launch(signal === undefined ? stopping.signal : AbortSignal.any([signal, stopping.signal]));
      if (memberFile?.bootstrapped === false) await writeMemberFile(paths, { ...memberFile, bootstrapped: true });
    } catch (error) {
      await endMember();
      log?.close();
      state = { kind: "stopped" };
      throw error;
    }
    state = { kind: "ready" };
    logger.info(
      `the consensus member serves: etcd ${version === undefined ? "" : formatEtcdVersion(version)}, pid ${running.child.pid}`,
    );
    watching = watchMember().catch((error: unknown) => {
      state = { kind: "failed", error: withContext(error, "the consensus member is not watched any more") };
      logger.error("the consensus member is not watched any more", {}, error);
    });
  }

  async function endMember(): Promise<void> {
    const member = running;
    if (member === undefined) return;
    await endProcess(member.child.identity, { graceMs: STOP_GRACE_MS, exited: member.child.exited });
    running = undefined;
  }

  async function stop(): Promise<void> {
    stopping.abort();
    await endMember();
    await watching;
    log?.close();
    state = { kind: "stopped" };
  }

  return {
    start,
    stop,
    get state() {
      return state;
    },
    endpoint,
    get version() {
      return version;
    },
    get pid() {
      return running?.child.pid;
    },
    [Symbol.asyncDispose]: stop,
  };
}

function removedError(dataDir: string): BlixardError {
  return new BlixardError("DATA_DIRECTORY_UNUSABLE", "this node's consensus member was removed from its cluster", {
    hint: `Move ${join(dataDir, "etcd")} away before the node joins a cluster again.`,
  });
}
