/**
 * The whole stack as it is shipped: the nodes, the Collector with deploy/otel-collector/collector.yaml, Jaeger, and
 * Prometheus with deploy/prometheus, by the names that these files say and without a change to one of them.
 */
import { resolve } from "node:path";
import { createPrometheusApi, type PrometheusApi } from "#test/support/prometheus-api.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { backendPath } from "./backends.ts";
import { Cluster } from "./cluster.ts";
import { StackNetwork, type StackProcess, type StackSpawnOptions } from "./stack-network.ts";
import { createJaegerApi, type JaegerApi } from "./trace-backends.ts";

const deployDir = resolve(import.meta.dirname, "../../../deploy");
const READY_TIMEOUT_MS = 120_000;

/** As docs/integrations say it. */
export const nodeConfiguration = `
[observability.metrics]
enabled = true
runtime_metrics = true
[observability.metrics.http_server]
enabled = true
bind = "0.0.0.0:9090"
[observability.tracing]
enabled = true
otlp_endpoint = "http://otel-collector:4317"
[observability.doctor]
prometheus_url = "http://prometheus:9090"
jaeger_url = "http://jaeger:16686"
`;

export interface StackOptions {
  /** Host names of the nodes; deploy/compose.yaml has one, `blixard`. */
  readonly nodeNames?: readonly string[];
  /** Of every node; default as the documents have it. */
  readonly toml?: string;
  readonly collectorConfig?: string;
}

export class Stack implements AsyncDisposable {
  readonly network: StackNetwork;
  readonly cluster: Cluster;
  readonly jaeger: JaegerApi;
  readonly prometheus: PrometheusApi;
  readonly #processes: ReadonlyMap<string, StackProcess>;

  private constructor(network: StackNetwork, cluster: Cluster, processes: ReadonlyMap<string, StackProcess>) {
    this.network = network;
    this.cluster = cluster;
    this.#processes = processes;
    this.jaeger = createJaegerApi("http://jaeger:16686");
    this.prometheus = createPrometheusApi("http://prometheus:9090");
  }

  /** @throws when one of its programs is missing: without it there is nothing to see */
  static async start(options: StackOptions = {}): Promise<Stack> {
    const { nodeNames = ["blixard"], toml = nodeConfiguration } = options;
    const { collectorConfig = `${deployDir}/otel-collector/collector.yaml` } = options;
    const network = await StackNetwork.create();
    try {
      // All names exist before anybody asks for one.
      for (const name of [...nodeNames, "otel-collector", "jaeger", "prometheus"]) await network.add(name);
      const processes = new Map([
        ["jaeger", await startJaeger(network, backendPath("jaeger"))],
        ["prometheus", await startPrometheus(network, backendPath("prometheus"))],
        ["otel-collector", await startCollector(network, backendPath("collector"), collectorConfig)],
      ]);
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

/** All in one, in memory, as its image does without arguments. */
export function startJaeger(network: StackNetwork, path: string): Promise<StackProcess> {
  // Its image says so too.
  const environment = { JAEGER_LISTEN_HOST: "0.0.0.0" };
  return startService(network, { service: "jaeger", path, environment, readyUrl: "http://jaeger:16686/api/services" });
}

/** With what deploy/prometheus says of its flags. */
export async function startPrometheus(
  network: StackNetwork,
  path: string,
  flags: readonly string[] = [],
): Promise<StackProcess> {
  const args = [
    `--config.file=${deployDir}/prometheus/prometheus.yml`,
    `--storage.tsdb.path=${network.directory}/prometheus`,
    "--web.enable-remote-write-receiver",
    "--enable-feature=exemplar-storage",
    ...flags,
  ];
  return startService(network, { service: "prometheus", path, args, readyUrl: "http://prometheus:9090/-/ready" });
}

export function startCollector(
  network: StackNetwork,
  path: string,
  config: string,
  options: StackSpawnOptions = {},
): Promise<StackProcess> {
  return startService(network, {
    service: "otel-collector",
    path,
    args: ["--config", config],
    ...options,
    readyOutput: "Everything is ready",
  });
}

interface ServiceStart extends StackSpawnOptions {
  readonly service: string;
  readonly path: string;
  readonly args?: readonly string[];
  /** Answers 200 when it is ready. */
  readonly readyUrl?: string;
  /** Or what it says then. */
  readonly readyOutput?: string;
}

/** @throws with all that the program said when it ends, or is not ready in time */
export async function startService(network: StackNetwork, start: ServiceStart): Promise<StackProcess> {
  const { service, path, args = [], readyUrl, readyOutput, ...options } = start;
  const started = await network.spawn(service, path, args, options);
  const isReady = async (): Promise<boolean> => {
    if (started.hasEnded) throw new Error(`it ended`);
    if (readyOutput !== undefined) return started.output.includes(readyOutput);
    if (readyUrl === undefined) return true;
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
