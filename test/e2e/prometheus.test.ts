/** A real Prometheus and a live node: exemplars that lead to traces, native histograms, stale series, TLS and credentials. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { loopbackCertificate, loopbackKey } from "#test/support/loopback-certificate.ts";
import { startOtlpReceiver, type OtlpReceiver } from "#test/support/otlp-receiver.ts";
import { type Prometheus, startPrometheus } from "#test/support/prometheus.ts";
import { TestNode } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";

const TIMEOUT_MS = 180_000;
const DURATION = "blixard_vm_operation_duration_seconds";

let receiver: OtlpReceiver;
let node: TestNode;

before(async () => {
  receiver = await startOtlpReceiver();
  node = await TestNode.start({
    toml: `
[node]
id = "node-1"
bind = "127.0.0.1:0"
[runtime]
driver = "simulated"
[observability.metrics]
otlp_enabled = false
[observability.metrics.http_server]
bind = "127.0.0.1:0"
[observability.tracing]
otlp_endpoint = "${receiver.grpcEndpoint}"
`,
  });
  await node.importDisk("demo");
});

after(async () => {
  await node?.[Symbol.asyncDispose]();
  await receiver?.[Symbol.asyncDispose]();
});

/** Traces of the VMs that were created, by name. */
const creations = new Map<string, string>();

async function createVm(name: string): Promise<void> {
  await run("vm", "create", name, "--image", "demo", "--wait");
  const { traceId } = await node.json<{ traceId: string }>(["vm", "trace", name]);
  creations.set(name, traceId);
}

async function run(...args: string[]): Promise<void> {
  const { exitCode, stderr } = await node.cli(args);
  assert.equal(exitCode, 0, stderr);
}

/** Trace ids of the exemplars of a metric, once there are some. */
async function traceIdsOf(prometheus: Prometheus, query: string): Promise<ReadonlySet<string>> {
  return waitFor(
    `exemplars of ${query}`,
    async () => {
      const found = await prometheus.exemplars(query);
      const ids = found.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels["trace_id"] ?? ""));
      return ids.length > 0 ? new Set(ids) : undefined;
    },
    TIMEOUT_MS,
  );
}

test("an exemplar that Prometheus has stored leads to the trace that `vm trace` shows", async () => {
  await using prometheus = await startPrometheus({
    directory: node.directory,
    target: (await node.endpoints()).metrics,
    features: ["exemplar-storage"],
  });
  await createVm("web");
  const { traceId, spans } = await node.json<{ traceId: string; spans: readonly { name: string }[] }>([
    "vm",
    "trace",
    "web",
  ]);
  assert.ok(spans.length > 3);
  await waitFor(
    "the exemplar of the VM's creation",
    async () => (await traceIdsOf(prometheus, `${DURATION}_bucket`)).has(traceId),
    TIMEOUT_MS,
  );
  // Exemplars point to exported traces only.
  await receiver.waitFor(({ spans: received }) => received.some((span) => span.traceId === traceId), TIMEOUT_MS);
});

test("the series of a deleted VM are stale at the next scrape", async () => {
  await using prometheus = await startPrometheus({
    directory: node.directory,
    target: (await node.endpoints()).metrics,
  });
  await createVm("short-lived");
  const query = 'count({blixard_vm_name="short-lived"})';
  const live = await waitFor("series of the VM", async () => (await prometheus.query(query))[0], TIMEOUT_MS);
  assert.ok(Number(live.value[1]) > 1);
  await run("vm", "delete", "short-lived", "--wait");
  // Without a staleness marker they would still be there for five minutes.
  await waitFor("their end", async () => (await prometheus.query(query)).length === 0, TIMEOUT_MS);
});

test("with native histograms Prometheus asks for protobuf, and computes quantiles from it", async () => {
  await using prometheus = await startPrometheus({
    directory: node.directory,
    target: (await node.endpoints()).metrics,
    features: ["exemplar-storage", "native-histograms"],
  });
  await createVm("native");
  const selector = `${DURATION}{blixard_vm_operation="create"}`;
  const [count] = await waitFor(
    "a native histogram",
    async () => {
      const found = await prometheus.query(`histogram_count(${selector})`);
      return found.length > 0 && Number(found[0]?.value[1]) > 0 ? found : undefined;
    },
    TIMEOUT_MS,
  );
  assert.ok(Number(count?.value[1]) >= 1);
  const [quantile] = await prometheus.query(`histogram_quantile(0.9, ${selector})`);
  const [sum] = await prometheus.query(`histogram_sum(${selector})`);
  assert.ok(Number(quantile?.value[1]) > 0, JSON.stringify(quantile));
  assert.ok(Number(quantile?.value[1]) <= Number(sum?.value[1]) * 2, JSON.stringify([quantile, sum]));
  // Nothing but the native form was stored: it came by protobuf.
  assert.deepEqual(await prometheus.query(`${DURATION}_bucket`), []);
  // Of a native histogram this version of Prometheus takes the exemplar of the lowest bucket that has one: any VM's.
  const traceIds = await traceIdsOf(prometheus, selector);
  assert.deepEqual([...traceIds.difference(new Set(creations.values()))], []);
});

test("Prometheus scrapes by HTTPS, with a client certificate and a password", async () => {
  await using guarded = await TestNode.prepare();
  const file = (name: string): string => join(guarded.directory, name);
  await writeFile(file("server.pem"), loopbackCertificate);
  await writeFile(file("server.key"), loopbackKey, { mode: 0o600 });
  await writeFile(
    guarded.configFile,
    `
[node]
id = "node-1"
bind = "127.0.0.1:0"
[runtime]
driver = "simulated"
[observability.metrics.http_server]
bind = "127.0.0.1:0"
certificate_file = "${file("server.pem")}"
key_file = "${file("server.key")}"
client_ca_file = "${file("server.pem")}"
scope_labels = true
basic_auth = { username = "prometheus", password = "open sesame" }
`,
  );
  await guarded.startDaemon();
  const { metrics } = await guarded.endpoints();
  assert.match(metrics, /^https:/);
  await using prometheus = await startPrometheus({
    directory: guarded.directory,
    target: metrics,
    scrapeConfig: `    basic_auth: { username: prometheus, password: open sesame }
    tls_config: { ca_file: ${file("server.pem")}, cert_file: ${file("server.pem")}, key_file: ${file("server.key")} }
`,
  });
  const [memory] = await waitFor(
    "a scrape",
    async () => {
      const found = await prometheus.query("blixard_node_memory_limit_bytes");
      return found.length > 0 ? found : undefined;
    },
    TIMEOUT_MS,
  );
  assert.ok(Number(memory?.value[1]) > 0);
  assert.equal(memory?.metric["otel_scope_name"], "blixard");
});
