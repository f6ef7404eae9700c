/**
 * Mistake 10 of `blixard telemetry doctor` against the real Collector and Prometheus: the same metrics reach Prometheus
 * on two ways, which it cannot see by labels alone. And each way alone, in which nothing may be found.
 */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { freePort } from "#test/support/free-port.ts";
import { TestNode } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { askDoctorOf, assertNothingFound, assertOnlyFinding, type DoctorsWord } from "./support/ask-doctor.ts";
import { useBackend } from "./support/backends.ts";
import { NOWHERE, startCollector, startPrometheusServer } from "./support/loopback-backends.ts";

const TIMEOUT_MS = 120_000;

/** Ways of a node's metrics into Prometheus. */
interface Ways {
  /** The Collector scrapes, too. */
  readonly scrapedByCollector?: true;
  /** How the Collector hands on. */
  readonly handedOn?: "remote write" | "page";
  /** Prometheus scrapes the node: by an address of ours, or as the node's discovery says, with the labels of the OTLP route. */
  readonly scraped?: "static" | "discovered";
  readonly pushed: "to the Collector" | "to Prometheus" | "not at all";
}

const twice: readonly Ways[] = [
  { pushed: "to the Collector", scrapedByCollector: true, handedOn: "remote write" },
  { pushed: "to the Collector", scrapedByCollector: true, handedOn: "page" },
  { pushed: "to the Collector", handedOn: "remote write", scraped: "static" },
  { pushed: "to the Collector", handedOn: "page", scraped: "discovered" },
  { pushed: "to Prometheus", scraped: "static" },
  { pushed: "to Prometheus", scraped: "discovered" },
];
const once: readonly Ways[] = [
  { pushed: "to the Collector", handedOn: "remote write" },
  { pushed: "to the Collector", handedOn: "page" },
  { pushed: "to Prometheus" },
  { pushed: "not at all", scraped: "static" },
  { pushed: "not at all", scraped: "discovered" },
  { pushed: "not at all", scrapedByCollector: true, handedOn: "remote write" },
];

for (const ways of twice) {
  test(`mistake 10: the same metrics twice in Prometheus: ${nameOf(ways)}`, async (context) => {
    const word = await askOnWays(context, ways);
    if (word === undefined) return;
    assertOnlyFinding(
      word,
      "scrape_and_push",
      /^Choose one way: .*the prometheus receiver from the collector's pipeline/,
    );
    assert.equal(word.exitCode, 1);
  });
}

for (const ways of once) {
  test(`no mistake: the metrics once in Prometheus: ${nameOf(ways)}`, async (context) => {
    const word = await askOnWays(context, ways);
    if (word === undefined) return;
    // A target that we name ourselves has labels of ours, not the node's.
    if (ways.scraped === "static" || ways.scrapedByCollector === true) {
      assertOnlyFinding(word, "scrape_labels_differ", /http_sd_configs: .*\/discovery\/prometheus/);
      assert.equal(word.exitCode, 0);
      return;
    }
    assertNothingFound(word);
    const message = word.checks.find(({ step }) => step === "duplicates")?.message ?? "";
    const way = ways.pushed === "not at all" ? "scrape" : "OTLP";
    assert.ok(message.startsWith(`Prometheus gets this node's metrics by ${way} only`), word.text);
  });
}

function nameOf({ pushed, scrapedByCollector, handedOn, scraped }: Ways): string {
  return [
    `pushed ${pushed}`,
    ...(scrapedByCollector === undefined ? [] : ["scraped by the Collector"]),
    ...(handedOn === undefined ? [] : [`handed on by ${handedOn}`]),
    ...(scraped === undefined ? [] : [`scraped by Prometheus (${scraped})`]),
  ].join(", ");
}

async function askOnWays(context: TestContext, ways: Ways): Promise<DoctorsWord | undefined> {
  const [collectorPath, prometheusPath] = [useBackend(context, "collector"), useBackend(context, "prometheus3")];
  if (collectorPath === undefined || prometheusPath === undefined) return undefined;
  const [pagePort, handedOnPort] = [await freePort(), await freePort()];
  const page = { static_configs: [{ targets: [`127.0.0.1:${pagePort}`] }] };
  const discovered = {
    http_sd_configs: [{ url: `http://127.0.0.1:${pagePort}/discovery/prometheus`, refresh_interval: "1s" }],
  };
  const handedOn = { honor_labels: true, static_configs: [{ targets: [`127.0.0.1:${handedOnPort}`] }] };
  const prometheus = await startPrometheusServer(context, prometheusPath, {
    config: {
      global: { scrape_interval: "1s" },
      scrape_configs: [
        ...(ways.handedOn === "page" ? [{ job_name: "collector", ...handedOn }] : []),
        ...(ways.scraped === undefined
          ? []
          : [{ job_name: "node", ...(ways.scraped === "static" ? page : discovered) }]),
      ],
    },
    flags: ["--web.enable-otlp-receiver"],
  });
  const exporter =
    ways.handedOn === "page"
      ? { prometheus: { endpoint: `127.0.0.1:${handedOnPort}` } }
      : { prometheusremotewrite: { endpoint: `${prometheus.url}/api/v1/write` } };
  const scrape = { job_name: "blixard", scrape_interval: "1s", ...page };
  const collector = await startCollector(context, collectorPath, {
    receivers: { prometheus: { config: { scrape_configs: [scrape] } } },
    exporters: exporter,
    pipelines: {
      traces: { receivers: ["otlp"], exporters: [NOWHERE] },
      logs: { receivers: ["otlp"], exporters: [NOWHERE] },
      metrics: {
        receivers: ways.scrapedByCollector === undefined ? ["otlp"] : ["otlp", "prometheus"],
        exporters: Object.keys(exporter),
      },
    },
  });
  const metrics = {
    "to the Collector": "",
    "to Prometheus": `otlp_endpoint = "${prometheus.url}/api/v1/otlp"\nprotocol = "http/protobuf"`,
    "not at all": "otlp_enabled = false",
  }[ways.pushed];
  await using node = await TestNode.start({
    toml: `[node]
id = "node-1"
bind = "127.0.0.1:0"
[runtime]
driver = "simulated"
[observability.metrics.http_server]
bind = "127.0.0.1:${pagePort}"
[observability.metrics]
${metrics}
[observability.doctor]
prometheus_url = "${prometheus.url}"
[observability.tracing]
otlp_endpoint = "${collector.grpc}"
`,
  });
  const isThere = async (query: string): Promise<boolean> => (await prometheus.query(query)).length > 0;
  const metric = "blixard_node_memory_limit_bytes";
  if (ways.scraped !== undefined || ways.scrapedByCollector !== undefined) {
    await waitFor("a scrape", () => isThere(`${metric} and on (job, instance) up`), TIMEOUT_MS);
  } else {
    await waitFor("an export", () => isThere(metric), TIMEOUT_MS);
  }
  return await askDoctorOf(node);
}
