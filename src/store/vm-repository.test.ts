import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import fc from "fast-check";
import { BlixardError, type ErrorCode } from "#model/errors.ts";
import { aCreateVm, anImage, aSpec, aStatus } from "#test/support/store-fixtures.ts";
import { createUnreliableStore, type UnreliableStore } from "#test/support/unreliable-store.ts";
import { createImageRepository } from "./image-repository.ts";
import { STORE_PREFIX } from "./keys.ts";
import type { LeaderTerm } from "./leader-term.ts";
import { createMemoryKeyValueStore, type MemoryKeyValueStore } from "./memory/memory-key-value-store.ts";
import { createStatusRepository } from "./status-repository.ts";
import type { IntentOperation } from "./vm-intent.ts";
import { createVmRepository, vmIdOf, type VmRepository } from "./vm-repository.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";

let memory: MemoryKeyValueStore;
let store: UnreliableStore;
let vms: VmRepository;

beforeEach(openStore);

async function openStore(): Promise<void> {
  memory = createMemoryKeyValueStore({ clock: createSystemClock() });
  store = createUnreliableStore(memory);
  vms = createVmRepository(store);
  await createImageRepository(memory).create(anImage());
}

function operation(kind: IntentOperation["kind"], overrides: Partial<IntentOperation> = {}): IntentOperation {
  return { operationId: `${kind}-1`, kind, force: false, trace: undefined, timeMs: 5, ...overrides };
}

async function keys(): Promise<string[]> {
  const { entries } = await memory.range(STORE_PREFIX);
  return entries.map((entry) => entry.key.slice(STORE_PREFIX.length)).filter((key) => !key.startsWith("images/"));
}

test("a VM that was created is found by its id and by its name", async () => {
  const { vm, changed, revision } = await vms.create(aCreateVm());
  assert.equal(changed, true);
  assert.equal(revision, vm.modRevision);
  assert.deepEqual(await vms.get(vm.value.id), vm);
  assert.deepEqual(await vms.getByName("web-1"), vm);
  assert.equal(await vms.getByName("web-2"), undefined);
  assert.equal(vm.value.imageDigest, anImage().digest);
  assert.equal(vm.value.operations[0]?.kind, "create");
  assert.match(vm.value.id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("asking again with the same operation id gives the same VM and makes no other", async () => {
  const first = await vms.create(aCreateVm());
  const again = await vms.create(aCreateVm({ timeMs: 9, trace: undefined }));
  assert.deepEqual(again, { vm: first.vm, changed: false, revision: first.vm.modRevision });
  assert.equal((await keys()).filter((key) => key.startsWith("vms/")).length, 1);
});

test("an operation id in a different request is refused, whatever the new name", async () => {
  await vms.create(aCreateVm());
  const different = { requestDigest: "ff".repeat(32) };
  await assert.rejects(vms.create(aCreateVm(different)), hasCode("OPERATION_ID_REUSED"));
  await assert.rejects(vms.create(aCreateVm({ ...different, name: "web-2" })), hasCode("OPERATION_ID_REUSED"));
});

test("a name is given once, and is free again when its VM is gone", async () => {
  const { vm } = await vms.create(aCreateVm());
  const other = aCreateVm({ operationId: "operation-2" });
  await assert.rejects(vms.create(other), hasCode("VM_NAME_TAKEN"));
  await vms.remove(await takeOffice(), vm, []);
  assert.equal((await vms.create(other)).changed, true);
});

test("a VM needs an image that exists at the very moment it is created", async () => {
  const spec = aSpec({ image: "other" });
  await assert.rejects(vms.create(aCreateVm({ spec })), hasCode("IMAGE_NOT_FOUND"));
  store.interfere(() => createImageRepository(memory).delete("demo"));
  await assert.rejects(vms.create(aCreateVm()), hasCode("IMAGE_NOT_FOUND"));
  assert.deepEqual(await keys(), []);
});

test("an image that is replaced while a VM is created gives the VM the new content", async () => {
  const images = createImageRepository(memory);
  store.interfere(async () => {
    await images.delete("demo");
    await images.create(anImage({ digest: "sha256:new" }));
  });
  assert.equal((await vms.create(aCreateVm())).vm.value.imageDigest, "sha256:new");
});

test("answers that get lost neither make a VM twice nor lose one, in any order of misfortunes", async () => {
  const fate = fc.constantFrom("answered" as const, "answer_lost" as const, "request_lost" as const);
  await fc.assert(
    fc.asyncProperty(fc.array(fate, { maxLength: 6 }), async (fates) => {
      await openStore();
      const request = aCreateVm();
      store.doom(...fates);
      let vm: Awaited<ReturnType<VmRepository["create"]>>["vm"] | undefined;
      // A user who is told "unknown" asks again.
      for (let asked = 0; vm === undefined; asked++) {
        assert.ok(asked < 5);
        vm = await vms.create(request).then(
          (written) => written.vm,
          (error: unknown) => {
            assert.ok(hasCode("STORE_OUTCOME_UNKNOWN")(error));
            return undefined;
          },
        );
      }
      assert.deepEqual(await vms.get(vm.value.id), vm);
      assert.equal((await keys()).filter((key) => key.startsWith("vms/")).length, 1);
      store.doom(...fates);
      const stopped = await settled(() => vms.changeIntent(vm.value.id, operation("stop")));
      assert.deepEqual([stopped.vm.value.desiredState, stopped.vm.value.generation], ["stopped", 2]);
      assert.equal(stopped.vm.value.operations.length, 2);
      const current = await vms.get(vm.value.id);
      assert.ok(current !== undefined);
      const term = await takeOffice();
      store.doom(...fates);
      await settled(() => vms.remove(term, current, []));
      assert.deepEqual(
        (await keys()).filter((key) => !key.startsWith("leadership/")),
        [],
      );
    }),
    { numRuns: 60 },
  );
});

test("each operation changes the wish for a VM once, however often it is asked for", async () => {
  const { vm } = await vms.create(aCreateVm());
  const { id } = vm.value;
  const steps: [IntentOperation["kind"], string, number][] = [
    ["stop", "stopped", 0],
    ["start", "running", 0],
    ["pause", "paused", 0],
    ["resume", "running", 0],
    ["restart", "running", 1],
    ["delete", "deleted", 1],
  ];
  for (const [index, [kind, desiredState, restartGeneration]] of steps.entries()) {
    const first = await vms.changeIntent(id, operation(kind));
    const again = await vms.changeIntent(id, operation(kind));
    assert.deepEqual([first.changed, again.changed], [true, false], kind);
    assert.deepEqual(again.vm, first.vm);
    const { value } = first.vm;
    assert.deepEqual(
      [value.desiredState, value.restartGeneration, value.generation],
      [desiredState, restartGeneration, index + 2],
      kind,
    );
    assert.equal(value.operations[0]?.kind, kind);
  }
});

test("what makes no sense for a VM is refused and changes nothing", async () => {
  const { vm } = await vms.create(aCreateVm({ desiredState: "stopped" }));
  const { id } = vm.value;
  const refuses = (
    kind: IntentOperation["kind"],
    code: ErrorCode,
    overrides: Partial<IntentOperation> = {},
  ): Promise<void> => assert.rejects(vms.changeIntent(id, operation(kind, overrides)), hasCode(code));
  await refuses("pause", "VM_STATE_CONFLICT");
  await refuses("resume", "VM_STATE_CONFLICT");
  await refuses("start", "OPERATION_ID_REUSED", { operationId: "operation-1" });
  await assert.rejects(vms.changeIntent("nobody", operation("stop")), hasCode("VM_NOT_FOUND"));
  await vms.changeIntent(id, operation("delete"));
  await refuses("start", "VM_STATE_CONFLICT");
  assert.equal((await vms.get(id))?.value.desiredState, "deleted");
});

test("a second delete is no error, and one by force after a gentle one takes effect", async () => {
  const { vm } = await vms.create(aCreateVm());
  await vms.changeIntent(vm.value.id, operation("delete"));
  const gentle = await vms.changeIntent(vm.value.id, operation("delete", { operationId: "delete-2" }));
  assert.equal(gentle.changed, false);
  const forced = await vms.changeIntent(vm.value.id, operation("delete", { operationId: "delete-3", force: true }));
  assert.deepEqual([forced.changed, forced.vm.value.force], [true, true]);
});

test("a caller may refuse a change on the intent as it is, but not a retry of one that was done", async () => {
  const { vm } = await vms.create(aCreateVm());
  const check = (): never => {
    throw new BlixardError("VM_TRANSITION_ILLEGAL", "not now");
  };
  await assert.rejects(vms.changeIntent(vm.value.id, operation("stop"), { check }), hasCode("VM_TRANSITION_ILLEGAL"));
  await vms.changeIntent(vm.value.id, operation("stop"));
  assert.equal((await vms.changeIntent(vm.value.id, operation("stop"), { check })).changed, false);
});

test("operations that arrive together all take effect, one after the other", async () => {
  const { vm } = await vms.create(aCreateVm());
  const restarts = Array.from({ length: 10 }, (_, index) =>
    vms.changeIntent(vm.value.id, operation("restart", { operationId: `restart-${index}` })),
  );
  await Promise.all(restarts);
  const current = await vms.get(vm.value.id);
  assert.deepEqual([current?.value.restartGeneration, current?.value.generation], [10, 11]);
});

test("only the last operations are kept", async () => {
  const { vm } = await vms.create(aCreateVm());
  for (let index = 0; index < 20; index++) {
    await vms.changeIntent(vm.value.id, operation("restart", { operationId: `restart-${index}` }));
  }
  const operations = (await vms.get(vm.value.id))?.value.operations ?? [];
  assert.equal(operations.length, 16);
  assert.equal(operations[0]?.operationId, "restart-19");
});

test("removing a VM leaves nothing of it anywhere, and late reports bring nothing back", async () => {
  const { vm } = await vms.create(aCreateVm());
  const statuses = createStatusRepository(memory);
  await statuses.report(aStatus({ vmId: vm.value.id }));
  await statuses.report(aStatus({ vmId: vm.value.id, nodeId: "node-2" }));
  const term = await takeOffice();
  assert.notEqual(await vms.remove(term, vm, ["node-1", "node-2"]), undefined);
  assert.deepEqual(await keys(), ["leadership/control"]);
  assert.equal(await statuses.report(aStatus({ vmId: vm.value.id })), undefined);
  assert.deepEqual(await keys(), ["leadership/control"]);
  assert.equal(await vms.remove(term, vm, ["node-1"]), undefined);
});

test("only the leader removes a VM, and only one whose wish has not changed since", async () => {
  const { vm } = await vms.create(aCreateVm());
  const term = await takeOffice();
  await vms.changeIntent(vm.value.id, operation("restart"));
  assert.equal(await vms.remove(term, vm, []), undefined);
  await assert.rejects(vms.remove({ ...term, createRevision: 1n }, vm, []), hasCode("NOT_LEADER"));
  assert.notEqual(await vms.get(vm.value.id), undefined);
});

test("VM ids are stable for an operation id and differ between two", () => {
  assert.equal(vmIdOf("a"), vmIdOf("a"));
  assert.notEqual(vmIdOf("a"), vmIdOf("b"));
});

async function takeOffice(): Promise<LeaderTerm> {
  const key = `${STORE_PREFIX}leadership/control`;
  const { revision } = await memory.transact({
    compare: [],
    success: [{ kind: "delete", key }],
  });
  assert.ok(revision > 0n);
  const taken = await memory.transact({ compare: [], success: [{ kind: "put", key, value: new Uint8Array() }] });
  return {
    nodeId: "node-1",
    instanceId: "i",
    key,
    createRevision: taken.revision,
    signal: new AbortController().signal,
  };
}

/** As a user does who is told that an outcome is unknown: again. */
async function settled<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!hasCode("STORE_OUTCOME_UNKNOWN")(error)) throw error;
    }
  }
}

function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof BlixardError && error.code === code;
}
