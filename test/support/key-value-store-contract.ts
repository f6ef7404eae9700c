/**
 * What every `KeyValueStore` promises, as tests. Called once per implementation;
 * one store serves all tests of a run, each below a prefix of its own.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { BlixardError, type ErrorCode } from "#model/errors.ts";
import { waitFor } from "./wait-for.ts";
import type {
  KeyValueStore,
  StoreOperation,
  TransactionResult,
  WatchBatch,
  WatchEvent,
} from "#store/key-value-store.ts";
import { createStoreModel, storeCommands } from "./key-value-store-model.ts";

export interface StoreUnderTest extends AsyncDisposable {
  readonly store: KeyValueStore;
  /** Forgets the history up to and including the revision. */
  compact(revision: bigint): Promise<void>;
}

export interface ContractOptions {
  /** Random histories compared with the model. */
  readonly modelRuns: number;
}

export function testKeyValueStore(name: string, open: () => Promise<StoreUnderTest>, options: ContractOptions): void {
  describe(name, { timeout: 120_000 }, () => {
    let underTest: StoreUnderTest;
    let store: KeyValueStore;
    let prefixes = 0;
    const freshPrefix = (): string => `/contract/${++prefixes}/`;

    before(async () => {
      underTest = await open();
      store = underTest.store;
    });
    after(async () => underTest[Symbol.asyncDispose]());

    const put = async (key: string, value = "x", leaseId?: string): Promise<bigint> => {
      const operation: StoreOperation = {
        kind: "put",
        key,
        value: bytes(value),
        ...(leaseId === undefined ? {} : { leaseId }),
      };
      return (await store.transact({ compare: [], success: [operation] })).revision;
    };
    const remove = async (key: string): Promise<bigint> =>
      (await store.transact({ compare: [], success: [{ kind: "delete", key }] })).revision;

    test("a key that was written is read back with the revisions that made it", async () => {
      const key = `${freshPrefix()}a`;
      assert.equal(await store.get(key), undefined);
      const created = await put(key, "1");
      const changed = await put(key, "2");
      const entry = await store.get(key);
      assert.ok(entry !== undefined);
      assert.equal(text(entry.value), "2");
      assert.deepEqual(
        [entry.key, entry.createRevision, entry.modRevision, entry.leaseId],
        [key, created, changed, undefined],
      );
      await remove(key);
      assert.equal(await store.get(key), undefined);
    });

    test("of writers that race for one key, each revision has exactly one winner", async () => {
      const key = `${freshPrefix()}counter`;
      await put(key, "0");
      const writer = async (): Promise<void> => {
        for (let wins = 0; wins < 10;) {
          const entry = await store.get(key);
          assert.ok(entry !== undefined);
          const result = await store.transact({
            compare: [{ kind: "modRevision", key, equals: entry.modRevision }],
            success: [{ kind: "put", key, value: bytes(String(Number(text(entry.value)) + 1)) }],
          });
          if (result.succeeded) wins++;
        }
      };
      await Promise.all(Array.from({ length: 8 }, writer));
      assert.equal(text((await store.get(key))?.value), "80");
    });

    test("a transaction whose comparison fails changes nothing and shows what is there instead", async () => {
      const prefix = freshPrefix();
      const revision = await put(`${prefix}a`, "there");
      const result = await store.transact({
        compare: [{ kind: "modRevision", key: `${prefix}a`, equals: 0n }],
        success: [{ kind: "put", key: `${prefix}b`, value: bytes("new") }],
        failure: [
          { kind: "get", key: `${prefix}a` },
          { kind: "get", key: `${prefix}b` },
        ],
      });
      assert.equal(result.succeeded, false);
      assert.equal(result.revision, revision);
      assert.deepEqual(valuesOf(result), ["there", undefined]);
      assert.equal(await store.get(`${prefix}b`), undefined);
    });

    test("a transaction does all its writes at one revision", async () => {
      const prefix = freshPrefix();
      await put(`${prefix}gone`);
      const { revision } = await store.transact({
        compare: [],
        success: [
          { kind: "put", key: `${prefix}a`, value: bytes("1") },
          { kind: "delete", key: `${prefix}gone` },
          { kind: "put", key: `${prefix}b`, value: bytes("2") },
        ],
      });
      const { entries } = await store.range(prefix);
      assert.deepEqual(
        entries.map((entry) => [entry.key.slice(prefix.length), entry.createRevision, entry.modRevision]),
        [
          ["a", revision, revision],
          ["b", revision, revision],
        ],
      );
    });

    test("a key that was deleted and made again is told from the first by its creation", async () => {
      const key = `${freshPrefix()}a`;
      const first = await put(key);
      await remove(key);
      const second = await put(key);
      const whenCreatedAt = (equals: bigint): Promise<TransactionResult> =>
        store.transact({ compare: [{ kind: "createRevision", key, equals }], success: [] });
      assert.equal((await whenCreatedAt(first)).succeeded, false);
      assert.equal((await whenCreatedAt(second)).succeeded, true);
    });

    test("existence can be compared without knowing a revision", async () => {
      const prefix = freshPrefix();
      await put(`${prefix}a`);
      const exists = async (key: string): Promise<boolean> =>
        (await store.transact({ compare: [{ kind: "exists", key }], success: [] })).succeeded;
      assert.equal(await exists(`${prefix}a`), true);
      assert.equal(await exists(`${prefix}b`), false);
    });

    test("an empty prefix is empty whatever its neighbours hold", async () => {
      const prefix = freshPrefix();
      const isEmpty = async (): Promise<boolean> =>
        (await store.transact({ compare: [{ kind: "prefixEmpty", prefix: `${prefix}users/` }], success: [] }))
          .succeeded;
      for (const neighbour of ["user", "users", "users.", "users0", "usert"]) await put(`${prefix}${neighbour}`);
      assert.equal(await isEmpty(), true);
      await put(`${prefix}users/vm`);
      assert.equal(await isEmpty(), false);
      await remove(`${prefix}users/vm`);
      assert.equal(await isEmpty(), true);
    });

    test("deleting a prefix deletes every key below it and none beside it", async () => {
      const prefix = freshPrefix();
      for (const key of ["a/1", "a/2", "a", "a0", "b/1"]) await put(`${prefix}${key}`);
      await store.transact({ compare: [], success: [{ kind: "deletePrefix", prefix: `${prefix}a/` }] });
      const { entries } = await store.range(prefix);
      assert.deepEqual(
        entries.map((entry) => entry.key.slice(prefix.length)),
        ["a", "a0", "b/1"],
      );
    });

    test("what no store could do is refused before it is tried", async () => {
      const prefix = freshPrefix();
      const puts = (count: number, size = 1): StoreOperation[] =>
        Array.from({ length: count }, (_, index) => ({
          kind: "put",
          key: `${prefix}${index}`,
          value: new Uint8Array(size),
        }));
      const refuses = (code: ErrorCode, success: readonly StoreOperation[]): Promise<void> =>
        assert.rejects(store.transact({ compare: [], success }), hasCode(code));
      await refuses("INVALID_ARGUMENT", puts(129));
      await refuses("REQUEST_TOO_LARGE", puts(2, 1024 * 1024));
      await refuses("INVALID_ARGUMENT", [...puts(1), ...puts(1)]);
      await refuses("INVALID_ARGUMENT", [...puts(1), { kind: "deletePrefix", prefix }]);
      await refuses("INVALID_ARGUMENT", [{ kind: "put", key: "", value: bytes("x") }]);
      assert.deepEqual((await store.range(prefix)).entries, []);
      await store.transact({ compare: [], success: puts(128) });
      assert.equal((await store.range(prefix)).entries.length, 128);
    });

    test("a list of several pages is whole, in order and of one revision", async () => {
      const prefix = freshPrefix();
      await fill(store, prefix, 2500, 10);
      let seen = 0;
      const revisions = new Set<bigint>();
      const keys: string[] = [];
      for await (const page of store.pages([prefix])) {
        seen++;
        revisions.add(page.revision);
        keys.push(...page.entries.map((entry) => entry.key));
        // Written while the list is read: must not be in it.
        await put(`${prefix}99999-${seen}`);
      }
      assert.ok(seen >= 3);
      assert.equal(revisions.size, 1);
      assert.equal(keys.length, 2500);
      assert.deepEqual(keys, keys.toSorted());
      assert.equal((await store.range(prefix)).entries.length, 2500 + seen);
    });

    test("a list of many megabytes is whole", async () => {
      const prefix = freshPrefix();
      await fill(store, prefix, 24, 1024 * 1024);
      const { entries } = await store.range(prefix);
      assert.equal(entries.length, 24);
      assert.ok(entries.every((entry) => entry.value.byteLength === 1024 * 1024));
    });

    test("a list can begin after a key and stop at a limit", async () => {
      const prefix = freshPrefix();
      await fill(store, prefix, 5, 1);
      const read = async (limit: number, startAfter?: string): Promise<string[]> => {
        const after = startAfter === undefined ? {} : { startAfter: `${prefix}${startAfter}` };
        const { entries } = await store.range(prefix, { limit, ...after });
        return entries.map((entry) => entry.key.slice(prefix.length));
      };
      assert.deepEqual(await read(2), ["00000", "00001"]);
      assert.deepEqual(await read(2, "00001"), ["00002", "00003"]);
      assert.deepEqual(await read(9, "00003"), ["00004"]);
      assert.deepEqual(await read(9, "000015"), ["00002", "00003", "00004"]);
      assert.deepEqual(await read(9, "zzz"), []);
    });

    test("a watch tells every change below its prefix, in order, those of the past first", async () => {
      const prefix = freshPrefix();
      const from = await put(`${prefix}a`, "1");
      await put(`${prefix}a`, "2");
      const watcher = watch(store, prefix, from);
      await put(`${freshPrefix()}elsewhere`);
      await remove(`${prefix}a`);
      const last = await put(`${prefix}b`, "3");
      await watcher.until(last);
      assert.deepEqual(watcher.events.map(describeEvent(prefix)), ["a=1", "a=2", "-a", "b=3"]);
      await watcher.stop();
    });

    test("the changes of one transaction arrive in one batch", async () => {
      const prefix = freshPrefix();
      const watcher = watch(store, prefix, (await put(`${prefix}0`)) + 1n);
      const operations = Array.from({ length: 20 }, (_, index): StoreOperation => ({
        kind: "put",
        key: `${prefix}k${index}`,
        value: bytes("x"),
      }));
      const { revision } = await store.transact({ compare: [], success: operations });
      await watcher.until(revision);
      assert.deepEqual(
        watcher.batches.filter((batch) => batch.events.length > 0).map((batch) => batch.events.length),
        [20],
      );
      await watcher.stop();
    });

    test("a watch ends quietly when it is told to", async () => {
      const prefix = freshPrefix();
      const watcher = watch(store, prefix, (await put(`${prefix}a`)) + 1n);
      await watcher.stop();
      const before = new AbortController();
      before.abort();
      for await (const _ of store.watch(prefix, 1n, before.signal)) assert.fail("a batch after the end");
    });

    test("a watch whose start has been compacted says so", async () => {
      const prefix = freshPrefix();
      const first = await put(`${prefix}a`, "1");
      const deleted = await remove(`${prefix}a`);
      await put(`${prefix}b`, "2");
      await underTest.compact(deleted);
      // The deletion at the compacted revision itself is gone too: a watch from there would never tell of it.
      for (const from of [first, deleted]) {
        await assert.rejects(watch(store, prefix, from).ended, hasCode("STORE_COMPACTED"), `from ${from}`);
      }
      const watcher = watch(store, prefix, deleted + 1n);
      await watcher.until(deleted + 1n);
      assert.deepEqual(watcher.events.map(describeEvent(prefix)), ["b=2"]);
      await watcher.stop();
    });

    test("keys under a lease live as long as it is renewed and no longer", async () => {
      const prefix = freshPrefix();
      const lease = await store.grantLease(900);
      assert.ok(lease.ttlMs >= 1000);
      const put1 = await put(`${prefix}live`, "x", lease.id);
      assert.equal((await store.get(`${prefix}live`))?.leaseId, lease.id);
      const watcher = watch(store, prefix, put1 + 1n);

      const renewUntilMs = performance.now() + lease.ttlMs * 1.5;
      await waitFor("one and a half lifetimes of the lease", async () => {
        const renewal = await lease.keepAlive();
        assert.ok(renewal.ttlMs >= 1000);
        return performance.now() > renewUntilMs;
      });
      assert.notEqual(await store.get(`${prefix}live`), undefined);

      await waitFor("the key to go with its lease", () => watcher.events.length > 0);
      assert.deepEqual(watcher.events.map(describeEvent(prefix)), ["-live"]);
      await assert.rejects(lease.keepAlive(), hasCode("LEASE_LOST"));
      await assert.rejects(put(`${prefix}late`, "x", lease.id), hasCode("LEASE_LOST"));
      assert.equal(await store.get(`${prefix}late`), undefined);
      await watcher.stop();
    });

    test("ending a lease takes its keys with it, and ending it again is no error", async () => {
      const prefix = freshPrefix();
      const lease = await store.grantLease(60_000);
      await put(`${prefix}kept`, "x", lease.id);
      await put(`${prefix}gone`, "x", lease.id);
      await put(`${prefix}kept`, "now without a lease");
      await store.revokeLease(lease.id);
      const { entries } = await store.range(prefix);
      assert.deepEqual(
        entries.map((entry) => entry.key.slice(prefix.length)),
        ["kept"],
      );
      await lease.revoke();
      await store.revokeLease("7fffffffffffff01");
      await assert.rejects(lease.keepAlive(), hasCode("LEASE_LOST"));
    });

    test("a call that was cancelled before it began does nothing", async () => {
      const prefix = freshPrefix();
      const signal = AbortSignal.abort();
      await assert.rejects(store.get(`${prefix}a`, { signal }), hasCode("CANCELLED"));
      await assert.rejects(
        store.transact({ compare: [], success: [{ kind: "put", key: `${prefix}a`, value: bytes("x") }] }, { signal }),
        hasCode("CANCELLED"),
      );
      assert.equal(await store.get(`${prefix}a`), undefined);
    });

    test("any history of transactions ends as the model of the store says", async () => {
      await fc.assert(
        fc.asyncProperty(storeCommands(), async (commands) => {
          const prefix = freshPrefix();
          const model = createStoreModel((await store.range(prefix)).revision);
          for (const command of commands) {
            const transaction = command(prefix, model);
            const expected = model.transact(transaction);
            const actual = await store.transact(transaction);
            assert.deepEqual(summaryOf(actual), summaryOf(expected));
          }
          const { entries } = await store.range(prefix);
          assert.deepEqual(entries.map(summaryOfEntry), model.entries().map(summaryOfEntry));
        }),
        { numRuns: options.modelRuns },
      );
    });

    test("a store that was closed answers nothing more", async () => {
      const other = await open();
      await other.store.close();
      await assert.rejects(other.store.get("/a"), hasCode("STORE_UNAVAILABLE"));
      await other[Symbol.asyncDispose]();
    });
  });
}

interface Watcher {
  readonly events: WatchEvent[];
  readonly batches: WatchBatch[];
  /** Settles as the watch does. */
  readonly ended: Promise<void>;
  /** Resolves when a batch at or after the revision has come. */
  until(revision: bigint): Promise<void>;
  stop(): Promise<void>;
}

function watch(store: KeyValueStore, prefix: string, from: bigint): Watcher {
  const controller = new AbortController();
  const batches: WatchBatch[] = [];
  const events: WatchEvent[] = [];
  const ended = (async () => {
    for await (const batch of store.watch(prefix, from, controller.signal)) {
      batches.push(batch);
      events.push(...batch.events);
    }
  })();
  // A failure is the business of whoever awaits `ended`.
  ended.catch(() => undefined);
  return {
    events,
    batches,
    ended,
    until: async (revision) => {
      await waitFor(`revision ${revision}`, () => batches.some((batch) => batch.revision >= revision));
    },
    async stop() {
      controller.abort();
      await ended;
    },
  };
}

async function fill(store: KeyValueStore, prefix: string, count: number, valueBytes: number): Promise<void> {
  const value = new Uint8Array(valueBytes).fill(120);
  const perTransaction = Math.max(1, Math.min(100, Math.floor((1.2 * 1024 * 1024) / valueBytes)));
  for (let start = 0; start < count; start += perTransaction) {
    const size = Math.min(perTransaction, count - start);
    const success = Array.from({ length: size }, (_, index): StoreOperation => ({
      kind: "put",
      key: `${prefix}${String(start + index).padStart(5, "0")}`,
      value,
    }));
    await store.transact({ compare: [], success });
  }
}

function summaryOf(result: TransactionResult): unknown {
  return { ...result, gets: result.gets.map((entry) => (entry === undefined ? undefined : summaryOfEntry(entry))) };
}

function summaryOfEntry(entry: {
  key: string;
  value: Uint8Array;
  createRevision: bigint;
  modRevision: bigint;
}): unknown {
  return [entry.key, text(entry.value), entry.createRevision, entry.modRevision];
}

function describeEvent(prefix: string): (event: WatchEvent) => string {
  return (event) =>
    event.kind === "put"
      ? `${event.entry.key.slice(prefix.length)}=${text(event.entry.value)}`
      : `-${event.key.slice(prefix.length)}`;
}

function valuesOf(result: TransactionResult): (string | undefined)[] {
  return result.gets.map((entry) => (entry === undefined ? undefined : text(entry.value)));
}

function bytes(value: string): Uint8Array {
  return Buffer.from(value);
}

function text(value: Uint8Array | undefined): string {
  return Buffer.from(value ?? []).toString();
}

function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof BlixardError && error.code === code;
}
