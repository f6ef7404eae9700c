/** Runs a short command to its end, with a limit on its time and on its output. */
import { BlixardError } from "#model/errors.ts";
import { type ExitStatus, type SpawnOptions, spawnProcess } from "./spawn.ts";

export interface RunOptions extends Pick<
  SpawnOptions,
  "command" | "args" | "cwd" | "environment" | "umask" | "niceness"
> {
  readonly timeoutMs: number;
  /** Of stdout; default 1 MiB. */
  readonly maximumOutputBytes?: number;
  /** Written to its stdin, at most some KiB. */
  readonly input?: string;
  readonly signal?: AbortSignal;
}

export interface RunResult extends ExitStatus {
  readonly stdout: string;
  /** The last 4 KiB. */
  readonly stderr: string;
  /** It was killed because its time was over. */
  readonly timedOut: boolean;
}

const MAXIMUM_OUTPUT_BYTES = 1024 * 1024;

/**
 * Resolves with how it ended, whatever the exit code; it dies with this process.
 * @throws BlixardError TOOL_MISSING; INTERNAL when it writes more than allowed; the signal's reason when aborted
 */
export async function runCommand(options: RunOptions): Promise<RunResult> {
  options.signal?.throwIfAborted();
  const child = await spawnProcess({
    ...options,
    parentDeathSignal: "KILL",
    stdin: options.input === undefined ? "ignore" : "pipe",
    stdout: "pipe",
    stderr: "tail",
  });
  // A command that ends without reading its input is judged by its exit code.
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.input);

  const maximumBytes = options.maximumOutputBytes ?? MAXIMUM_OUTPUT_BYTES;
  const chunks: Buffer[] = [];
  let bytes = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maximumBytes) child.kill("SIGKILL");
    else chunks.push(chunk);
  });

  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, options.timeoutMs);
  const abort = (): void => child.kill("SIGKILL");
  options.signal?.addEventListener("abort", abort);
  if (options.signal?.aborted === true) abort();
  const status = await child.exited;
  clearTimeout(timer);
  options.signal?.removeEventListener("abort", abort);
  options.signal?.throwIfAborted();

  if (bytes > maximumBytes) {
    throw new BlixardError("INTERNAL", `${options.command} wrote more than ${maximumBytes} bytes`);
  }
  return {
    ...status,
    stdout: Buffer.concat(chunks).toString("utf8"),
    stderr: child.stderrTail(),
    timedOut,
  };
}

/**
 * The same for a command that must succeed.
 * @returns its stdout
 * @throws BlixardError INTERNAL with its stderr when it fails or takes too long
 */
export async function runCommandOrThrow(options: RunOptions): Promise<string> {
  const result = await runCommand(options);
  if (result.timedOut) {
    throw new BlixardError("INTERNAL", `${options.command} took more than ${options.timeoutMs} ms`);
  }
  if (result.code !== 0) {
    const how = result.signal === undefined ? `exit code ${result.code}` : result.signal;
    throw new BlixardError("INTERNAL", `${options.command} failed (${how}): ${result.stderr.trim() || "no message"}`);
  }
  return result.stdout;
}
