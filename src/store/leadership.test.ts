import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { BlixardError } from "#model/errors.ts";
import { createManualClock, type ManualClock } from "#test/support/manual-clock.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { leadershipKey } from "./keys.ts";
import type { KeyValueStore } from "./key-value-store.ts";
import { checkTerm, type LeaderTerm, termCompare } from "./leader-term.ts";
import { createLeadership, type Leadership, type LeadershipOptions } from "./leadership.ts";
import { leaseHolderCodec } from "./records/node-codec.ts";
import { createMemoryKeyValueStore, type MemoryKeyValueStore } from "./memory/memory-key-value-store.ts";

let clock: ManualClock;
let store: MemoryKeyValueStore;
const open: Leadership[] = [];
const key = leadershipKey("control");

beforeEach(() => {
  clock = createManualClock();
  store = createMemoryKeyValueStore({ clock });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((leadership) => leadership.stop()));
  await store.close();
});

function candidate(
  nodeId: string,
  overrides: Partial<LeadershipOptions> = {},
): { leadership: Leadership; terms: LeaderTerm[] } {
  const terms: LeaderTerm[] = [];
  const leadership = createLeadership({
    store,
    clock,
    random: () => 0,
    logger: createMemoryTelemetry().logger,
    nodeId,
    instanceId: `${nodeId}-instance`,
    leaseTtlMs: 15_000,
    ...overrides,
  });
  open.push(leadership);
  leadership.start(async (term) => {
    terms.push(term);
    await new Promise((resolve) => term.signal.addEventListener("abort", resolve, { once: true }));
  });
  return { leadership, terms };
}

const holds = async (term: LeaderTerm): Promise<boolean> =>
  (await store.transact({ compare: [termCompare(term)], success: [] })).succeeded;

test("the first candidate takes office at once, and its term can be compared in every write", async () => {
  const { leadership, terms } = candidate("node-1");
  await waitFor("office", () => leadership.term !== undefined);
  const [term] = terms;
  assert.ok(term !== undefined);
  assert.equal(leadership.term, term);
  assert.equal(await holds(term), true);
  assert.equal(await holds({ ...term, createRevision: term.createRevision + 1n }), false);
  assert.doesNotThrow(() => checkTerm(term, { ...entry(term), createRevision: term.createRevision }));
  assert.throws(
    () => checkTerm(term, undefined),
    (error) => error instanceof BlixardError && error.code === "NOT_LEADER",
  );
});

test("office is kept as long as the lease is renewed", async () => {
  const { leadership, terms } = candidate("node-1");
  await waitFor("office", () => leadership.term !== undefined);
  for (let minute = 0; minute < 10; minute++) await clock.advance(60_000);
  assert.equal(terms.length, 1);
  assert.equal(leadership.term, terms[0]);
});

test("there is one leader at a time, and the next takes over when the first resigns", async () => {
  const first = candidate("node-1");
  await waitFor("the first", () => first.leadership.term !== undefined);
  const second = candidate("node-2");
  await clock.advance(60_000);
  assert.equal(second.leadership.term, undefined);
  await first.leadership.stop();
  await waitFor("the second", () => second.leadership.term !== undefined);
  const [oldTerm, newTerm] = [first.terms[0], second.terms[0]];
  assert.ok(oldTerm !== undefined && newTerm !== undefined);
  assert.equal(oldTerm.signal.aborted, true);
  assert.ok(newTerm.createRevision > oldTerm.createRevision);
  assert.equal(await holds(oldTerm), false);
});

test("a leader that dies is followed when its lease ends", async () => {
  const lease = await store.grantLease(15_000);
  await takeKey("node-1", lease.id);
  const second = candidate("node-2");
  await clock.advance(14_000);
  assert.equal(second.leadership.term, undefined);
  await clock.advance(2000);
  await waitFor("the second", () => second.leadership.term !== undefined);
});

test("the crashed daemon of the same node does not delay the next one", async () => {
  const lease = await store.grantLease(60_000);
  await takeKey("node-1", lease.id);
  const { leadership } = candidate("node-1");
  await waitFor("office, without any time passing", () => leadership.term !== undefined);
  assert.equal(clock.monotonicMs(), 0);
});

test("a leader that cannot renew stops acting before another may begin", async () => {
  let reachable = true;
  const whenReachable = async <T>(call: () => Promise<T>): Promise<T> => {
    if (!reachable) throw new BlixardError("STORE_UNAVAILABLE", "cut off");
    return await call();
  };
  const cut: KeyValueStore = {
    ...store,
    get: (...call) => whenReachable(() => store.get(...call)),
    transact: (...call) => whenReachable(() => store.transact(...call)),
    revokeLease: (...call) => whenReachable(() => store.revokeLease(...call)),
    async grantLease(...call) {
      const lease = await whenReachable(() => store.grantLease(...call));
      const { keepAlive, revoke } = lease;
      return { ...lease, keepAlive: () => whenReachable(keepAlive), revoke: () => whenReachable(revoke) };
    },
  };
  const { leadership, terms } = candidate("node-1", { store: cut });
  await waitFor("office", () => leadership.term !== undefined);
  reachable = false;
  const other = candidate("node-2");
  await waitFor("the second candidate to wait", () => other.terms.length === 0);
  let lostAtMs: number | undefined;
  terms[0]?.signal.addEventListener("abort", () => (lostAtMs = clock.monotonicMs()));
  let takenAtMs: number | undefined;
  for (let second = 0; second < 60 && takenAtMs === undefined; second++) {
    await clock.advance(500);
    if (other.leadership.term !== undefined) takenAtMs = clock.monotonicMs();
  }
  assert.ok(lostAtMs !== undefined && takenAtMs !== undefined);
  assert.ok(lostAtMs < takenAtMs, `lost at ${lostAtMs}, taken at ${takenAtMs}`);
  reachable = true;
});

test("a leader whose lease is taken away leaves office at its next renewal and campaigns again", async () => {
  const { leadership, terms } = candidate("node-1");
  await waitFor("office", () => leadership.term !== undefined);
  const held = await store.get(key);
  await store.revokeLease(held?.leaseId ?? "");
  await clock.advance(10_000);
  await waitFor("a second term", () => terms.length === 2);
  assert.equal(terms[0]?.signal.aborted, true);
  assert.equal(terms[1]?.signal.aborted, false);
});

test("a leader whose work fails gives the office up and tries again", async () => {
  let runs = 0;
  const leadership = createLeadership({
    store,
    clock,
    random: () => 0,
    logger: createMemoryTelemetry().logger,
    nodeId: "node-1",
    instanceId: "a",
  });
  open.push(leadership);
  leadership.start(async () => {
    runs++;
    throw new Error("a bug");
  });
  await waitFor("the first run", () => runs === 1);
  await waitFor("the key to be free", async () => (await store.get(key)) === undefined);
  await clock.advance(10_000);
  await waitFor("more runs, with pauses", () => runs > 1);
  assert.ok(runs < 50);
});

test("resigning frees the key at once", async () => {
  const { leadership } = candidate("node-1");
  await waitFor("office", () => leadership.term !== undefined);
  await leadership.stop();
  assert.equal(await store.get(key), undefined);
  assert.equal(leadership.term, undefined);
});

async function takeKey(nodeId: string, leaseId: string): Promise<void> {
  const value = leaseHolderCodec.encode({ nodeId, instanceId: "crashed" });
  await store.transact({ compare: [], success: [{ kind: "put", key, value, leaseId }] });
}

function entry(term: LeaderTerm): Parameters<typeof checkTerm>[1] & object {
  return { key: term.key, value: new Uint8Array(), createRevision: 0n, modRevision: 0n, leaseId: undefined };
}
