/**
 * The real Collector, Jaeger and Prometheus on free ports of the loopback, each with a
 * configuration of the test's own: for mistakes that nobody ships. Ended with the test.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "#test/support/free-port.ts";
import { createPrometheusApi, type PrometheusApi } from "#test/support/prometheus-api.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createJaegerApi, type JaegerApi } from "./trace-backends.ts";

const READY_TIMEOUT_MS = 120_000;
const OUTPUT_BYTES = 200_000;

/** An exporter that takes everything, and never gets rid of it. */
export const NOWHERE = "otlphttp/nowhere";

/** Whose end ends the program. */
export interface Owner {
  after(end: () => Promise<void>): void;
}

interface Program {
  readonly output: () => string;
  readonly end: () => Promise<void>;
}

/** Anything that JSON can say: JSON is YAML. */
type Yaml = Readonly<Record<string, unknown>>;

export interface Collector extends Program {
  readonly grpc: string;
  readonly http: string;
}

export interface CollectorOptions {
  /** Beside `endpoint`, of both protocols: `tls`, `auth`. */
  readonly protocol?: Yaml;
  /** Of `protocols.http` only. */
  readonly http?: Yaml;
  readonly receivers?: Yaml;
  readonly exporters?: Yaml;
  readonly extensions?: Yaml;
  readonly pipelines: Readonly<Record<string, { readonly receivers: string[]; readonly exporters: string[] }>>;
}

export async function startCollector(owner: Owner, path: string, options: CollectorOptions): Promise<Collector> {
  const { protocol = {}, http = {}, receivers = {}, exporters = {}, extensions = {}, pipelines } = options;
  const [grpcPort, httpPort] = [await freePort(), await freePort()];
  const otlp = {
    protocols: {
      grpc: { endpoint: `127.0.0.1:${grpcPort}`, ...protocol },
      http: { endpoint: `127.0.0.1:${httpPort}`, ...protocol, ...http },
    },
  };
  const program = await startService(owner, path, {
    receivers: { otlp, ...receivers },
    exporters: { [NOWHERE]: { endpoint: "http://127.0.0.1:9" }, ...exporters },
    extensions,
    service: { telemetry: quiet, extensions: Object.keys(extensions), pipelines },
  });
  const scheme = "tls" in protocol ? "https" : "http";
  return { ...program, grpc: `${scheme}://127.0.0.1:${grpcPort}`, http: `${scheme}://127.0.0.1:${httpPort}` };
}

export interface Jaeger extends Program, JaegerApi {
  readonly grpc: string;
  readonly http: string;
}

export async function startJaeger(owner: Owner, path: string): Promise<Jaeger> {
  const [grpcPort, httpPort, queryPort, queryGrpcPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const program = await startService(owner, path, {
    receivers: {
      otlp: {
        protocols: {
          grpc: { endpoint: `127.0.0.1:${grpcPort}` },
          http: { endpoint: `127.0.0.1:${httpPort}` },
        },
      },
    },
    exporters: { jaeger_storage_exporter: { trace_storage: "memory" } },
    extensions: {
      jaeger_storage: { backends: { memory: { memory: { max_traces: 10_000 } } } },
      jaeger_query: {
        storage: { traces: "memory" },
        http: { endpoint: `127.0.0.1:${queryPort}` },
        grpc: { endpoint: `127.0.0.1:${queryGrpcPort}` },
      },
    },
    service: {
      telemetry: quiet,
      extensions: ["jaeger_storage", "jaeger_query"],
      pipelines: { traces: { receivers: ["otlp"], exporters: ["jaeger_storage_exporter"] } },
    },
  });
  return {
    ...program,
    ...createJaegerApi(`http://127.0.0.1:${queryPort}`),
    grpc: `http://127.0.0.1:${grpcPort}`,
    http: `http://127.0.0.1:${httpPort}`,
  };
}

export type PrometheusServer = Program & PrometheusApi;

export interface PrometheusServerOptions {
  readonly config?: Yaml;
  /** `--web.config.file`. */
  readonly web?: Yaml;
  readonly flags?: readonly string[];
}

export async function startPrometheusServer(
  owner: Owner,
  path: string,
  { config = {}, web, flags = [] }: PrometheusServerOptions = {},
): Promise<PrometheusServer> {
  const directory = await temporaryDirectory(owner);
  await writeFile(join(directory, "prometheus.yml"), JSON.stringify(config));
  if (web !== undefined) await writeFile(join(directory, "web.yml"), JSON.stringify(web));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const program = startProgram(owner, path, [
    `--config.file=${join(directory, "prometheus.yml")}`,
    `--storage.tsdb.path=${join(directory, "tsdb")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--web.enable-remote-write-receiver",
    ...(web === undefined ? [] : [`--web.config.file=${join(directory, "web.yml")}`]),
    ...flags,
  ]);
  await isReady(program, "Prometheus", async () => {
    const response = await fetch(`${url}/-/ready`).catch(() => undefined);
    return response?.ok === true || response?.status === 401;
  });
  return { ...program, ...createPrometheusApi(url) };
}

/** The Collector's own metrics want a port that is the same for all. */
const quiet = { metrics: { level: "none" } };

/** A Collector, or what is built of its parts, as Jaeger is. */
async function startService(owner: Owner, file: string, config: Yaml): Promise<Program> {
  const directory = await temporaryDirectory(owner);
  const configFile = join(directory, "config.yaml");
  await writeFile(configFile, JSON.stringify(config));
  const program = startProgram(owner, file, ["--config", configFile]);
  await isReady(program, file, async () => program.output().includes("Everything is ready"));
  return program;
}

interface StartedProgram extends Program {
  readonly hasEnded: () => boolean;
}

function startProgram(owner: Owner, file: string, args: readonly string[]): StartedProgram {
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let failure: Error | undefined;
  const collect = (chunk: Buffer): void => void (output = `${output}${chunk.toString()}`.slice(-OUTPUT_BYTES));
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  child.on("error", (error) => (failure = error));
  const hasEnded = (): boolean => failure !== undefined || child.exitCode !== null || child.signalCode !== null;
  const end = async (): Promise<void> => {
    if (hasEnded()) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  owner.after(end);
  return { output: () => `${failure?.message ?? ""}${output}`, hasEnded, end };
}

async function isReady(program: StartedProgram, what: string, condition: () => Promise<boolean>): Promise<void> {
  const check = async (): Promise<boolean> => {
    if (program.hasEnded()) throw new Error(`${what} ended:\n${program.output()}`);
    return condition();
  };
  await waitFor(what, check, READY_TIMEOUT_MS).catch((error: unknown) => {
    throw new Error(`${what} is not ready:\n${program.output()}`, { cause: error });
  });
}

async function temporaryDirectory(owner: Owner): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "blixard-stack-"));
  owner.after(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  return directory;
}
