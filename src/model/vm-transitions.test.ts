import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BlixardError } from "./errors.ts";
import { canTransition, transition, vmTransitions } from "./vm-transitions.ts";
import { type VmState, vmStates } from "./vm.ts";

describe("VM transitions", () => {
  it("walk a VM from creation to a stopped guest and back up", () => {
    const life: VmState[] = [
      "pending",
      "scheduled",
      "preparing",
      "starting",
      "running",
      "paused",
      "running",
      "stopping",
      "stopped",
      "preparing",
    ];
    for (const [index, to] of life.slice(1).entries()) {
      assert.equal(transition(life[index] as VmState, to), to);
    }
  });

  it("let every state stay what it is", () => {
    for (const state of vmStates) assert.equal(transition(state, state), state);
  });

  it("refuse a step that makes no sense, and say which ones do", () => {
    assert.throws(
      () => transition("pending", "running"),
      (error) =>
        error instanceof BlixardError &&
        error.code === "VM_TRANSITION_ILLEGAL" &&
        error.message.includes("pending") &&
        error.hint?.includes("scheduled") === true,
    );
  });

  it("reach every state from pending, and get back to preparing from every state but one in creation", () => {
    const reached = new Set<VmState>(["pending"]);
    for (const state of reached) for (const next of vmTransitions[state]) reached.add(next);
    assert.deepEqual([...reached].toSorted(), vmStates.toSorted());
    for (const state of ["running", "stopped", "failed", "paused", "lost", "scheduled"] as const) {
      assert.ok(canTransition(state, "preparing"), state);
    }
  });

  it("let every state on a node be lost with that node", () => {
    for (const state of vmStates) {
      if (state === "pending" || state === "lost") continue;
      assert.ok(canTransition(state, "lost"), state);
    }
  });
});
