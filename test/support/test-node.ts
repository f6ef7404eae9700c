/**
 * A real node for tests: `bin/blixard node run` as its own process, with its own
 * data and run directories and free ports, driven by the real CLI. Whatever a
 * test starts here is ended by `stopAll()`: the daemon, its guests, its guardian.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const LAUNCHER = resolve(import.meta.dirname, "../../bin/blixard");

export interface CliResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Endpoints {
  readonly nodeId: string;
  readonly pid: number;
  readonly api: { readonly unix: string; readonly tcp: string };
  readonly metrics: string;
  readonly tokenFile?: string;
}

export interface TestNodeOptions {
  /** TOML text; `[node]` bind and the metrics bind default to port 0. */
  readonly toml?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly readyTimeoutMs?: number;
  /** What the daemon's command begins with: a program that turns into the next one, such as `nsenter`. */
  readonly prefix?: readonly string[];
}

const DEFAULT_TOML = `
[node]
id = "node-1"
bind = "127.0.0.1:0"
[observability.metrics.http_server]
enabled = true
bind = "127.0.0.1:0"
`;

export class TestNode implements AsyncDisposable {
  readonly directory: string;
  readonly dataDirectory: string;
  readonly configFile: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly #readyTimeoutMs: number;
  readonly #prefix: readonly string[];
  #daemon: ChildProcess | undefined;
  #output = "";

  private constructor(directory: string, options: TestNodeOptions) {
    this.directory = directory;
    this.dataDirectory = join(directory, "data");
    this.configFile = join(directory, "blixard.toml");
    this.environment = options.environment ?? {};
    this.#readyTimeoutMs = options.readyTimeoutMs ?? 60_000;
    this.#prefix = options.prefix ?? [];
  }

  /** Writes the configuration; does not start the daemon. */
  static async prepare(options: TestNodeOptions = {}): Promise<TestNode> {
    const directory = await mkdtemp(join(tmpdir(), "blixard-node-"));
    const node = new TestNode(directory, options);
    await writeFile(node.configFile, options.toml ?? DEFAULT_TOML);
    return node;
  }

  static async start(options: TestNodeOptions = {}): Promise<TestNode> {
    const node = await TestNode.prepare(options);
    try {
      await node.startDaemon();
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
    return node;
  }

  /** What the daemon has written so far, stdout and stderr together. */
  get output(): string {
    return this.#output;
  }

  get daemonPid(): number {
    const pid = this.#daemon?.pid;
    if (pid === undefined) throw new Error("the daemon does not run");
    return pid;
  }

  /** Starts the daemon and waits until it says that it is ready. */
  async startDaemon(): Promise<void> {
    const command = ["node", "run", "--config", this.configFile, "--data-dir", this.dataDirectory];
    const [program = "", ...args] = [...this.#prefix, LAUNCHER, ...command];
    const daemon = spawn(program, args, {
      env: { ...process.env, ...this.environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#daemon = daemon;
    const from = this.#output.length;
    const collect = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-4_000_000);
    };
    daemon.stdout.on("data", collect);
    daemon.stderr.on("data", collect);
    const deadline = performance.now() + this.#readyTimeoutMs;
    while (!/ ready /.test(this.#readyLine(from))) {
      if (daemon.exitCode !== null || daemon.signalCode !== null) {
        throw new Error(`the daemon ended with ${daemon.exitCode ?? daemon.signalCode}:\n${this.#output.slice(from)}`);
      }
      if (performance.now() > deadline)
        throw new Error(`the daemon was not ready in time:\n${this.#output.slice(from)}`);
      await delay(20);
    }
  }

  /** The one line that a node prints when it serves. */
  #readyLine(from: number): string {
    return (
      this.#output
        .slice(from)
        .split("\n")
        .find((line) => line.includes("api unix:")) ?? ""
    );
  }

  async endpoints(): Promise<Endpoints> {
    const runDirectory = await this.runDirectory();
    return JSON.parse(await readFile(join(runDirectory, "endpoints.json"), "utf8")) as Endpoints;
  }

  async runDirectory(): Promise<string> {
    const { resolveRunDirectory } = await import("#config/paths.ts");
    return resolveRunDirectory(this.dataDirectory, { ...process.env, ...this.environment });
  }

  /** Runs the CLI against this node. */
  cli(
    args: readonly string[],
    options: { readonly timeoutMs?: number; readonly environment?: Record<string, string> } = {},
  ): Promise<CliResult> {
    return runCli([...args, "--data-dir", this.dataDirectory], {
      ...options,
      environment: { ...this.environment, ...options.environment },
    });
  }

  /** The CLI's JSON answer; throws with everything it printed when it fails. */
  async json<T>(args: readonly string[], timeoutMs = 60_000): Promise<T> {
    const result = await this.cli([...args, "-o", "json"], { timeoutMs });
    if (result.exitCode !== 0)
      throw new Error(`blixard ${args.join(" ")}: exit ${result.exitCode}\n${result.stderr}${result.stdout}`);
    return JSON.parse(result.stdout) as T;
  }

  /** Imports an image that is nothing but a small disk: enough for the simulated driver. */
  async importDisk(name: string): Promise<void> {
    const disk = join(this.directory, "disk.raw");
    await writeFile(disk, Buffer.alloc(1024 * 1024, "disk"));
    await this.json(["image", "import", name, "--disk", disk]);
  }

  /** Sends a signal to the daemon and waits until it is gone. */
  async endDaemon(signal: NodeJS.Signals = "SIGTERM"): Promise<number | NodeJS.Signals | null> {
    const daemon = this.#daemon;
    if (daemon === undefined) return null;
    if (daemon.exitCode === null && daemon.signalCode === null) {
      daemon.kill(signal);
      await once(daemon, "exit");
    }
    this.#daemon = undefined;
    return daemon.exitCode ?? daemon.signalCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endDaemon("SIGTERM");
    for (const pid of await pidsMentioning(this.dataDirectory, await this.runDirectory())) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself meanwhile.
      }
    }
    await rm(await this.runDirectory(), { recursive: true, force: true });
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Runs `bin/blixard` once. */
export async function runCli(
  args: readonly string[],
  options: {
    readonly timeoutMs?: number;
    readonly environment?: Readonly<Record<string, string>>;
    readonly cwd?: string;
  } = {},
): Promise<CliResult> {
  const child = spawn(LAUNCHER, args, {
    env: { ...process.env, ...options.environment },
    stdio: ["ignore", "pipe", "pipe"],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 60_000);
  await once(child, "close");
  clearTimeout(timer);
  return { exitCode: child.exitCode ?? 128, stdout, stderr };
}

/** The processes whose command line names one of these directories: a node's guardian, etcd and guests. */
export async function pidsMentioning(...directories: readonly string[]): Promise<number[]> {
  const pids: number[] = [];
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const commandLine = await readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "");
    if (directories.some((directory) => commandLine.includes(directory))) pids.push(Number(entry));
  }
  return pids;
}
