/** What a real member tells of itself, what calls to it leave behind, and how a full one is freed. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  dbClientOperationDuration,
  raftApplyDuration,
  raftHasLeader,
  raftIsLeader,
  raftLeaderChanges,
  raftLogIndex,
  raftMemberCount,
  raftProposals,
  raftQuorumMargin,
  raftStorageLimit,
  raftStorageUsage,
  raftTerm,
  raftWalFsyncDuration,
} from "#gen/telemetry/metrics.ts";
import { nodeStartStore } from "#gen/telemetry/spans.ts";
import { BlixardError } from "#model/errors.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { createEtcdMaintenance } from "#store/etcd/etcd-maintenance.ts";
import { registerRaftMetrics } from "#store/etcd/member-facts.ts";
import { createSpaceKeeper } from "#store/etcd/space-keeper.ts";
import { createInstrumentedKeyValueStore } from "#store/instrumented-key-value-store.ts";
import { startTestEtcd, type TestEtcd } from "#test/support/etcd.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { waitFor } from "#test/support/wait-for.ts";

let etcd: TestEtcd;
before(async () => {
  etcd = await startTestEtcd({ quotaBytes: 16 * 1024 * 1024 });
});
after(async () => etcd[Symbol.asyncDispose]());

test("a member's own word becomes the raft family, with real values", async () => {
  const telemetry = createMemoryTelemetry();
  const store = etcd.store();
  for (let index = 0; index < 20; index++) {
    await store.transact({ compare: [], success: [{ kind: "put", key: "/a", value: Buffer.from(String(index)) }] });
  }
  using _registration = registerRaftMetrics(telemetry, {
    nodeId: "node-1",
    maintenance: createEtcdMaintenance(etcd.connect()),
    socketPath: etcd.endpoint.kind === "unix" ? etcd.endpoint.path : "",
  });
  await telemetry.collect();

  assert.equal(telemetry.value(raftIsLeader, {}), 1);
  assert.equal(telemetry.value(raftHasLeader, {}), 1);
  assert.ok((telemetry.value(raftTerm, {}) ?? 0) >= 2);
  assert.ok((telemetry.value(raftLogIndex, { "blixard.raft.index_type": "committed" }) ?? 0) >= 20);
  assert.ok((telemetry.value(raftLogIndex, { "blixard.raft.index_type": "applied" }) ?? 0) >= 20);
  assert.ok((telemetry.value(raftStorageUsage, { "blixard.raft.storage_state": "in_use" }) ?? 0) > 0);
  assert.equal(telemetry.value(raftStorageLimit, {}), 16 * 1024 * 1024);
  assert.ok((telemetry.value(raftLeaderChanges, {}) ?? 0) >= 1);
  assert.ok((telemetry.value(raftProposals, {}) ?? 0) >= 20);
  assert.equal(telemetry.value(raftProposals, { "error.type": "proposal_failed" }), 0);
  assert.ok((telemetry.value(raftWalFsyncDuration, {}) ?? 0) > 0);
  assert.equal(telemetry.value(raftQuorumMargin, {}), 0);
  const voters = { "blixard.raft.member_role": "voter", "blixard.raft.member_health": "healthy" } as const;
  assert.equal(telemetry.value(raftMemberCount, voters), 1);
  // 3.4 does not count it: then it is absent and not 0.
  const has = etcd.supervisor.version?.minor !== 4;
  assert.equal(telemetry.series(raftApplyDuration).length, has ? 1 : 0);
});

test("a call inside a span is a client span of its own; one in the background is only measured", async () => {
  const telemetry = createMemoryTelemetry();
  const store = createInstrumentedKeyValueStore(etcd.store(), {
    telemetry,
    clock: createSystemClock(),
    endpoint: () => etcd.endpoint,
  });
  await store.get("/blixard/v1/vms/background");
  assert.equal(telemetry.spans.length, 0);
  await telemetry.tracing.span(nodeStartStore, { attributes: {} }, async () => {
    await store.transact({
      compare: [],
      success: [{ kind: "put", key: "/blixard/v1/vms/a", value: Buffer.from("x") }],
    });
  });
  const [span] = telemetry.spansNamed("txn vms");
  const [root] = telemetry.spansNamed(nodeStartStore.name);
  assert.ok(span !== undefined && root !== undefined);
  assert.equal(span.parentSpanId, root.spanId);
  assert.equal(span.kind, "client");
  assert.equal(span.attributes["db.system.name"], "etcd");
  assert.equal(span.attributes["blixard.store.succeeded"], true);
  const measured = telemetry
    .series(dbClientOperationDuration)
    .map(({ attributes, values }) => [
      attributes["db.operation.name"],
      attributes["db.collection.name"],
      values.length,
    ]);
  assert.deepEqual(measured, [
    ["range", "vms", 1],
    ["txn", "vms", 1],
  ]);
});

test("a full store says that it is full, and takes writes again once room was made", async () => {
  const store = etcd.store();
  const value = new Uint8Array(1024 * 1024);
  // The same key again and again: all of it is history that can be forgotten.
  const fill = async (): Promise<void> => {
    for (let index = 0; index < 40; index++) {
      await store.transact({ compare: [], success: [{ kind: "put", key: "/full/a", value }] });
    }
  };
  await assert.rejects(
    fill(),
    (error) => error instanceof BlixardError && error.code === "STORE_FULL" && error.hint !== undefined,
  );
  await assert.rejects(store.grantLease(5000), (error) => error instanceof BlixardError && error.code === "STORE_FULL");
  assert.notEqual(await store.get("/full/a"), undefined);

  const maintenance = createEtcdMaintenance(etcd.connect());
  assert.deepEqual((await maintenance.status()).alarms, ["NOSPACE"]);
  await using keeper = createSpaceKeeper({
    maintenance,
    clock: createSystemClock(),
    logger: etcd.telemetry.logger,
    intervalMs: 50,
  });
  keeper.start();
  await waitFor("the alarm to be lifted", async () => (await maintenance.status()).alarms.length === 0);
  const result = await store.transact({ compare: [], success: [{ kind: "put", key: "/full/a", value }] });
  assert.equal(result.succeeded, true);
});
