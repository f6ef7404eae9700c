/** The repositories of placements, assignments, statuses, nodes, images and the cluster, on the memory store. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { BlixardError, type ErrorCode } from "#model/errors.ts";
import type { VmAssignment, VmIntent, VmPlacement } from "#model/vm.ts";
import { aCreateVm, anImage, aRegistration, aStatus } from "#test/support/store-fixtures.ts";
import { createUnreliableStore, type UnreliableStore } from "#test/support/unreliable-store.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { type AssignmentChange, createAssignmentRepository } from "./assignment-repository.ts";
import { createClusterRepository } from "./cluster-repository.ts";
import { planBatches } from "./control-batch.ts";
import { createImageRepository } from "./image-repository.ts";
import { assignmentKey, livenessKey, placementKey, statusKey, STORE_PREFIX } from "./keys.ts";
import type { LeaderTerm } from "./leader-term.ts";
import { createMemoryKeyValueStore, type MemoryKeyValueStore } from "./memory/memory-key-value-store.ts";
import { createNodeRepository } from "./node-repository.ts";
import { createPlacementRepository } from "./placement-repository.ts";
import type { Versioned } from "./records/record-codec.ts";
import { createStatusRepository } from "./status-repository.ts";
import { createVmRepository } from "./vm-repository.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";

let memory: MemoryKeyValueStore;
let store: UnreliableStore;
let term: LeaderTerm;

beforeEach(async () => {
  memory = createMemoryKeyValueStore({ clock: createSystemClock() });
  store = createUnreliableStore(memory);
  const key = `${STORE_PREFIX}leadership/control`;
  const { revision } = await memory.transact({ compare: [], success: [{ kind: "put", key, value: new Uint8Array() }] });
  term = { nodeId: "node-1", instanceId: "i", key, createRevision: revision, signal: new AbortController().signal };
});

async function createVms(count: number): Promise<Versioned<VmIntent>[]> {
  await createImageRepository(memory).create(anImage());
  const vms = createVmRepository(memory);
  const created: Versioned<VmIntent>[] = [];
  for (let index = 0; index < count; index++) {
    created.push((await vms.create(aCreateVm({ name: `vm-${index}`, operationId: `create-${index}` }))).vm);
  }
  return created;
}

function placementOf(vm: Versioned<VmIntent>, nodeId: string | undefined): VmPlacement {
  return { vmId: vm.value.id, nodeId, refusals: [], timeMs: 7, attempts: 1 };
}

function assignmentOf({ value }: Versioned<VmIntent>): VmAssignment {
  return {
    vmId: value.id,
    vmName: value.name,
    spec: value.spec,
    desiredState: value.desiredState,
    generation: value.generation,
    restartGeneration: value.restartGeneration,
    force: value.force,
    cause: undefined,
    origin: value.origin,
    operationId: value.createOperationId,
    operationKind: "create",
    operationTimeMs: 5,
    imageDigest: value.imageDigest,
  };
}

test("many placements are made in few transactions, each with its assignment", async () => {
  const vms = await createVms(300);
  const before = memory.revision;
  const outcome = await createPlacementRepository(store).apply(
    term,
    vms.map((vm) => ({ vm, previous: undefined, placement: placementOf(vm, "node-1"), assignment: assignmentOf(vm) })),
  );
  assert.deepEqual(
    outcome.applied,
    vms.map((vm) => vm.value.id),
  );
  assert.deepEqual(outcome.stale, []);
  assert.equal(outcome.revision, memory.revision);
  assert.ok(memory.revision - before <= 6n);
  const { assignments } = await createAssignmentRepository(store).list("node-1");
  assert.equal(assignments.length, 300);
});

test("a placement decided on an intent that has changed since is left out, and the others are made", async () => {
  const vms = await createVms(10);
  const [changed] = vms;
  assert.ok(changed !== undefined);
  await createVmRepository(memory).changeIntent(changed.value.id, {
    operationId: "stop",
    kind: "stop",
    force: false,
    trace: undefined,
    timeMs: 1,
  });
  const outcome = await createPlacementRepository(store).apply(
    term,
    vms.map((vm) => ({ vm, previous: undefined, placement: placementOf(vm, "node-1"), assignment: assignmentOf(vm) })),
  );
  assert.deepEqual(outcome.stale, [changed.value.id]);
  assert.equal(outcome.applied.length, 9);
  assert.equal(await memory.get(placementKey(changed.value.id)), undefined);
  assert.equal(await memory.get(assignmentKey("node-1", changed.value.id)), undefined);
});

test("a VM that moves has one assignment, on its new node", async () => {
  const [vm] = await createVms(1);
  assert.ok(vm !== undefined);
  const { id } = vm.value;
  const placements = createPlacementRepository(store);
  const first = { vm, previous: undefined, placement: placementOf(vm, "node-1"), assignment: assignmentOf(vm) };
  const { revision } = await placements.apply(term, [first]);
  assert.ok(revision !== undefined);
  const moved = {
    vm,
    previous: { value: first.placement, modRevision: revision },
    placement: placementOf(vm, "node-2"),
    assignment: assignmentOf(vm),
  };
  await placements.apply(term, [moved]);
  assert.equal(await memory.get(assignmentKey("node-1", id)), undefined);
  assert.notEqual(await memory.get(assignmentKey("node-2", id)), undefined);
  // The same decision again is stale: its basis is gone.
  assert.deepEqual((await placements.apply(term, [moved])).stale, [id]);
});

test("a leader that has lost its office changes nothing", async () => {
  const vms = await createVms(3);
  const before = memory.revision;
  const late = { ...term, createRevision: term.createRevision - 1n };
  const writes = vms.map((vm) => ({
    vm,
    previous: undefined,
    placement: placementOf(vm, "node-1"),
    assignment: assignmentOf(vm),
  }));
  await assert.rejects(createPlacementRepository(store).apply(late, writes), hasCode("NOT_LEADER"));
  const assignments = createAssignmentRepository(store);
  const [vm] = vms;
  assert.ok(vm !== undefined);
  await assert.rejects(
    assignments.apply(late, [{ nodeId: "node-1", vm, previous: undefined, assignment: assignmentOf(vm) }]),
    hasCode("NOT_LEADER"),
  );
  assert.equal(memory.revision, before);
});

test("batches stay below what a transaction may hold, and keep every write in order", () => {
  const write = (vmId: string, valueBytes: number): Parameters<typeof planBatches>[0][number] => ({
    vmId,
    compare: [
      { kind: "modRevision", key: `a/${vmId}`, equals: 0n },
      { kind: "modRevision", key: `b/${vmId}`, equals: 0n },
    ],
    operations: [{ kind: "put", key: vmId, value: new Uint8Array(valueBytes) }],
  });
  const small = Array.from({ length: 500 }, (_, index) => write(String(index), 10));
  const batches = planBatches(small);
  assert.ok(batches.every((batch) => batch.flatMap(({ compare }) => compare).length + 1 <= 128));
  assert.deepEqual(
    batches.flat().map(({ vmId }) => vmId),
    small.map(({ vmId }) => vmId),
  );
  const large = Array.from({ length: 10 }, (_, index) => write(String(index), 400_000));
  assert.ok(planBatches(large).every((batch) => batch.length <= 2));
  assert.deepEqual(planBatches([]), []);
});

test("a node sees its assignments, then every change to them, and a new list after a gap", async () => {
  const [vm, other] = await createVms(2);
  assert.ok(vm !== undefined && other !== undefined);
  const assignments = createAssignmentRepository(store);
  await assignments.apply(term, [{ nodeId: "node-1", vm, previous: undefined, assignment: assignmentOf(vm) }]);
  const stopping = new AbortController();
  const seen: AssignmentChange[] = [];
  const watching = (async () => {
    for await (const change of assignments.watch("node-1", stopping.signal)) seen.push(change);
  })();
  await waitFor("the first list", () => seen.length === 1);
  await assignments.apply(term, [
    { nodeId: "node-1", vm: other, previous: undefined, assignment: assignmentOf(other) },
  ]);
  await assignments.apply(term, [{ nodeId: "node-2", vm, previous: undefined, assignment: assignmentOf(vm) }]);
  const entry = await memory.get(assignmentKey("node-1", vm.value.id));
  assert.ok(entry !== undefined);
  await assignments.withdraw(term, [
    { nodeId: "node-1", previous: { value: assignmentOf(vm), modRevision: entry.modRevision } },
  ]);
  await waitFor("the changes", () => seen.length === 3);
  const described = (change: AssignmentChange): unknown =>
    change.kind === "snapshot"
      ? change.assignments.map(({ vmName }) => vmName)
      : [change.kind, change.kind === "assigned" ? change.assignment.vmName : change.vmId];
  assert.deepEqual(seen.map(described), [["vm-0"], ["assigned", "vm-1"], ["withdrawn", vm.value.id]]);
  // Both in one turn, before the watcher can look: what it wants next is compacted away.
  const gap = memory.transact({
    compare: [],
    success: [{ kind: "delete", key: assignmentKey("node-1", other.value.id) }],
  });
  memory.compact(memory.revision);
  await gap;
  await waitFor("a new list", () => seen.at(-1)?.kind === "snapshot" && seen.length > 3);
  assert.deepEqual(described(seen.at(-1) ?? assert.fail()), []);
  stopping.abort();
  await watching;
});

test("a status is the node's last word, also when answers get lost", async () => {
  const [vm] = await createVms(1);
  const vmId = vm?.value.id ?? "";
  const statuses = createStatusRepository(store);
  for (const [index, fates] of [[], ["answer_lost"], ["request_lost", "answer_lost"], ["request_lost"]].entries()) {
    store.doom(...(fates as ("answer_lost" | "request_lost")[]));
    assert.notEqual(await statuses.report(aStatus({ vmId, restarts: index })), undefined);
    assert.deepEqual(
      (await statuses.list("node-1")).map(({ restarts }) => restarts),
      [index],
    );
  }
  // A daemon that starts anew knows nothing of what it reported before.
  assert.notEqual(await createStatusRepository(store).report(aStatus({ vmId, restarts: 99 })), undefined);
  assert.equal((await statuses.list("node-1"))[0]?.restarts, 99);
});

test("a report that was overtaken does not come back later", async () => {
  const [vm] = await createVms(1);
  const vmId = vm?.value.id ?? "";
  const statuses = createStatusRepository(store);
  await statuses.report(aStatus({ vmId, restarts: 1 }));
  const entry = await memory.get(statusKey("node-1", vmId));
  await statuses.report(aStatus({ vmId, restarts: 2 }));
  // What a request that was stuck on the way would do now.
  const late = await memory.transact({
    compare: [{ kind: "modRevision", key: statusKey("node-1", vmId), equals: entry?.modRevision ?? 0n }],
    success: [{ kind: "delete", key: statusKey("node-1", vmId) }],
  });
  assert.equal(late.succeeded, false);
});

test("a node that registers again keeps one lease, and never looks dead in between", async () => {
  const nodes = createNodeRepository(store);
  const stopping = new AbortController();
  const events: string[] = [];
  const watching = (async () => {
    for await (const batch of memory.watch(livenessKey("node-1"), memory.revision + 1n, stopping.signal)) {
      events.push(...batch.events.map(({ kind }) => kind));
    }
  })();
  const register = { registration: aRegistration(), leaseTtlMs: 10_000 };
  const first = await nodes.register({ ...register, instanceId: "a" });
  const second = await nodes.register({ ...register, instanceId: "b" });
  await waitFor("both", () => events.length === 2);
  assert.deepEqual(events, ["put", "put"]);
  await assert.rejects(first.heartbeat(), hasCode("LEASE_LOST"));
  assert.ok((await second.heartbeat()).ttlMs >= 10_000);
  await second.end();
  await waitFor("the end", () => events.length === 3);
  assert.equal(await memory.get(livenessKey("node-1")), undefined);
  stopping.abort();
  await watching;
  await memory.close();
});

test("only a node that exists can be cordoned", async () => {
  const nodes = createNodeRepository(store);
  assert.equal(await nodes.setCordoned("node-1", true), undefined);
  await nodes.register({ registration: aRegistration(), instanceId: "a", leaseTtlMs: 10_000 });
  assert.notEqual(await nodes.setCordoned("node-1", true), undefined);
  await memory.close();
});

test("an image is made once, and asking for the same content again is success", async () => {
  const images = createImageRepository(store);
  store.doom("answer_lost");
  const first = await images.create(anImage());
  assert.equal((await images.create(anImage())).created, false);
  assert.equal((await images.create(anImage({ operationId: "import-2" }))).created, false);
  assert.deepEqual((await images.get("demo"))?.value, first.image.value);
  await assert.rejects(images.create(anImage({ digest: "sha256:other" })), hasCode("OPERATION_ID_REUSED"));
  await assert.rejects(
    images.create(anImage({ digest: "sha256:other", operationId: "import-2" })),
    hasCode("IMAGE_NAME_TAKEN"),
  );
});

test("an image cannot go while a VM uses it", async () => {
  const [vm] = await createVms(1);
  assert.ok(vm !== undefined);
  const images = createImageRepository(store);
  await assert.rejects(
    images.delete("demo"),
    (error) => hasCode("IMAGE_IN_USE")(error) && String(error).includes(vm.value.id),
  );
  await createVmRepository(memory).remove(term, vm, []);
  store.doom("answer_lost");
  await images.delete("demo");
  await assert.rejects(images.delete("demo"), hasCode("IMAGE_NOT_FOUND"));
});

test("images are listed by name, page by page", async () => {
  const images = createImageRepository(store);
  for (const name of ["c", "a", "b"]) await images.create(anImage({ name }));
  const names = async (options: Parameters<typeof images.list>[0]): Promise<string[]> =>
    (await images.list(options)).map(({ value }) => value.name);
  assert.deepEqual(await names({}), ["a", "b", "c"]);
  assert.deepEqual(await names({ limit: 2 }), ["a", "b"]);
  assert.deepEqual(await names({ limit: 2, startAfter: "b" }), ["c"]);
});

test("whoever comes first makes the cluster, and everyone gets that one", async () => {
  const clusters = createClusterRepository(store);
  assert.equal(await clusters.get(), undefined);
  store.doom("answer_lost");
  const first = await clusters.ensure({ id: "one", name: "lab", createTimeMs: 1 });
  assert.equal(first.id, "one");
  assert.equal((await clusters.ensure({ id: "two", name: "lab", createTimeMs: 2 })).id, "one");
  assert.equal((await clusters.get())?.id, "one");
});

function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof BlixardError && error.code === code;
}
