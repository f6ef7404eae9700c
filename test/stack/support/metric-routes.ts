/**
 * The ways of a node's metrics into Prometheus, each into a Prometheus of its own: what is the same metric must be the
 * same series there, whichever way it came. The Collector runs with the shipped configuration, word for word.
 */
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { backendPath } from "./backends.ts";
import { startService } from "./stack.ts";
import type { StackNetwork } from "./stack-network.ts";

const COLLECTOR_CONFIGURATION = resolve(import.meta.dirname, "../../../deploy/otel-collector/collector.yaml");

export interface Route {
  readonly name: string;
  /** Of its Prometheus. */
  readonly url: string;
}

export interface RouteOptions {
  readonly prometheus: "prometheus" | "prometheus3";
  /** Host name of a node. */
  readonly node: string;
  readonly prometheusFlags?: readonly string[];
  /** Of every scrape. */
  readonly scrape?: Readonly<Record<string, unknown>>;
}

/** Prometheus's own series of a scrape: of no node. */
const OF_THE_SCRAPE = /^(up|scrape_.*)$/;

/** The first is what the others are compared with. To be started before the nodes. */
export async function startRoutes(network: StackNetwork, options: RouteOptions): Promise<readonly [Route, ...Route[]]> {
  const { prometheus, node, prometheusFlags = [], scrape = {} } = options;
  for (const name of [node, "otel-collector", "jaeger", "loki", "prometheus"]) await network.add(name);
  const start = async (service: string, jobs: readonly unknown[]): Promise<Route> => {
    await network.add(service);
    const file = join(network.directory, `${service}.json`);
    await writeFile(file, JSON.stringify({ global: { scrape_interval: "2s" }, scrape_configs: jobs }));
    const args = [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(network.directory, service)}`,
      "--web.enable-remote-write-receiver",
      ...prometheusFlags,
    ];
    const url = `http://${service}:9090`;
    await startService(network, { service, path: backendPath(prometheus), args, readyUrl: `${url}/-/ready` });
    return { name: service, url };
  };
  const discovery = [{ url: `http://${node}:9090/discovery/prometheus`, refresh_interval: "1s" }];
  const page = [{ targets: ["otel-collector:8889"] }];
  const routes = [
    await start("prometheus-scrape", [{ job_name: "blixard", http_sd_configs: discovery, ...scrape }]),
    // The name that the Collector writes to.
    await start("prometheus", []),
    await start("prometheus-page", [{ job_name: "page", honor_labels: true, static_configs: page, ...scrape }]),
  ] as const;
  await startService(network, {
    service: "otel-collector",
    path: backendPath("collector"),
    args: ["--config", COLLECTOR_CONFIGURATION],
    readyUrl: "http://otel-collector:13133",
  });
  return routes;
}

export type Labels = Readonly<Record<string, string>>;

/** What a Prometheus has of one series in a span of time. */
export interface SeriesSamples {
  readonly labels: Labels;
  /** Unix time of the last one. */
  readonly lastSeconds: number;
  readonly values: readonly number[];
  readonly histograms: readonly NativeHistogram[];
}

export interface NativeHistogram {
  readonly count: string;
  readonly sum: string;
  /** Kind of the bounds, lower bound, upper bound, count. */
  readonly buckets?: readonly (readonly [number, string, string, string])[];
}

/** All series of the nodes of a cluster, with the samples of the last seconds; by identity. */
export async function samplesOf(
  { url }: Route,
  selector: string,
  seconds: number,
): Promise<ReadonlyMap<string, SeriesSamples>> {
  const query = encodeURIComponent(`${selector}[${seconds}s]`);
  const response = await fetch(`${url}/api/v1/query?query=${query}`);
  const body = (await response.json()) as { status: string; error?: string; data: { result: MatrixSeries[] } };
  if (body.status !== "success") throw new Error(`Prometheus refuses ${selector}: ${body.error}`);
  const series = body.data.result
    .filter(({ metric }) => !OF_THE_SCRAPE.test(metric["__name__"] ?? ""))
    .map(({ metric, values = [], histograms = [] }) => ({
      labels: metric,
      lastSeconds: Math.max(...[...values, ...histograms].map(([timeSeconds]) => timeSeconds)),
      values: values.map(([, value]) => Number(value)),
      histograms: histograms.map(([, histogram]) => histogram),
    }));
  return new Map(series.map((one) => [identityOf(one.labels), one]));
}

/** How many series of a selector are there at a time. */
export async function countAt({ url }: Route, selector: string, timeSeconds: number): Promise<number> {
  const query = encodeURIComponent(`count(${selector})`);
  const response = await fetch(`${url}/api/v1/query?query=${query}&time=${timeSeconds}`);
  const { data } = (await response.json()) as { data: { result: { value: [number, string] }[] } };
  return Number(data.result[0]?.value[1] ?? 0);
}

interface MatrixSeries {
  readonly metric: Labels;
  readonly values?: readonly (readonly [number, string])[];
  readonly histograms?: readonly (readonly [number, NativeHistogram])[];
}

/** Values that tell how long ago something was when they were asked for: that is another time on each way. */
const OF_THE_MOMENT: ReadonlySet<string> = new Set(["blixard_telemetry_collection_age_seconds"]);

/** Labels as they are, but for one: OpenMetrics writes the bound 1 as 1.0, remote write as 1. */
function identityOf(labels: Labels): string {
  const entries = Object.entries(labels)
    .map(([name, value]) => [name, name === "le" ? String(Number(value)) : value] as const)
    .toSorted(([left], [right]) => (left < right ? -1 : 1));
  return JSON.stringify(Object.fromEntries(entries));
}

/**
 * How two ways differ, a line each. Samples are taken at different moments: what is at rest has one value there and
 * must be equal, of what moves the ranges must meet.
 */
export function differences(
  left: ReadonlyMap<string, SeriesSamples>,
  right: ReadonlyMap<string, SeriesSamples>,
): readonly string[] {
  const lines: string[] = [];
  for (const identity of new Set([...left.keys(), ...right.keys()])) {
    const [a, b] = [left.get(identity), right.get(identity)];
    if (a === undefined || b === undefined)
      lines.push(`only on the ${a === undefined ? "second" : "first"}: ${identity}`);
    else if (!meet(a, b)) lines.push(`${identity}: ${show(a)} and ${show(b)}`);
  }
  return lines;
}

export function nameOf({ labels }: SeriesSamples): string {
  return labels["__name__"] ?? "";
}

export function isAtRest({ values, histograms }: SeriesSamples): boolean {
  return new Set(values).size <= 1 && new Set(histograms.map((one) => JSON.stringify(one))).size <= 1;
}

function meet(a: SeriesSamples, b: SeriesSamples): boolean {
  if (OF_THE_MOMENT.has(nameOf(a))) return true;
  if (a.values.length > 0 !== b.values.length > 0 || a.histograms.length > 0 !== b.histograms.length > 0) return false;
  if (a.histograms.length > 0) return meetHistograms(a.histograms, b.histograms);
  if (a.values.some(Number.isNaN)) return b.values.some(Number.isNaN);
  return Math.min(...a.values) <= Math.max(...b.values) && Math.min(...b.values) <= Math.max(...a.values);
}

/** One that both have; or, where it moves, counts that meet. */
function meetHistograms(a: readonly NativeHistogram[], b: readonly NativeHistogram[]): boolean {
  const shared = new Set(a.map((one) => JSON.stringify(one)));
  if (b.some((one) => shared.has(JSON.stringify(one)))) return true;
  const counts = (all: readonly NativeHistogram[]) => all.map(({ count }) => Number(count));
  const [one, other] = [counts(a), counts(b)];
  const isMoving = new Set([...one, ...other]).size > 1;
  return isMoving && Math.min(...one) <= Math.max(...other) && Math.min(...other) <= Math.max(...one);
}

function show({ values, histograms }: SeriesSamples): string {
  const seen = [...new Set([...values.map(String), ...histograms.map((one) => JSON.stringify(one))])];
  return seen.length > 4 ? `${seen.slice(0, 2).join(", ")}, …, ${seen.at(-1)}` : seen.join(", ");
}
