import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorDetailSchema } from "#gen/api/blixard/v1/common_pb.ts";
import { VmState } from "#gen/api/blixard/v1/vm_pb.ts";
import { FakeNode } from "#test/support/fake-node.ts";
import { fakeVm, runningVm, runOn } from "#test/support/fake-vm.ts";

test("--wait ends with 1 when the VM fails, and says why", async () => {
  await using node = await FakeNode.start({
    vms: {
      startVm: () => ({ vm: fakeVm() }),
      async *watchVms() {
        yield {
          event: {
            case: "changed",
            value: fakeVm({
              status: { state: VmState.FAILED, observedGeneration: 1n, message: "the guest did not boot in 2m" },
            }),
          },
        };
      },
    },
  });
  const { exitCode, io } = await runOn(node, ["vm", "start", "web", "--wait"]);
  assert.equal(exitCode, 1);
  assert.match(io.errors, /web failed: the guest did not boot in 2m \(VM_FAILED\).*next: .*blixard vm logs web/s);
});

test("--wait ends with 4 when the time is up, and says where the VM stands", async () => {
  await using node = await FakeNode.start({
    vms: {
      createVm: () => ({ vm: fakeVm() }),
      async *watchVms(_request, { signal }) {
        yield {
          event: {
            case: "changed",
            value: fakeVm({ status: { state: VmState.PENDING, reason: "insufficient_memory" } }),
          },
        };
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      },
    },
  });
  const { exitCode, io } = await runOn(node, ["vm", "create", "web", "--image", "demo", "--wait", "--timeout", "50ms"]);
  assert.equal(exitCode, 4);
  assert.match(io.errors, /web is not running after 50ms: it is pending \(insufficient_memory\)/);
});

test("--wait outlives a broken connection", async () => {
  let watches = 0;
  await using node: FakeNode = await FakeNode.start({
    vms: {
      createVm: () => ({ vm: fakeVm() }),
      async *watchVms(_request, { signal }) {
        watches++;
        yield { event: { case: "changed", value: watches === 1 ? fakeVm() : runningVm } };
        if (watches === 1) node.dropConnections();
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      },
    },
  });
  const { exitCode, io } = await runOn(node, ["vm", "create", "web", "--image", "demo", "--wait"]);
  assert.equal(exitCode, 0, io.errors);
  assert.equal(watches, 2);
  assert.match(io.errors, /web: waiting \(the node does not answer, trying again\)/);
});

test("vm delete --wait waits until it is gone", async () => {
  await using node = await FakeNode.start({
    vms: {
      deleteVm: ({ force }) => {
        assert.equal(force, true);
        return { vm: runningVm };
      },
      async *watchVms() {
        yield { event: { case: "changed", value: fakeVm({ status: { state: VmState.STOPPING } }) } };
        yield { event: { case: "deleted", value: runningVm.id } };
      },
    },
  });
  const { exitCode, io } = await runOn(node, ["vm", "delete", "web", "--wait", "--force"]);
  assert.equal(exitCode, 0, io.errors);
  assert.equal(io.output, "web is deleted\n");
});

test("a VM that was gone before it was watched counts as deleted", async () => {
  await using node = await FakeNode.start({
    vms: {
      deleteVm: () => ({ vm: runningVm }),
      async *watchVms() {
        yield { event: { case: "synced", value: {} } };
      },
    },
  });
  assert.equal((await runOn(node, ["vm", "delete", "web", "-w"])).exitCode, 0);
  await using other = await FakeNode.start({
    vms: {
      deleteVm: () => ({ vm: runningVm }),
      // A node says so too.
      watchVms: () => {
        throw new ConnectError("no", Code.NotFound, undefined, [
          { desc: ErrorDetailSchema, value: { code: "VM_NOT_FOUND", fault: "user" } },
        ]);
      },
    },
  });
  assert.equal((await runOn(other, ["vm", "delete", "web", "-w"])).exitCode, 0);
});
