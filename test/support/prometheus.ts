/** Debian's Prometheus, scraping what a test wants it to; ended with the test. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { findCacheDir } from "../../scripts/setup/cache-dir.mjs";
import { waitFor } from "./wait-for.ts";

export interface PrometheusOptions {
  /** Below it a folder for its configuration and its data. */
  readonly directory: string;
  /** URL of the page. */
  readonly target: string;
  /** Of `--enable-feature`. */
  readonly features?: readonly string[];
  /** Lines of YAML within the scrape configuration, with an indentation of four. */
  readonly scrapeConfig?: string;
}

export interface PrometheusResult {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [timeSeconds: number, value: string];
}

export interface PrometheusExemplars {
  readonly seriesLabels: Readonly<Record<string, string>>;
  readonly exemplars: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: string }[];
}

export interface Prometheus extends AsyncDisposable {
  readonly url: string;
  /** The instant vector of a query. */
  query(query: string): Promise<readonly PrometheusResult[]>;
  /** Exemplars of the last hour. */
  exemplars(query: string): Promise<readonly PrometheusExemplars[]>;
}

export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const { features = [], scrapeConfig = "" } = options;
  const directory = await mkdtemp(join(options.directory, "prometheus-"));
  const target = new URL(options.target);
  const configFile = join(directory, "prometheus.yml");
  await writeFile(
    configFile,
    `global: { scrape_interval: 1s }
scrape_configs:
  - job_name: blixard
    scheme: ${target.protocol.slice(0, -1)}
    static_configs: [{ targets: ['${target.host}'] }]
${scrapeConfig}`,
  );
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    join(findCacheDir(process.env), "root/usr/bin/prometheus"),
    [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(directory, "tsdb")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      `--enable-feature=${features.join(",")}`,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let output = "";
  child.stderr.on("data", (chunk: Buffer) => (output = `${output}${chunk.toString()}`.slice(-100_000)));

  async function ask<T>(path: string, parameters: Record<string, string>): Promise<T> {
    const response = await fetch(`${url}${path}?${new URLSearchParams(parameters).toString()}`);
    const body = (await response.json()) as { status: string; error?: string; data: T };
    if (body.status !== "success") throw new Error(`Prometheus refuses ${path}: ${body.error}`);
    return body.data;
  }

  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  try {
    // Until it has replayed its log it answers 503, before that not at all.
    await waitFor("Prometheus", async () => {
      if (child.exitCode !== null) throw new Error(`Prometheus ended:\n${output}`);
      return (await fetch(`${url}/-/ready`).catch(() => undefined))?.ok === true;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url,
    query: async (query) => {
      const { result } = await ask<{ result: PrometheusResult[] }>("/api/v1/query", { query });
      return result;
    },
    exemplars: (query) => {
      const nowSeconds = Date.now() / 1000;
      const [start, end] = [nowSeconds - 3_600, nowSeconds + 60];
      return ask("/api/v1/query_exemplars", { query, start: String(start), end: String(end) });
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
