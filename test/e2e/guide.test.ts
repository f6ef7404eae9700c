/**
 * The integration guide, to the letter: its configuration blocks as an operator
 * would copy them, its ports, its families, against a receiver on the guide's 4317.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { before, test } from "node:test";
import { findCacheDir } from "../../scripts/setup/cache-dir.mjs";
import { startOtlpReceiver } from "#test/support/otlp-receiver.ts";
import { startPrometheus } from "#test/support/prometheus.ts";
import { scrapePage } from "#test/support/scrape-page.ts";
import { TestNode } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";

const metricsBlock = `[observability.metrics]
enabled = true
runtime_metrics = true
`;
const serverBlock = `[observability.metrics.http_server]
enabled = true
bind = "0.0.0.0:9090"
`;
const tracingBlock = `[observability.tracing]
enabled = true
otlp_endpoint = "http://localhost:4317"  # Your OTLP collector
service_name = "blixard"
sampling_ratio = 1.0
`;
/** The guide says nothing of the API's port: a free one. */
const environment = { BLIXARD_NODE__BIND: "127.0.0.1:0" };
const OPENMETRICS = { accept: "application/openmetrics-text; version=1.0.0" };
const cacheRoot = join(findCacheDir(process.env), "root");

before(async () => {
  for (const port of [9090, 4317]) {
    const server = createServer().listen(port, "0.0.0.0");
    await Promise.race([
      once(server, "listening"),
      once(server, "error").then(([error]) => {
        throw new Error(`this suite needs the guide's own port ${port}: ${String(error)}`);
      }),
    ]);
    await new Promise((closed) => server.close(closed));
  }
});

test("all three blocks of the guide, verbatim: metrics on 9090, traces and metrics at the collector on 4317", async () => {
  await using collector = await startOtlpReceiver({ grpcPort: 4317 });
  await using node = await TestNode.start({ toml: `${metricsBlock}\n${serverBlock}\n${tracingBlock}`, environment });
  const families = ["blixard.raft", "blixard.vm", "blixard.node", "blixard.peer"];
  await collector.waitFor(
    ({ spans, points }) =>
      spans.some(({ name }) => name === "node.start") &&
      families.every((family) => points.some(({ name }) => name.startsWith(`${family}.`))),
    30_000,
  );
  assert.deepEqual(collector.problems, []);
  for (const { resource } of collector.spans) assert.equal(resource["service.name"], "blixard");
  const page = await scrapePage("http://localhost:9090/metrics");
  await hasAllFamilies(page);
  assert.equal((await fetch("http://localhost:9090/healthz")).status, 200);
  assert.equal((await fetch("http://localhost:9090/readyz")).status, 200);
  await node.endDaemon();
});

for (const [name, toml] of [
  ["metrics", metricsBlock],
  ["http_server", serverBlock],
  ["tracing", tracingBlock],
] as const) {
  test(`the guide's ${name} block works alone`, async () => {
    await using node = await TestNode.start({ toml, environment });
    assert.equal((await node.cli(["vm", "list"])).exitCode, 0);
    assert.match(await scrapePage("http://127.0.0.1:9090/metrics"), /^blixard_node_/m);
  });
}

test("the page passes the strict parsers of both formats", async () => {
  await using node = await TestNode.start({ toml: `${metricsBlock}\n${serverBlock}`, environment });
  await node.cli(["vm", "list"]);
  const openMetrics = await fetch("http://localhost:9090/metrics", { headers: OPENMETRICS });
  assert.equal(openMetrics.headers.get("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
  const strict =
    "import sys; from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse; print(len(list(parse(sys.stdin.read()))))";
  const families = execFileSync("python3", ["-c", strict], {
    input: await openMetrics.text(),
    env: { ...process.env, PYTHONPATH: join(cacheRoot, "usr/lib/python3/dist-packages") },
  });
  assert.ok(Number(families.toString()) > 50, families.toString());

  const plain = await fetch("http://localhost:9090/metrics");
  assert.equal(plain.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const lint = spawnSync(join(cacheRoot, "usr/bin/promtool"), ["check", "metrics"], { input: await plain.text() });
  const findings = `${lint.stdout.toString()}${lint.stderr.toString()}`.split("\n").filter((line) => line !== "");
  const allowed = / non-histogram and non-summary metrics should not have "_count" suffix$/;
  assert.deepEqual(
    findings.filter((line) => !allowed.test(line)),
    [],
  );
});

test("a real Prometheus scrapes a node, and stores what the page says", async () => {
  await using node = await TestNode.start();
  const { metrics } = await node.endpoints();
  await using prometheus = await startPrometheus({ directory: node.directory, target: metrics });
  const vector = await waitFor(
    "the first scrape",
    async () => (await prometheus.query("blixard_node_memory_limit_bytes"))[0],
  );
  assert.ok(Number(vector.value[1]) > 0);
});

async function hasAllFamilies(page: string): Promise<void> {
  for (const family of ["raft", "vm", "grpc", "peer", "node"]) {
    assert.match(page, new RegExp(`^blixard_${family}_`, "m"), `the guide's family blixard_${family}_*`);
  }
  assert.match(page, /^nodejs_eventloop_/m);
  assert.match(page, /^process_/m);
  assert.match(page, /^system_/m);
}
