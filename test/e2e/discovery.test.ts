/** A real Prometheus finds the nodes of a cluster by asking one of them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, rename, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { after, before, test } from "node:test";
import type { MetricsEndpoint } from "#model/node.ts";
import { createEtcdConnection } from "#store/etcd/connection.ts";
import { CLIENT_SOCKET_NAME } from "#store/etcd/etcd-arguments.ts";
import { createEtcdKeyValueStore } from "#store/etcd/etcd-key-value-store.ts";
import { unixEndpoint } from "#store/etcd/endpoint.ts";
import { createNodeRepository } from "#store/node-repository.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { prometheusIdentity } from "#telemetry/resource/prometheus-identity.ts";
import { loopbackCertificate, loopbackKey } from "#test/support/loopback-certificate.ts";
import { startOtlpReceiver, type OtlpReceiver } from "#test/support/otlp-receiver.ts";
import { startPrometheus, type Prometheus } from "#test/support/prometheus.ts";
import { aRegistration } from "#test/support/store-fixtures.ts";
import { pidsMentioning, TestNode } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";

const TIMEOUT_MS = 120_000;
const CREDENTIALS = "basic_auth: { username: prometheus, password: open sesame }";

let receiver: OtlpReceiver;
let node: TestNode;
let page: URL;

before(async () => {
  receiver = await startOtlpReceiver();
  node = await TestNode.prepare();
  const file = (name: string): string => join(node.directory, name);
  await writeFile(file("server.pem"), loopbackCertificate);
  await writeFile(file("server.key"), loopbackKey, { mode: 0o600 });
  await writeFile(
    node.configFile,
    `
[cluster]
name = "prod"
[node]
id = "node-1"
bind = "127.0.0.1:0"
[runtime]
driver = "simulated"
[observability.metrics]
export_interval = "500ms"
[observability.metrics.http_server]
bind = "0.0.0.0:0"
advertise = "localhost"
certificate_file = "server.pem"
key_file = "server.key"
basic_auth = { username = "prometheus", password = "open sesame" }
[observability.tracing]
otlp_endpoint = "${receiver.grpcEndpoint}"
`,
  );
  await node.startDaemon();
  page = new URL((await node.endpoints()).metrics);
});

after(async () => {
  await node?.[Symbol.asyncDispose]();
  await receiver?.[Symbol.asyncDispose]();
});

/** As docs/integrations/prometheus.md has it: TLS, a password, two that may be asked; and two labels to look at. */
function discovering(): Promise<Prometheus> {
  const tls = `tls_config: { ca_file: ${join(node.directory, "server.pem")} }`;
  return startPrometheus({
    directory: node.directory,
    scrapeConfig: `    ${CREDENTIALS}
    ${tls}
    http_sd_configs:
${["localhost", "127.0.0.1"]
  .map(
    (host) => `      - url: https://${host}:${page.port}/discovery/prometheus
        refresh_interval: 1s
        ${CREDENTIALS}
        ${tls}`,
  )
  .join("\n")}
    relabel_configs:
      - { source_labels: [__meta_blixard_node_id], target_label: node }
      - { source_labels: [__meta_blixard_node_state], target_label: state }
    metric_relabel_configs:
      - { action: labeldrop, regex: node|state }
`,
  });
}

test("Prometheus finds the node and gives its series the job and instance that the OTLP route gives them", async () => {
  await using prometheus = await discovering();
  await receiver.waitFor(({ points }) => points.some(({ name }) => name === "blixard.vm.count"), TIMEOUT_MS);
  const pushed = receiver.points.find(({ name }) => name === "blixard.vm.count");
  assert.ok(pushed !== undefined);
  const identity = prometheusIdentity({ attributes: pushed.resource as Record<string, string> });
  assert.equal(identity.job, "prod/blixard");
  const scraped = await waitFor(
    "series of the node",
    async () => {
      const found = await prometheus.query('blixard_vm_count{blixard_vm_state="running"}');
      return found.length > 0 && found;
    },
    TIMEOUT_MS,
  );
  assert.deepEqual(
    scraped.map(({ metric }) => metric),
    [{ __name__: "blixard_vm_count", blixard_vm_state: "running", ...identity }],
  );
  const [target] = await prometheus.query("target_info");
  assert.equal(target?.metric["service_instance_id"], identity.instance);
  assert.deepEqual(
    (await prometheus.query("up")).map(({ metric }) => metric),
    [{ __name__: "up", ...identity, node: "node-1", state: "ready" }],
  );
});

test("a second node is found as soon as it is in the store, and stays a target when it is lost", async () => {
  await using prometheus = await discovering();
  const connection = createEtcdConnection({
    endpoints: [unixEndpoint(join(await node.runDirectory(), CLIENT_SOCKET_NAME))],
  });
  const store = createEtcdKeyValueStore({
    connection,
    clock: createSystemClock({ keepsAlive: true }),
    random: Math.random,
  });
  try {
    const metrics: MetricsEndpoint = {
      // Nobody listens there.
      address: "localhost:1",
      scheme: "https",
      path: "/metrics",
      job: "prod/blixard",
      instance: "11111111-2222-5333-8444-555555555555",
    };
    const registration = aRegistration({ id: "node-2", metrics });
    const session = await createNodeRepository(store).register({
      registration,
      instanceId: "other",
      leaseTtlMs: 600_000,
    });
    const labelsIn = (state: string): Record<string, string> => {
      const { job, instance } = metrics;
      return { job, instance, node: "node-2", state };
    };
    const isDown = async (state: string): Promise<boolean> => {
      const [up] = await prometheus.query(`up{node="node-2",state="${state}"}`);
      if (up === undefined) return false;
      assert.deepEqual(up.metric, { __name__: "up", ...labelsIn(state) });
      return up.value[1] === "0";
    };
    await waitFor("the second node", () => isDown("ready"), TIMEOUT_MS);
    await session.end();
    await waitFor("its loss", () => isDown("down"), TIMEOUT_MS);
    // Two are asked, not at the same time, and tell of the same.
    const both = new Set(["node-1", "node-2"]);
    await waitFor(
      "two targets",
      async () => {
        const targets = await prometheus.targets();
        return targets.length === 2 && both.difference(new Set(targets.map(({ labels }) => labels["node"]))).size === 0;
      },
      TIMEOUT_MS,
    );
  } finally {
    await store.close();
    connection.close();
  }
});

test("while the store hangs the node gives the last list, and says how old it is", async () => {
  const etcd = await etcdOf(node);
  const credentials = Buffer.from("prometheus:open sesame").toString("base64");
  const ask = async (): Promise<{ status: number; ageSeconds: number; targets: string[] }> => {
    const call = request(new URL("/discovery/prometheus", page), {
      headers: { authorization: `Basic ${credentials}` },
      ca: loopbackCertificate,
      agent: false,
    });
    call.end();
    const [response] = (await once(call, "response")) as [IncomingMessage];
    const groups = (await json(response)) as { targets: string[] }[];
    const targets = groups.flatMap((group) => group.targets);
    return { status: response.statusCode ?? 0, ageSeconds: Number(response.headers.age), targets };
  };
  const before = await ask();
  assert.ok(before.targets.includes(`localhost:${page.port}`));
  process.kill(etcd, "SIGSTOP");
  try {
    // Longer than between two heartbeats.
    const later = await waitFor(
      "an old list",
      async () => {
        const answer = await ask();
        return answer.ageSeconds >= 8 && answer;
      },
      TIMEOUT_MS,
    );
    assert.deepEqual([later.status, later.targets], [200, before.targets]);
  } finally {
    process.kill(etcd, "SIGCONT");
  }
  await waitFor("a fresh list", async () => (await ask()).ageSeconds < 8, TIMEOUT_MS);
});

async function etcdOf({ dataDirectory }: TestNode): Promise<number> {
  for (const pid of await pidsMentioning(dataDirectory)) {
    const [program = ""] = (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0");
    if (/\betcd$/.test(program)) return pid;
  }
  throw new Error("the node has no etcd");
}

test("nobody finds the nodes without the credentials of the page; the API tells where each node's page is", async () => {
  const { nodes } = await node.json<{ nodes: readonly { id: string; metrics: MetricsEndpoint }[] }>(["node", "list"]);
  const { metrics } = nodes.find(({ id }) => id === "node-1") ?? {};
  assert.equal(metrics?.address, `localhost:${page.port}`);
  assert.equal(metrics?.scheme, "https");
  await using prometheus = await startPrometheus({
    directory: node.directory,
    scrapeConfig: `    http_sd_configs:
      - url: https://localhost:${page.port}/discovery/prometheus
        refresh_interval: 1s
        tls_config: { ca_file: ${join(node.directory, "server.pem")} }
`,
  });
  const failures = async (): Promise<number> => {
    const text = await (await fetch(`${prometheus.url}/metrics`)).text();
    return Number(/^prometheus_sd_http_failures_total (\d+)/m.exec(text)?.[1] ?? 0);
  };
  await waitFor("the refusal", async () => (await failures()) > 0, TIMEOUT_MS);
  assert.deepEqual(await prometheus.targets(), []);
});

test("the doctor advises a static target without labels to be discovered; what is discovered into a file is well", async () => {
  const targets = join(node.directory, "targets.json");
  await using prometheus = await startPrometheus({
    directory: node.directory,
    scrapeConfig: `    file_sd_configs: [{ files: ["${targets}"], refresh_interval: 1s }]\n`,
  });
  await using scraped = await TestNode.start({
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
[observability.doctor]
prometheus_url = "${prometheus.url}"
`,
  });
  const { host, origin } = new URL((await scraped.endpoints()).metrics);
  const discovery = `${origin}/discovery/prometheus`;
  const scrapedAs = async (text: string, selector: string): Promise<void> => {
    await writeFile(`${targets}.new`, text);
    await rename(`${targets}.new`, targets);
    const only = `count(blixard_vm_count{${selector}}) == count(blixard_vm_count)`;
    await waitFor(selector, async () => (await prometheus.query(only)).length > 0, TIMEOUT_MS);
  };
  const findings = async (): Promise<readonly unknown[]> => {
    const { stdout } = await scraped.cli(["telemetry", "doctor", "-o", "json"], { timeoutMs: TIMEOUT_MS });
    const checks = stdout
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as DoctorLine).check);
    return checks.flatMap((check) => (check?.finding === undefined ? [] : [[check.finding, check.fix]]));
  };
  await scrapedAs(JSON.stringify([{ targets: [host] }]), `instance="${host}"`);
  const [[finding, fix] = [], ...others] = (await findings()) as [string, string][];
  assert.equal(finding, "scrape_labels_differ");
  assert.ok(fix?.includes(`http_sd_configs: [{ url: "${discovery}" }]`));
  assert.deepEqual(others, []);

  await scrapedAs(await (await fetch(discovery)).text(), 'job="blixard/blixard"');
  assert.deepEqual(await findings(), []);
});

interface DoctorLine {
  readonly check?: { readonly finding?: string; readonly fix?: string };
}
