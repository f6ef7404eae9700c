/** Trace rules from the request to the recorder, on the memory store. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import { BlixardError, type ErrorCode } from "#model/errors.ts";
import { createImageRepository } from "#store/image-repository.ts";
import { kindPrefix } from "#store/keys.ts";
import { createMemoryKeyValueStore } from "#store/memory/memory-key-value-store.ts";
import { createTraceRuleRepository } from "#store/trace-rule-repository.ts";
import { createVmRepository } from "#store/vm-repository.ts";
import { createWatchCache } from "#store/watch-cache.ts";
import { createManualClock } from "#test/support/manual-clock.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { aCreateVm, anImage } from "#test/support/store-fixtures.ts";
import { createUnreliableStore } from "#test/support/unreliable-store.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createTraceRules } from "./trace-rules.ts";

async function startScene(context: TestContext) {
  const clock = createManualClock();
  const { tracing, logger } = createMemoryTelemetry();
  const memory = createMemoryKeyValueStore({ clock });
  const store = createUnreliableStore(memory);
  const cache = createWatchCache({ store, clock, random: () => 0.5, logger });
  await cache.start();
  context.after(async () => {
    await cache.stop();
    await memory.close();
  });
  await createImageRepository(memory).create(anImage());
  const { vm, revision } = await createVmRepository(memory).create(aCreateVm({ name: "web" }));
  await cache.waitForRevision(revision);
  const repository = createTraceRuleRepository(store);
  const rules = createTraceRules({ repository, cache, clock, newRuleId: randomUUID, tracing });
  const stored = async (): Promise<number> => (await memory.range(kindPrefix("trace-rules"))).entries.length;
  return { clock, store, cache, rules, stored, vmId: vm.value.id };
}

function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof BlixardError && error.code === code;
}

test("a rule is about the VM behind a name, is seen at once, and is gone when its time is over", async (context) => {
  const { clock, rules, stored, vmId } = await startScene(context);
  const long = await rules.create({ vm: "web", durationMs: 600_000 });
  const short = await rules.create({ vm: vmId, durationMs: 60_000 });
  assert.deepEqual([long.vmId, short.vmName], [vmId, "web"]);
  assert.deepEqual(rules.list(), [short, long]);
  await clock.advance(61_000);
  assert.deepEqual(rules.list(), [long]);
  await waitFor("the store to forget it", async () => (await stored()) === 1);
  await clock.advance(600_000);
  assert.deepEqual(rules.list(), []);
  await waitFor("the store to forget the other", async () => (await stored()) === 0);
});

test("a rule can be ended before its time, once", async (context) => {
  const { rules, stored } = await startScene(context);
  const { id } = await rules.create({ vm: "web", durationMs: 60_000 });
  await rules.delete(id);
  assert.deepEqual([rules.list(), await stored()], [[], 0]);
  await assert.rejects(rules.delete(id), hasCode("TRACE_RULE_NOT_FOUND"));
  await assert.rejects(rules.delete("../vms"), hasCode("INVALID_ARGUMENT"));
});

test("what cannot be is refused: no such VM, too brief, too long, too many", async (context) => {
  const { rules, stored } = await startScene(context);
  await assert.rejects(rules.create({ vm: "other", durationMs: 60_000 }), hasCode("VM_NOT_FOUND"));
  await assert.rejects(rules.create({ vm: "Not a name", durationMs: 60_000 }), hasCode("INVALID_ARGUMENT"));
  for (const durationMs of [999, 0, -1, 24 * 3_600_000 + 1, Number.NaN])
    await assert.rejects(rules.create({ vm: "web", durationMs }), hasCode("INVALID_ARGUMENT"), String(durationMs));
  for (let index = 0; index < 100; index++) await rules.create({ vm: "web", durationMs: 60_000 });
  await assert.rejects(rules.create({ vm: "web", durationMs: 60_000 }), hasCode("TOO_MANY_REQUESTS"));
  assert.equal(await stored(), 100);
});

test("the limit holds for those who ask at the same time", async (context) => {
  const { rules, stored } = await startScene(context);
  for (let index = 0; index < 95; index++) await rules.create({ vm: "web", durationMs: 60_000 });
  const answers = await Promise.allSettled(
    Array.from({ length: 20 }, () => rules.create({ vm: "web", durationMs: 60_000 })),
  );
  const refusals = answers.filter((answer) => answer.status === "rejected");
  for (const { reason } of refusals) assert.ok(hasCode("TOO_MANY_REQUESTS")(reason), String(reason));
  assert.deepEqual([refusals.length, await stored(), rules.list().length], [15, 100, 100]);
});

test("answers of the store that get lost make no second rule, and no rule that cannot be ended", async (context) => {
  const { store, rules, stored } = await startScene(context);
  store.doom("answer_lost");
  const { id } = await rules.create({ vm: "web", durationMs: 60_000 });
  assert.equal(await stored(), 1);
  store.doom("request_lost");
  await rules.create({ vm: "web", durationMs: 60_000 });
  assert.equal(await stored(), 2);
  store.doom("answer_lost");
  await rules.delete(id);
  assert.equal(await stored(), 1);
});
