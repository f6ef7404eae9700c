import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BlixardError } from "#model/errors.ts";
import type { VmStatus } from "#model/vm.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { createImageRepository } from "#store/image-repository.ts";
import { createMemoryKeyValueStore } from "#store/memory/memory-key-value-store.ts";
import { createNodeRepository } from "#store/node-repository.ts";
import { createStatusRepository } from "#store/status-repository.ts";
import { createVmRepository } from "#store/vm-repository.ts";
import { createWatchCache } from "#store/watch-cache.ts";
import { placementKey } from "#store/keys.ts";
import { placementCodec } from "#store/records/placement-codec.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { aRegistration, anImage, aStatus } from "#test/support/store-fixtures.ts";
import { cliCommand } from "#gen/telemetry/spans.ts";
import { createAdmission } from "./admission.ts";

async function createBench(t: { after(fn: () => Promise<void>): void }) {
  const clock = createSystemClock();
  const telemetry = createMemoryTelemetry();
  const store = createMemoryKeyValueStore({ clock });
  const cache = createWatchCache({ store, clock, random: Math.random, logger: telemetry.logger });
  const nodes = createNodeRepository(store);
  let operations = 0;
  await createImageRepository(store).create(anImage());
  await cache.start();
  t.after(async () => {
    await cache.stop();
    await store.close();
  });
  const statuses = createStatusRepository(store);
  return {
    telemetry,
    cache,
    nodes,
    admission: createAdmission({
      vms: createVmRepository(store),
      nodes,
      cache,
      clock,
      newOperationId: () => `fresh-${operations++}`,
      telemetry,
    }),
    /** What a node would report. */
    async report(vmId: string, state: VmStatus["state"]) {
      const placement = { vmId, nodeId: "node-1", refusals: [], timeMs: 0, attempts: 1 };
      await store.transact({
        compare: [],
        success: [{ kind: "put", key: placementKey(vmId), value: placementCodec.encode(placement) }],
      });
      const revision = await statuses.report(aStatus({ vmId, state }));
      await cache.waitForRevision(revision ?? 0n);
    },
  };
}

const demo = { image: "demo" };

describe("admission", () => {
  test("stores an intent and answers with the VM, which the next request finds", async (t) => {
    const { admission, cache } = await createBench(t);
    const vm = await admission.createVm({ name: "web", spec: demo });
    assert.deepEqual([vm.intent.name, vm.intent.desiredState, vm.status.state], ["web", "running", "pending"]);
    assert.equal(cache.snapshot().findVm("web")?.intent.id, vm.intent.id);
  });

  test("gives the same answer to the same request, and refuses another under its operation id", async (t) => {
    const { admission } = await createBench(t);
    const request = { name: "web", spec: { ...demo, labels: { a: "1", b: "2" } }, operationId: "op-1" };
    const first = await admission.createVm(request);
    const again = await admission.createVm({ ...request, spec: { ...demo, labels: { b: "2", a: "1" } } });
    assert.equal(again.intent.id, first.intent.id);
    await assert.rejects(admission.createVm({ ...request, spec: { ...demo, vcpus: 2 } }), {
      code: "OPERATION_ID_REUSED",
    });
    await assert.rejects(admission.createVm({ ...request, operationId: "op-2" }), { code: "VM_NAME_TAKEN" });
  });

  test("names the field of a request that is wrong, before anything is stored", async (t) => {
    const { admission, cache } = await createBench(t);
    await assert.rejects(admission.createVm({ name: "Web", spec: demo }), { code: "INVALID_ARGUMENT", field: "name" });
    await assert.rejects(admission.createVm({ name: "web", spec: { ...demo, vcpus: 99 } }), { field: "spec.vcpus" });
    await assert.rejects(admission.createVm({ name: "web", spec: { image: "absent" } }), { code: "IMAGE_NOT_FOUND" });
    await assert.rejects(admission.changeVm("stop", { vm: "nobody" }), { code: "VM_NOT_FOUND" });
    await assert.rejects(admission.changeVm("stop", { vm: "../etc" }), { code: "INVALID_ARGUMENT", field: "vm" });
    assert.equal(cache.snapshot().intents.size, 0);
  });

  test("says what state a VM is in and what to do when it cannot be paused or resumed", async (t) => {
    const { admission, report } = await createBench(t);
    const { intent } = await admission.createVm({ name: "web", spec: demo });
    await report(intent.id, "stopped");
    await assert.rejects(
      admission.changeVm("pause", { vm: "web" }),
      (error) =>
        error instanceof BlixardError &&
        error.code === "VM_STATE_CONFLICT" &&
        error.message === "cannot pause VM web: it is stopped" &&
        error.hint?.includes("blixard vm start web") === true,
    );
    await report(intent.id, "running");
    await assert.rejects(admission.changeVm("resume", { vm: "web" }), {
      message: "cannot resume VM web: it is running",
    });
    const paused = await admission.changeVm("pause", { vm: "web", operationId: "op-p" });
    assert.equal(paused.intent.desiredState, "paused");
  });

  test("answers a retry of an operation as the first time, whatever state the VM is in by then", async (t) => {
    const { admission, report } = await createBench(t);
    const { intent } = await admission.createVm({ name: "web", spec: demo });
    await report(intent.id, "running");
    const first = await admission.changeVm("pause", { vm: "web", operationId: "op-p" });
    await report(intent.id, "failed");
    const again = await admission.changeVm("pause", { vm: intent.id, operationId: "op-p" });
    assert.equal(again.intent.generation, first.intent.generation);
  });

  test("lets nothing but a deletion happen to a VM that is being deleted", async (t) => {
    const { admission } = await createBench(t);
    await admission.createVm({ name: "web", spec: demo });
    await admission.changeVm("delete", { vm: "web" });
    await admission.changeVm("delete", { vm: "web" });
    for (const kind of ["start", "stop", "restart", "pause", "resume"] as const) {
      await assert.rejects(admission.changeVm(kind, { vm: "web" }), (error) => {
        assert.ok(error instanceof BlixardError && error.code === "VM_STATE_CONFLICT");
        assert.equal(error.message, `cannot ${kind} VM web: it is being deleted`);
        assert.ok(error.hint !== undefined);
        return true;
      });
    }
  });

  test("keeps the context of the call with the VM and with each operation", async (t) => {
    const { admission, telemetry } = await createBench(t);
    const { tracing } = telemetry;
    const call = { attributes: { "blixard.cli.command": "test" } };
    const vm = await tracing.span(cliCommand, call, () => admission.createVm({ name: "web", spec: demo }));
    const stopped = await tracing.span(cliCommand, call, () => admission.changeVm("stop", { vm: "web", force: true }));
    const [create, stop] = telemetry.spansNamed("cli.command");
    assert.equal(vm.intent.origin?.spanId, create?.spanId);
    assert.equal(stopped.intent.operations[0]?.trace?.spanId, stop?.spanId);
    assert.equal(stopped.intent.force, true);
    assert.deepEqual(
      telemetry.spansNamed("vm.admit").map((span) => span.parentSpanId),
      [create?.spanId, stop?.spanId],
    );
  });

  test("cordons a node that is there", async (t) => {
    const { admission, nodes, cache } = await createBench(t);
    await assert.rejects(admission.setNodeCordoned("node-1", true), { code: "NODE_NOT_FOUND" });
    const session = await nodes.register({ registration: aRegistration(), instanceId: "i", leaseTtlMs: 15_000 });
    await cache.waitForRevision(session.revision);
    assert.equal((await admission.setNodeCordoned("node-1", true)).cordoned, true);
    assert.equal((await admission.setNodeCordoned("node-1", false)).cordoned, false);
  });
});
