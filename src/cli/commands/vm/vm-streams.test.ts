import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeNode } from "#test/support/fake-node.ts";
import { runningVm, runOn } from "#test/support/fake-vm.ts";

test("vm watch -o json prints one object a line", async () => {
  await using node = await FakeNode.start({
    vms: {
      async *watchVms() {
        yield { event: { case: "changed", value: runningVm } };
        yield { event: { case: "synced", value: {} } };
        yield { event: { case: "deleted", value: runningVm.id } };
      },
    },
  });
  const json = await runOn(node, ["vm", "watch", "-o", "json"]);
  const lines = json.io.output
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map((line) => Object.keys(line)),
    [["changed"], ["synced"], ["deleted"]],
  );
  const people = await runOn(node, ["vm", "watch"]);
  assert.match(people.io.output, /^\d\d:\d\d:\d\d\.\d{3} {2}web is running on node-1\n\S+ {2}web is gone\n$/);
});

test("vm logs passes every byte on in a pipe, and nothing that steers on a terminal", async () => {
  const data = Buffer.from("boot \u001B[31mred\u001B[0m\r\n\u001B]0;owned\u0007ok \u00E9\n");
  await using node = await FakeNode.start({
    vms: {
      async *readVmLog({ tailBytes, follow }) {
        assert.equal(tailBytes, 4096n);
        assert.equal(follow, true);
        // The pieces break an escape sequence and a character.
        for (const byte of data) yield { data: Uint8Array.of(byte) };
        yield { data: Buffer.from("end\n"), skippedBytes: 10n };
      },
    },
  });
  const argv = ["vm", "logs", "web", "--tail", "4KiB", "-f"];
  const pipe = await runOn(node, argv);
  assert.equal(pipe.io.output, `${data.toString()}end\n`);
  assert.match(pipe.io.errors, /10 bytes are no longer there/);
  const terminal = await runOn(node, argv, { terminal: true });
  assert.equal(terminal.io.output, "boot red\r\nok \u00E9\nend\n");
  const raw = await runOn(node, [...argv, "--raw"], { terminal: true });
  assert.equal(raw.io.output, `${data.toString()}end\n`);
});

test("vm console sends what is typed until Ctrl-]", async () => {
  const typed: string[] = [];
  await using node = await FakeNode.start({
    vms: {
      async *attachVmConsole(requests, { signal }) {
        for await (const { message } of requests) {
          if (message.case === "vm") assert.equal(message.value, "web");
          if (message.case !== "input") continue;
          typed.push(Buffer.from(message.value).toString());
          yield { output: message.value };
        }
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      },
    },
  });
  const { exitCode, io } = await runOn(node, ["vm", "console", "web"], {
    terminal: true,
    input: ["ls\r", "pwd\r\u001Dnever"],
  });
  assert.equal(exitCode, 0, io.errors);
  assert.doesNotMatch(typed.join(""), /never|\u001D/);
  assert.match(io.errors, /Attached to web. Ctrl-\] leaves\..*Detached\./s);
});

test("vm console sends piped input, and prints until the guest's console ends", async () => {
  await using node = await FakeNode.start({
    vms: {
      async *attachVmConsole(requests) {
        for await (const { message } of requests) if (message.case === "input") yield { output: message.value };
        yield { output: Buffer.from("bye") };
      },
    },
  });
  const { io } = await runOn(node, ["vm", "console", "web"], { input: ["a\u001Db\n"] });
  assert.equal(io.output, "a\u001Db\nbye");
});

test("vm trace draws the trace of an operation", async () => {
  const span = (spanId: string, parentSpanId: string, name: string, from: bigint, to: bigint) => ({
    traceId: "t".repeat(32),
    spanId,
    parentSpanId,
    name,
    service: parentSpanId === "" ? "blixard-cli" : "blixard",
    startTimeUnixNano: from * 1_000_000n,
    endTimeUnixNano: to * 1_000_000n,
  });
  await using node = await FakeNode.start({
    telemetry: {
      getTrace: ({ subject, operation }) => {
        assert.deepEqual(subject, { case: "vm", value: "web" });
        assert.equal(operation, "latest");
        return {
          traceId: "t".repeat(32),
          spans: [
            span("1", "", "blixard vm create", 0n, 2000n),
            {
              ...span("2", "1", "blixard.v1.VmService/CreateVm", 10n, 30n),
              attributes: { "rpc.method": { value: { case: "stringValue", value: "X" } } },
            },
            { ...span("3", "2", "vm.start", 100n, 1900n), error: true, statusMessage: "qemu ended" },
          ],
        };
      },
    },
  });
  const { exitCode, io } = await runOn(node, ["vm", "trace", "web", "--operation", "latest", "-a"]);
  assert.equal(exitCode, 0, io.errors);
  const lines = io.output.split("\n");
  assert.match(lines[0] ?? "", /^trace t{32}: 3 spans, 1 failed, 2\.00s, from 1970-01-01T00:00:00\.000Z$/);
  assert.match(lines[1] ?? "", /^SPAN +SERVICE +DURATION$/);
  assert.match(lines[2] ?? "", /^blixard vm create +blixard-cli +2\.00s +█+$/);
  assert.match(lines[3] ?? "", /^└─ VmService\/CreateVm +blixard +20ms +[█▏]$/);
  assert.match(lines[4] ?? "", /rpc\.method = X$/);
  assert.match(lines[5] ?? "", /^ {3}└─ ✗ vm\.start +blixard +1\.80s +█+$/);
  assert.match(lines[6] ?? "", /qemu ended$/);
  assert.equal(node.spans.length, 0, "looking at traces makes none");
});
