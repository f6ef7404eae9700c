import assert from "node:assert/strict";
import { test } from "node:test";
import { parse as parseYaml } from "yaml";
import { VmState } from "#gen/api/blixard/v1/vm_pb.ts";
import { FakeNode } from "#test/support/fake-node.ts";
import { fakeVm, runningVm, runOn } from "#test/support/fake-vm.ts";

test("vm list shows a table, and why a VM does not run", async () => {
  const pending = fakeVm({
    name: "big",
    status: { state: VmState.PENDING, reason: "insufficient_memory", message: "node-1 has 512 MiB left" },
  });
  await using node = await FakeNode.start({ vms: { listVms: () => ({ vms: [runningVm, pending] }) } });
  const { exitCode, io } = await runOn(node, ["vm", "list"]);
  assert.equal(exitCode, 0);
  const [header = "", first = "", second = ""] = io.output.split("\n");
  assert.match(header, /^NAME +STATE +NODE +VCPUS +MEMORY +IMAGE +WHY$/);
  assert.match(first, /^web +running +node-1 +1 +256 MiB +demo$/);
  assert.match(second, /^big +pending +1 +256 MiB +demo +node-1 has 512 MiB left$/);
});

test("vm list reads every page, and its JSON is the response as proto3 JSON", async () => {
  await using node = await FakeNode.start({
    vms: {
      listVms: ({ pageToken, filter }) => {
        assert.deepEqual(filter?.labels, { tier: "web" });
        assert.deepEqual(filter?.states, [VmState.RUNNING, VmState.FAILED]);
        return pageToken === "" ? { vms: [runningVm], nextPageToken: "2" } : { vms: [fakeVm({ name: "b" })] };
      },
    },
  });
  const argv = ["vm", "list", "-l", "tier=web", "--state", "running", "--state", "failed", "-o"];
  const { io } = await runOn(node, [...argv, "json"]);
  const json = JSON.parse(io.output);
  assert.deepEqual(
    json.vms.map((each: { name: string }) => each.name),
    ["web", "b"],
  );
  assert.equal(json.vms[0].status.state, "VM_STATE_RUNNING");
  assert.equal(json.vms[0].spec.memoryBytes, "268435456");
  const yaml = await runOn(node, [...argv, "yaml"]);
  assert.deepEqual(parseYaml(yaml.io.output), json);
});

test("vm get says what each node lacks and how the guest ended", async () => {
  const refused = fakeVm({
    status: {
      state: VmState.PENDING,
      refusals: [{ nodeId: "node-1", reason: "insufficient_memory", message: "512 MiB free, 1 GiB asked for" }],
      lastExit: { cause: "panic", exitCode: 1, detail: "Kernel panic" },
    },
    operations: [{ kind: "create", operationId: "op-1", trace: { traceId: "a".repeat(32) } }],
  });
  await using node = await FakeNode.start({ vms: { getVm: () => ({ vm: refused }) } });
  const { io } = await runOn(node, ["vm", "get", "web"]);
  for (const expected of [
    /^State +pending$/m,
    /node-1 +insufficient_memory +512 MiB free/,
    /Last exit +panic exit code 1/,
    /create +op-1 +a{32}/,
  ]) {
    assert.match(io.output, expected);
  }
});
