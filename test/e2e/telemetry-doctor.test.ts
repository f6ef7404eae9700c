/** `blixard telemetry doctor` and `cardinality` against a real node: what an operator sees, and the exit codes. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { telemetryCanary, telemetrySeriesLimit } from "#gen/telemetry/metrics.ts";
import { findCacheDir } from "../../scripts/setup/cache-dir.mjs";
import { freePort } from "#test/support/free-port.ts";
import { startOtlpReceiver, type OtlpReceiver } from "#test/support/otlp-receiver.ts";
import { runCli, TestNode } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";

const base = `[node]
id = "node-1"
bind = "127.0.0.1:0"
[observability.metrics.http_server]
enabled = true
bind = "127.0.0.1:0"
`;

interface Line {
  readonly check?: {
    readonly target: string;
    readonly signal?: string;
    readonly step: string;
    readonly outcome: string;
    readonly finding?: string;
    readonly message?: string;
  };
  readonly diagnosis?: { readonly outcome: string; readonly traceId: string };
}

const collectedNames: readonly string[] = [telemetryCanary.name, telemetrySeriesLimit.name];

/** The doctor's lines as JSON. */
async function doctor(node: TestNode): Promise<{ readonly exitCode: number; readonly lines: readonly Line[] }> {
  const { exitCode, stdout, stderr } = await node.cli(["telemetry", "doctor", "-o", "json", "--timeout", "1m"], {
    timeoutMs: 120_000,
  });
  assert.equal(stderr, "");
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
  return { exitCode, lines };
}

function findingsOf(lines: readonly Line[]): readonly string[] {
  return [...new Set(lines.flatMap(({ check }) => (check?.finding === undefined ? [] : [check.finding])))];
}

test("a healthy node's doctor finds nothing; a collector that ends is found, with the fix; a node that ends is not reached", async (context) => {
  const receiver = await startOtlpReceiver();
  let receiverRuns = true;
  const endReceiver = async (): Promise<void> => {
    if (receiverRuns) await receiver[Symbol.asyncDispose]();
    receiverRuns = false;
  };
  context.after(endReceiver);
  await using node = await TestNode.start({
    toml: `${base}[observability.tracing]\notlp_endpoint = "${receiver.grpcEndpoint}"\n`,
  });
  const healthy = await doctor(node);
  assert.deepEqual(findingsOf(healthy.lines), [], JSON.stringify(healthy.lines));
  assert.equal(healthy.exitCode, 0);
  const acknowledged = healthy.lines.filter(({ check }) => check?.step === "acknowledge");
  assert.deepEqual(
    acknowledged.map(({ check }) => [check?.signal, check?.outcome]),
    ["traces", "metrics", "logs"].map((signal) => [signal, "CHECK_OUTCOME_OK"]),
  );
  const traceId = healthy.lines.at(-1)?.diagnosis?.traceId;
  await receiver.waitFor(({ spans }) =>
    spans.some((span) => span.traceId === traceId && span.name === "telemetry.canary"),
  );
  const canaries = receiver.points.filter(({ name }) => name === telemetryCanary.name);
  assert.deepEqual(
    canaries.map(({ noRecordedValue }) => noRecordedValue),
    [false, true],
  );

  await endReceiver();
  const table = await node.cli(["telemetry", "doctor"]);
  assert.equal(table.exitCode, 1, table.stdout);
  assert.match(table.stdout, /^grpc http:\/\/127\.0\.0\.1:\d+$/m);
  assert.match(table.stdout, /^ {2}failed +connect .* nothing listens at 127\.0\.0\.1:\d+$/m);
  assert.match(table.stdout, /^ +connection_refused: Start the collector at 127\.0\.0\.1:\d+/m);
  assert.match(table.stdout, /^failed: \d+ ok, /m);
  assert.doesNotMatch(table.stdout, /\u001B/);

  const cardinality = await node.cli(["telemetry", "cardinality", "--sort", "name"]);
  assert.equal(cardinality.exitCode, 0, cardinality.stderr);
  assert.match(cardinality.stdout, /^METRIC +SERIES +LIMIT/);
  assert.match(cardinality.stdout, /^blixard\.telemetry\.series\.limit +\d+/m);
  const report = await node.json<{ metrics: { name: string; series: number }[]; series: string }>([
    "telemetry",
    "cardinality",
  ]);
  assert.equal(
    Number(report.series),
    report.metrics.reduce((sum, { series }) => sum + series, 0),
  );
  assert.ok(
    report.metrics.every(({ name }) => name !== telemetryCanary.name),
    "the canary is none of the node's own metrics",
  );

  await node.endDaemon();
  assert.equal((await node.cli(["telemetry", "doctor"])).exitCode, 3);
});

test("without a node, an endpoint that nobody serves is told as such", async () => {
  const endpoint = `http://127.0.0.1:${await freePort()}`;
  const { exitCode, stderr } = await runCli(["telemetry", "doctor", "--endpoint", endpoint]);
  assert.equal(exitCode, 3, stderr);
});

test("without a node, the destinations of a configuration are looked at from here", async (context) => {
  const receiver = await startOtlpReceiver();
  context.after(() => receiver[Symbol.asyncDispose]());
  await using node = await TestNode.prepare({
    toml: `${base}[observability.tracing]\notlp_endpoint = "${receiver.httpEndpoint}"\nprotocol = "grpc"\n`,
  });
  const wrong = await runCli(["telemetry", "doctor", "--config", node.configFile]);
  assert.equal(wrong.exitCode, 1, wrong.stderr);
  assert.match(wrong.stdout, /grpc_to_http_gateway: Set protocol = "http\/protobuf"/);
  const environment = { BLIXARD_OBSERVABILITY__TRACING__PROTOCOL: "http/protobuf" };
  const right = await runCli(["telemetry", "doctor", "--config", node.configFile], { environment });
  assert.equal(right.exitCode, 0, right.stdout);
  assert.doesNotMatch(right.stdout, /^(scrape|node)$.*cardinality/ms);
  assert.equal((await runCli(["telemetry", "doctor", "--config", "/nowhere.toml"])).exitCode, 2);
});

test("without a node, a backend is asked until it has the canary", async (context) => {
  const receiver = await startOtlpReceiver();
  context.after(() => receiver[Symbol.asyncDispose]());
  let asked = 0;
  const slow = createServer((_request, response) => {
    const result = ++asked < 3 ? [] : [{ metric: { job: "blixard" } }];
    response.writeHead(200, { connection: "close" }).end(JSON.stringify({ data: { result } }));
  }).listen(0, "127.0.0.1");
  context.after(() => void slow.close());
  await once(slow, "listening");
  const { port } = slow.address() as AddressInfo;
  await using node = await TestNode.prepare({
    toml: `${base}[observability.tracing]\notlp_endpoint = "${receiver.httpEndpoint}"\nprotocol = "http/protobuf"
[observability.doctor]\nprometheus_url = "http://127.0.0.1:${port}"\n`,
  });
  const { exitCode, stdout } = await runCli(["telemetry", "doctor", "--config", node.configFile, "--timeout", "1m"]);
  assert.equal(exitCode, 0, stdout);
  assert.match(stdout, /Prometheus has it after/);
});

test("a real Prometheus has the canary, and shows that metrics come by scrape and by OTLP", async (context) => {
  const receiver = await startOtlpReceiver();
  context.after(() => receiver[Symbol.asyncDispose]());
  const collectorPort = await startCollectorDouble(context, receiver);
  const prometheusPort = await freePort();
  const prometheusUrl = `http://127.0.0.1:${prometheusPort}`;
  await using node = await TestNode.start({
    toml: `${base}[observability.tracing]
otlp_endpoint = "${receiver.grpcEndpoint}"
[observability.doctor]
prometheus_url = "${prometheusUrl}"
`,
  });
  const { metrics } = await node.endpoints();
  await startPrometheus(context, node.directory, prometheusPort, {
    collector: collectorPort,
    page: new URL(metrics).host,
  });
  await waitFor("both ways into Prometheus", async () => {
    const query = `count(count by (job) (${telemetrySeriesLimit.prometheusName}))`;
    const answer = await fetch(`${prometheusUrl}/api/v1/query?query=${encodeURIComponent(query)}`).catch(
      () => undefined,
    );
    const body =
      answer?.ok === true ? ((await answer.json()) as { data: { result: { value: string[] }[] } }) : undefined;
    return body?.data.result[0]?.value[1] === "2";
  });
  const { exitCode, lines } = await doctor(node);
  const readBack = lines.find(({ check }) => check?.step === "read_back" && check.signal === "metrics")?.check;
  assert.equal(readBack?.outcome, "CHECK_OUTCOME_OK", JSON.stringify(lines));
  assert.match(readBack.message ?? "", /^Prometheus has it after .*, as job "collected", instance "[0-9a-f-]{36}"$/);
  assert.deepEqual(findingsOf(lines), ["scrape_and_push"]);
  const twice = lines.find(({ check }) => check?.finding === "scrape_and_push")?.check?.message ?? "";
  assert.match(twice, /by OTLP as job "collected", .* by scrape as job "page"/);
  assert.equal(exitCode, 1);
});

/**
 * A double of a collector with a Prometheus exporter: what the receiver got of two
 * metrics, as a page, with `job` and `instance` as a collector sets them.
 */
async function startCollectorDouble(context: TestContext, receiver: OtlpReceiver): Promise<number> {
  const server = createServer((_request, response) => {
    const lines = receiver.points
      .filter(({ name, noRecordedValue }) => !noRecordedValue && collectedNames.includes(name))
      .map(({ name, attributes, resource, value }) => {
        const labels = { job: "collected", instance: resource["service.instance.id"], ...attributes };
        const text = Object.entries(labels).map(([key, label]) => `${key.replaceAll(".", "_")}="${String(label)}"`);
        return [`${name.replaceAll(".", "_")}{${text.join(",")}}`, value] as const;
      });
    const page = [...new Map(lines)].map(([series, value]) => `${series} ${value}\n`);
    response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(page.join(""));
  });
  await listen(context, server);
  return (server.address() as AddressInfo).port;
}

async function listen(context: TestContext, server: Server): Promise<void> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
}

async function startPrometheus(
  context: TestContext,
  directory: string,
  port: number,
  targets: { readonly collector: number; readonly page: string },
): Promise<void> {
  const configFile = join(directory, "prometheus.yml");
  await writeFile(
    configFile,
    `global: { scrape_interval: 1s }
scrape_configs:
  - job_name: page
    static_configs: [{ targets: ['${targets.page}'] }]
  - job_name: collector
    honor_labels: true
    static_configs: [{ targets: ['127.0.0.1:${targets.collector}'] }]
`,
  );
  const child = spawn(
    join(findCacheDir(process.env), "root/usr/bin/prometheus"),
    [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(directory, "tsdb")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: "ignore" },
  );
  context.after(async () => {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
}
