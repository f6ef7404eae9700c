/**
 * A node lives a full life with real guests, and everything it sends is held against the
 * registry, both ways: nothing is emitted that is not registered as it is emitted, and
 * what is registered is emitted, or stands in the table below with the reason.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { readRegistry, type Registry } from "../../scripts/generate/registry.ts";
import { prometheusLabelName, prometheusMetricName } from "#telemetry/exposition/prometheus-names.ts";
import { importDemoImage } from "#test/support/demo-image.ts";
import { checkLive, registeredNames, type LiveCheck } from "#test/support/live-check.ts";
import { startOtlpReceiver, type OtlpReceiver } from "#test/support/otlp-receiver.ts";
import { type CliResult, pidsMentioning, TestNode } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";

interface Unseen {
  readonly why: string;
  /** It depends on the machine whether it is seen; the others are never seen, or the table is wrong. */
  readonly varies?: boolean;
}

const overflow = { why: "needs a metric over its limit; src/telemetry/metrics has the tests" };
const lone = { why: "a lone member has no other leader; test/integration/etcd-signals.test.ts" };
const place = { why: "only in a container, or where the firmware says it; src/telemetry/resource", varies: true };
const mistake = { why: "only when a program measures what is no number; src/telemetry/metrics has the tests" };

/** What is registered and not seen in this life. */
const UNSEEN: Readonly<Record<string, Unseen>> = {
  "metric blixard.raft.apply.duration": { why: "etcd counts it from 3.6 on only", varies: true },
  "metric blixard.telemetry.spool.dropped": { why: "needs an outage that is longer than the spool" },
  "metric blixard.telemetry.scrape.rejected": { why: "needs a hostile scraper; src/telemetry/http has them" },
  "metric blixard.telemetry.series.overflows": overflow,
  "metric blixard.telemetry.tombstones.dropped": overflow,
  "metric blixard.telemetry.measurements.dropped": mistake,
  "event blixard.store.leader_changed": lone,
  "event blixard.telemetry.destination_state": { why: "said on stderr only: it must not go where the trouble is" },
  "event rpc.server.call.exception": { why: "what fails within a call is told by the span inside that failed first" },
  "entity container": place,
  "attribute container.id": place,
  "attribute host.type": place,
  "attribute blixard.store.member_id": lone,
  "attribute blixard.store.leader_id": lone,
  "attribute blixard.telemetry.attribute": { why: "names a log attribute that is not registered" },
  "attribute blixard.telemetry.rejection_reason": { why: "on blixard.telemetry.scrape.rejected" },
  "attribute blixard.telemetry.drop_reason": mistake,
  "attribute blixard.telemetry.item_count": { why: "needs a message that repeats too often; src/telemetry/logging" },
  "attribute otel.metric.overflow": overflow,
  "attribute process.exit.code": { why: "a member that is killed has none" },
};

interface VmJson {
  readonly id: string;
  readonly status: { readonly state: string; readonly restarts?: number };
}

const CONFIGURATION = `
[node]
id = "node-1"
bind = "127.0.0.1:0"
[observability.metrics]
runtime_metrics = true
[observability.context]
baggage_allowed = ["tenant"]
baggage_attributes = ["tenant"]
[observability.metrics.http_server]
enabled = true
bind = "127.0.0.1:0"
`;

/** As if it ran in a pod of a cloud: what the environment of such a place says. */
const PLACE = {
  OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
  KUBERNETES_SERVICE_HOST: "127.0.0.1",
  K8S_CLUSTER_NAME: "cluster",
  K8S_NAMESPACE_NAME: "default",
  K8S_NODE_NAME: "rack-4",
  K8S_POD_NAME: "blixard-0",
  K8S_POD_UID: "275ecb36-5aa8-4c2a-9c47-d8bb681b9aff",
  K8S_CONTAINER_NAME: "blixard",
  K8S_DEPLOYMENT_NAME: "blixard",
  WEBSITE_SITE_NAME: "web",
  WEBSITE_RESOURCE_GROUP: "group",
  WEBSITE_OWNER_NAME: "1234+group-westeuropewebspace",
  REGION_NAME: "westeurope",
};

const SCOPE_LABELS = ["otel_scope_name", "otel_scope_version", "otel_scope_schema_url"];
const DEADLINE_MS = 120_000;
let receiver: OtlpReceiver;
let node: TestNode;
let registry: Registry;
let result: LiveCheck;
let page = "";

before(async () => {
  registry = await readRegistry(join(import.meta.dirname, "../../telemetry/registry"));
  receiver = await startOtlpReceiver();
  node = await TestNode.start({
    toml: CONFIGURATION,
    environment: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.grpcEndpoint, OTEL_METRIC_EXPORT_INTERVAL: "500", ...PLACE },
  });
  await liveFully();
  result = checkLive(registry, receiver);
});
after(async () => {
  await node?.[Symbol.asyncDispose]();
  await receiver?.[Symbol.asyncDispose]();
});

describe("what a node emits in a full life", () => {
  test("is registered, with the instrument, unit, kind, attributes and values that the registry has", () => {
    assert.deepEqual(
      result.findings.map(({ id, subject, message }) => `${id}: ${subject}: ${message}`),
      [],
    );
  });

  test("is on the metrics page under the names that the registry gives, with no other labels", () => {
    const known = new Map(
      registry.metrics.map((metric) => [prometheusMetricName(metric).replace(/_(total|info)$/, ""), metric.attributes]),
    );
    const families = [...page.matchAll(/^# TYPE (\S+) /gm)].map(([, name = ""]) => name);
    assert.ok(families.length > 100);
    assert.deepEqual(
      families.filter((name) => !known.has(name) && name !== "target"),
      [],
    );
    for (const [, name = "", labels = ""] of page.matchAll(/^([a-z_0-9]+)\{(.*)\} \S+/gm)) {
      const attributes = known.get(families.findLast((family) => name.startsWith(family)) ?? "");
      if (attributes === undefined) continue;
      const allowed = new Set([...attributes.map((one) => prometheusLabelName(one.name)), "le", ...SCOPE_LABELS]);
      const given = [...labels.matchAll(/([a-z_0-9]+)="(?:[^"\\]|\\.)*"/g)].map(([, label = ""]) => label);
      assert.deepEqual(
        given.filter((label) => !allowed.has(label)),
        [],
        name,
      );
    }
  });

  test("is all that is registered, but for what has a reason", () => {
    const missing = registeredNames(registry).filter((name) => !result.seen.has(name) && !(name in UNSEEN));
    assert.deepEqual(missing, []);
  });

  test("is nothing of what is said not to be seen", () => {
    const names = new Set(registeredNames(registry));
    const wrong = Object.keys(UNSEEN).filter(
      (name) => !names.has(name) || (UNSEEN[name]?.varies !== true && result.seen.has(name)),
    );
    assert.deepEqual(wrong, []);
  });
});

async function liveFully(): Promise<void> {
  await importDemoImage(node);
  await useOneVm();
  await failInEveryWay();
  await askByTcp();
  await askAboutTelemetry();
  await loseTheStore();
  await loseTheCollector();
  await loseDaemonAndGuardian();
  for (const name of ["one", "giant", "late", "panics", "taken", "hiccup"])
    await cli("vm", "delete", name, "--force", "--wait");
  await cli("image", "delete", "demo");
  const points = receiver.points.length;
  await receiver.waitFor(({ points: now }) => now.length > points, DEADLINE_MS);
  await node.endDaemon("SIGTERM");
}

async function useOneVm(): Promise<void> {
  await cli("vm", "create", "one", "--image", "demo", "--publish", "0:80", "--disk", "name=data,size=16MiB", "--wait");
  for (const verb of ["pause", "resume", "stop", "start", "restart"]) await cli("vm", verb, "one", "--wait");
  await cli("node", "cordon", "node-1");
  await cli("node", "uncordon", "node-1");
  // A guest that crashes is started again by its policy.
  const { id } = await get("one");
  for (const pid of await pidsOf("qemu-system", id)) process.kill(pid, "SIGKILL");
  await waitFor("the restart by policy", async () => ((await get("one")).status.restarts ?? 0) > 0, DEADLINE_MS);
  await isRunning();
}

/** No room, no image, nobody there; a guest that is never ready, one that panics, a port that is taken. */
async function failInEveryWay(): Promise<void> {
  await using taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  await cli("vm", "create", "giant", "--image", "demo", "--memory", "900GiB");
  await cli("vm", "create", "none", "--image", "nothing");
  await cli("vm", "get", "nobody");
  const common = ["--image", "demo", "--restart", "never"];
  await Promise.all([
    cli("vm", "create", "late", ...common, "--boot-timeout", "2s", "--cmdline", "blixard.workload=silent", "--wait"),
    cli("vm", "create", "panics", ...common, "--cmdline", "blixard.workload=crash", "--wait"),
    cli("vm", "create", "taken", ...common, "--publish", `127.0.0.1:${port}:80`),
  ]);
  await waitFor("the panic", () => saw("blixard.vm.panics"), DEADLINE_MS);
}

async function askByTcp(): Promise<void> {
  const { api, metrics, tokenFile = "" } = await node.endpoints();
  const token = (await readFile(tokenFile, "utf8")).trim();
  const call = async (method: string, authorization: string): Promise<void> => {
    const headers = { "content-type": "application/json", authorization, baggage: "tenant=a,secret=b" };
    await (await fetch(`http://${api.tcp}/${method}`, { method: "POST", body: "{}", headers })).text();
  };
  await call("blixard.v1.VmService/ListVms", `Bearer ${token}`);
  await call("blixard.v1.VmService/ListVms", "Bearer wrong");
  await call("no.Such/Method", `Bearer ${token}`);
  await (await fetch(metrics)).text();
  page = await (await fetch(metrics, { headers: { accept: "application/openmetrics-text; version=1.0.0" } })).text();
}

async function askAboutTelemetry(): Promise<void> {
  await cli("telemetry", "doctor");
  await cli("telemetry", "cardinality");
  await cli("telemetry", "trace", "--vm", "one", "--for", "1m");
  await cli("telemetry", "log-level", "debug");
  await cli("telemetry", "log-level", "info");
}

/** The consensus member hangs, and then ends and comes back. */
async function loseTheStore(): Promise<void> {
  const [etcd] = await pidsOf("etcd", node.dataDirectory);
  assert.ok(etcd !== undefined);
  process.kill(etcd, "SIGSTOP");
  try {
    await cli("vm", "create", "hiccup", "--image", "demo", "--stopped");
    await waitFor("a heartbeat to be missed", () => saw("blixard.node.heartbeat.missed"), DEADLINE_MS);
  } finally {
    process.kill(etcd, "SIGCONT");
  }
  process.kill(etcd, "SIGKILL");
  await waitFor("the store to be back", async () => (await cli("vm", "list")).exitCode === 0, DEADLINE_MS);
  await waitFor("the end of the member to be told", () => sawEvent("blixard.store.member_exited"), DEADLINE_MS);
}

async function loseTheCollector(): Promise<void> {
  receiver.misbehave({ kind: "refuse" });
  const refused = receiver.requests.length;
  await waitFor("exports to fail", () => receiver.requests.length > refused + 3, DEADLINE_MS);
  receiver.misbehave(undefined);
  const points = receiver.points.length;
  await receiver.waitFor(({ points: now }) => now.length > points, DEADLINE_MS);
}

/** The daemon is killed and adopts its guests; the guardian is killed and takes its guests with it. */
async function loseDaemonAndGuardian(): Promise<void> {
  await node.endDaemon("SIGKILL");
  await node.startDaemon();
  await isRunning();
  for (const pid of await pidsOf("guardian", node.dataDirectory)) process.kill(pid, "SIGKILL");
  await waitFor("the end of the guardian", () => sawEvent("blixard.guardian.exited"), DEADLINE_MS);
  await isRunning();
}

function cli(...args: readonly string[]): Promise<CliResult> {
  return node.cli(args, { timeoutMs: DEADLINE_MS });
}

async function get(name: string): Promise<VmJson> {
  return (await node.json<{ vm: VmJson }>(["vm", "get", name])).vm;
}

async function isRunning(): Promise<void> {
  await waitFor("the guest to run", async () => (await get("one")).status.state === "VM_STATE_RUNNING", DEADLINE_MS);
}

function saw(metric: string): boolean {
  return receiver.points.some(({ name }) => name === metric);
}

function sawEvent(name: string): boolean {
  return receiver.logs.some(({ eventName }) => eventName === name);
}

async function pidsOf(word: string, mention: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await pidsMentioning(mention)) {
    const [program = "", ...rest] = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    const isDaemon = rest.includes("run") && rest.includes("node");
    if (!isDaemon && (program.includes(word) || rest.some((one) => one.includes(`${word}/`)))) found.push(pid);
  }
  return found;
}
