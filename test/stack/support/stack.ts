/**
 * The whole stack as deploy/compose.yaml ships it: the node with its configuration, the Collector, Jaeger or Tempo,
 * Loki, Prometheus, by the names and ports and with the commands and files that it says, none of them changed.
 */
import { mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createPrometheusApi, type PrometheusApi } from "#test/support/prometheus-api.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { type BackendName, backendPath } from "./backends.ts";
import { Cluster } from "./cluster.ts";
import { readComposeService } from "./compose.ts";
import { StackNetwork, type StackProcess, type StackSpawnOptions } from "./stack-network.ts";
import { createLokiApi, type LokiApi } from "./loki-api.ts";
import { createJaegerApi, createTempoApi, type JaegerApi, type TraceBackend } from "./trace-backends.ts";

const deployDir = resolve(import.meta.dirname, "../../../deploy");
const READY_TIMEOUT_MS = 120_000;

/** What takes part beside the nodes and the Collector. */
export type StackService = "jaeger" | "tempo" | "loki" | "prometheus";

export interface StackOptions {
  /** Default: those that collector.yaml sends to. */
  readonly services?: readonly StackService[];
  /** Host names of the nodes; deploy/compose.yaml has one, `blixard`. */
  readonly nodeNames?: readonly string[];
  /** Of every node; default deploy/compose/blixard.toml. */
  readonly toml?: string;
  /** A file of deploy/otel-collector, as BLIXARD_COLLECTOR of deploy/compose.yaml names it. */
  readonly collectorConfiguration?: string;
  readonly prometheus?: "prometheus" | "prometheus3";
}

export class Stack implements AsyncDisposable {
  readonly network: StackNetwork;
  readonly cluster: Cluster;
  readonly jaeger: JaegerApi;
  readonly tempo: TraceBackend;
  readonly loki: LokiApi;
  readonly prometheus: PrometheusApi;
  readonly #processes: ReadonlyMap<string, StackProcess>;

  private constructor(network: StackNetwork, cluster: Cluster, processes: ReadonlyMap<string, StackProcess>) {
    this.network = network;
    this.cluster = cluster;
    this.#processes = processes;
    this.jaeger = createJaegerApi("http://jaeger:16686");
    this.tempo = createTempoApi("http://tempo:3200");
    this.loki = createLokiApi("http://loki:3100");
    this.prometheus = createPrometheusApi("http://prometheus:9090");
  }

  /** @throws when one of its programs is missing: without it there is nothing to see */
  static async start(options: StackOptions = {}): Promise<Stack> {
    const { services = ["jaeger", "loki", "prometheus"], nodeNames = ["blixard"] } = options;
    const { collectorConfiguration = "collector", prometheus = "prometheus" } = options;
    const toml = options.toml ?? (await readFile(`${deployDir}/compose/blixard.toml`, "utf8"));
    const network = await StackNetwork.create();
    try {
      // All names exist before anybody asks for one.
      for (const name of [...nodeNames, "otel-collector", ...services]) await network.add(name);
      const processes = new Map<string, StackProcess>();
      for (const service of services) {
        const backend = service === "prometheus" ? prometheus : service;
        processes.set(service, await startComposed(network, service, backend));
      }
      const variables = { BLIXARD_COLLECTOR: collectorConfiguration };
      processes.set("otel-collector", await startComposed(network, "otel-collector", "collector", variables));
      const cluster = await Cluster.start(network, { names: nodeNames, toml });
      return new Stack(network, cluster, processes);
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What a service has written, for the message of a failed test. */
  outputOf(service: string): string {
    return this.#processes.get(service)?.output ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
    await this.network[Symbol.asyncDispose]();
  }
}

interface ServiceRun {
  readonly readyUrl: string;
  /** What its image sets. */
  readonly environment?: Readonly<Record<string, string>>;
}

const runs: Readonly<Record<StackService | "otel-collector", ServiceRun>> = {
  "otel-collector": { readyUrl: "http://otel-collector:13133" },
  jaeger: { readyUrl: "http://jaeger:16686/api/services", environment: { JAEGER_LISTEN_HOST: "0.0.0.0" } },
  tempo: { readyUrl: "http://tempo:3200/ready" },
  loki: { readyUrl: "http://loki:3100/ready" },
  prometheus: { readyUrl: "http://prometheus:9090/-/ready" },
};

/** As deploy/compose.yaml says it, but for the image. @param variables of that file */
async function startComposed(
  network: StackNetwork,
  service: StackService | "otel-collector",
  backend: BackendName,
  variables: Readonly<Record<string, string>> = {},
): Promise<StackProcess> {
  const { command, environment, volumes } = readComposeService(service, variables);
  for (const [index, { source, target }] of volumes.entries()) {
    const kept = join(network.directory, `${service}-${index}`);
    if (source === undefined) await mkdir(kept);
    await network.mount(source ?? kept, target);
  }
  const { readyUrl, environment: fromImage = {} } = runs[service];
  return startService(network, {
    service,
    path: backendPath(backend),
    args: command,
    environment: { ...fromImage, ...environment },
    readyUrl,
  });
}

interface ServiceStart extends StackSpawnOptions {
  readonly service: string;
  readonly path: string;
  readonly args?: readonly string[];
  /** Answers 200 when it is ready. */
  readonly readyUrl: string;
}

/** @throws with all that the program said when it ends, or is not ready in time */
export async function startService(network: StackNetwork, start: ServiceStart): Promise<StackProcess> {
  const { service, path, args = [], readyUrl, ...options } = start;
  const started = await network.spawn(service, path, args, options);
  const isReady = async (): Promise<boolean> => {
    if (started.hasEnded) throw new Error(`it ended`);
    const response = await fetch(readyUrl).catch(() => undefined);
    await response?.body?.cancel();
    return response?.ok === true;
  };
  await waitFor(`${service} to be ready`, isReady, READY_TIMEOUT_MS).catch(async (error: unknown) => {
    await started.end();
    throw new Error(`${service} is not ready:\n${started.output}`, { cause: error });
  });
  return started;
}
