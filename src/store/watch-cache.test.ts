import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import fc from "fast-check";
import { BlixardError, type ErrorCode } from "#model/errors.ts";
import { vmStates } from "#model/vm.ts";
import { createMemoryTelemetry, type MemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { aCreateVm, anImage, aRegistration, aSpec, aStatus } from "#test/support/store-fixtures.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { createImageRepository } from "./image-repository.ts";
import {
  assignmentKey,
  imageUserKey,
  livenessKey,
  nodeKey,
  nodePolicyKey,
  placementKey,
  statusKey,
  vmKey,
} from "./keys.ts";
import type { KeyValueStore } from "./key-value-store.ts";
import { createMemoryKeyValueStore, type MemoryKeyValueStore } from "./memory/memory-key-value-store.ts";
import { leaseHolderCodec, nodeCodec, nodePolicyCodec } from "./records/node-codec.ts";
import { assignmentCodec, placementCodec } from "./records/placement-codec.ts";
import { imageUserCodec, vmIntentCodec } from "./records/vm-codec.ts";
import { vmStatusCodec } from "./records/vm-status-codec.ts";
import type { StoreChange, StoreView } from "./store-view.ts";
import { createVmRepository, vmIdOf } from "./vm-repository.ts";
import { createWatchCache, type WatchCache, type WatchCacheOptions } from "./watch-cache.ts";

let store: MemoryKeyValueStore;
let telemetry: MemoryTelemetry;
const caches: WatchCache[] = [];

beforeEach(() => {
  store = createMemoryKeyValueStore({ clock: createSystemClock() });
  telemetry = createMemoryTelemetry();
});
afterEach(async () => {
  await Promise.all(caches.splice(0).map((cache) => cache.stop()));
  await store.close();
});

async function openCache(overrides: Partial<WatchCacheOptions> = {}): Promise<WatchCache> {
  const cache = createWatchCache({
    store,
    clock: createSystemClock(),
    random: () => 0,
    logger: telemetry.logger,
    ...overrides,
  });
  caches.push(cache);
  await cache.start();
  return cache;
}

async function put(key: string, value: Uint8Array): Promise<bigint> {
  return (await store.transact({ compare: [], success: [{ kind: "put", key, value }] })).revision;
}

async function remove(key: string): Promise<bigint> {
  return (await store.transact({ compare: [], success: [{ kind: "delete", key }] })).revision;
}

test("whoever waits for the revision of a write reads that write", async () => {
  await createImageRepository(store).create(anImage());
  const cache = await openCache();
  assert.equal(cache.snapshot().images.get("demo")?.value.name, "demo");
  const vms = createVmRepository(store);
  for (let index = 0; index < 20; index++) {
    const { vm, revision } = await vms.create(aCreateVm({ name: `vm-${index}`, operationId: `create-${index}` }));
    await cache.waitForRevision(revision);
    const view = cache.snapshot();
    assert.ok(view.revision >= revision);
    assert.equal(view.findVm(`vm-${index}`)?.intent.id, vm.value.id);
    assert.equal(view.findVm(vm.value.id)?.intent.name, `vm-${index}`);
    assert.deepEqual(view.intents.get(vm.value.id), vm);
  }
  assert.equal(cache.snapshot().vmCounts.get("pending"), 20);
  assert.equal(cache.snapshot().imageUsers("demo").size, 20);
});

test("waiting ends with its signal, and with the cache", async () => {
  const cache = await openCache();
  const signal = AbortSignal.abort();
  await assert.rejects(cache.waitForRevision(1000n, signal), hasCode("CANCELLED"));
  const controller = new AbortController();
  const waiting = cache.waitForRevision(1000n, controller.signal);
  controller.abort();
  await assert.rejects(waiting, hasCode("CANCELLED"));
  const last = cache.waitForRevision(1000n);
  await cache.stop();
  await assert.rejects(last, hasCode("SHUTTING_DOWN"));
  await assert.rejects(cache.waitForRevision(1001n), hasCode("SHUTTING_DOWN"));
});

test("a VM without a status says why: what each node lacks, or that its node has not reported", async () => {
  await createImageRepository(store).create(anImage());
  const cache = await openCache();
  const { vm } = await createVmRepository(store).create(aCreateVm());
  const { id } = vm.value;
  const seen = async (revision: bigint): Promise<{ state: string; reason: string; message: string }> => {
    await cache.waitForRevision(revision);
    const { state, reason, message } = cache.snapshot().vm(id)?.status ?? assert.fail();
    return { state, reason, message };
  };
  assert.deepEqual(await seen(vm.modRevision), {
    state: "pending",
    reason: "not_scheduled",
    message: "waits for the scheduler",
  });
  const refusals = ["a", "b", "c", "d"].map((nodeId, index) => ({
    nodeId,
    reason: index === 0 ? ("cordoned" as const) : ("insufficient_memory" as const),
    message: `${nodeId} is too small`,
  }));
  const refused = placementCodec.encode({ vmId: id, nodeId: undefined, refusals, timeMs: 5, attempts: 1 });
  assert.deepEqual(await seen(await put(placementKey(id), refused)), {
    state: "pending",
    reason: "insufficient_memory",
    message: "a is too small; b is too small; c is too small; and 1 more",
  });
  const placed = placementCodec.encode({ vmId: id, nodeId: "node-1", refusals: [], timeMs: 6, attempts: 2 });
  assert.equal((await seen(await put(placementKey(id), placed))).state, "scheduled");
  assert.deepEqual(cache.snapshot().allocation("node-1"), {
    vcpus: 1,
    memoryBytes: 256 * 1024 * 1024,
    diskBytes: 0,
    vmCount: 1,
  });
  // Another node's leftover does not speak for this VM.
  await put(statusKey("node-9", id), vmStatusCodec.encode(aStatus({ vmId: id, nodeId: "node-9", state: "failed" })));
  const running = vmStatusCodec.encode(aStatus({ vmId: id }));
  assert.equal((await seen(await put(statusKey("node-1", id), running))).state, "running");
  assert.deepEqual(cache.snapshot().nodeIdsHolding(id).toSorted(), ["node-1", "node-9"]);
});

test("a node is alive while its lease is, and cordoned when it was told so", async () => {
  const cache = await openCache();
  await put(nodeKey("node-1"), nodeCodec.encode(aRegistration()));
  await cache.waitForRevision(await put(nodePolicyKey("node-1"), nodePolicyCodec.encode({ cordoned: true })));
  assert.deepEqual(cache.snapshot().nodes(), [{ ...aRegistration(), alive: false, cordoned: true }]);
  const holder = leaseHolderCodec.encode({ nodeId: "node-1", instanceId: "a" });
  await cache.waitForRevision(await put(livenessKey("node-1"), holder));
  assert.equal(cache.snapshot().node("node-1")?.alive, true);
});

test("what the cache keeps step by step is what a new one reads at once, after any history", async () => {
  const vmIds = ["vm-1", "vm-2", "vm-3"];
  const nodeIds = ["node-1", "node-2"];
  const vmId = fc.constantFrom(...vmIds);
  const nodeId = fc.constantFrom(...nodeIds);
  const record = fc.oneof(
    fc.record({ id: vmId, vcpus: fc.integer({ min: 1, max: 4 }) }).map(({ id, vcpus }) => ({
      key: vmKey(id),
      value: vmIntentCodec.encode(intentOf(id, vcpus)),
    })),
    fc.record({ id: vmId, node: fc.option(nodeId, { nil: undefined }) }).map(({ id, node }) => ({
      key: placementKey(id),
      value: placementCodec.encode({ vmId: id, nodeId: node, refusals: [], timeMs: 5, attempts: 1 }),
    })),
    fc.record({ id: vmId, node: nodeId, state: fc.constantFrom(...vmStates) }).map(({ id, node, state }) => ({
      key: statusKey(node, id),
      value: vmStatusCodec.encode(aStatus({ vmId: id, nodeId: node, state })),
    })),
    fc.record({ id: vmId, node: nodeId }).map(({ id, node }) => ({
      key: assignmentKey(node, id),
      value: assignmentCodec.encode(assignmentOf(id)),
    })),
    fc
      .record({ id: vmId })
      .map(({ id }) => ({ key: imageUserKey("demo", id), value: imageUserCodec.encode({ vmId: id }) })),
    nodeId.map((node) => ({ key: nodeKey(node), value: nodeCodec.encode(aRegistration({ id: node })) })),
    nodeId.map((node) => ({
      key: livenessKey(node),
      value: leaseHolderCodec.encode({ nodeId: node, instanceId: "a" }),
    })),
  );
  const step = fc.record({ record, removed: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      await store.close();
      store = createMemoryKeyValueStore({ clock: createSystemClock() });
      const cache = await openCache();
      let revision = 0n;
      for (const { record: entry, removed } of steps) {
        revision = removed ? await remove(entry.key) : await put(entry.key, entry.value);
      }
      await cache.waitForRevision(revision);
      const fresh = await openCache();
      assert.deepEqual(contentOf(cache.snapshot()), contentOf(fresh.snapshot()));
      await Promise.all([cache.stop(), fresh.stop()]);
    }),
    { numRuns: 60 },
  );

  function contentOf(view: StoreView): unknown {
    return {
      vms: [...view.vms()].toSorted((left, right) => (left.intent.id < right.intent.id ? -1 : 1)),
      intents: new Map(view.intents),
      placements: new Map(view.placements),
      counts: new Map(view.vmCounts),
      unplaced: new Set(view.unplacedVmIds),
      names: vmIds.map((id) => view.vmIdByName(`name-of-${id}`)),
      holding: vmIds.map((id) => view.nodeIdsHolding(id).toSorted()),
      byNode: nodeIds.map((id) => [
        view.allocation(id),
        new Set(view.vmIdsOnNode(id)),
        new Map(view.assignmentsOf(id)),
        new Map(view.statusesOf(id)),
        view.node(id),
      ]),
      users: new Set(view.imageUsers("demo")),
    };
  }
});

test("a cache that fell behind the store's history lists anew and says that everything may have changed", async () => {
  const cache = await openCache();
  const changes = collect(cache);
  await waitFor("the first change", () => changes.seen.length === 1);
  // In one turn: written and compacted before the watch can look.
  const writing = put(vmKey("vm-1"), vmIntentCodec.encode(intentOf("vm-1", 1)));
  store.compact(store.revision);
  await cache.waitForRevision(await writing);
  assert.equal(cache.snapshot().vm("vm-1")?.intent.id, "vm-1");
  await waitFor("the news", () => changes.seen.length === 2);
  assert.deepEqual(
    changes.seen.map(({ everything }) => everything),
    [true, true],
  );
  await changes.stop();
});

test("a store that cannot be reached is tried again, and what was known is still served", async () => {
  let failures = 2;
  let breakWatch: (() => void) | undefined;
  const flaky: KeyValueStore = {
    ...store,
    async *pages(prefixes, options) {
      if (failures-- > 0) throw new BlixardError("STORE_UNAVAILABLE", "not now");
      yield* store.pages(prefixes, options);
    },
    async *watch(prefix, from, signal) {
      const broken = new AbortController();
      breakWatch = () => broken.abort();
      yield* store.watch(prefix, from, AbortSignal.any([signal, broken.signal]));
      if (broken.signal.aborted) throw new BlixardError("STORE_UNAVAILABLE", "gone");
    },
  };
  const first = await put(vmKey("vm-1"), vmIntentCodec.encode(intentOf("vm-1", 1)));
  const cache = await openCache({ store: flaky });
  assert.ok(cache.revision >= first);
  assert.equal(telemetry.logs.filter(({ level }) => level === "warn").length, 2);
  failures = 1;
  breakWatch?.();
  assert.notEqual(cache.snapshot().vm("vm-1"), undefined);
  await cache.waitForRevision(await put(vmKey("vm-2"), vmIntentCodec.encode(intentOf("vm-2", 1))));
  assert.notEqual(cache.snapshot().vm("vm-2"), undefined);
});

test("one record that cannot be read hides no other", async () => {
  await put(vmKey("vm-1"), Uint8Array.of(0xff, 0xff));
  await put(vmKey("vm-2"), vmIntentCodec.encode(intentOf("vm-2", 1)));
  const cache = await openCache();
  await cache.waitForRevision(await put(nodeKey("node-1"), Uint8Array.of(0xff)));
  await cache.waitForRevision(await put("/blixard/v1/from-the-future/x", Uint8Array.of(1)));
  assert.deepEqual([...cache.snapshot().intents.keys()], ["vm-2"]);
  assert.equal(telemetry.logs.filter(({ level }) => level === "error").length, 2);
});

test("a subscriber that is slow gets one merged change, and one that is very slow is told to look at everything", async () => {
  const cache = await openCache({ maximumPendingIds: 10 });
  const controller = new AbortController();
  const changes = cache.subscribe(controller.signal)[Symbol.asyncIterator]();
  assert.equal((await changes.next()).value.everything, true);
  const writeVms = async (count: number): Promise<void> => {
    let revision = 0n;
    for (let index = 0; index < count; index++) {
      revision = await put(vmKey(`vm-${index}`), vmIntentCodec.encode(intentOf(`vm-${index}`, 1)));
    }
    await cache.waitForRevision(revision);
  };
  await writeVms(3);
  await cache.waitForRevision(await put(nodeKey("node-1"), nodeCodec.encode(aRegistration())));
  const merged: StoreChange = (await changes.next()).value;
  assert.deepEqual(
    [merged.everything, merged.vmIds, merged.nodeIds],
    [false, new Set(["vm-0", "vm-1", "vm-2"]), new Set(["node-1"])],
  );
  assert.equal(merged.revision, cache.revision);
  await writeVms(11);
  const much: StoreChange = (await changes.next()).value;
  assert.deepEqual([much.everything, much.vmIds.size], [true, 0]);
  controller.abort();
  assert.equal((await changes.next()).done, true);
});

test("subscriptions end when the cache stops", async () => {
  const cache = await openCache();
  const changes = collect(cache);
  await cache.stop();
  await changes.ended;
});

test("a start that is cancelled ends, though the store never answers", async () => {
  const silent: KeyValueStore = {
    ...store,
    pages: (_prefixes, options) => ({
      [Symbol.asyncIterator]: () => ({
        next: () =>
          new Promise((_resolve, reject) => {
            const cancel = (): void => reject(new BlixardError("CANCELLED", "cancelled"));
            options?.signal?.addEventListener("abort", cancel);
          }),
      }),
    }),
  };
  const cache = createWatchCache({
    store: silent,
    clock: createSystemClock(),
    random: () => 0,
    logger: telemetry.logger,
  });
  const controller = new AbortController();
  const starting = cache.start(controller.signal);
  controller.abort();
  await assert.rejects(starting, hasCode("CANCELLED"));
  await cache.stop();
});

function collect(cache: WatchCache): { seen: StoreChange[]; ended: Promise<void>; stop(): Promise<void> } {
  const controller = new AbortController();
  const seen: StoreChange[] = [];
  const ended = (async () => {
    for await (const change of cache.subscribe(controller.signal)) seen.push(change);
  })();
  return {
    seen,
    ended,
    async stop() {
      controller.abort();
      await ended;
    },
  };
}

function intentOf(id: string, vcpus: number): Parameters<typeof vmIntentCodec.encode>[0] {
  const { desiredState, timeMs, operationId, requestDigest } = aCreateVm();
  return {
    id,
    name: `name-of-${id}`,
    spec: aSpec({ vcpus, disks: [{ name: "data", sizeBytes: 1024 * 1024, kind: "ephemeral" }] }),
    desiredState,
    generation: 1,
    restartGeneration: 0,
    force: false,
    createTimeMs: timeMs,
    origin: undefined,
    operations: [],
    createOperationId: operationId,
    createRequestDigest: requestDigest,
    imageDigest: vmIdOf("x"),
  };
}

function assignmentOf(id: string): Parameters<typeof assignmentCodec.encode>[0] {
  return {
    vmId: id,
    vmName: id,
    spec: aSpec(),
    desiredState: "running",
    generation: 1,
    restartGeneration: 0,
    force: false,
    cause: undefined,
    origin: undefined,
    operationId: "o",
    operationKind: "create",
    operationTimeMs: 1,
    imageDigest: "",
  };
}

function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof BlixardError && error.code === code;
}
