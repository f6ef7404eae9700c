import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  vmCount,
  vmFailed,
  vmOperationActive,
  vmOperationDuration,
  vmPhaseDuration,
  vmRecoveries,
  vmRecoveryDuration,
  vmRestarts,
} from "#gen/telemetry/metrics.ts";
import { BlixardError } from "#model/errors.ts";
import type { MaterializedImage } from "#model/image.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type { VmAssignment } from "#model/vm.ts";
import type { LaunchRequest, Machine, RecoveredMachine, Runtime } from "#runtime/runtime.ts";
import { createSimulatedRuntime, type SimulatedRuntime } from "#runtime/simulated/simulated-runtime.ts";
import {
  aMachine,
  anAssignment,
  createFakeControlPlane,
  createTrace,
  type FakeControlPlane,
} from "#test/support/agent-fixtures.ts";
import { createManualClock, type ManualClock } from "#test/support/manual-clock.ts";
import { createMemoryTelemetry, type MemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { aRegistration, aStatus } from "#test/support/store-fixtures.ts";
import { type Agent, createAgent } from "./agent.ts";

interface Bench {
  readonly clock: ManualClock;
  readonly telemetry: MemoryTelemetry;
  readonly controlPlane: FakeControlPlane;
  readonly runtime: SimulatedRuntime;
  readonly launches: LaunchRequest[];
  readonly removed: string[];
  readonly agent: Agent;
  /** Starts the agent with these assignments. */
  start(...assignments: VmAssignment[]): Promise<void>;
  assign(assignment: VmAssignment): Promise<void>;
  spans(...names: string[]): { name: string; traceId: string; parent: string | undefined }[];
}

interface BenchOptions {
  readonly recovered?: readonly RecoveredMachine[];
  readonly materialize?: (signal: AbortSignal) => Promise<void>;
  readonly launch?: (request: LaunchRequest, signal: AbortSignal) => Promise<Machine>;
}

function createBench(t: { after(fn: () => Promise<void>): void }, options: BenchOptions = {}): Bench {
  const clock = createManualClock();
  const telemetry = createMemoryTelemetry({ now: () => clock.now() });
  const controlPlane = createFakeControlPlane(() => clock.now());
  const simulated = createSimulatedRuntime({ clock, launchDelayMs: 20, bootDelayMs: 200, stopDelayMs: 50 });
  const launches: LaunchRequest[] = [];
  const removed: string[] = [];
  const runtime: Runtime = {
    ...simulated,
    recover: async () => options.recovered ?? [],
    launch: async (request, signal) => {
      launches.push(request);
      return (options.launch ?? simulated.launch)(request, signal);
    },
    remove: async (vmId) => {
      await simulated.remove(vmId);
      removed.push(vmId);
    },
  };
  const image: MaterializedImage = {
    digest: "",
    kernelPath: "/kernel",
    initrdPath: undefined,
    disk: undefined,
    commandLine: "",
    guestAgent: true,
  };
  let instances = 0;
  const agent = createAgent({
    registration: aRegistration(),
    capabilities: {
      driver: "simulated",
      accelerator: "none",
      acceleratorReason: "",
      kvmUsable: undefined,
      hypervisorVersion: "",
      machineType: "none",
    },
    runtime,
    images: {
      materialize: async (_manifest, signal) => {
        await options.materialize?.(signal);
        return image;
      },
    },
    controlPlane,
    clock,
    random: () => 0.5,
    newInstanceId: () => `run-${instances++}`,
    telemetry,
  });
  t.after(async () => {
    const stopping = agent.stop({ timeoutMs: 100 });
    await clock.advance(1000);
    await stopping;
  });
  return {
    clock,
    telemetry,
    controlPlane,
    runtime: simulated,
    launches,
    removed,
    agent,
    async start(...assignments) {
      controlPlane.send({ kind: "snapshot", assignments, statuses: [] });
      await agent.start();
      await clock.advance(1000);
    },
    async assign(assignment) {
      controlPlane.send({ kind: "assigned", assignment });
      await clock.advance(1000);
    },
    spans: (...names) =>
      names.flatMap((name) =>
        telemetry.spansNamed(name).map(({ traceId, parentSpanId }) => ({
          name,
          traceId,
          parent: telemetry.spans.find((span) => span.spanId === parentSpanId)?.name ?? parentSpanId,
        })),
      ),
  };
}

describe("an agent", () => {
  test("brings an assigned VM to ready and tells each state on the way", async (t) => {
    const bench = createBench(t);
    await bench.start(anAssignment());
    const states = bench.controlPlane.reports.map(({ state, reason }) => `${state}: ${reason}`);
    assert.deepEqual(states, ["preparing: start_requested", "starting: guest_booting", "running: guest_ready"]);
    assert.equal(bench.controlPlane.lastReport("vm-1")?.observedGeneration, 1);
    assert.equal(bench.telemetry.value(vmCount, { "blixard.vm.state": "running" }), 1);
    assert.equal(bench.telemetry.value(vmCount, { "blixard.vm.state": "starting" }), 0);
  });

  test("continues the trace of the operation down to the guest", async (t) => {
    const bench = createBench(t);
    await bench.start(anAssignment());
    const { traceId, spanId } = createTrace;
    assert.deepEqual(bench.spans("vm.start", "vm.image", "guest.boot", "guest.kernel", "guest.init", "guest.ready"), [
      { name: "vm.start", traceId, parent: spanId },
      { name: "vm.image", traceId, parent: "vm.start" },
      { name: "guest.boot", traceId, parent: "vm.start" },
      { name: "guest.kernel", traceId, parent: "guest.boot" },
      { name: "guest.init", traceId, parent: "guest.boot" },
      { name: "guest.ready", traceId, parent: "guest.boot" },
    ]);
    assert.equal(
      bench.launches[0]?.trace?.spanId,
      bench.telemetry.spansNamed("vm.start")[0]?.spanId,
      "what the guest is handed",
    );
    const durations = bench.telemetry.series(vmOperationDuration);
    assert.deepEqual(
      durations.map((series) => [series.attributes, series.values.length]),
      [[{ "blixard.vm.operation": "create" }, 1]],
    );
    assert.deepEqual(
      bench.telemetry.series(vmPhaseDuration).map((series) => series.attributes["blixard.vm.phase"]),
      ["image", "kernel_boot", "guest_init", "guest_ready"],
    );
    assert.equal(bench.telemetry.value(vmOperationActive, { "blixard.vm.operation": "create" }), 0);
  });

  test("restarts a guest that ended, under a trace of its own with a link to the origin", async (t) => {
    const bench = createBench(t);
    await bench.start(anAssignment());
    bench.runtime.endGuest("vm-1", "panic");
    await bench.clock.advance(500);
    const waiting = bench.controlPlane.lastReport("vm-1");
    assert.equal(waiting?.state, "failed");
    assert.equal(waiting.reason, "guest_panicked");
    assert.ok(waiting.nextRestartTimeMs !== undefined && waiting.nextRestartTimeMs > bench.clock.now());
    await bench.clock.advance(2000);
    const after = bench.controlPlane.lastReport("vm-1");
    assert.deepEqual([after?.state, after?.restarts, after?.lastExit?.cause], ["running", 1, "panic"]);
    const [recover] = bench.telemetry.spansNamed("vm.recover");
    assert.ok(recover !== undefined && recover.parentSpanId === undefined);
    assert.notEqual(recover.traceId, createTrace.traceId);
    assert.deepEqual(recover.links, [
      { traceId: createTrace.traceId, spanId: createTrace.spanId, attributes: { "blixard.link.relation": "origin" } },
    ]);
    assert.deepEqual(
      bench.spans("vm.start").map((span) => span.parent),
      [createTrace.spanId, "vm.recover"],
    );
    assert.equal(bench.telemetry.value(vmRestarts, { "blixard.vm.exit_cause": "panic" }), 1);
    assert.equal(bench.telemetry.value(vmRecoveryDuration, { "blixard.vm.exit_cause": "panic" }) ?? 0, 1.22);
  });

  test("tells what a VM goes through in the trace of what it goes through it for", async (t) => {
    const bench = createBench(t);
    await bench.start(anAssignment());
    bench.runtime.endGuest("vm-1", "panic");
    await bench.clock.advance(3000);
    const stop = { traceId: "c".repeat(32), spanId: "d".repeat(16), sampled: true };
    await bench.assign(anAssignment({ desiredState: "stopped", generation: 2, operationKind: "stop", cause: stop }));
    const recovery = bench.telemetry.spansNamed("vm.recover")[0]?.traceId;
    assert.notEqual(recovery, undefined);
    const { traceId: creation } = createTrace;
    assert.deepEqual(
      bench.telemetry.logs.map(({ eventName, attributes, context }) => [
        eventName,
        attributes["blixard.vm.state"],
        context?.traceId,
      ]),
      [
        ["blixard.vm.state_changed", "preparing", creation],
        ["blixard.vm.state_changed", "starting", creation],
        ["blixard.vm.state_changed", "running", creation],
        // Nobody asked for it, and nothing had begun yet that could make it good.
        ["blixard.vm.exited", undefined, undefined],
        ["blixard.vm.state_changed", "failed", undefined],
        ["blixard.vm.state_changed", "preparing", recovery],
        ["blixard.vm.restarted", undefined, recovery],
        ["blixard.vm.state_changed", "starting", recovery],
        ["blixard.vm.state_changed", "running", recovery],
        ["blixard.vm.state_changed", "stopping", stop.traceId],
        ["blixard.vm.exited", undefined, stop.traceId],
        ["blixard.vm.state_changed", "stopped", stop.traceId],
      ],
    );
  });

  test("puts a stop, a restart and a deletion into the traces of those who asked", async (t) => {
    const bench = createBench(t);
    await bench.start(anAssignment());
    const cause = (digit: string): TraceContext => ({
      traceId: digit.repeat(32),
      spanId: digit.repeat(16),
      sampled: true,
    });
    await bench.assign(
      anAssignment({ generation: 2, restartGeneration: 1, operationKind: "restart", cause: cause("1") }),
    );
    await bench.assign(
      anAssignment({
        generation: 3,
        restartGeneration: 1,
        operationKind: "stop",
        cause: cause("2"),
        desiredState: "stopped",
      }),
    );
    await bench.assign(
      anAssignment({
        generation: 4,
        restartGeneration: 1,
        operationKind: "delete",
        cause: cause("3"),
        desiredState: "deleted",
      }),
    );
    const named = (name: string) => bench.spans(name).map((span) => [span.traceId[0], span.parent]);
    assert.deepEqual(named("vm.restart"), [["1", "1".repeat(16)]]);
    assert.deepEqual(named("vm.stop"), [
      ["1", "vm.restart"],
      ["2", "2".repeat(16)],
    ]);
    assert.deepEqual(named("vm.start").at(-1), ["1", "vm.restart"]);
    assert.deepEqual(named("vm.delete"), [["3", "3".repeat(16)]]);
    assert.equal(bench.launches.length, 2);
    assert.deepEqual(bench.removed, ["vm-1"]);
    assert.equal(bench.controlPlane.lastReport("vm-1")?.removed, true);
    const operations = bench.telemetry
      .series(vmOperationDuration)
      .map((series) => series.attributes["blixard.vm.operation"]);
    assert.deepEqual(operations, ["create", "restart", "stop", "delete"]);
  });

  test("forgets a VM when the control plane does, counts and all", async (t) => {
    const bench = createBench(t);
    await bench.start(anAssignment());
    await bench.assign(anAssignment({ generation: 2, operationKind: "delete", desiredState: "deleted" }));
    bench.controlPlane.send({ kind: "withdrawn", vmId: "vm-1" });
    await bench.clock.advance(100);
    assert.deepEqual(bench.agent.vms, []);
    for (const { value } of bench.telemetry.series(vmCount)) assert.equal(value, 0);
  });

  test("tells of each VM under its name whether it is down and how often it came back, until it is deleted", async (t) => {
    const bench = createBench(t);
    const names = { "blixard.vm.id": "vm-1", "blixard.vm.name": "web" };
    const seen = () => [vmFailed, vmRecoveries].map((metric) => bench.telemetry.value(metric, names));
    await bench.start(anAssignment());
    assert.deepEqual(seen(), [0, 0], "a rate sees the first time only after a zero");
    bench.runtime.endGuest("vm-1", "panic");
    await bench.clock.advance(0);
    assert.deepEqual(seen(), [1, 0]);
    await bench.clock.advance(3000);
    assert.deepEqual(seen(), [0, 1]);
    await bench.assign(anAssignment({ generation: 2, operationKind: "delete", desiredState: "deleted" }));
    assert.deepEqual(seen(), [undefined, undefined], "gone before the control plane has withdrawn it");
    bench.controlPlane.send({ kind: "withdrawn", vmId: "vm-1" });
    await bench.clock.advance(100);
    assert.deepEqual(
      [vmFailed, vmRecoveries].flatMap((metric) => bench.telemetry.series(metric)),
      [],
    );
  });

  test("pauses and resumes", async (t) => {
    const bench = createBench(t);
    await bench.start(anAssignment());
    await bench.assign(anAssignment({ generation: 2, operationKind: "pause", desiredState: "paused" }));
    assert.equal(bench.controlPlane.lastReport("vm-1")?.state, "paused");
    await bench.assign(anAssignment({ generation: 3, operationKind: "resume" }));
    assert.equal(bench.controlPlane.lastReport("vm-1")?.state, "running");
    assert.deepEqual(
      bench.spans("vm.pause", "vm.resume").map((span) => span.parent),
      [createTrace.spanId, createTrace.spanId],
    );
  });

  test("calls off a start when the VM is deleted meanwhile", async (t) => {
    let aborted = false;
    const bench = createBench(t, {
      materialize: (signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted = true;
            reject(signal.reason as Error);
          });
        }),
    });
    await bench.start(anAssignment());
    assert.equal(bench.controlPlane.lastReport("vm-1")?.state, "preparing");
    await bench.assign(anAssignment({ generation: 2, operationKind: "delete", desiredState: "deleted" }));
    assert.ok(aborted);
    assert.equal(bench.controlPlane.lastReport("vm-1")?.removed, true);
    assert.deepEqual(bench.launches, []);
  });

  test("forces a stop that is under way when someone says so", async (t) => {
    const shutdowns: boolean[] = [];
    const bench = createBench(t, {
      launch: async ({ vmId }) => aMachine({ vmId, stubborn: true, onShutdown: (force) => shutdowns.push(force) }),
    });
    await bench.start(anAssignment());
    await bench.assign(anAssignment({ generation: 2, operationKind: "stop", desiredState: "stopped" }));
    assert.equal(bench.controlPlane.lastReport("vm-1")?.state, "stopping");
    await bench.assign(anAssignment({ generation: 3, operationKind: "stop", desiredState: "stopped", force: true }));
    assert.deepEqual(shutdowns, [false, true]);
    assert.equal(bench.controlPlane.lastReport("vm-1")?.state, "stopped");
  });

  test("says why a start failed, with the code of the error, and tries again by policy", async (t) => {
    const bench = createBench(t, {
      launch: async () => {
        throw new BlixardError("PORT_TAKEN", "port 8080 of 127.0.0.1 is taken");
      },
    });
    await bench.start(anAssignment());
    const failed = bench.controlPlane.lastReport("vm-1");
    assert.deepEqual([failed?.state, failed?.reason, failed?.errorCode], ["failed", "start_failed", "PORT_TAKEN"]);
    assert.match(failed?.message ?? "", /port 8080 of 127.0.0.1 is taken/);
    const [start] = bench.telemetry.spansNamed("vm.start");
    assert.equal(start?.status.code, "error");
    assert.deepEqual(bench.telemetry.series(vmOperationDuration)[0]?.attributes, {
      "blixard.vm.operation": "create",
      "error.type": "VM_FAILED",
    });
    await bench.clock.advance(30_000);
    assert.ok(bench.launches.length > 2);
  });

  test("gives up a guest that is not ready in time", async (t) => {
    const bench = createBench(t);
    await bench.start(anAssignment({}, { bootTimeoutMs: 1000, restartPolicy: "never" }));
    assert.equal(bench.controlPlane.lastReport("vm-1")?.state, "running", "200 ms are in time");
    const slow = createBench(t, { launch: async ({ vmId }) => aMachine({ vmId, silent: true }) });
    await slow.start(anAssignment({}, { bootTimeoutMs: 1000, restartPolicy: "never" }));
    await slow.clock.advance(2000);
    const failed = slow.controlPlane.lastReport("vm-1");
    assert.deepEqual(
      [failed?.state, failed?.reason, failed?.errorCode],
      ["failed", "boot_timeout", "GUEST_BOOT_TIMEOUT"],
    );
  });
});

describe("an agent that comes back", () => {
  test("keeps what runs, and removes what nobody assigned only on the word of a full snapshot", async (t) => {
    const ended: string[] = [];
    const bench = createBench(t, {
      recovered: ["vm-1", "vm-2"].map((vmId) => ({
        kind: "running",
        vmId,
        machine: aMachine({ vmId, onShutdown: () => ended.push(vmId) }),
      })),
    });
    const started = bench.agent.start();
    await bench.clock.advance(60_000);
    assert.deepEqual(ended, [], "no snapshot yet");
    bench.controlPlane.send({ kind: "snapshot", assignments: [anAssignment()], statuses: [] });
    await started;
    await bench.clock.advance(1000);
    assert.deepEqual(ended, ["vm-2"]);
    assert.deepEqual(bench.removed, ["vm-2"]);
    assert.deepEqual(bench.launches, []);
    assert.deepEqual(
      bench.agent.vms.map((vm) => [vm.vmId, vm.status.state, vm.status.restarts]),
      [["vm-1", "running", 0]],
    );
    const [recover] = bench.telemetry.spansNamed("vm.recover");
    assert.equal(recover?.links[0]?.traceId, createTrace.traceId);
    assert.ok(bench.telemetry.logs.some((log) => log.eventName === "blixard.vm.adopted"));
  });

  test("counts a VM's recoveries on from where the daemon before it was, and none of machines that nobody wants", async (t) => {
    const bench = createBench(t, {
      recovered: ["vm-1", "vm-2"].map((vmId) => ({ kind: "running", vmId, machine: aMachine({ vmId }) })),
    });
    bench.controlPlane.send({
      kind: "snapshot",
      assignments: [anAssignment()],
      statuses: [aStatus({ vmId: "vm-1", restarts: 4 })],
    });
    await bench.agent.start();
    await bench.clock.advance(0);
    assert.deepEqual(
      bench.telemetry.series(vmRecoveries).map(({ attributes, value }) => [attributes["blixard.vm.name"], value]),
      [["web", 4]],
    );
  });

  test("registers again when its lease is lost", async (t) => {
    const bench = createBench(t);
    await bench.start();
    bench.controlPlane.fail("heartbeat", new BlixardError("LEASE_LOST", "gone"));
    await bench.clock.advance(6000);
    assert.equal(bench.controlPlane.registrations, 2);
  });

  test("goes on through an outage of the control plane and reports the last state after it", async (t) => {
    const bench = createBench(t);
    await bench.start(anAssignment());
    const outage = new BlixardError("STORE_UNAVAILABLE", "no store");
    for (const call of ["heartbeat", "reportStatus", "resolveImage"] as const) bench.controlPlane.fail(call, outage);
    const reportsBefore = bench.controlPlane.reports.length;
    bench.runtime.endGuest("vm-1", "crash");
    await bench.clock.advance(30_000);
    assert.equal(bench.launches.length, 2, "a restart needs no control plane");
    assert.equal(bench.controlPlane.reports.length, reportsBefore);
    for (const call of ["heartbeat", "reportStatus", "resolveImage"] as const) bench.controlPlane.fail(call, undefined);
    await bench.clock.advance(10_000);
    const news = bench.controlPlane.reports.slice(reportsBefore);
    assert.deepEqual(
      news.map((status) => [status.state, status.restarts]),
      [["running", 1]],
      "only where it ended up",
    );
  });
});
