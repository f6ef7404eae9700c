/**
 * The registry and a node's telemetry before the real Weaver (OpenTelemetry's own tool,
 * a binary of its own): `registry check` reads the registry, `registry live-check`
 * listens while a node lives a full life.
 *
 *   npm run test:weaver                 says so and ends well where no `weaver` is on the PATH
 *   npm run test:weaver -- --require    fails then
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "../test/support/free-port.ts";
import { fullConfiguration, liveFully, placeVariables } from "../test/support/full-life.ts";
import { startOtlpReceiver } from "../test/support/otlp-receiver.ts";
import { TestNode } from "../test/support/test-node.ts";

const registry = join(import.meta.dirname, "../telemetry/registry");
const INACTIVITY_SECONDS = 600;
const LISTEN_TIMEOUT_MS = 60_000;

process.exitCode = await main(process.argv.includes("--require"));

async function main(required: boolean): Promise<number> {
  const { stdout, error } = spawnSync("weaver", ["--version"], { encoding: "utf8" });
  if (error !== undefined) {
    process.stdout.write(
      "weaver is not on the PATH: its checks were not run (https://github.com/open-telemetry/weaver has it)\n",
    );
    return required ? 1 : 0;
  }
  process.stdout.write(stdout);
  const check = spawnSync("weaver", ["registry", "check", "-r", registry], { stdio: "inherit" });
  if (check.status !== 0) return 1;
  const folder = await mkdtemp(join(tmpdir(), "blixard-weaver-"));
  try {
    return await checkLive(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function checkLive(folder: string): Promise<number> {
  const [otlpPort, adminPort] = [await freePort(), await freePort()];
  const weaver = spawn(
    "weaver",
    [
      ...["registry", "live-check", "-r", registry, "--no-stream=true", "--format", "json", "--output", folder],
      ...["--otlp-grpc-address", "127.0.0.1", "--otlp-grpc-port", String(otlpPort), "--admin-port", String(adminPort)],
      ...["--inactivity-timeout", String(INACTIVITY_SECONDS)],
    ],
    { stdio: "inherit" },
  );
  const ended = once(weaver, "exit");
  try {
    await untilListening(weaver, otlpPort);
    await live(folder, `http://127.0.0.1:${otlpPort}`);
    await fetch(`http://127.0.0.1:${adminPort}/stop`, { method: "POST" });
    await ended;
  } finally {
    if (weaver.exitCode === null) weaver.kill("SIGKILL");
  }
  return report(JSON.parse(await readFile(join(folder, "live_check.json"), "utf8")));
}

/** The node sends everything twice: to Weaver, and to the receiver that the life waits for. */
async function live(folder: string, weaverEndpoint: string): Promise<void> {
  await using receiver = await startOtlpReceiver();
  const configuration = join(folder, "otel.yaml");
  await writeFile(configuration, otelConfiguration(weaverEndpoint, receiver.grpcEndpoint));
  await using node = await TestNode.start({
    toml: fullConfiguration,
    environment: { ...placeVariables, OTEL_CONFIG_FILE: configuration },
  });
  await liveFully(node, receiver);
}

/** Weaver keeps every point that it gets for its report: it gets metrics seldom, and at the end. */
function otelConfiguration(weaverEndpoint: string, receiverEndpoint: string): string {
  const to = (endpoint: string) => ({ exporter: { otlp_grpc: { endpoint } } });
  const batches = [weaverEndpoint, receiverEndpoint].map((endpoint) => ({ batch: to(endpoint) }));
  // YAML takes JSON.
  return JSON.stringify({
    file_format: "1.0",
    tracer_provider: { processors: batches },
    meter_provider: {
      readers: [
        { periodic: { interval: 20_000, ...to(weaverEndpoint) } },
        { periodic: { interval: 500, ...to(receiverEndpoint) } },
      ],
    },
    logger_provider: { processors: batches },
  });
}

async function untilListening(weaver: ChildProcess, port: number): Promise<void> {
  const deadline = performance.now() + LISTEN_TIMEOUT_MS;
  while (!(await answers(port))) {
    if (weaver.exitCode !== null || performance.now() > deadline) throw new Error("weaver does not listen");
    await pause(100);
  }
}

async function answers(port: number): Promise<boolean> {
  try {
    await fetch(`http://127.0.0.1:${port}/`);
    return true;
  } catch (error) {
    // It speaks HTTP/2 alone: an answer that is none of HTTP/1.1 is one.
    const { cause } = error as { readonly cause?: { readonly code?: string } };
    return cause?.code !== "ECONNREFUSED";
  }
}

interface Advice {
  readonly id: string;
  readonly level: string;
  readonly message: string;
  readonly signal_name?: string;
}

/** Each finding once; 1 when there is a violation. */
function report(result: unknown): number {
  const findings = new Map<string, { readonly advice: Advice; times: number }>();
  collect(result, (advice) => {
    const key = `${advice.level} ${advice.id} ${advice.signal_name} ${advice.message}`;
    findings.getOrInsertComputed(key, () => ({ advice, times: 0 })).times++;
  });
  const counts = new Map<string, number>();
  for (const { advice, times } of findings.values()) {
    // What is not stable is only counted: hardly anything of virtual machines is, upstream or here.
    if (advice.level !== "information" && advice.id !== "not_stable")
      process.stdout.write(`${advice.level} ${advice.id}: ${advice.signal_name ?? ""}: ${advice.message} (${times})\n`);
    counts.set(`${advice.level} ${advice.id}`, (counts.get(`${advice.level} ${advice.id}`) ?? 0) + 1);
  }
  for (const [kind, count] of [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    process.stdout.write(`${kind}: ${count} different\n`);
  const violations = [...findings.values()].filter(({ advice }) => advice.level === "violation").length;
  process.stdout.write(`weaver registry live-check: ${violations} violations\n`);
  return violations === 0 ? 0 : 1;
}

function collect(value: unknown, each: (advice: Advice) => void): void {
  if (typeof value !== "object" || value === null) return;
  if ("id" in value && "level" in value && "message" in value && "context" in value) each(value as unknown as Advice);
  for (const inner of Object.values(value)) collect(inner, each);
}
