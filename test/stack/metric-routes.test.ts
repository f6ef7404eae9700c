/**
 * The same node's metrics by scrape, by the Collector's remote write and by the Collector's page: equal names, labels
 * and values, and a deleted VM's series end on each of them, long before Prometheus forgets by itself.
 */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { importDemoImage } from "#test/support/demo-image.ts";
import { useBackend } from "./support/backends.ts";
import { Cluster } from "./support/cluster.ts";
import {
  countAt,
  differences,
  isAtRest,
  nameOf,
  type Route,
  type RouteOptions,
  samplesOf,
  type SeriesSamples,
  startRoutes,
} from "./support/metric-routes.ts";
import { StackNetwork } from "./support/stack-network.ts";

const TIMEOUT_MS = 240_000;
const POLL_MS = 3_000;
/** Several exports and many scrapes. */
const WINDOW_SECONDS = 40;
/** Prometheus itself waits for 300. */
const STALE_WITHIN_SECONDS = 120;
const ALL = '{job="blixard/blixard"}';

/** Both ways at once: each ends in another Prometheus. */
const nodeToml = `
[node]
id = "blixard"
[observability.metrics.http_server]
enabled = true
bind = "0.0.0.0:9090"
[observability.tracing]
otlp_endpoint = "http://otel-collector:4317"
[observability.metrics]
enabled = true
runtime_metrics = true
`;

interface Scene extends AsyncDisposable {
  readonly routes: readonly [Route, ...Route[]];
  readonly cluster: Cluster;
}

async function setScene(options: Omit<RouteOptions, "node">, metricsToml: string): Promise<Scene> {
  const network = await StackNetwork.create();
  try {
    const routes = await startRoutes(network, { ...options, node: "blixard" });
    const cluster = await Cluster.start(network, { names: ["blixard"], toml: `${nodeToml}${metricsToml}` });
    const end = async (): Promise<void> => {
      await cluster[Symbol.asyncDispose]();
      await network[Symbol.asyncDispose]();
    };
    return { routes, cluster, [Symbol.asyncDispose]: end };
  } catch (error) {
    await network[Symbol.asyncDispose]();
    throw error;
  }
}

/** A VM that stays, one that goes, operations, and calls that fail; then nothing more. */
async function live(cluster: Cluster): Promise<void> {
  await importDemoImage(cluster.any);
  await cluster.run("vm create web --image demo --publish 0:80 --disk name=data,size=16MiB --wait");
  await cluster.run("vm create short-lived --image demo --wait");
  await cluster.run("vm restart web --wait");
  await cluster.try("vm get nobody");
}

/** Until nothing differs any more, and what should rest does. Returns what the scrape has. */
async function assertEqual(
  [scraped, ...others]: Scene["routes"],
  resting: readonly RegExp[],
): Promise<readonly SeriesSamples[]> {
  const deadlineMs = performance.now() + TIMEOUT_MS;
  for (;;) {
    const reference = await samplesOf(scraped, ALL, WINDOW_SECONDS);
    const series = [...reference.values()];
    const problems = resting.flatMap((pattern) => {
      const some = series.filter((one) => pattern.test(nameOf(one)));
      if (some.length === 0) return [`there is no ${pattern.source}`];
      return some.filter((one) => !isAtRest(one)).map((one) => `${JSON.stringify(one.labels)} is not at rest`);
    });
    for (const other of others) {
      const found = differences(reference, await samplesOf(other, ALL, WINDOW_SECONDS));
      problems.push(...found.map((difference) => `${scraped.name} and ${other.name}: ${difference}`));
    }
    if (problems.length === 0) return series;
    assert.ok(performance.now() < deadlineMs, `${problems.length} problems:\n${problems.slice(0, 30).join("\n")}`);
    await delay(POLL_MS);
  }
}

async function assertEnds({ routes, cluster }: Scene): Promise<void> {
  const selector = '{blixard_vm_name="short-lived"}';
  const before = await Promise.all(routes.map((route) => countAt(route, selector, Date.now() / 1_000)));
  assert.ok(Math.min(...before) > 5, `series of the VM before: ${before.join(", ")}`);
  await cluster.run("vm delete short-lived --wait");
  const deadlineMs = performance.now() + TIMEOUT_MS;
  for (const route of routes) {
    // Judged by the times of samples, so that a slow machine changes nothing: without an end they would go on for 300 s.
    for (;;) {
      const samples = [...(await samplesOf(route, selector, 600)).values()];
      const lastSeconds = Math.max(...samples.map((one) => one.lastSeconds));
      const count = await countAt(route, selector, lastSeconds + STALE_WITHIN_SECONDS);
      if (count === 0) break;
      assert.ok(performance.now() < deadlineMs, `${route.name} goes on to show ${count} series of a deleted VM`);
      await delay(POLL_MS);
    }
  }
}

function hasAll(context: TestContext, ...names: readonly ("collector" | "prometheus" | "prometheus3")[]): boolean {
  return names.every((name) => useBackend(context, name) !== undefined);
}

test("at rest every series has the same name, labels and value on every way; a deleted VM's series end on each", async (context) => {
  if (!hasAll(context, "collector", "prometheus")) return;
  await using scene = await setScene({ prometheus: "prometheus" }, "");
  await live(scene.cluster);
  const series = await assertEqual(scene.routes, [
    /^blixard_vm_operation_duration_seconds_(bucket|sum|count)$/,
    /^blixard_vm_count$/,
    /^blixard_grpc_server_request_size_bytes_(bucket|sum|count)$/,
    /^blixard_raft_term$/,
    // Other libraries' conventions, from the same engine.
    /^rpc_server_call_duration_seconds_(bucket|sum|count)$/,
    /^target_info$/,
  ]);
  const names = new Set(series.map(nameOf));
  for (const family of [
    "blixard_node",
    "blixard_store",
    "blixard_image",
    "process",
    "nodejs",
    "v8js",
    "system",
    "db",
  ]) {
    assert.ok(
      [...names].some((name) => name.startsWith(`${family}_`)),
      `there is no ${family}_*`,
    );
  }
  await assertEnds(scene);
});

test("native histograms by scrape and by OTLP are equal too, bucket for bucket", async (context) => {
  if (!hasAll(context, "collector", "prometheus3")) return;
  const native = { scrape_native_histograms: true };
  await using scene = await setScene(
    { prometheus: "prometheus3", scrape: native },
    'histogram_aggregation = "base2_exponential_bucket_histogram"\n',
  );
  await live(scene.cluster);
  const durations = /^(blixard_vm_operation_duration|rpc_server_call_duration)_seconds$/;
  const series = await assertEqual(scene.routes, [durations]);
  const histograms = series.filter((one) => durations.test(nameOf(one)));
  assert.ok(histograms.every((one) => one.histograms.length > 0));
  assert.ok(histograms.some((one) => (one.histograms[0]?.buckets?.length ?? 0) > 1));
  await assertEnds(scene);
});
