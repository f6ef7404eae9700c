/** Control and agent over a real etcd, with simulated machines. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Vm } from "#model/vm.ts";
import { createSimulatedRuntime } from "#runtime/simulated/simulated-runtime.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { createImageRepository } from "#store/image-repository.ts";
import { STORE_PREFIX } from "#store/keys.ts";
import { createSimulatedNode, type SimulatedNode } from "#test/simulation/support/simulated-node.ts";
import { startTestEtcd, type TestEtcd } from "#test/support/etcd.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { anImage } from "#test/support/store-fixtures.ts";
import { waitFor } from "#test/support/wait-for.ts";

function createNode(etcd: TestEtcd, nodeId: string): SimulatedNode {
  const clock = createSystemClock();
  return createSimulatedNode({
    nodeId,
    instanceId: `${nodeId}-1`,
    store: etcd.store(),
    runtime: createSimulatedRuntime({ clock, launchDelayMs: 5, bootDelayMs: 20 }),
    clock,
    random: Math.random,
    telemetry: createMemoryTelemetry(),
  });
}

function waitForVm(node: SimulatedNode, name: string, condition: (vm: Vm) => boolean): Promise<Vm> {
  return waitFor(`VM ${name}`, () => {
    const vm = node.cache.snapshot().findVm(name);
    return vm !== undefined && condition(vm) ? vm : undefined;
  });
}

const isRunning = (vm: Vm): boolean =>
  vm.status.state === "running" && vm.status.observedGeneration === vm.intent.generation;

test("VMs go through their lives over a real etcd, across its death, and leave nothing behind", async () => {
  await using etcd = await startTestEtcd();
  const store = etcd.store();
  await createImageRepository(store).create(anImage());
  const node = createNode(etcd, "node-1");
  await node.start();
  try {
    const names = Array.from({ length: 20 }, (_, index) => `vm-${index}`);
    await Promise.all(
      names.map((name) =>
        node.admission.createVm({ name, spec: { image: "demo", memoryBytes: 64 * 1024 ** 2, vcpus: 1 } }),
      ),
    );
    const placedFirst = await waitFor("eight placed VMs", () => {
      const running = [...node.cache.snapshot().vms()].filter(isRunning);
      return running.length === 8 ? running.map((vm) => vm.intent.name) : undefined;
    });
    const waiting = names.filter((name) => !placedFirst.includes(name));
    assert.equal(node.cache.snapshot().findVm(waiting[0] ?? "")?.status.reason, "insufficient_vcpus");

    const pid = etcd.supervisor.pid;
    assert.ok(pid !== undefined);
    process.kill(pid, "SIGKILL");
    await waitFor("etcd to be back", () => etcd.supervisor.pid !== undefined && etcd.supervisor.pid !== pid);
    for (const name of placedFirst) {
      await waitFor(`the deletion of ${name} to be taken`, async () => {
        try {
          return await node.admission.changeVm("delete", { vm: name, operationId: `delete-${name}` });
        } catch {
          return undefined;
        }
      });
    }
    await waitFor("the next eight VMs", () => [...node.cache.snapshot().vms()].filter(isRunning).length === 8);
    for (const name of waiting) await node.admission.changeVm("delete", { vm: name });
    await waitFor("all VMs to be gone", () => node.cache.snapshot().intents.size === 0);
    const { entries } = await store.range(STORE_PREFIX);
    const kinds = new Set(entries.map(({ key }) => key.slice(STORE_PREFIX.length).split("/")[0]));
    assert.deepEqual(kinds, new Set(["images", "leadership", "live", "nodes"]));
    assert.deepEqual(node.agent.vms, []);
  } finally {
    await node.stop();
  }
});

test("when the leader goes, another node places what waits, and running VMs are not touched", async () => {
  await using etcd = await startTestEtcd();
  await createImageRepository(etcd.store()).create(anImage());
  const first = createNode(etcd, "node-1");
  await first.start();
  const web = { name: "web", spec: { image: "demo" } };
  await first.admission.createVm(web);
  await waitForVm(first, "web", isRunning);
  const second = createNode(etcd, "node-2");
  try {
    await second.start();
    assert.equal(second.cache.snapshot().leader("control")?.nodeId, "node-1");
    await first.stop();
    await waitFor("the second to lead", () => second.cache.snapshot().leader("control")?.nodeId === "node-2");
    await second.admission.createVm({ ...web, name: "api" });
    const api = await waitForVm(second, "api", isRunning);
    assert.equal(api.placement?.nodeId, "node-2");
    assert.equal(second.cache.snapshot().findVm("web")?.status.nodeId, "node-1");
  } finally {
    await second.stop();
  }
});
