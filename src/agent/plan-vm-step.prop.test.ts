/** The plan, played with a pure executor: whatever is wanted and whatever happens, it comes to rest at what is wanted. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseVmSpec } from "#model/vm-spec.ts";
import type { DesiredVmState, VmAssignment, VmExitCause } from "#model/vm.ts";
import { planVmStep, type VmGoal, wantsForce, wantsMachine } from "./plan-vm-step.ts";
import {
  acknowledge,
  enterState,
  guestBecameReady,
  guestEnded,
  launchBegan,
  machineLaunched,
  machinePaused,
  machineResumed,
  machineStopped,
  newObservation,
  settle,
  stopBegan,
  stepFailed,
  type VmObservation,
  vmRemoved,
} from "./vm-observation.ts";

const exit = (cause: VmExitCause, timeMs: number) => ({
  cause,
  exitCode: undefined,
  signal: undefined,
  timeMs,
  detail: "",
});

function assignment(overrides: Partial<VmAssignment> = {}): VmAssignment {
  return {
    vmId: "vm-1",
    vmName: "web",
    spec: parseVmSpec({ image: "demo", restartPolicy: "always", bootTimeoutMs: 10_000 }),
    desiredState: "running",
    generation: 1,
    restartGeneration: 0,
    force: false,
    cause: undefined,
    origin: undefined,
    operationId: "operation-1",
    operationKind: "create",
    operationTimeMs: 0,
    imageDigest: "sha256:00",
    ...overrides,
  };
}

interface World {
  observed: VmObservation;
  nowMs: number;
  launches: number;
}

/** Does one step as the supervisor would, with everything going well. False: at rest. */
function play(goal: VmGoal, world: World): boolean {
  const step = planVmStep(goal, world.observed, world.nowMs);
  const wanted = goal.kind === "assigned" ? goal.assignment : assignment();
  const { observed, nowMs } = world;
  switch (step.kind) {
    case "none":
      return false;
    case "wait":
      if (observed.machine?.phase === "booting") world.observed = guestBecameReady(observed, "guest", nowMs);
      else world.nowMs = step.untilMs;
      return true;
    case "launch": {
      world.launches++;
      const began = launchBegan(observed, wanted, step.cause === "recovery", nowMs);
      const machine = { instanceId: `run-${world.launches}`, startTimeMs: nowMs, publishedPorts: [] };
      world.observed = machineLaunched(began, machine, wanted.spec.bootTimeoutMs, nowMs);
      return true;
    }
    case "stop": {
      const stopping = stopBegan(acknowledge(observed, wanted), step.purpose, step.purpose, nowMs);
      world.observed =
        step.purpose === "boot_timeout"
          ? guestEnded(stopping, wanted, exit("boot_timeout", nowMs), nowMs)
          : machineStopped(stopping, exit("shutdown", nowMs));
      return true;
    }
    case "pause":
      world.observed = machinePaused(acknowledge(observed, wanted), nowMs);
      return true;
    case "resume":
      world.observed = machineResumed(acknowledge(observed, wanted), nowMs);
      return true;
    case "settle": {
      const next = acknowledge(observed, wanted);
      const entered =
        step.state === undefined
          ? next
          : {
              ...enterState(next, step.state, "stop_requested", "", nowMs),
              rest: { kind: "ended", generation: wanted.generation } as const,
            };
      world.observed = settle(entered, wanted);
      return true;
    }
    case "remove":
      world.observed = vmRemoved(observed);
      return true;
  }
}

const disturbances = ["exit", "ready", "pause", "resume", "fail", "time"] as const;

function disturb(kind: (typeof disturbances)[number], cause: VmExitCause, goal: VmGoal, world: World): void {
  const { observed, nowMs } = world;
  const wanted = goal.kind === "assigned" ? goal.assignment : assignment();
  switch (kind) {
    case "exit":
      if (observed.machine === undefined) return;
      world.observed =
        observed.state === "stopping" || goal.kind === "withdrawn"
          ? machineStopped(observed, exit(cause, nowMs))
          : guestEnded(observed, wanted, exit(cause, nowMs), nowMs);
      return;
    case "ready":
      world.observed = guestBecameReady(observed, "hypervisor", nowMs);
      return;
    case "pause":
      world.observed = machinePaused(observed, nowMs);
      return;
    case "resume":
      world.observed = machineResumed(observed, nowMs);
      return;
    case "fail":
      world.observed = stepFailed(acknowledge(observed, wanted), "HYPERVISOR_UNRESPONSIVE", nowMs + 500);
      return;
    case "time":
      world.nowMs += 20_000;
  }
}

const event = fc.oneof(
  fc.record({
    kind: fc.constant("assign" as const),
    desiredState: fc.constantFrom<DesiredVmState>("running", "stopped", "paused"),
    restart: fc.boolean(),
    force: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("disturb" as const),
    what: fc.constantFrom(...disturbances),
    cause: fc.constantFrom<VmExitCause>("shutdown", "panic", "crash", "guardian_lost", "killed"),
  }),
  fc.record({ kind: fc.constant("step" as const), count: fc.integer({ min: 1, max: 4 }) }),
);

const MAXIMUM_STEPS = 60;

function settleDown(goal: VmGoal, world: World): void {
  for (let steps = 0; play(goal, world); steps++) {
    assert.ok(steps < MAXIMUM_STEPS, `no rest: ${JSON.stringify({ goal, observed: world.observed })}`);
  }
}

describe("the plan of a VM's steps", () => {
  test("comes to rest at what is wanted, whatever was wanted and happened before", () => {
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 25 }),
        fc.constantFrom<DesiredVmState>("running", "stopped", "paused", "deleted"),
        (events, last) => {
          const world: World = { observed: newObservation(0), nowMs: 1000, launches: 0 };
          let current = assignment();
          let goal: VmGoal = { kind: "assigned", assignment: current };
          const assign = (desiredState: DesiredVmState, restart: boolean, force: boolean): void => {
            const restartGeneration = current.restartGeneration + (restart ? 1 : 0);
            current = assignment({ desiredState, force, restartGeneration, generation: current.generation + 1 });
            goal = { kind: "assigned", assignment: current };
          };
          for (const happened of events) {
            if (happened.kind === "assign") assign(happened.desiredState, happened.restart, happened.force);
            else if (happened.kind === "disturb") disturb(happened.what, happened.cause, goal, world);
            else for (let count = 0; count < happened.count && play(goal, world); count++);
          }
          assign(last, false, false);
          settleDown(goal, world);
          const { observed } = world;
          if (last === "deleted") assert.ok(observed.removed && observed.machine === undefined);
          if (last === "stopped") assert.ok(observed.state === "stopped" && observed.machine === undefined);
          if (last === "paused") assert.ok(observed.state === "paused" && observed.machine?.phase === "paused");
          if (last === "running") assert.ok(observed.state === "running" && observed.machine?.phase === "ready");
          if (last !== "deleted") {
            assert.equal(observed.observedGeneration, current.generation);
            assert.equal(observed.settledGeneration, current.generation);
          }
          settleDown({ kind: "withdrawn" }, world);
          assert.ok(world.observed.removed && world.observed.machine === undefined);
        },
      ),
      { numRuns: 1500, seed: 1 },
    );
  });

  test("never launches what is not wanted to run, nor while a machine is there", () => {
    fc.assert(
      fc.property(
        fc.constantFrom<DesiredVmState>("running", "stopped", "paused", "deleted"),
        fc.boolean(),
        fc.integer({ min: 0, max: 3 }),
        (desiredState, machine, generation) => {
          const wanted = assignment({ desiredState, generation: 2, restartGeneration: generation });
          const bare = launchBegan(newObservation(0), wanted, false, 0);
          const observed = machine
            ? machineLaunched(bare, { instanceId: "run-1", startTimeMs: 0, publishedPorts: [] }, 10, 0)
            : newObservation(0);
          const step = planVmStep({ kind: "assigned", assignment: wanted }, observed, 1_000_000);
          if (machine || desiredState === "stopped" || desiredState === "deleted") assert.notEqual(step.kind, "launch");
          if (machine) assert.notEqual(step.kind, "remove");
        },
      ),
    );
  });
});

describe("a VM's plan", () => {
  const running = (overrides: Partial<VmAssignment> = {}): World => {
    const world: World = { observed: newObservation(0), nowMs: 1000, launches: 0 };
    settleDown({ kind: "assigned", assignment: assignment(overrides) }, world);
    return world;
  };

  test("ends a guest that is not ready in time, and starts it again after a pause", () => {
    const goal: VmGoal = { kind: "assigned", assignment: assignment() };
    const world: World = { observed: newObservation(0), nowMs: 1000, launches: 0 };
    play(goal, world);
    assert.deepEqual(planVmStep(goal, world.observed, 10_999), {
      kind: "wait",
      untilMs: 11_000,
      reason: "the guest boots",
    });
    assert.deepEqual(planVmStep(goal, world.observed, 11_000), { kind: "stop", purpose: "boot_timeout", force: true });
    world.nowMs = 11_000;
    play(goal, world);
    assert.equal(world.observed.state, "failed");
    assert.equal(world.observed.reason, "boot_timeout");
    assert.deepEqual(planVmStep(goal, world.observed, 11_000), {
      kind: "wait",
      untilMs: 12_000,
      reason: "pause before the next start",
    });
    assert.deepEqual(planVmStep(goal, world.observed, 12_000), { kind: "launch", cause: "recovery" });
  });

  test("leaves a guest down that powered itself off, until someone starts it", () => {
    const spec = parseVmSpec({ image: "demo", restartPolicy: "on-failure" });
    const world = running({ spec });
    const wanted = assignment({ spec });
    world.observed = guestEnded(world.observed, wanted, exit("shutdown", 2000), 2000);
    assert.equal(world.observed.state, "stopped");
    assert.equal(planVmStep({ kind: "assigned", assignment: wanted }, world.observed, 1e12).kind, "none");
    const started = assignment({ spec, generation: 2, operationKind: "start" });
    assert.deepEqual(planVmStep({ kind: "assigned", assignment: started }, world.observed, 2001), {
      kind: "launch",
      cause: "operation",
    });
  });

  test("starts at once when someone asks during the pause before a restart", () => {
    const world = running();
    world.observed = guestEnded(world.observed, assignment(), exit("panic", 2000), 2000);
    const goal: VmGoal = { kind: "assigned", assignment: assignment({ generation: 2, operationKind: "start" }) };
    assert.deepEqual(planVmStep(goal, world.observed, 2000), { kind: "launch", cause: "operation" });
  });

  test("restarts once for each restart that was asked for", () => {
    const world = running();
    settleDown({ kind: "assigned", assignment: assignment({ generation: 2, restartGeneration: 1 }) }, world);
    assert.equal(world.launches, 2);
    assert.equal(world.observed.observedRestartGeneration, 1);
    assert.equal(world.observed.restarts, 0, "asked for, not done by itself");
  });

  test("waits before it tries a failed step again, unless something new is asked for", () => {
    const world = running();
    const stop = assignment({ generation: 2, desiredState: "stopped" });
    const failed = stepFailed(acknowledge(world.observed, stop), "GUARDIAN_UNAVAILABLE", 5000);
    assert.equal(planVmStep({ kind: "assigned", assignment: stop }, failed, 4000).kind, "wait");
    assert.equal(planVmStep({ kind: "assigned", assignment: stop }, failed, 5000).kind, "stop");
    const deletion = assignment({ generation: 3, desiredState: "deleted", force: true });
    assert.deepEqual(planVmStep({ kind: "assigned", assignment: deletion }, failed, 4000), {
      kind: "stop",
      purpose: "delete",
      force: true,
    });
  });

  test("calls a launch off, or forces a stop, only when the goal says so", () => {
    const goal = (overrides: Partial<VmAssignment>): VmGoal => ({
      kind: "assigned",
      assignment: assignment(overrides),
    });
    assert.equal(wantsMachine(goal({ desiredState: "paused" })), true);
    assert.equal(wantsMachine(goal({ desiredState: "stopped" })), false);
    assert.equal(wantsMachine({ kind: "withdrawn" }), false);
    assert.equal(wantsForce(goal({ desiredState: "deleted", force: true })), true);
    assert.equal(wantsForce(goal({ desiredState: "running", force: true })), false);
    assert.equal(wantsForce({ kind: "withdrawn" }), true);
  });
});
