/**
 * The only place that starts processes.
 *
 * A child gets a clean environment, the descriptors it was given and nothing
 * else. It is known by its identity, never by its number alone. Wrappers run in
 * one chain of exec, without a fork, so the pid is the program's own:
 *
 *   setpriv --pdeathsig … → nice -n … → program
 */
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import type { Duplex, Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { BlixardError } from "#model/errors.ts";
import { type ProcessIdentity, readIdentity } from "./identity.ts";

/** `ignore` is /dev/null; a number is a descriptor of ours; a stream is handed over and must not be read before. */
export type ChildDescriptor = "ignore" | "pipe" | number | Duplex;

export interface SpawnOptions {
  /** Absolute path. */
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** The whole environment; default only PATH. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Default `ignore`. */
  readonly stdin?: ChildDescriptor;
  readonly stdout?: ChildDescriptor;
  /** Default `tail`: the last 4 KiB are kept for `stderrTail()`. */
  readonly stderr?: ChildDescriptor | "tail";
  /** Descriptors from 3 up; a `pipe` is a socket pair, readable and writable. */
  readonly extra?: readonly ChildDescriptor[];
  /** In a session of its own: no terminal's Ctrl-C reaches it. */
  readonly detached?: boolean;
  /** Only to narrow: bits are added to ours. */
  readonly umask?: number;
  /** Sent by the kernel to the child when this process dies. Lost when the child changes its uid: set it after that. */
  readonly parentDeathSignal?: "KILL" | "TERM";
  readonly niceness?: number;
}

export interface ExitStatus {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

export interface ChildHandle {
  readonly pid: number;
  readonly identity: ProcessIdentity;
  /** Never rejects; resolves as soon as the process is gone, perhaps before its last output was read. */
  readonly ended: Promise<ExitStatus>;
  /** The same when its output has been read too, or half a second after its end. */
  readonly exited: Promise<ExitStatus>;
  readonly stdin: Writable | undefined;
  readonly stdout: Readable | undefined;
  readonly stderr: Readable | undefined;
  /** Our ends of `extra`, in the same order; undefined where it is not a pipe. */
  readonly extra: readonly (Duplex | undefined)[];
  /** What it last wrote to stderr, at most 4 KiB. */
  stderrTail(): string;
  /** Signals it unless it has been reaped: never another process. */
  kill(signal: NodeJS.Signals): void;
  /** Lets this process end although the child runs. */
  unref(): void;
}

const STDERR_TAIL_BYTES = 4096;
// Its last words may still be in the pipes, but a grandchild may hold them open for ever.
const OUTPUT_WAIT_MS = 500;

/**
 * Starts a process; resolves when the kernel has started it.
 * @throws BlixardError TOOL_MISSING when there is no such program, INTERNAL when it cannot be started
 */
export async function spawnProcess(options: SpawnOptions): Promise<ChildHandle> {
  requireExecutable(options.command);
  const [command, ...args] = wrapCommand(options);
  const stdio: StdioOptions = [
    options.stdin ?? "ignore",
    options.stdout ?? "ignore",
    options.stderr === undefined || options.stderr === "tail" ? "pipe" : options.stderr,
    ...(options.extra ?? []),
  ];
  const child = withUmask(options.umask, () =>
    spawn(command, args, {
      stdio,
      env: { ...(options.environment ?? { PATH: process.env["PATH"] }) },
      detached: options.detached ?? false,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    }),
  );
  // Read in the same turn: even a child that ended at once is still there as a zombie.
  const identity = child.pid === undefined ? undefined : readIdentity(child.pid);
  const handle = toHandle(child, identity, options);
  await started(child, command);
  if (handle === undefined) throw new BlixardError("INTERNAL", `${options.command} has no pid`);
  return handle;
}

function wrapCommand(options: SpawnOptions): [string, ...string[]] {
  const wrapped: string[] = [];
  if (options.parentDeathSignal !== undefined) {
    wrapped.push("setpriv", "--pdeathsig", options.parentDeathSignal, "--");
  }
  if (options.niceness !== undefined) wrapped.push("nice", "-n", String(options.niceness), "--");
  const [first, ...rest] = [...wrapped, options.command, ...options.args];
  return [first ?? options.command, ...rest];
}

/** The umask belongs to the process, and starting a child is synchronous: narrowed for that moment only. */
function withUmask<T>(umask: number | undefined, fn: () => T): T {
  if (umask === undefined) return fn();
  const before = process.umask(umask | process.umask());
  try {
    return fn();
  } finally {
    process.umask(before);
  }
}

/** Behind a wrapper a missing program would be an exit code 127 of the wrapper. */
function requireExecutable(command: string): void {
  try {
    accessSync(command, constants.X_OK);
  } catch (cause) {
    throw new BlixardError("TOOL_MISSING", `cannot execute ${command}`, { cause });
  }
}

function started(child: ChildProcess, command: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (cause: NodeJS.ErrnoException) => {
      const code = cause.code === "ENOENT" ? "TOOL_MISSING" : "INTERNAL";
      reject(new BlixardError(code, `cannot start ${command}`, { cause }));
    });
  });
}

function toHandle(
  child: ChildProcess,
  identity: ProcessIdentity | undefined,
  options: SpawnOptions,
): ChildHandle | undefined {
  const tail = options.stderr === undefined || options.stderr === "tail";
  const stderrTail = keepTail(tail ? child.stderr : null);
  const ended = new Promise<ExitStatus>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }));
  });
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  if (identity === undefined) return undefined;
  return {
    pid: identity.pid,
    identity,
    ended,
    exited: ended.then(async (status) => {
      const waiting = new AbortController();
      await Promise.race([closed, delay(OUTPUT_WAIT_MS, undefined, { signal: waiting.signal }).catch(() => {})]);
      waiting.abort();
      return status;
    }),
    stdin: child.stdin ?? undefined,
    stdout: child.stdout ?? undefined,
    stderr: tail ? undefined : (child.stderr ?? undefined),
    extra: (options.extra ?? []).map((_, index) => ownEnd(child, index + 3)),
    stderrTail,
    kill: (signal) => void child.kill(signal),
    unref: () => child.unref(),
  };
}

/** A `pipe` above descriptor 2 is a socket, though its declared type names one direction only. */
function ownEnd(child: ChildProcess, descriptor: number): Duplex | undefined {
  const stream = (child.stdio as readonly unknown[])[descriptor];
  return stream === null || stream === undefined ? undefined : (stream as Duplex);
}

function keepTail(stream: Readable | null): () => string {
  let tail = Buffer.alloc(0);
  stream?.on("data", (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-STDERR_TAIL_BYTES);
  });
  return () => tail.toString("utf8");
}
