import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseVmSpec } from "#model/vm-spec.ts";
import type { VmAssignment, VmExit, VmStatus } from "#model/vm.ts";
import { planVmStep } from "./plan-vm-step.ts";
import { type FoundOnHost, restoreObservation } from "./restore-observation.ts";

const NOW = 100_000;
const START = 50_000;

const assigned: VmAssignment = {
  vmId: "vm-1",
  vmName: "web",
  spec: parseVmSpec({ image: "demo" }),
  desiredState: "running",
  generation: 3,
  restartGeneration: 1,
  force: false,
  cause: undefined,
  origin: undefined,
  operationId: "operation-3",
  operationKind: "restart",
  operationTimeMs: 0,
  imageDigest: "sha256:00",
};

const status = (overrides: Partial<VmStatus>): VmStatus => ({
  vmId: "vm-1",
  nodeId: "node-1",
  state: "running",
  reason: "guest_ready",
  message: "",
  stateTimeMs: START,
  observedGeneration: 3,
  observedRestartGeneration: 1,
  restarts: 0,
  driver: "qemu",
  accelerator: "tcg",
  readiness: "guest",
  startTimeMs: START,
  publishedPorts: [],
  lastExit: undefined,
  nextRestartTimeMs: undefined,
  errorCode: undefined,
  removed: false,
  ...overrides,
});

const machine = (startTimeMs = START): FoundOnHost => ({
  kind: "machine",
  machine: { instanceId: "run-1", startTimeMs, publishedPorts: [] },
});
const panic: VmExit = { cause: "panic", exitCode: 0, signal: undefined, timeMs: 90_000, detail: "" };
const nextStep = (known: VmStatus | undefined, found: FoundOnHost, overrides: Partial<VmAssignment> = {}) => {
  const assignment = { ...assigned, ...overrides };
  return planVmStep({ kind: "assigned", assignment }, restoreObservation(assignment, known, found, NOW), NOW).kind;
};

describe("a daemon that comes back", () => {
  test("leaves a machine alone that runs as it was reported", () => {
    const observed = restoreObservation(assigned, status({}), machine(), NOW);
    assert.equal(observed.state, "running");
    assert.equal(observed.restarts, 0);
    assert.equal(nextStep(status({}), machine()), "none");
  });

  test("waits for the word of a guest whose start was never reported", () => {
    assert.equal(nextStep(undefined, machine()), "wait");
    assert.equal(nextStep(status({ state: "preparing", startTimeMs: undefined }), machine()), "wait");
    assert.equal(nextStep(status({}), machine(START + 20_000)), "wait", "another launch than the one reported");
  });

  test("restarts by policy what ended meanwhile", () => {
    const observed = restoreObservation(assigned, status({}), { kind: "exit", exit: panic }, NOW);
    assert.equal(observed.reason, "guest_panicked");
    assert.equal(nextStep(status({}), { kind: "exit", exit: panic }), "wait");
  });

  test("takes a machine that vanished without a trace for lost with its guardian", () => {
    const observed = restoreObservation(assigned, status({}), { kind: "nothing" }, NOW);
    assert.equal(observed.lastExit?.cause, "guardian_lost");
    assert.equal(nextStep(status({}), { kind: "nothing" }), "launch");
    const never = { spec: parseVmSpec({ image: "demo", restartPolicy: "never" }) };
    assert.equal(nextStep(status({}), { kind: "nothing" }, never), "none");
  });

  test("takes up again a launch that was cut short", () => {
    assert.equal(nextStep(status({ state: "preparing" }), { kind: "nothing" }), "launch");
    assert.equal(nextStep(undefined, { kind: "nothing" }), "launch");
  });

  test("goes on stopping, and then with what is wanted", () => {
    const stopping = status({ state: "stopping", reason: "stop_requested" });
    assert.equal(nextStep(stopping, machine(), { desiredState: "stopped" }), "stop");
    assert.equal(nextStep(stopping, { kind: "nothing" }, { desiredState: "stopped" }), "settle");
    assert.equal(nextStep(stopping, { kind: "exit", exit: panic }), "launch");
  });

  test("does not start what its guest had ended itself", () => {
    const down = status({ state: "stopped", reason: "guest_shutdown", startTimeMs: undefined, readiness: undefined });
    assert.equal(nextStep(down, { kind: "exit", exit: { ...panic, cause: "shutdown" } }), "none");
  });

  test("keeps waiting for a restart that was due later", () => {
    const waiting = status({ state: "failed", startTimeMs: undefined, lastExit: panic, nextRestartTimeMs: NOW + 5000 });
    assert.equal(nextStep(waiting, { kind: "nothing" }), "wait");
    assert.equal(nextStep({ ...waiting, nextRestartTimeMs: NOW }, { kind: "nothing" }), "launch");
  });

  test("removes again, and says so again, what a deletion had removed", () => {
    const removed = status({ state: "stopped", removed: true });
    assert.equal(nextStep(removed, { kind: "nothing" }, { desiredState: "deleted" }), "none");
    assert.equal(nextStep(status({ state: "stopped" }), { kind: "nothing" }, { desiredState: "deleted" }), "remove");
    assert.equal(nextStep(status({}), machine(), { desiredState: "deleted" }), "stop");
  });

  test("resumes a guest that was found paused although it is to run", () => {
    assert.equal(nextStep(status({ state: "paused" }), machine()), "resume");
    assert.equal(nextStep(status({ state: "paused" }), machine(), { desiredState: "paused" }), "none");
  });
});
