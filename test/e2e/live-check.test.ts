/**
 * A node lives a full life with real guests, and everything it sends is held against the
 * registry, both ways: nothing is emitted that is not registered as it is emitted, and
 * what is registered is emitted, or stands in the table below with the reason.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { readRegistry, type Registry } from "../../scripts/generate/registry.ts";
import { importDemoImage } from "#test/support/demo-image.ts";
import { checkLive, registeredNames, type LiveCheck } from "#test/support/live-check.ts";
import { startOtlpReceiver, type OtlpReceiver } from "#test/support/otlp-receiver.ts";
import { pidsMentioning, TestNode } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";

const UNSEEN: Readonly<Record<string, string>> = {};

interface VmJson {
  readonly id: string;
  readonly status: { readonly state: string; readonly restarts?: number };
}

const RECEIVE_MS = 60_000;
let receiver: OtlpReceiver;
let node: TestNode;
let registry: Registry;
let result: LiveCheck;

before(async () => {
  registry = await readRegistry(join(import.meta.dirname, "../../telemetry/registry"));
  receiver = await startOtlpReceiver();
  node = await TestNode.start({
    environment: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.grpcEndpoint, OTEL_METRIC_EXPORT_INTERVAL: "500" },
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

  test("is all that is registered, but for what has a reason", () => {
    const missing = registeredNames(registry).filter((name) => !result.seen.has(name) && !(name in UNSEEN));
    assert.deepEqual(missing, []);
  });

  test("is nothing of what is said not to be seen", () => {
    const names = new Set(registeredNames(registry));
    const wrong = Object.keys(UNSEEN).filter((name) => result.seen.has(name) || !names.has(name));
    assert.deepEqual(wrong, []);
  });
});

async function liveFully(): Promise<void> {
  const cli = (...args: string[]) => node.cli(args, { timeoutMs: 120_000 });
  const get = async (name: string): Promise<VmJson> => (await node.json<{ vm: VmJson }>(["vm", "get", name])).vm;
  const act = (verb: string, name: string) => node.json(["vm", verb, name, "--wait"], 120_000);

  await importDemoImage(node);
  await cli("vm", "create", "one", "--image", "demo", "--publish", "0:80", "--disk", "name=data,size=16MiB", "--wait");
  for (const verb of ["pause", "resume", "stop", "start", "restart"]) await act(verb, "one");

  // A guest that crashes is started again by its policy.
  const { id } = await get("one");
  for (const pid of await pidsOf("qemu-system", id)) process.kill(pid, "SIGKILL");
  await waitFor(
    "the restart by policy",
    async () => ((await get("one")).status.restarts ?? 0) > 0 || undefined,
    60_000,
  );
  await waitFor(
    "the guest to run",
    async () => (await get("one")).status.state === "VM_STATE_RUNNING" || undefined,
    60_000,
  );

  // What cannot work: no room, no image, nobody there, a guest that is never ready.
  await cli("vm", "create", "giant", "--image", "demo", "--memory", "900GiB");
  await cli("vm", "create", "none", "--image", "nothing");
  await cli("vm", "get", "nobody");
  await cli(
    "vm",
    "create",
    "late",
    "--image",
    "demo",
    "--boot-timeout",
    "1s",
    "--cmdline",
    "blixard.ready=never",
    "--restart",
    "never",
    "--wait",
  );
  const { api, metrics } = await node.endpoints();
  await fetch(`http://${api.tcp}/blixard.v1.VmService/ListVms`, {
    method: "POST",
    body: "{}",
    headers: { "content-type": "application/json" },
  });
  await fetch(`http://${api.tcp}/no.Such/Method`, {
    method: "POST",
    body: "{}",
    headers: { "content-type": "application/json" },
  });

  await (await fetch(metrics)).text();
  await (await fetch(metrics, { headers: { accept: "application/openmetrics-text; version=1.0.0" } })).text();
  await cli("node", "cordon", "node-1");
  await cli("node", "uncordon", "node-1");

  // The consensus member ends and comes back.
  for (const pid of await pidsOf("etcd", node.dataDirectory)) process.kill(pid, "SIGKILL");
  await cli("vm", "create", "hiccup", "--image", "demo", "--stopped");
  await waitFor("the store to be back", async () => (await cli("vm", "list")).exitCode === 0 || undefined, 60_000);

  // The daemon is killed and adopts its guest.
  await node.endDaemon("SIGKILL");
  await node.startDaemon();
  await waitFor(
    "the guest to be adopted",
    async () => (await get("one")).status.state === "VM_STATE_RUNNING" || undefined,
    60_000,
  );

  // The guardian is killed and takes its guests with it.
  for (const pid of await pidsOf("guardian", node.dataDirectory)) process.kill(pid, "SIGKILL");
  await waitFor(
    "the guest to run again",
    async () => receiver.logs.some(({ eventName }) => eventName === "blixard.guardian.exited") || undefined,
    60_000,
  );
  await waitFor(
    "the guest to run again",
    async () => (await get("one")).status.state === "VM_STATE_RUNNING" || undefined,
    60_000,
  );

  for (const name of ["one", "giant", "late", "hiccup"]) await cli("vm", "delete", name, "--force", "--wait");
  await cli("image", "delete", "demo");
  const points = receiver.points.length;
  await receiver.waitFor(({ points: now }) => now.length > points, RECEIVE_MS);
  await node.endDaemon("SIGTERM");
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
