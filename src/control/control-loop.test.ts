/** The control loops at work: over a store in memory, with an agent and simulated machines below. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { schedulerQueueAge, schedulerQueueSize, vmCount, vmPlacementAttempts } from "#gen/telemetry/metrics.ts";
import { cliCommand } from "#gen/telemetry/spans.ts";
import { BlixardError } from "#model/errors.ts";
import { createSimulatedRuntime } from "#runtime/simulated/simulated-runtime.ts";
import { createAssignmentRepository } from "#store/assignment-repository.ts";
import { createChangeFeed } from "#store/change-feed.ts";
import { createImageRepository } from "#store/image-repository.ts";
import { assignmentKey, leadershipKey, STORE_PREFIX } from "#store/keys.ts";
import { createMemoryKeyValueStore } from "#store/memory/memory-key-value-store.ts";
import { assignmentCodec } from "#store/records/placement-codec.ts";
import { createSimulatedNode } from "#test/simulation/support/simulated-node.ts";
import { anAssignment } from "#test/support/agent-fixtures.ts";
import { createManualClock } from "#test/support/manual-clock.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { anImage } from "#test/support/store-fixtures.ts";
import type { Reconciler } from "./reconciler.ts";
import { createControlLoop } from "./control-loop.ts";

async function createBench(t: { after(fn: () => Promise<void>): void }) {
  const clock = createManualClock();
  const telemetry = createMemoryTelemetry({ now: () => clock.now() });
  const store = createMemoryKeyValueStore({ clock });
  await createImageRepository(store).create(anImage());
  const node = createSimulatedNode({
    nodeId: "node-1",
    instanceId: "daemon-1",
    store,
    runtime: createSimulatedRuntime({ clock, launchDelayMs: 10, bootDelayMs: 50 }),
    clock,
    random: () => 0.5,
    telemetry,
  });
  const started = node.start();
  await clock.advance(500);
  await started;
  t.after(async () => {
    const stopped = node.stop();
    await clock.advance(5000);
    await stopped;
    await store.close();
  });
  return {
    clock,
    telemetry,
    store,
    node,
    admission: node.admission,
    stateOf: (name: string) => node.cache.snapshot().findVm(name)?.status,
    async keysOf(text: string) {
      const { entries } = await store.range(STORE_PREFIX);
      return entries.map((entry) => entry.key).filter((key) => key.includes(text));
    },
  };
}

const demo = { image: "demo" };
const huge = { image: "demo", memoryBytes: 1024 ** 4 };

describe("the control loops", () => {
  test("carry one trace from the call to the guest", async (t) => {
    const bench = await createBench(t);
    const { tracing } = bench.telemetry;
    await tracing.span(cliCommand, { attributes: { "blixard.cli.command": "vm create" } }, () =>
      bench.admission.createVm({ name: "web", spec: demo }),
    );
    await bench.clock.advance(1000);
    assert.equal(bench.stateOf("web")?.state, "running");
    const [root] = bench.telemetry.spansNamed("cli.command");
    const names = new Set(
      bench.telemetry.spans.filter((span) => span.traceId === root?.traceId).map((span) => span.name),
    );
    for (const name of ["vm.admit", "vm.place", "vm.start", "vm.image", "guest.boot", "guest.ready"]) {
      assert.ok(names.has(name), `${name} is missing of ${[...names].join(", ")}`);
    }
    const [place] = bench.telemetry.spansNamed("vm.place");
    assert.equal(place?.parentSpanId, root?.spanId);
    assert.equal(bench.telemetry.spansNamed("vm.start")[0]?.parentSpanId, place?.spanId);
    assert.equal(place?.attributes["blixard.scheduler.outcome"], "placed");
  });

  test("leave a VM pending that fits nowhere, say why, and place it once there is room", async (t) => {
    const bench = await createBench(t);
    await bench.admission.setNodeCordoned("node-1", true);
    await bench.admission.createVm({ name: "web", spec: demo });
    await bench.clock.advance(30_000);
    const pending = bench.stateOf("web");
    assert.deepEqual(
      [pending?.state, pending?.reason, pending?.message],
      ["pending", "cordoned", "node-1 is cordoned"],
    );
    assert.equal(bench.telemetry.value(schedulerQueueSize, {}), 1);
    assert.equal(bench.telemetry.value(vmCount, { "blixard.vm.state": "pending" }), 1);
    assert.ok((bench.telemetry.value(schedulerQueueAge, {}) ?? 0) >= 15);
    assert.equal(
      bench.telemetry.value(vmPlacementAttempts, { "error.type": "cordoned" }),
      1,
      "the same refusal is no news",
    );
    await bench.admission.setNodeCordoned("node-1", false);
    await bench.clock.advance(1000);
    assert.equal(bench.stateOf("web")?.state, "running");
    assert.equal(bench.telemetry.value(schedulerQueueSize, {}), 0);
    assert.equal(bench.telemetry.value(vmCount, { "blixard.vm.state": "pending" }), 0);
  });

  test("delete a VM that was never placed at once, and one that runs when its node has removed it", async (t) => {
    const bench = await createBench(t);
    const waiting = await bench.admission.createVm({ name: "huge", spec: huge });
    const running = await bench.admission.createVm({ name: "web", spec: demo });
    await bench.clock.advance(1000);
    assert.match(bench.stateOf("huge")?.message ?? "", /memory free/);
    await bench.admission.changeVm("delete", { vm: "huge" });
    await bench.admission.changeVm("delete", { vm: "web" });
    await bench.clock.advance(1000);
    assert.deepEqual(await bench.keysOf(waiting.intent.id), []);
    assert.deepEqual(await bench.keysOf(running.intent.id), []);
    assert.deepEqual(await bench.keysOf("vm-names"), []);
    assert.deepEqual(bench.node.agent.vms, []);
  });

  test("bring stop, start, pause, resume and restart to the node", async (t) => {
    const bench = await createBench(t);
    await bench.admission.createVm({ name: "web", spec: demo, stopped: true });
    await bench.clock.advance(500);
    assert.equal(bench.stateOf("web")?.state, "stopped");
    const steps = [
      ["start", "running"],
      ["pause", "paused"],
      ["resume", "running"],
      ["restart", "running"],
      ["stop", "stopped"],
      ["restart", "running"],
    ] as const;
    for (const [kind, state] of steps) {
      const vm = await bench.admission.changeVm(kind, { vm: "web" });
      await bench.clock.advance(1000);
      const status = bench.stateOf("web");
      assert.deepEqual([kind, status?.state, status?.observedGeneration], [kind, state, vm.intent.generation]);
      assert.equal(status?.observedRestartGeneration, vm.intent.restartGeneration);
    }
  });

  test("withdraw an assignment whose VM is not there", async (t) => {
    const bench = await createBench(t);
    const vmId = "00000000-0000-4000-8000-000000000000";
    const value = assignmentCodec.encode(anAssignment({ vmId }));
    await bench.store.transact({ compare: [], success: [{ kind: "put", key: assignmentKey("node-1", vmId), value }] });
    await bench.clock.advance(1000);
    assert.deepEqual(await bench.keysOf(vmId), []);
    assert.deepEqual(bench.node.agent.vms, []);
  });

  test("write nothing when the leadership has gone to another", async (t) => {
    const bench = await createBench(t);
    const stale = {
      nodeId: "node-1",
      instanceId: "daemon-0",
      key: leadershipKey("control"),
      createRevision: 1n,
      signal: AbortSignal.timeout(60_000),
    };
    const vm = await bench.admission.createVm({ name: "web", spec: demo });
    await bench.clock.advance(1000);
    const intent = bench.node.cache.snapshot().intents.get(vm.intent.id);
    assert.ok(intent !== undefined);
    const write = {
      nodeId: "node-1",
      vm: intent,
      previous: undefined,
      assignment: anAssignment({ vmId: vm.intent.id }),
    };
    await assert.rejects(createAssignmentRepository(bench.store).apply(stale, [write]), { code: "NOT_LEADER" });
  });
});

describe("a control loop", () => {
  const term = (signal: AbortSignal) => ({ nodeId: "n", instanceId: "i", key: "k", createRevision: 1n, signal });
  const nothing = { snapshot: () => assert.fail("not looked at"), waitForRevision: async () => {} };
  const loopOver = (reconciler: Reconciler) => {
    const clock = createManualClock();
    const telemetry = createMemoryTelemetry();
    // A feed without content: only the period wakes the loop.
    const feed = createChangeFeed({ maximumPendingIds: 10 });
    const cache = { ...nothing, subscribe: feed.subscribe };
    return {
      clock,
      telemetry,
      loop: createControlLoop({ cache, clock, telemetry, reconcilers: [reconciler], periodMs: 1000 }),
    };
  };

  test("looks at everything by period, whether or not anything changed", async () => {
    let passes = 0;
    const { clock, loop } = loopOver({
      name: "counting",
      reconcile: async ({ vmIds }) => {
        assert.equal(vmIds, undefined);
        passes++;
        return undefined;
      },
    });
    const over = new AbortController();
    const acting = loop.act(term(over.signal));
    await clock.advance(3500);
    assert.equal(passes, 4);
    over.abort();
    await acting;
  });

  test("pauses when the store is in trouble, longer each time, and goes on after it", async () => {
    let passes = 0;
    const { clock, loop, telemetry } = loopOver({
      name: "failing",
      reconcile: async () => {
        passes++;
        if (passes < 6) throw new BlixardError("STORE_UNAVAILABLE", "no store");
        return undefined;
      },
    });
    const over = new AbortController();
    const acting = loop.act(term(over.signal));
    await clock.advance(1500);
    assert.equal(passes, 5, "after 0, 100, 300, 700 and 1500 ms");
    await clock.advance(2000);
    assert.equal(passes, 6);
    assert.equal(telemetry.logs.filter((log) => log.level === "warn").length, 1, "said once");
    over.abort();
    await acting;
  });

  test("ends the term when a write says that it is over", async () => {
    let ended = false;
    const { loop } = loopOver({
      name: "deposed",
      reconcile: async () => {
        throw new BlixardError("NOT_LEADER", "another leads");
      },
      termEnded: () => (ended = true),
    });
    await assert.rejects(loop.act(term(new AbortController().signal)), { code: "NOT_LEADER" });
    assert.ok(ended);
  });
});
