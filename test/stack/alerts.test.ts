/**
 * Alerts as they are shipped, in a real Prometheus with the shipped configuration: they fire when a guest crashes again
 * and again and when a node is killed, say which node and what to do, and are gone when that is over.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { importDemoImage } from "#test/support/demo-image.ts";
import type { PrometheusAlert, PrometheusApi } from "#test/support/prometheus-api.ts";
import { pidsMentioning } from "#test/support/test-node.ts";
import { missingBackends } from "./support/backends.ts";
import type { Cluster } from "./support/cluster.ts";
import { Stack } from "./support/stack.ts";

/** Scrapes and evaluations are 15 s apart, windows are minutes. */
const TIMEOUT_MS = 8 * 60_000;
const POLL_MS = 2_000;
const repositoryDir = resolve(import.meta.dirname, "../..");

const skip = missingBackends(["collector", "prometheus"]);
let stack: Stack;
let cluster: Cluster;
let prometheus: PrometheusApi;

before(async () => {
  if (skip !== false) return;
  stack = await Stack.start({ services: ["prometheus"] });
  ({ cluster, prometheus } = stack);
  await importDemoImage(cluster.any);
  await cluster.run("vm create web --image demo --wait");
  await until("the rules to see the node", async () => (await prometheus.query("blixard:node_known:group")).length > 0);
});

after(() => stack?.[Symbol.asyncDispose]());

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + TIMEOUT_MS;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) {
      assert.fail(`waited in vain for ${what}; alerts: ${JSON.stringify(await prometheus.alerts(), null, 1)}`);
    }
    await delay(POLL_MS);
  }
}

async function find(name: string): Promise<PrometheusAlert | undefined> {
  return (await prometheus.alerts()).find(({ labels }) => labels["alertname"] === name);
}

/** Once it fires. */
async function firing(name: string): Promise<PrometheusAlert> {
  let alert: PrometheusAlert | undefined;
  await until(`${name} to fire`, async () => {
    alert = await find(name);
    return alert?.state === "firing";
  });
  assert.ok(alert !== undefined);
  return alert;
}

/** It says who, what to run, and has a runbook that is there. */
function assertHelps({ labels, annotations }: PrometheusAlert): void {
  assert.equal(labels["job"], "blixard/blixard");
  assert.match(labels["instance"] ?? "", /^[0-9a-f-]{36}$/);
  assert.match(annotations["summary"] ?? "", /\bblixard\b/);
  assert.match(annotations["run"] ?? "", /^blixard /);
  const runbook = annotations["runbook_url"] ?? "";
  assert.ok(existsSync(resolve(repositoryDir, runbook)), `there is no ${runbook}`);
}

test("a guest that crashes again and again: the alert fires, and is gone when the guest is", { skip }, async () => {
  assert.equal(await find("BlixardVmCrashLooping"), undefined);
  await cluster.run("vm create loops --image demo --cmdline blixard.workload=crash");
  const alert = await firing("BlixardVmCrashLooping");
  assertHelps(alert);
  assert.deepEqual(
    [alert.labels["blixard_vm_name"], alert.labels["blixard_vm_id"], alert.annotations["run"]],
    ["loops", (await cluster.vm("loops")).id, "blixard vm get loops"],
  );
  assert.match(alert.annotations["summary"] ?? "", /^VM loops on blixard /);
  assert.equal((await cluster.vm("web")).status.state, "VM_STATE_RUNNING");
  await cluster.run("vm delete loops --force --wait");
  await until("the crash loop to be over", async () => (await find("BlixardVmCrashLooping")) === undefined);
});

test(
  "a node that is killed, daemon and guardian: the alert fires, and is gone when the node is back",
  { skip },
  async () => {
    const { node } = await cluster.nodeOf("web");
    assert.equal(await find("BlixardNodeLost"), undefined);
    await node.endDaemon("SIGKILL");
    await killGuardian(node.dataDirectory, await node.runDirectory());
    const alert = await firing("BlixardNodeLost");
    assertHelps(alert);
    assert.equal(alert.labels["blixard_node_id"], "blixard");
    await node.startDaemon();
    await until("the node to be found again", async () => (await find("BlixardNodeLost")) === undefined);
    await cluster.waitForVm("web", "running again", ({ status }) => status.state === "VM_STATE_RUNNING");
  },
);

/** Its guests end with it. */
async function killGuardian(...directories: readonly string[]): Promise<void> {
  const pids: number[] = [];
  for (const pid of await pidsMentioning(...directories)) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (commandLine.includes("guardian")) pids.push(pid);
  }
  assert.ok(pids.length > 0, "no guardian was found");
  for (const pid of pids) process.kill(pid, "SIGKILL");
}

// The last, because some groups are evaluated only every few minutes.
test("every shipped rule is evaluated without an error", { skip }, async () => {
  await until("the first evaluation of all rules", async () => {
    return (await prometheus.rules()).every(({ health }) => health !== "unknown");
  });
  const failed = (await prometheus.rules()).filter(({ health }) => health !== "ok");
  assert.deepEqual(failed, []);
});
