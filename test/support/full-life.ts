/**
 * A full life of a node with real guests, for those who look at what it emits: images,
 * every operation on a VM, every way to fail, a store that hangs and ends, a collector
 * that refuses, a daemon and a guardian that are killed. It waits for what the receiver
 * has to see, and ends with the node's orderly stop.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { importDemoImage } from "./demo-image.ts";
import type { OtlpReceiver } from "./otlp-receiver.ts";
import { type CliResult, pidsMentioning, type TestNode } from "./test-node.ts";
import { waitFor } from "./wait-for.ts";

/** Everything that is off by default is on. */
export const fullConfiguration = `
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
export const placeVariables = {
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

const DEADLINE_MS = 120_000;

interface VmJson {
  readonly id: string;
  readonly status: { readonly state: string; readonly restarts?: number };
}

/** @param receiver where the node's telemetry goes. Returns a page that was scraped on the way. */
export async function liveFully(node: TestNode, receiver: OtlpReceiver): Promise<{ readonly page: string }> {
  return new FullLife(node, receiver).run();
}

class FullLife {
  readonly #node: TestNode;
  readonly #receiver: OtlpReceiver;
  #page = "";

  constructor(node: TestNode, receiver: OtlpReceiver) {
    this.#node = node;
    this.#receiver = receiver;
  }

  async run(): Promise<{ readonly page: string }> {
    await importDemoImage(this.#node);
    await this.#useOneVm();
    await this.#failInEveryWay();
    await this.#askByTcp();
    await this.#askAboutTelemetry();
    await this.#loseTheStore();
    await this.#loseTheCollector();
    await this.#loseDaemonAndGuardian();
    for (const name of ["one", "giant", "late", "panics", "taken", "hiccup"])
      await this.#cli(`vm delete ${name} --force --wait`);
    await this.#cli("image delete demo");
    const points = this.#receiver.points.length;
    await this.#receiver.waitFor(({ points: now }) => now.length > points, DEADLINE_MS);
    await this.#node.endDaemon("SIGTERM");
    return { page: this.#page };
  }

  async #useOneVm(): Promise<void> {
    await this.#cli("vm create one --image demo --publish 0:80 --disk name=data,size=16MiB --wait");
    for (const verb of ["pause", "resume", "stop", "start", "restart"]) await this.#cli(`vm ${verb} one --wait`);
    await this.#cli("node cordon node-1");
    await this.#cli("node uncordon node-1");
    // A guest that crashes is started again by its policy.
    const { id } = await this.#get("one");
    for (const pid of await pidsOf(/qemu-system/, id)) process.kill(pid, "SIGKILL");
    await waitFor(
      "the restart by policy",
      async () => ((await this.#get("one")).status.restarts ?? 0) > 0,
      DEADLINE_MS,
    );
    await this.#isRunning();
  }

  /** No room, no image, nobody there; a guest that is never ready, one that panics, a port that is taken. */
  async #failInEveryWay(): Promise<void> {
    await using taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    await this.#cli("vm create giant --image demo --memory 900GiB");
    await this.#cli("vm create none --image nothing");
    await this.#cli("vm get nobody");
    const common = "--image demo --restart never";
    await Promise.all([
      this.#cli(`vm create late ${common} --boot-timeout 2s --cmdline blixard.workload=silent --wait`),
      this.#cli(`vm create panics ${common} --cmdline blixard.workload=crash --wait`),
      this.#cli(`vm create taken ${common} --publish 127.0.0.1:${port}:80`),
    ]);
    await waitFor("the panic", () => this.#saw("blixard.vm.panics"), DEADLINE_MS);
  }

  async #askByTcp(): Promise<void> {
    const { api, metrics, tokenFile = "" } = await this.#node.endpoints();
    const token = (await readFile(tokenFile, "utf8")).trim();
    const call = async (method: string, authorization: string): Promise<void> => {
      const headers = { "content-type": "application/json", authorization, baggage: "tenant=a,secret=b" };
      await (await fetch(`http://${api.tcp}/${method}`, { method: "POST", body: "{}", headers })).text();
    };
    await call("blixard.v1.VmService/ListVms", `Bearer ${token}`);
    await call("blixard.v1.VmService/ListVms", "Bearer wrong");
    await call("no.Such/Method", `Bearer ${token}`);
    await (await fetch(metrics)).text();
    this.#page = await (
      await fetch(metrics, { headers: { accept: "application/openmetrics-text; version=1.0.0" } })
    ).text();
  }

  async #askAboutTelemetry(): Promise<void> {
    await this.#cli("telemetry doctor");
    await this.#cli("telemetry cardinality");
    await this.#cli("telemetry trace --vm one --for 1m");
    await this.#cli("telemetry log-level debug");
    await this.#cli("telemetry log-level info");
  }

  /** The consensus member hangs, and then ends and comes back. */
  async #loseTheStore(): Promise<void> {
    const [etcd] = await pidsOf(/etcd$/, this.#node.dataDirectory);
    assert.ok(etcd !== undefined);
    process.kill(etcd, "SIGSTOP");
    try {
      await this.#cli("vm create hiccup --image demo --stopped");
      await waitFor("a heartbeat to be missed", () => this.#saw("blixard.node.heartbeat.missed"), DEADLINE_MS);
    } finally {
      process.kill(etcd, "SIGCONT");
    }
    process.kill(etcd, "SIGKILL");
    await waitFor("the store to be back", async () => (await this.#cli("vm list")).exitCode === 0, DEADLINE_MS);
    await waitFor("the end of the member to be told", () => this.#sawEvent("blixard.store.member_exited"), DEADLINE_MS);
  }

  async #loseTheCollector(): Promise<void> {
    this.#receiver.misbehave({ kind: "refuse" });
    const refused = this.#receiver.requests.length;
    await waitFor("exports to fail", () => this.#receiver.requests.length > refused + 3, DEADLINE_MS);
    this.#receiver.misbehave(undefined);
    await waitFor("the gap to be told", () => this.#sawEvent("blixard.telemetry.gap"), DEADLINE_MS);
  }

  /** The daemon is killed and adopts its guests; the guardian is killed and takes its guests with it. */
  async #loseDaemonAndGuardian(): Promise<void> {
    await this.#node.endDaemon("SIGKILL");
    await this.#node.startDaemon();
    await this.#isRunning();
    const [guardian] = await pidsOf(/guardian(\.js|\/main\.ts)$/, this.#node.dataDirectory);
    assert.ok(guardian !== undefined, "there is a guardian");
    process.kill(guardian, "SIGKILL");
    await waitFor("the end of the guardian", () => this.#sawEvent("blixard.guardian.exited"), DEADLINE_MS);
    await this.#isRunning();
  }

  /** @param line a command line whose words have no spaces in them */
  #cli(line: string): Promise<CliResult> {
    return this.#node.cli(line.split(" "), { timeoutMs: DEADLINE_MS });
  }

  async #get(name: string): Promise<VmJson> {
    return (await this.#node.json<{ vm: VmJson }>(["vm", "get", name])).vm;
  }

  async #isRunning(): Promise<void> {
    await waitFor(
      "the guest to run",
      async () => (await this.#get("one")).status.state === "VM_STATE_RUNNING",
      DEADLINE_MS,
    );
  }

  #saw(metric: string): boolean {
    return this.#receiver.points.some(({ name }) => name === metric);
  }

  #sawEvent(name: string): boolean {
    return this.#receiver.logs.some(({ eventName }) => eventName === name);
  }
}

/** @param program what the program, or the script that Node runs, is called */
async function pidsOf(program: RegExp, mention: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await pidsMentioning(mention)) {
    const [executable = "", ...rest] = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    const script = rest.find((word) => !word.startsWith("-")) ?? "";
    if (program.test(executable) || (executable.endsWith("/node") && program.test(script))) found.push(pid);
  }
  return found;
}
