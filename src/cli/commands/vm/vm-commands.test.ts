import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { parse as parseYaml } from "yaml";
import {
  type CreateVmRequest,
  DesiredVmState,
  NodeLossPolicy,
  RestartPolicy,
  type Vm,
  type VmOperationSchema,
  VmSchema,
  VmState,
  type VmStatusSchema,
} from "#gen/api/blixard/v1/vm_pb.ts";
import { SpanKind } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { FakeCliIo, type FakeCliIoOptions } from "#test/support/fake-cli-io.ts";
import { FakeNode } from "#test/support/fake-node.ts";
import { runCli } from "../../run-cli.ts";

interface VmInit {
  readonly name?: string;
  readonly status?: MessageInitShape<typeof VmStatusSchema>;
  readonly operations?: MessageInitShape<typeof VmOperationSchema>[];
}

function vm(init: VmInit = {}): Vm {
  return create(VmSchema, {
    id: "11111111-1111-4111-8111-111111111111",
    generation: 1n,
    desiredState: DesiredVmState.RUNNING,
    spec: { vcpus: 1, memoryBytes: 256n << 20n, image: "demo" },
    name: init.name ?? "web",
    status: init.status ?? { state: VmState.PENDING },
    operations: init.operations ?? [],
  });
}

const running = vm({ status: { state: VmState.RUNNING, nodeId: "node-1", observedGeneration: 1n } });

async function run(
  node: FakeNode,
  argv: readonly string[],
  options: FakeCliIoOptions = {},
): Promise<{ exitCode: number; io: FakeCliIo }> {
  const io = new FakeCliIo({ ...options, environment: { ...node.environment, ...options.environment } });
  return { exitCode: await runCli(argv, io), io };
}

test("vm list shows a table, and why a VM does not run", async () => {
  const pending = vm({
    name: "big",
    status: { state: VmState.PENDING, reason: "insufficient_memory", message: "node-1 has 512 MiB left" },
  });
  await using node = await FakeNode.start({ vms: { listVms: () => ({ vms: [running, pending] }) } });
  const { exitCode, io } = await run(node, ["vm", "list"]);
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
        return pageToken === "" ? { vms: [running], nextPageToken: "2" } : { vms: [vm({ name: "b" })] };
      },
    },
  });
  const argv = ["vm", "list", "-l", "tier=web", "--state", "running", "--state", "failed", "-o"];
  const { io } = await run(node, [...argv, "json"]);
  const json = JSON.parse(io.output);
  assert.deepEqual(
    json.vms.map((each: { name: string }) => each.name),
    ["web", "b"],
  );
  assert.equal(json.vms[0].status.state, "VM_STATE_RUNNING");
  assert.equal(json.vms[0].spec.memoryBytes, "268435456");
  const yaml = await run(node, [...argv, "yaml"]);
  assert.deepEqual(parseYaml(yaml.io.output), json);
});

test("vm get says what each node lacks and how the guest ended", async () => {
  const refused = vm({
    status: {
      state: VmState.PENDING,
      refusals: [{ nodeId: "node-1", reason: "insufficient_memory", message: "512 MiB free, 1 GiB asked for" }],
      lastExit: { cause: "panic", exitCode: 1, detail: "Kernel panic" },
    },
    operations: [{ kind: "create", operationId: "op-1", trace: { traceId: "a".repeat(32) } }],
  });
  await using node = await FakeNode.start({ vms: { getVm: () => ({ vm: refused }) } });
  const { io } = await run(node, ["vm", "get", "web"]);
  for (const expected of [
    /^State +pending$/m,
    /node-1 +insufficient_memory +512 MiB free/,
    /Last exit +panic exit code 1/,
    /create +op-1 +a{32}/,
  ]) {
    assert.match(io.output, expected);
  }
});

test("vm create sends what the options say", async () => {
  const requests: CreateVmRequest[] = [];
  await using node = await FakeNode.start({
    vms: {
      createVm: (request) => {
        requests.push(request);
        return { vm: vm() };
      },
    },
  });
  const argv = [
    "vm",
    "create",
    "web",
    "--image",
    "demo",
    "--vcpus",
    "2",
    "--memory",
    "512MiB",
    "--publish",
    "8080:80",
    "-p",
    "0.0.0.0:53:53/udp",
  ];
  const more = [
    "--disk",
    "name=data,size=1GiB,persistent",
    "--disk=name=tmp,size=64MiB",
    "-l",
    "a=b=c",
    "--restart",
    "always",
    "--on-node-loss",
    "hold",
  ];
  const rest = [
    "--boot-timeout",
    "30s",
    "--guest-agent",
    "no",
    "--cmdline",
    "quiet x=y",
    "--stopped",
    "--operation-id",
    "op-7",
  ];
  const { exitCode, io } = await run(node, [...argv, ...more, ...rest]);
  assert.equal(exitCode, 0, io.errors);
  const [request] = requests;
  assert.equal(request?.name, "web");
  assert.equal(request?.operationId, "op-7");
  assert.equal(request?.stopped, true);
  const spec = request?.spec;
  assert.equal(spec?.vcpus, 2);
  assert.equal(spec?.memoryBytes, 512n << 20n);
  assert.equal(spec?.commandLine, "quiet x=y");
  assert.deepEqual(spec?.labels, { a: "b=c" });
  assert.equal(spec?.restartPolicy, RestartPolicy.ALWAYS);
  assert.equal(spec?.onNodeLoss, NodeLossPolicy.HOLD);
  assert.equal(spec?.bootTimeout?.seconds, 30n);
  assert.equal(spec?.guestAgent, false);
  assert.deepEqual(
    spec?.disks.map((disk) => [disk.name, disk.sizeBytes, disk.kind.case]),
    [
      ["data", 1n << 30n, "persistent"],
      ["tmp", 64n << 20n, "ephemeral"],
    ],
  );
  const ports = spec?.network?.kind.case === "user" ? spec.network.kind.value.ports : [];
  assert.deepEqual(
    ports.map((port) => [port.hostAddress, port.hostPort, port.guestPort, port.protocol]),
    [
      ["127.0.0.1", 8080, 80, "tcp"],
      ["0.0.0.0", 53, 53, "udp"],
    ],
  );
});

test("vm create takes a file, and options win over it", async () => {
  const requests: CreateVmRequest[] = [];
  await using node = await FakeNode.start({
    vms: {
      createVm: (request) => {
        requests.push(request);
        return { vm: vm() };
      },
    },
  });
  const file = join(node.directory, "vm.toml");
  await writeFile(
    file,
    `name = "web"\nimage = "demo"\nmemory = "1GiB"\n[labels]\na = "1"\nb = "2"\n[network]\npublish = ["8080:80"]\n[[disks]]\nname = "data"\nsize = "1GiB"\n`,
  );
  const { exitCode, io } = await run(node, ["vm", "create", "-f", file, "--memory", "256MiB", "--label", "b=3"]);
  assert.equal(exitCode, 0, io.errors);
  const [request] = requests;
  assert.equal(request?.name, "web");
  assert.equal(request?.spec?.memoryBytes, 256n << 20n);
  assert.deepEqual(request?.spec?.labels, { a: "1", b: "3" });
  assert.equal(request?.spec?.network?.kind.case, "user");
  assert.equal(request?.spec?.disks[0]?.kind.case, "ephemeral");
});

test("a wrong VM file lists every problem with its line, and nothing is created", async () => {
  const directory = await mkdtemp(join(tmpdir(), "blixard-vm-file-"));
  try {
    const file = join(directory, "vm.toml");
    await writeFile(file, `nam = "web"\nvcpus = 0\nmemory = 256\n[[disks]]\nname = "data"\nsiz = "1GiB"\n`);
    await using node = await FakeNode.start({});
    const { exitCode, io } = await run(node, ["vm", "create", "web", "-f", file]);
    assert.equal(exitCode, 2);
    assert.match(io.errors, /vm\.toml has 5 problems \(CONFIG_INVALID\):/);
    assert.match(io.errors, /vm\.toml:1:1: unknown key at the top of a VM file, found "nam"; did you mean "name"\?/);
    assert.match(io.errors, /vm\.toml:2:9: vcpus: expected an integer from 1 to 64, found 0/);
    assert.match(io.errors, /vm\.toml:6:1: disks: unknown key of a disk \(did you mean "size"\?\)/);
    assert.match(io.errors, /disks: a disk needs "size"/);
    assert.equal(node.calls.length, 0);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("what makes no sense on the command line is refused before anything is sent", async () => {
  await using node = await FakeNode.start({});
  const wrong = [
    ["web"],
    ["web", "--image", "demo", "--memory", "lots"],
    ["web", "--image", "demo", "--publish", "80:"],
    ["web", "--image", "demo", "--publish", "99999:80"],
    ["web", "--image", "demo", "--disk", "name=x"],
    ["web", "--image", "demo", "--disk", "name=x,size=1GiB,quick"],
    ["web", "--image", "demo", "--network", "none", "--publish", "80:80"],
    ["web", "--image", "demo", "--network", "bridge="],
    ["web", "--image", "demo", "--label", "novalue"],
    ["web", "--image", "demo", "--restart", "sometimes"],
    ["web", "surplus", "--image", "demo"],
    ["--image", "demo"],
  ];
  for (const argv of wrong) assert.equal((await run(node, ["vm", "create", ...argv])).exitCode, 2, argv.join(" "));
  assert.equal(node.calls.length, 0);
});

test("vm create --wait shows every state, ends when the guest is ready, and is one trace from the CLI's root", async () => {
  await using node = await FakeNode.start({
    vms: {
      createVm: () => ({ vm: vm() }),
      async *watchVms({ vm: id }) {
        assert.equal(id, running.id);
        yield { event: { case: "changed", value: vm() } };
        yield { event: { case: "synced", value: {} } };
        yield {
          event: {
            case: "changed",
            value: vm({
              status: { state: VmState.STARTING, observedGeneration: 1n, message: "the hypervisor starts" },
            }),
          },
        };
        yield { event: { case: "changed", value: running } };
        await new Promise(() => {});
      },
    },
  });
  const { exitCode, io } = await run(node, ["vm", "create", "web", "--image", "demo", "--wait", "-o", "json"]);
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
  await run(node, ["vm", "list"], { environment: { TRACEPARENT: traceparent, TRACESTATE: "vendor=1" } });
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
  await run(node, ["vm", "pause", "web"]);
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
    await using node = await FakeNode.start({ vms: { pauseVm: () => ({ vm: running }) }, telemetry: { recordSpans } });
    const { exitCode, io } = await run(node, ["vm", "pause", "web"]);
    assert.equal(exitCode, 0);
    assert.equal(io.errors, "");
  }
});

test("a command that only reads leaves the trace to the node, unless one is handed to it", async () => {
  await using node = await FakeNode.start({ vms: { listVms: () => ({}) } });
  await run(node, ["vm", "list"]);
  assert.equal(node.calls[0]?.headers.get("traceparent"), null);
  assert.equal(node.calls.length, 1);
  assert.deepEqual(node.spans, []);
});

test("--wait ends with 1 when the VM fails, and says why", async () => {
  await using node = await FakeNode.start({
    vms: {
      startVm: () => ({ vm: vm() }),
      async *watchVms() {
        yield {
          event: {
            case: "changed",
            value: vm({
              status: { state: VmState.FAILED, observedGeneration: 1n, message: "the guest did not boot in 2m" },
            }),
          },
        };
      },
    },
  });
  const { exitCode, io } = await run(node, ["vm", "start", "web", "--wait"]);
  assert.equal(exitCode, 1);
  assert.match(io.errors, /web failed: the guest did not boot in 2m \(VM_FAILED\).*next: .*blixard vm logs web/s);
});

test("--wait ends with 4 when the time is up, and says where the VM stands", async () => {
  await using node = await FakeNode.start({
    vms: {
      createVm: () => ({ vm: vm() }),
      async *watchVms(_request, { signal }) {
        yield {
          event: { case: "changed", value: vm({ status: { state: VmState.PENDING, reason: "insufficient_memory" } }) },
        };
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      },
    },
  });
  const { exitCode, io } = await run(node, ["vm", "create", "web", "--image", "demo", "--wait", "--timeout", "50ms"]);
  assert.equal(exitCode, 4);
  assert.match(io.errors, /web is not running after 50ms: it is pending \(insufficient_memory\)/);
});

test("--wait outlives a broken connection", async () => {
  let watches = 0;
  await using node: FakeNode = await FakeNode.start({
    vms: {
      createVm: () => ({ vm: vm() }),
      async *watchVms(_request, { signal }) {
        watches++;
        yield { event: { case: "changed", value: watches === 1 ? vm() : running } };
        if (watches === 1) node.dropConnections();
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      },
    },
  });
  const { exitCode, io } = await run(node, ["vm", "create", "web", "--image", "demo", "--wait"]);
  assert.equal(exitCode, 0, io.errors);
  assert.equal(watches, 2);
  assert.match(io.errors, /web: waiting \(the node does not answer, trying again\)/);
});

test("vm delete --wait waits until it is gone", async () => {
  await using node = await FakeNode.start({
    vms: {
      deleteVm: ({ force }) => {
        assert.equal(force, true);
        return { vm: running };
      },
      async *watchVms() {
        yield { event: { case: "changed", value: vm({ status: { state: VmState.STOPPING } }) } };
        yield { event: { case: "deleted", value: running.id } };
      },
    },
  });
  const { exitCode, io } = await run(node, ["vm", "delete", "web", "--wait", "--force"]);
  assert.equal(exitCode, 0, io.errors);
  assert.equal(io.output, "web is deleted\n");
});

test("a VM that was gone before it was watched counts as deleted", async () => {
  await using node = await FakeNode.start({
    vms: {
      deleteVm: () => ({ vm: running }),
      async *watchVms() {
        yield { event: { case: "synced", value: {} } };
      },
    },
  });
  assert.equal((await run(node, ["vm", "delete", "web", "-w"])).exitCode, 0);
});

test("vm watch -o json prints one object a line", async () => {
  await using node = await FakeNode.start({
    vms: {
      async *watchVms() {
        yield { event: { case: "changed", value: running } };
        yield { event: { case: "synced", value: {} } };
        yield { event: { case: "deleted", value: running.id } };
      },
    },
  });
  const json = await run(node, ["vm", "watch", "-o", "json"]);
  const lines = json.io.output
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map((line) => Object.keys(line)),
    [["changed"], ["synced"], ["deleted"]],
  );
  const people = await run(node, ["vm", "watch"]);
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
  const pipe = await run(node, argv);
  assert.equal(pipe.io.output, `${data.toString()}end\n`);
  assert.match(pipe.io.errors, /10 bytes are no longer there/);
  const terminal = await run(node, argv, { terminal: true });
  assert.equal(terminal.io.output, "boot red\r\nok \u00E9\nend\n");
  const raw = await run(node, [...argv, "--raw"], { terminal: true });
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
  const { exitCode, io } = await run(node, ["vm", "console", "web"], {
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
  const { io } = await run(node, ["vm", "console", "web"], { input: ["a\u001Db\n"] });
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
  const { exitCode, io } = await run(node, ["vm", "trace", "web", "--operation", "latest", "-a"]);
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
