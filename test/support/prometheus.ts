/** Debian's Prometheus, scraping what a test wants it to; ended with the test. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findCacheDir } from "../../scripts/setup/cache-dir.mjs";
import { freePort } from "./free-port.ts";
import { createPrometheusApi, type PrometheusApi } from "./prometheus-api.ts";
import { waitFor } from "./wait-for.ts";

export interface PrometheusOptions {
  /** Below it a folder for its configuration and its data. */
  readonly directory: string;
  /** URL of the page; absent where the scrape configuration says how targets are found. */
  readonly target?: string;
  /** Files of rules, worked out every second unless they say otherwise. */
  readonly ruleFiles?: readonly string[];
  /** Of `--enable-feature`. */
  readonly features?: readonly string[];
  /** Lines of YAML within the scrape configuration, with an indentation of four. */
  readonly scrapeConfig?: string;
}

export interface Prometheus extends PrometheusApi, AsyncDisposable {}

export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const { features = [], ruleFiles = [], scrapeConfig = "", target } = options;
  const directory = await mkdtemp(join(options.directory, "prometheus-"));
  const configFile = join(directory, "prometheus.yml");
  await writeFile(
    configFile,
    `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ${JSON.stringify(ruleFiles)}
scrape_configs:
  - job_name: blixard
${target === undefined ? "" : staticTarget(new URL(target))}${scrapeConfig}`,
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
  return { ...createPrometheusApi(url), [Symbol.asyncDispose]: stop };
}

function staticTarget({ host, protocol }: URL): string {
  return `    scheme: ${protocol.slice(0, -1)}\n    static_configs: [{ targets: ['${host}'] }]\n`;
}
