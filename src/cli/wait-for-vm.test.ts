import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { DesiredVmState, type Vm, VmSchema, VmState, type VmStatusSchema } from "#gen/api/blixard/v1/vm_pb.ts";
import { judgeVm } from "./wait-for-vm.ts";

function vm(
  status: MessageInitShape<typeof VmStatusSchema>,
  desiredState: DesiredVmState = DesiredVmState.RUNNING,
  generation = 2n,
): Vm {
  return create(VmSchema, {
    name: "web",
    generation,
    desiredState,
    status,
    operations: [{ time: timestampFromMs(1_000) }],
  });
}

const asked = vm({ state: VmState.PENDING });

test("running counts only for the generation that was asked for", () => {
  assert.equal(judgeVm("running", vm({ state: VmState.RUNNING, observedGeneration: 1n }), asked).kind, "waiting");
  assert.equal(judgeVm("running", vm({ state: VmState.RUNNING, observedGeneration: 2n }), asked).kind, "reached");
  assert.equal(judgeVm("running", vm({ state: VmState.RUNNING, observedGeneration: 3n }), asked).kind, "reached");
});

test("each goal has its state", () => {
  const at = (state: VmState, desired: DesiredVmState): Vm => vm({ state, observedGeneration: 2n }, desired);
  assert.equal(judgeVm("stopped", at(VmState.STOPPED, DesiredVmState.STOPPED), asked).kind, "reached");
  assert.equal(judgeVm("paused", at(VmState.PAUSED, DesiredVmState.PAUSED), asked).kind, "reached");
  assert.equal(judgeVm("paused", at(VmState.RUNNING, DesiredVmState.PAUSED), asked).kind, "waiting");
  assert.equal(judgeVm("deleted", at(VmState.STOPPED, DesiredVmState.DELETED), asked).kind, "waiting");
});

test("a failed VM that will be restarted is still on its way, another is not", () => {
  const failed = { state: VmState.FAILED, observedGeneration: 2n, message: "no memory" };
  assert.equal(judgeVm("running", vm({ ...failed, nextRestartTime: timestampFromMs(9_000) }), asked).kind, "waiting");
  const verdict = judgeVm("running", vm(failed), asked);
  assert.ok(
    verdict.kind === "failed" && verdict.error.code === "VM_FAILED" && verdict.error.message.includes("no memory"),
  );
});

test("a guest that ends before it is ready fails a start, an earlier end does not", () => {
  const stopped = (exitTimeMs: number): Vm =>
    vm({
      state: VmState.STOPPED,
      observedGeneration: 2n,
      lastExit: { cause: "shutdown", time: timestampFromMs(exitTimeMs) },
    });
  assert.equal(judgeVm("running", stopped(500), asked).kind, "waiting");
  assert.equal(judgeVm("running", stopped(2_000), asked).kind, "failed");
});

test("a restart is done when the VM runs again, not while it still does, nor when it has stopped for it", () => {
  const before = vm({ state: VmState.RUNNING, observedGeneration: 1n, observedRestartGeneration: 4n });
  const exit = { cause: "shutdown", time: timestampFromMs(2_000) };
  const judge = (state: VmState, observedRestartGeneration: bigint): string =>
    judgeVm("restarted", vm({ state, observedGeneration: 2n, observedRestartGeneration, lastExit: exit }), before).kind;
  assert.equal(judge(VmState.RUNNING, 4n), "waiting");
  assert.equal(judge(VmState.STOPPED, 4n), "waiting");
  assert.equal(judge(VmState.STARTING, 5n), "waiting");
  assert.equal(judge(VmState.RUNNING, 5n), "reached");
  assert.equal(judge(VmState.STOPPED, 5n), "failed");
});

test("when somebody else wants another state meanwhile, waiting ends", () => {
  const verdict = judgeVm(
    "running",
    vm({ state: VmState.STOPPING, observedGeneration: 3n }, DesiredVmState.STOPPED, 3n),
    asked,
  );
  assert.ok(verdict.kind === "failed" && verdict.error.code === "VM_STATE_CONFLICT");
});

test("a hypervisor that cannot be started ends the wait at its first try, although the node tries again", () => {
  const unstartable = (exitTimeMs: number): Vm =>
    vm({
      state: VmState.FAILED,
      observedGeneration: 2n,
      message: "port 9090 of 127.0.0.1 is taken",
      lastExit: { cause: "start_failed", time: timestampFromMs(exitTimeMs) },
      nextRestartTime: timestampFromMs(9_000),
    });
  const verdict = judgeVm("running", unstartable(2_000), asked);
  assert.ok(verdict.kind === "failed" && verdict.error.message.includes("port 9090"));
  assert.equal(judgeVm("running", unstartable(500), asked).kind, "waiting", "an earlier failure does not count");
});
