/** What callers of the etcd store see while its connections break: nothing lost, nothing doubled, nothing claimed without proof. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { BlixardError, type ErrorCode } from "#model/errors.ts";
import { createImageRepository } from "#store/image-repository.ts";
import type { KeyValueStore, WatchEvent } from "#store/key-value-store.ts";
import { createVmRepository } from "#store/vm-repository.ts";
import { startTestEtcd, type TestEtcd } from "#test/support/etcd.ts";
import { aCreateVm, anImage } from "#test/support/store-fixtures.ts";
import { startUnixProxy, type UnixProxy } from "#test/support/unix-proxy.ts";
import { waitFor } from "#test/support/wait-for.ts";

let etcd: TestEtcd;
let proxy: UnixProxy;
/** Through the proxy. */
let shaky: KeyValueStore;
/** Past it. */
let steady: KeyValueStore;
let resumes = 0;

before(async () => {
  etcd = await startTestEtcd();
  assert.equal(etcd.endpoint.kind, "unix");
  const upstream = etcd.endpoint.kind === "unix" ? etcd.endpoint.path : "";
  proxy = await startUnixProxy(join(etcd.runDir, "proxy"), upstream);
  shaky = etcd.store({
    connection: etcd.connect({ kind: "unix", path: proxy.path }),
    timeoutMs: 3000,
    onWatchResume: () => resumes++,
  });
  steady = etcd.store();
});
after(async () => {
  await shaky.close();
  await proxy[Symbol.asyncDispose]();
  await etcd[Symbol.asyncDispose]();
});
beforeEach(() => {
  proxy.cutAfterBytes(undefined);
  proxy.mute(false);
  proxy.refuse(false);
});

test("a watch that is cut again and again, also while it catches up, tells every change exactly once", async () => {
  const total = 5000;
  const prefix = "/watched/";
  const first = await writeSome(prefix, 0, total / 2);
  const stopping = new AbortController();
  const seen: WatchEvent[] = [];
  const resumesBefore = resumes;
  // A response holds the changes of at most 1,000 revisions, about 200 kB here: about one a connection.
  proxy.cutAfterBytes(300_000);
  const watching = (async () => {
    for await (const batch of shaky.watch(prefix, first, stopping.signal)) {
      seen.push(...batch.events);
      const last = batch.events.at(-1);
      if (last !== undefined) assert.equal(batch.revision, revisionOf(last));
    }
  })();
  await waitFor("some events through a link that breaks all the time", () => seen.length > 0);
  await writeSome(prefix, total / 2, total / 2, (written) => {
    if (written % 500 === 0) proxy.cut();
  });
  await waitFor("every change", () => seen.length >= total);
  stopping.abort();
  await watching;

  assert.deepEqual(
    seen.map((event) => (event.kind === "put" ? Buffer.from(event.entry.value).toString().trim() : "deleted")),
    Array.from({ length: total }, (_, index) => String(index)),
  );
  assert.ok(resumes - resumesBefore >= 5, `it was resumed ${resumes - resumesBefore} times`);
});

test("the changes of one large transaction are not split by a cut in the middle of its answer", async () => {
  const prefix = "/large/";
  const value = new Uint8Array(10_000);
  const stopping = new AbortController();
  const batches: number[] = [];
  const { revision } = await steady.transact({ compare: [], success: [{ kind: "put", key: `${prefix}0`, value }] });
  for (let round = 0; round < 3; round++) {
    await steady.transact({
      compare: [],
      success: Array.from({ length: 100 }, (_, index) => ({ kind: "put", key: `${prefix}${index}`, value })),
    });
  }
  // Less than one transaction of 1 MB, more than the head of it.
  proxy.cutAfterBytes(500_000);
  const accepted = proxy.accepted;
  const watching = (async () => {
    for await (const batch of shaky.watch(prefix, revision + 1n, stopping.signal)) batches.push(batch.events.length);
  })();
  await waitFor("three broken connections", () => proxy.accepted >= accepted + 3);
  assert.deepEqual(batches, []);
  proxy.cutAfterBytes(undefined);
  await waitFor("all transactions", () => batches.reduce((sum, count) => sum + count, 0) >= 300);
  stopping.abort();
  await watching;
  assert.ok(
    batches.every((count) => count % 100 === 0),
    batches.join(),
  );
  assert.equal(
    batches.reduce((sum, count) => sum + count, 0),
    300,
  );
});

test("reads go on over broken connections", async () => {
  await steady.transact({ compare: [], success: [{ kind: "put", key: "/read/a", value: Buffer.from("x") }] });
  for (let round = 0; round < 10; round++) {
    const reading = shaky.get("/read/a");
    proxy.cut();
    assert.equal(Buffer.from((await reading)?.value ?? []).toString(), "x");
  }
});

test("a write whose answer is lost is said to be of unknown outcome, and it may have happened", async () => {
  await shaky.get("/any");
  proxy.mute(true);
  await assert.rejects(
    shaky.transact(
      { compare: [], success: [{ kind: "put", key: "/lost/a", value: Buffer.from("x") }] },
      { timeoutMs: 500 },
    ),
    hasCode("STORE_OUTCOME_UNKNOWN"),
  );
  await waitFor("the write behind the lost answer", async () => (await steady.get("/lost/a")) !== undefined);
  proxy.cut();
});

test("a call ends at its deadline, or when its caller gives up, though the member hangs", async () => {
  await shaky.get("/any");
  proxy.mute(true);
  await assert.rejects(shaky.get("/any", { timeoutMs: 300 }), hasCode("STORE_UNAVAILABLE"));
  const controller = new AbortController();
  const reading = shaky.get("/any", { signal: controller.signal, timeoutMs: 60_000 });
  controller.abort();
  await assert.rejects(reading, hasCode("CANCELLED"));
  await assert.rejects(shaky.grantLease(5000, { timeoutMs: 300 }), hasCode("STORE_UNAVAILABLE"));
  proxy.cut();
});

test("a write that never left is said not to have happened", async () => {
  proxy.refuse(true);
  proxy.cut();
  // The client knows by now that there is no connection: what it sends next cannot have left.
  await assert.rejects(shaky.get("/unsent/a", { timeoutMs: 300 }), hasCode("STORE_UNAVAILABLE"));
  await assert.rejects(
    shaky.transact(
      { compare: [], success: [{ kind: "put", key: "/unsent/a", value: Buffer.from("x") }] },
      { timeoutMs: 500 },
    ),
    hasCode("STORE_UNAVAILABLE"),
  );
  assert.equal(await steady.get("/unsent/a"), undefined);
});

test("a write that waits for a connection is sent once there is one", async () => {
  proxy.refuse(true);
  proxy.cut();
  const writing = shaky.transact({ compare: [], success: [{ kind: "put", key: "/late/a", value: Buffer.from("x") }] });
  proxy.refuse(false);
  assert.equal((await writing).succeeded, true);
});

test("creating a VM while answers get lost makes exactly one VM and says so", async () => {
  await createImageRepository(steady).create(anImage());
  let lost = 0;
  const lossy: KeyValueStore = {
    ...shaky,
    async transact(transaction, options) {
      // The first answer of every VM is lost.
      const lose = lost === 0;
      proxy.mute(lose);
      try {
        return await shaky.transact(transaction, { ...options, timeoutMs: lose ? 300 : 3000 });
      } catch (error) {
        lost++;
        throw error;
      } finally {
        proxy.mute(false);
        if (lose) proxy.cut();
      }
    },
  };
  const vms = createVmRepository(lossy);
  for (let round = 0; round < 5; round++) {
    lost = 0;
    const request = aCreateVm({ name: `vm-${round}`, operationId: `operation-${round}` });
    const { vm } = await vms.create(request);
    assert.equal(lost, 1);
    assert.equal(vm.value.name, `vm-${round}`);
    lost = 0;
    const stopped = await vms.changeIntent(vm.value.id, {
      operationId: `stop-${round}`,
      kind: "stop",
      force: false,
      trace: undefined,
      timeMs: 1,
    });
    assert.equal(lost, 1);
    assert.deepEqual([stopped.vm.value.desiredState, stopped.vm.value.generation], ["stopped", 2]);
  }
  for (const kind of ["vms", "vm-names", "image-users"]) {
    assert.equal((await steady.range(`/blixard/v1/${kind}/`)).entries.length, 5, kind);
  }
});

test("a lease is kept over connections that break between renewals", async () => {
  const lease = await shaky.grantLease(2000);
  for (let round = 0; round < 5; round++) {
    const renewing = lease.keepAlive();
    proxy.cut();
    assert.ok((await renewing).ttlMs >= 2000);
  }
  await lease.revoke();
});

/** Values are their numbers; resolves with the revision of the first. */
async function writeSome(
  prefix: string,
  start: number,
  count: number,
  onWritten?: (written: number) => void,
): Promise<bigint> {
  let first = 0n;
  for (let index = start; index < start + count; index++) {
    const { revision } = await steady.transact({
      compare: [],
      success: [{ kind: "put", key: `${prefix}${index % 100}`, value: Buffer.from(String(index).padEnd(120)) }],
    });
    if (index === start) first = revision;
    onWritten?.(index + 1);
  }
  return first;
}

function revisionOf(event: WatchEvent): bigint {
  return event.kind === "put" ? event.entry.modRevision : event.modRevision;
}

function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof BlixardError && error.code === code;
}
