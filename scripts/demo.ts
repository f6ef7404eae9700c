/**
 * `npm run demo`: a node, a real guest, and what can be seen of it.
 *
 * Runs only what a user would run: `bin/blixard` with a configuration of its own
 * in a temporary directory. Everything it starts it ends: on Ctrl-C, or after
 * the tour with `--once`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { buildDemoImage } from "../images/demo/build.ts";
import { findCacheDir } from "./setup/cache-dir.mjs";

const LAUNCHER = resolve(import.meta.dirname, "../bin/blixard");

/** What an operator looks at first, a line or two of each family; those further down stand in for what is not measured yet. */
const shownMetrics = [
  'blixard_vm_count{blixard_vm_state="running"}',
  "blixard_vm_operation_duration_seconds_sum",
  'blixard_vm_phase_duration_seconds_sum{blixard_vm_phase="kernel_boot"}',
  "blixard_vm_placement_duration_seconds_sum",
  "blixard_vm_memory_limit_bytes",
  "blixard_raft_term",
  'blixard_raft_log_index{blixard_raft_index_type="applied"}',
  "blixard_raft_wal_fsync_duration_seconds_count",
  "blixard_grpc_server_call_duration_seconds_count",
  "blixard_node_memory_allocated_bytes",
  "blixard_node_kvm_usable",
  'blixard_peer_count{blixard_peer_state="connected"}',
  "blixard_node_heartbeat_age_seconds",
  "blixard_image_count",
  "blixard_scheduler_queue_size",
  "blixard_store_lease_renewals_total",
] as const;
const METRIC_LINES = 12;

const stopping = new AbortController();
const endsAfterTour = process.argv.includes("--once");
process.once("SIGINT", () => {
  stopping.abort();
  process.once("SIGINT", () => process.exit(130));
});
process.once("SIGTERM", () => stopping.abort());
process.exitCode = await demo();

async function demo(): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), "blixard-demo-"));
  let node: DemoNode | undefined;
  try {
    const image = await step("building the demo image (Debian kernel, busybox, guest agent)", () =>
      buildDemoImage({ cacheDir: findCacheDir(process.env), outDir: join(directory, "image") }),
    );
    const started = await step("starting a node", () => startNode(directory));
    node = started;
    await step("importing the image", () =>
      started.blixard(
        "image",
        "import",
        "demo",
        "--kernel",
        image.kernelPath,
        "--initrd",
        image.initrdPath,
        "--cmdline",
        image.commandLine,
        "--guest-agent",
      ),
    );
    await step("creating a microVM and waiting until its guest says it is ready", () =>
      started.blixard("vm", "create", "hello", "--image", "demo", "--memory", "256MiB", "--publish", "0:80", "--wait"),
    );
    await tour(started);
    if (!endsAfterTour) await untilCtrlC(started);
    return 0;
  } catch (error) {
    if (stopping.signal.aborted) return 130;
    console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    if (node !== undefined) {
      const running = node;
      await step("deleting the VM and stopping the node", () => running.end());
    }
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** What the node can show of itself without any other program. */
async function tour(node: DemoNode): Promise<void> {
  title("blixard vm list");
  process.stdout.write(await node.blixard("vm", "list"));
  title("blixard vm trace hello");
  process.stdout.write(await node.blixard("vm", "trace", "hello"));
  title(`curl ${node.endpoints.metrics}`);
  const page = await (await fetch(node.endpoints.metrics, { signal: stopping.signal })).text();
  process.stdout.write(`${pickMetricLines(page).join("\n")}\n`);
  title("addresses");
  console.log(
    `  API      http://${node.endpoints.api.tcp.replace(/^http:\/\//, "")} and unix:${node.endpoints.api.unix}`,
  );
  console.log(`  metrics  ${node.endpoints.metrics}`);
  console.log(`  CLI      bin/blixard vm list --data-dir ${node.dataDirectory}`);
}

function pickMetricLines(page: string): string[] {
  const lines = page.split("\n");
  const shown = shownMetrics.flatMap((start) => lines.find((line) => line.startsWith(start)) ?? []);
  return shown.slice(0, METRIC_LINES);
}

async function untilCtrlC(node: DemoNode): Promise<void> {
  console.log("\nCtrl-C ends all of it.");
  await Promise.race([once(stopping.signal, "abort"), node.exited]);
  if (!stopping.signal.aborted) throw new Error(`the node ended:\n${node.output()}`);
}

interface DemoNode {
  readonly endpoints: { readonly api: { readonly unix: string; readonly tcp: string }; readonly metrics: string };
  readonly dataDirectory: string;
  readonly exited: Promise<unknown>;
  output(): string;
  blixard(...args: string[]): Promise<string>;
  end(): Promise<void>;
}

async function startNode(directory: string): Promise<DemoNode> {
  const dataDirectory = join(directory, "data");
  const configFile = join(directory, "blixard.toml");
  const [apiPort, metricsPort] = [await portIfFree(7001), await portIfFree(9090)];
  await writeFile(
    configFile,
    `[node]\nid = "demo"\nbind = "127.0.0.1:${apiPort}"\n\n[observability.metrics]\nenabled = true\nruntime_metrics = true\n\n` +
      `[observability.metrics.http_server]\nenabled = true\nbind = "127.0.0.1:${metricsPort}"\n`,
  );
  // A group of its own: Ctrl-C reaches this script, which ends things in order.
  const daemon = spawn(LAUNCHER, ["node", "run", "--config", configFile, "--data-dir", dataDirectory], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const collect = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-100_000));
  daemon.stdout.on("data", collect);
  daemon.stderr.on("data", collect);
  const exited = once(daemon, "exit");
  const endpointsFile = await readyEndpoints(daemon, () => output);
  const blixard = (...args: string[]): Promise<string> => run([...args, "--data-dir", dataDirectory]);
  return {
    endpoints: JSON.parse(await readFile(endpointsFile, "utf8")) as DemoNode["endpoints"],
    dataDirectory,
    exited,
    output: () => output,
    blixard,
    end: async () => {
      await blixard("vm", "delete", "hello", "--wait").catch(() => undefined);
      daemon.kill("SIGTERM");
      await exited;
    },
  };
}

/** Waits for the node's one line; the endpoints file lies beside its socket. */
async function readyEndpoints(daemon: ChildProcess, output: () => string): Promise<string> {
  for (;;) {
    const socket = /api unix:(\S+)/.exec(output())?.[1];
    if (socket !== undefined) return join(socket, "..", "endpoints.json");
    if (daemon.exitCode !== null || daemon.signalCode !== null) throw new Error(`the node did not start:\n${output()}`);
    await delay(20, undefined, { signal: stopping.signal });
  }
}

async function run(args: readonly string[]): Promise<string> {
  const child = spawn(LAUNCHER, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  await once(child, "close");
  if (child.exitCode !== 0)
    throw new Error(`blixard ${args.join(" ")} ended with ${child.exitCode ?? child.signalCode}:\n${stderr}`);
  return stdout;
}

/** The guide's own port when nobody has it, else one that the system chooses. */
async function portIfFree(port: number): Promise<number> {
  const server = createServer().listen(port, "127.0.0.1");
  const free = await once(server, "listening").then(
    () => true,
    () => false,
  );
  if (free) await new Promise((closed) => server.close(closed));
  return free ? port : 0;
}

async function step<T>(what: string, fn: () => Promise<T>): Promise<T> {
  const start = performance.now();
  process.stdout.write(`· ${what} …`);
  try {
    const result = await fn();
    process.stdout.write(` ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
    return result;
  } catch (error) {
    process.stdout.write("\n");
    throw error;
  }
}

function title(text: string): void {
  console.log(`\n── ${text}`);
}
