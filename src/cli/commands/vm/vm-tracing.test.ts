import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { VmState } from "#gen/api/blixard/v1/vm_pb.ts";
import { SpanKind } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { FakeNode } from "#test/support/fake-node.ts";
import { fakeVm, runningVm, runOn } from "#test/support/fake-vm.ts";

test("vm create --wait shows every state, ends when the guest is ready, and is one trace from the CLI's root", async () => {
  await using node = await FakeNode.start({
    vms: {
      createVm: () => ({ vm: fakeVm() }),
      async *watchVms({ vm: id }) {
        assert.equal(id, runningVm.id);
        yield { event: { case: "changed", value: fakeVm() } };
        yield { event: { case: "synced", value: {} } };
        yield {
          event: {
            case: "changed",
            value: fakeVm({
              status: { state: VmState.STARTING, observedGeneration: 1n, message: "the hypervisor starts" },
            }),
          },
        };
        yield { event: { case: "changed", value: runningVm } };
        await new Promise(() => {});
      },
    },
  });
  const { exitCode, io } = await runOn(node, ["vm", "create", "web", "--image", "demo", "--wait", "-o", "json"]);
  assert.equal(exitCode, 0, io.errors);
  assert.equal(io.errors, "web: pending\nweb: starting (the hypervisor starts)\n");
  assert.equal(JSON.parse(io.output).vm.status.state, "VM_STATE_RUNNING");

  const [root] = node.spans.filter((span) => span.parentSpanId === "");
  assert.equal(root?.name, "blixard vm create");
  assert.equal(root?.service, "blixard-cli");
  assert.equal(root?.kind, SpanKind.CLIENT);
  assert.deepEqual(root?.attributes["blixard.vm.name"]?.value, { case: "stringValue", value: "web" });
  assert.deepEqual(
    node.spans.filter((span) => span !== root).map((span) => [span.name, span.parentSpanId]),
    [
      ["blixard.v1.VmService/CreateVm", root?.spanId],
      ["blixard.v1.VmService/WatchVms", root?.spanId],
    ],
  );
  assert.equal(new Set(node.spans.map((span) => span.traceId)).size, 1);
  for (const { method, headers } of node.calls) {
    if (method.includes("TelemetryService")) continue;
    const span = node.spans.find(({ name }) => name === method);
    assert.equal(headers.get("traceparent"), `00-${span?.traceId}-${span?.spanId}-00`);
    assert.equal(headers.get("blixard-sampling"), "defer");
  }
});

test("an inherited TRACEPARENT is continued, and its sampling decision kept", async () => {
  await using node = await FakeNode.start({ vms: { listVms: () => ({}) } });
  const traceparent = `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01`;
  await runOn(node, ["vm", "list"], { environment: { TRACEPARENT: traceparent, TRACESTATE: "vendor=1" } });
  const headers = node.calls[0]?.headers;
  assert.match(headers?.get("traceparent") ?? "", new RegExp(`^00-${"ab".repeat(16)}-[0-9a-f]{16}-01$`));
  assert.equal(headers?.get("tracestate"), "vendor=1");
  assert.equal(headers?.get("blixard-sampling"), null);
  assert.equal(node.spans.find((span) => span.name === "blixard vm list")?.parentSpanId, "cd".repeat(8));
  assert.ok(node.spans.every((span) => span.sampled));
});

test("a failed call is in the trace with its status, and the command with its exit code", async () => {
  await using node = await FakeNode.start({
    vms: {
      pauseVm: () => {
        throw new ConnectError("no", Code.NotFound);
      },
    },
  });
  await runOn(node, ["vm", "pause", "web"]);
  const [call, root] = node.spans;
  assert.deepEqual(call?.attributes["rpc.status_code"]?.value, { case: "stringValue", value: "NOT_FOUND" });
  assert.equal(call?.error, true);
  assert.equal(root?.error, true);
  assert.deepEqual(root?.attributes["blixard.cli.exit_code"]?.value, { case: "intValue", value: 3n });
});

test("a node that does not take spans changes nothing for the command", async () => {
  const refuse = (): never => {
    throw new ConnectError("no", Code.Unimplemented);
  };
  const hang = (): Promise<never> => new Promise(() => {});
  for (const recordSpans of [refuse, hang]) {
    await using node = await FakeNode.start({
      vms: { pauseVm: () => ({ vm: runningVm }) },
      telemetry: { recordSpans },
    });
    const { exitCode, io } = await runOn(node, ["vm", "pause", "web"]);
    assert.equal(exitCode, 0);
    assert.equal(io.errors, "");
  }
});

test("a command that only reads leaves the trace to the node, unless one is handed to it", async () => {
  await using node = await FakeNode.start({ vms: { listVms: () => ({}) } });
  await runOn(node, ["vm", "list"]);
  assert.equal(node.calls[0]?.headers.get("traceparent"), null);
  assert.equal(node.calls.length, 1);
  assert.deepEqual(node.spans, []);
});
