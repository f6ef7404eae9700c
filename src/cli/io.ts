/** What a command may touch of its process: streams, environment, clock, interrupts. Tests give their own. */
import { randomBytes } from "node:crypto";
import { isatty } from "node:tty";

export interface OutputStream {
  readonly isTerminal: boolean;
  /** Width of the terminal; 80 where there is none. */
  readonly columns: number;
  /** Resolves when more may be written. @throws OutputClosedError when nobody reads any more. */
  write(data: string | Uint8Array): Promise<void>;
}

export interface InputStream {
  readonly isTerminal: boolean;
  /** Pieces as they come; ends with the input. */
  read(): AsyncIterable<Uint8Array>;
  /** Passes every key on as it is typed; dispose to restore the terminal. */
  rawMode(): Disposable;
}

export interface CliIo {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly stdin: InputStream;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  readonly processId: number;
  /** Aborted on the first Ctrl-C or SIGTERM. */
  readonly interrupted: AbortSignal;
  /** From now on signals are the command's own business. */
  releaseSignals(): void;
  /** When the process began; Unix time in ms, with fractions. */
  readonly startTimeMs: number;
  /** Unix time in ms, with fractions. */
  now(): number;
  randomHex(bytes: number): string;
}

/** The reader of our output has gone (`| head`): no error, just the end. */
export class OutputClosedError extends Error {}

/** The real thing. Call once per process. */
export function createProcessIo(): CliIo {
  const interrupted = new AbortController();
  const onSignal = (): void => {
    // A second signal finds no handler and ends the process at once.
    releaseSignals();
    interrupted.abort();
  };
  const releaseSignals = (): void => void process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  return {
    stdout: outputStream(process.stdout, isatty(1)),
    stderr: outputStream(process.stderr, isatty(2)),
    stdin: inputStream(process.stdin, isatty(0)),
    environment: process.env,
    workingDirectory: process.cwd(),
    processId: process.pid,
    interrupted: interrupted.signal,
    releaseSignals,
    startTimeMs: performance.timeOrigin,
    now: () => performance.timeOrigin + performance.now(),
    randomHex: (bytes) => randomBytes(bytes).toString("hex"),
  };
}

function outputStream(stream: NodeJS.WriteStream, isTerminal: boolean): OutputStream {
  let failure: Error | undefined;
  stream.on("error", (error: NodeJS.ErrnoException) => {
    failure = error.code === "EPIPE" ? new OutputClosedError("nobody reads the output", { cause: error }) : error;
  });
  return {
    isTerminal,
    get columns() {
      return stream.columns ?? 80;
    },
    write: (data) =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) {
          reject(failure);
          return;
        }
        stream.write(data, (error) => {
          if (error === null || error === undefined) resolve();
          else
            reject(
              "code" in error && error.code === "EPIPE"
                ? new OutputClosedError("nobody reads the output", { cause: error })
                : error,
            );
        });
      }),
  };
}

function inputStream(stream: NodeJS.ReadStream, isTerminal: boolean): InputStream {
  return {
    isTerminal,
    read: () => stream as AsyncIterable<Buffer>,
    rawMode: () => {
      if (isTerminal) stream.setRawMode(true);
      return {
        [Symbol.dispose]: () => {
          if (isTerminal) stream.setRawMode(false);
        },
      };
    },
  };
}
