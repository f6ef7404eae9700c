/** A process for commands under test: what they write is kept, time and randomness are counted. */
import type { CliIo, OutputStream } from "#cli/io.ts";

export interface FakeCliIoOptions {
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly terminal?: boolean;
  readonly columns?: number;
  /** Pieces of the standard input. */
  readonly input?: readonly string[];
  /** Called with everything written to stdout so far. */
  readonly onOutput?: (stdout: string) => void;
}

export class FakeCliIo implements CliIo {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly stdin: CliIo["stdin"];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory = "/nowhere";
  readonly processId = 4242;
  readonly startTimeMs = this.now();
  readonly #interrupt = new AbortController();
  readonly #chunks: Buffer[] = [];
  #errors = "";
  #random = 0;

  constructor({ environment = {}, terminal = false, columns = 80, input = [], onOutput }: FakeCliIoOptions = {}) {
    this.environment = environment;
    this.stdout = {
      isTerminal: terminal,
      columns,
      write: async (data) => {
        this.#chunks.push(Buffer.from(data));
        onOutput?.(this.output);
      },
    };
    this.stderr = {
      isTerminal: terminal,
      columns,
      write: async (data) => void (this.#errors += Buffer.from(data).toString()),
    };
    this.stdin = {
      isTerminal: terminal,
      read: async function* () {
        for (const piece of input) yield Buffer.from(piece);
      },
      rawMode: () => ({ [Symbol.dispose]: () => {} }),
    };
  }

  get output(): string {
    return Buffer.concat(this.#chunks).toString();
  }

  get errors(): string {
    return this.#errors;
  }

  get interrupted(): AbortSignal {
    return this.#interrupt.signal;
  }

  /** Ctrl-C. */
  interrupt(): void {
    this.#interrupt.abort();
  }

  releaseSignals(): void {}

  now(): number {
    return performance.timeOrigin + performance.now();
  }

  randomHex(bytes: number): string {
    this.#random++;
    return this.#random.toString(16).padStart(bytes * 2, "0");
  }
}
