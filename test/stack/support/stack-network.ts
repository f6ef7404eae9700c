/**
 * The network that the stack runs in: each service is a network namespace with an address of its own, all on one
 * bridge, and /etc/hosts knows them by the names that deploy/compose.yaml gives them. So what is shipped runs here
 * word for word, with its own host names and the well-known ports. The test itself is at the bridge.
 *
 * Works only where scripts/test-stack.ts has made namespaces for it, and never touches those of the machine.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { appendFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const BRIDGE = "stack";
const SUBNET = "172.30.7";
const HOSTS_FILE = "/etc/hosts";
const KEPT_OUTPUT_CHARACTERS = 1_000_000;
const END_GRACE_MS = 10_000;

export interface StackSpawnOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
}

/** A program in the namespace of its service. */
export interface StackProcess extends AsyncDisposable {
  readonly pid: number;
  /** What it has written so far, stdout and stderr together: the last million characters. */
  readonly output: string;
  readonly hasEnded: boolean;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, and SIGKILL after ten seconds; resolves when it is gone. */
  end(): Promise<void>;
}

export class StackNetwork implements AsyncDisposable {
  /** For configuration, data and logs; gone with the network. */
  readonly directory: string;
  readonly #savedHosts: string;
  readonly #addresses = new Map<string, string>();
  readonly #processes: StackProcess[] = [];
  readonly #mounts: string[] = [];

  private constructor(directory: string, savedHosts: string) {
    this.directory = directory;
    this.#savedHosts = savedHosts;
  }

  /** @throws outside of the namespaces of `npm run test:stack` */
  static async create(): Promise<StackNetwork> {
    assertPrivate();
    const directory = await mkdtemp(join(tmpdir(), "blixard-stack-"));
    const network = new StackNetwork(directory, await readFile(HOSTS_FILE, "utf8"));
    try {
      await ip("link", "add", BRIDGE, "type", "bridge");
      await ip("address", "add", `${SUBNET}.1/24`, "dev", BRIDGE);
      await ip("link", "set", BRIDGE, "up");
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
    return network;
  }

  /** Makes the namespace of a service, if there is none yet; its name can be resolved from now on. */
  async add(service: string): Promise<string> {
    const known = this.#addresses.get(service);
    if (known !== undefined) return known;
    const index = this.#addresses.size + 2;
    const address = `${SUBNET}.${index}`;
    this.#addresses.set(service, address);
    await ip("netns", "add", service);
    await ip("link", "add", linkOf(index), "type", "veth", "peer", "name", "eth0", "netns", service);
    await ip("link", "set", linkOf(index), "master", BRIDGE, "up");
    await ip("-n", service, "address", "add", `${address}/24`, "dev", "eth0");
    await ip("-n", service, "link", "set", "eth0", "up");
    await ip("-n", service, "link", "set", "lo", "up");
    await appendFile(HOSTS_FILE, `${address} ${service}\n`);
    return address;
  }

  /** Pulls the cable of a service, or plugs it in again. */
  async plug(service: string, state: "in" | "out"): Promise<void> {
    const index = [...this.#addresses.keys()].indexOf(service) + 2;
    if (index < 2) throw new Error(`there is no service ${service}`);
    await ip("link", "set", linkOf(index), state === "in" ? "up" : "down");
  }

  /** Shows a file or a folder at another path, as a container's volume is. */
  async mount(source: string, target: string): Promise<void> {
    if ((await stat(source)).isDirectory()) {
      await mkdir(target, { recursive: true });
    } else {
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, "", { flag: "a" });
    }
    await promisify(execFile)("mount", ["--bind", source, target]);
    this.#mounts.push(target);
  }

  /** What a command must begin with to run in the namespace of a service: it keeps its process id. */
  async enter(service: string): Promise<readonly string[]> {
    await this.add(service);
    return ["nsenter", `--net=/run/netns/${service}`, "--"];
  }

  /** Starts a program as a service. It is ended with the network, if not before. */
  async spawn(
    service: string,
    command: string,
    args: readonly string[] = [],
    options: StackSpawnOptions = {},
  ): Promise<StackProcess> {
    const [program = "", ...words] = [...(await this.enter(service)), command, ...args];
    const child = spawn(program, words, {
      cwd: options.workingDirectory ?? this.directory,
      env: { ...process.env, ...options.environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    await once(child, "spawn");
    const started = superviseProcess(child);
    this.#processes.push(started);
    return started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((one) => one.end()));
    for (const target of this.#mounts.toReversed()) await promisify(execFile)("umount", [target]);
    for (const service of this.#addresses.keys()) await ip("netns", "delete", service).catch(() => {});
    await ip("link", "delete", BRIDGE).catch(() => {});
    await writeFile(HOSTS_FILE, this.#savedHosts);
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

function superviseProcess(child: ChildProcess): StackProcess {
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-KEPT_OUTPUT_CHARACTERS);
    });
  }
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const end = async (): Promise<void> => {
    if (hasEnded()) return;
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    const patience = new AbortController();
    const killed = delay(END_GRACE_MS, undefined, { signal: patience.signal }).then(
      () => child.kill("SIGKILL"),
      () => false,
    );
    await gone;
    patience.abort();
    await killed;
  };
  return {
    pid: child.pid ?? 0,
    get output() {
      return output;
    },
    get hasEnded() {
      return hasEnded();
    },
    kill: (signal) => void child.kill(signal),
    end,
    [Symbol.asyncDispose]: end,
  };
}

/** Names of interfaces have at most fifteen characters; those of services have more. */
function linkOf(index: number): string {
  return `${BRIDGE}-${index}`;
}

function assertPrivate(): void {
  const machine = process.env["BLIXARD_STACK_MACHINE_NETWORK"];
  if (machine !== undefined && machine !== readlinkSync("/proc/self/ns/net")) return;
  throw new Error("the tests of the stack need namespaces of their own: run them by `npm run test:stack`");
}

async function ip(...args: readonly string[]): Promise<void> {
  await promisify(execFile)("ip", args);
}
