/** What each service promises, over the memory store and a real socket. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { DescService } from "@bufbuild/protobuf";
import { ClusterService } from "#gen/api/blixard/v1/cluster_pb.ts";
import { ErrorDetailSchema } from "#gen/api/blixard/v1/common_pb.ts";
import {
  DiskFormat,
  ImageFileRole,
  ImageService,
  type ImportImageRequestSchema,
} from "#gen/api/blixard/v1/image_pb.ts";
import { NodeService, NodeState } from "#gen/api/blixard/v1/node_pb.ts";
import { SpanKind, TelemetryService } from "#gen/api/blixard/v1/telemetry_pb.ts";
import {
  DesiredVmState,
  type RestartPolicy,
  VmService,
  VmState,
  type WatchVmsResponse,
} from "#gen/api/blixard/v1/vm_pb.ts";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ErrorCode } from "#model/errors.ts";
import { vmKey } from "#store/keys.ts";
import { noMachines, startApi, type ApiFixture, type ApiFixtureOptions } from "#test/support/api-server.ts";
import { anImage, aRegistration } from "#test/support/store-fixtures.ts";
import { waitFor } from "#test/support/wait-for.ts";

interface Api extends ApiFixture {
  client<S extends DescService>(service: S): Client<S>;
}

async function start(context: TestContext, options: ApiFixtureOptions = {}): Promise<Api> {
  const fixture = await startApi(context, options);
  const createConnection = () => connect(fixture.addresses.unix);
  const sessionManager = new Http2SessionManager("http://localhost", {}, { createConnection });
  const transport = createGrpcTransport({ baseUrl: "http://localhost", sessionManager });
  context.after(() => sessionManager.abort());
  return { ...fixture, client: (service) => createClient(service, transport) };
}

async function withImage(api: Api): Promise<void> {
  const { revision } = await api.manifests.create(anImage());
  await api.cache.waitForRevision(revision);
}

const fails =
  (code: ErrorCode, field?: string) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof ConnectError, String(error));
    const [detail] = error.findDetails(ErrorDetailSchema);
    assert.equal(detail?.code, code, error.message);
    if (field !== undefined) assert.equal(detail.field, field);
    return true;
  };

const spec = { image: "demo", labels: { tier: "web" } };

// --- Virtual machines ----------------------------------------------------------

test("a VM that was created can be read at once, with its defaults filled in and its trace", async (context) => {
  const api = await start(context);
  await withImage(api);
  const vms = api.client(VmService);
  const { vm } = await vms.createVm({ name: "web-1", spec });
  assert.equal(vm?.status?.state, VmState.PENDING);
  assert.equal(vm.spec?.vcpus, 1);
  assert.equal(vm.spec.memoryBytes, 268_435_456n);
  assert.equal(vm.desiredState, DesiredVmState.RUNNING);
  assert.equal(vm.origin?.traceId.length, 32);
  assert.equal(vm.operations[0]?.kind, "create");
  for (const reference of ["web-1", vm.id]) {
    assert.deepEqual((await vms.getVm({ vm: reference })).vm, vm);
  }
});

test("the same create again gives the same VM, another one under its operation id or name is refused", async (context) => {
  const api = await start(context);
  await withImage(api);
  const vms = api.client(VmService);
  const first = await vms.createVm({ name: "web-1", spec, operationId: "op-1" });
  const again = await vms.createVm({ name: "web-1", spec, operationId: "op-1" });
  assert.equal(again.vm?.id, first.vm?.id);
  await assert.rejects(vms.createVm({ name: "web-2", spec, operationId: "op-1" }), fails("OPERATION_ID_REUSED"));
  await assert.rejects(vms.createVm({ name: "web-1", spec }), fails("VM_NAME_TAKEN"));
});

test("what is wrong with a spec is told with its field", async (context) => {
  const api = await start(context);
  await withImage(api);
  const vms = api.client(VmService);
  await assert.rejects(vms.createVm({ name: "Web", spec }), fails("INVALID_ARGUMENT", "name"));
  await assert.rejects(vms.createVm({ name: "web-1" }), fails("INVALID_ARGUMENT", "spec.image"));
  await assert.rejects(
    vms.createVm({ name: "web-1", spec: { ...spec, vcpus: 65 } }),
    fails("INVALID_ARGUMENT", "spec.vcpus"),
  );
  await assert.rejects(
    vms.createVm({ name: "web-1", spec: { ...spec, restartPolicy: 77 as RestartPolicy } }),
    fails("INVALID_ARGUMENT", "spec.restartPolicy"),
  );
  await assert.rejects(vms.createVm({ name: "web-1", spec: { image: "none" } }), fails("IMAGE_NOT_FOUND"));
});

test("every operation on a VM answers with what is wanted of it now", async (context) => {
  const api = await start(context);
  await withImage(api);
  const vms = api.client(VmService);
  await vms.createVm({ name: "web-1", spec, stopped: true });
  assert.equal((await vms.startVm({ vm: "web-1" })).vm?.desiredState, DesiredVmState.RUNNING);
  assert.equal((await vms.stopVm({ vm: "web-1" })).vm?.desiredState, DesiredVmState.STOPPED);
  assert.equal((await vms.restartVm({ vm: "web-1" })).vm?.generation, 4n);
  await assert.rejects(vms.pauseVm({ vm: "web-1" }), fails("VM_STATE_CONFLICT"));
  await assert.rejects(vms.resumeVm({ vm: "web-1" }), fails("VM_STATE_CONFLICT"));
  assert.equal((await vms.deleteVm({ vm: "web-1", force: true })).vm?.desiredState, DesiredVmState.DELETED);
  await assert.rejects(vms.startVm({ vm: "nobody" }), fails("VM_NOT_FOUND"));
});

test("lists come in pages, in order of names, and filtered", async (context) => {
  const api = await start(context);
  await withImage(api);
  const vms = api.client(VmService);
  const names = ["delta", "alpha", "echo", "bravo", "charlie"];
  for (const name of names) {
    await vms.createVm({ name, spec: { image: "demo", labels: { odd: String(name.length % 2) } } });
  }
  const seen: string[] = [];
  let pageToken = "";
  do {
    const page = await vms.listVms({ pageSize: 2, pageToken });
    seen.push(...page.vms.map((vm) => vm.name));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  assert.deepEqual(seen, names.toSorted());
  const even = await vms.listVms({ filter: { labels: { odd: "0" } } });
  assert.deepEqual(
    even.vms.map((vm) => vm.name),
    ["echo"],
  );
  assert.equal((await vms.listVms({ filter: { states: [VmState.RUNNING] } })).vms.length, 0);
  assert.equal((await vms.listVms({ filter: { states: [VmState.PENDING] } })).vms.length, 5);
  assert.equal((await vms.listVms({ filter: { nodeId: "node-1" } })).vms.length, 0);
  await assert.rejects(vms.listVms({ pageToken: "nonsense!" }), fails("INVALID_ARGUMENT", "pageToken"));
  await assert.rejects(vms.listVms({ pageSize: 1001 }), fails("INVALID_ARGUMENT", "pageSize"));
  await assert.rejects(
    vms.listVms({ filter: { states: [99 as VmState] } }),
    fails("INVALID_ARGUMENT", "filter.states[0]"),
  );
});

/** Collects a watch's events until it is told to end. */
function collect(watch: AsyncIterable<WatchVmsResponse>): {
  events: WatchVmsResponse["event"][];
  ended: Promise<void>;
} {
  const events: WatchVmsResponse["event"][] = [];
  const ended = (async () => {
    for await (const { event } of watch) events.push(event);
  })();
  ended.catch(() => undefined);
  return { events, ended };
}

test("a watch tells what exists, then that it is complete, then every change and every end", async (context) => {
  const api = await start(context);
  await withImage(api);
  const vms = api.client(VmService);
  await vms.createVm({ name: "web-1", spec });
  const abort = new AbortController();
  const { events } = collect(vms.watchVms({}, { signal: abort.signal }));
  await waitFor("the watch to be complete", () => events.some((event) => event.case === "synced"));
  assert.deepEqual(
    events.map((event) => event.case),
    ["changed", "synced"],
  );
  const { vm } = await vms.createVm({ name: "web-2", spec });
  await vms.stopVm({ vm: "web-2" });
  await waitFor("the stop", () => events.some((event) => event.case === "changed" && event.value.generation === 2n));
  await forget(api, vm?.id ?? "");
  await waitFor("the end", () => events.some((event) => event.case === "deleted" && event.value === vm?.id));
  abort.abort();
});

/** As the leader does at the end of a deletion. */
async function forget(api: Api, vmId: string): Promise<void> {
  await api.store.transact({ compare: [], success: [{ kind: "delete", key: vmKey(vmId) }] });
}

test("a watch of one VM says when there is none, and ends with it", async (context) => {
  const api = await start(context);
  await withImage(api);
  const vms = api.client(VmService);
  await assert.rejects(collect(vms.watchVms({ vm: "web-1" })).ended, fails("VM_NOT_FOUND"));
  const { vm } = await vms.createVm({ name: "web-1", spec });
  await vms.createVm({ name: "web-2", spec });
  const { events, ended } = collect(vms.watchVms({ vm: "web-1" }));
  await waitFor("the watch to be complete", () => events.length === 2);
  await forget(api, vm?.id ?? "");
  await ended;
  assert.deepEqual(
    events.map((event) => event.case),
    ["changed", "synced", "deleted"],
  );
});

test("a watcher that reads slowly ends up with every VM in its latest state", async (context) => {
  const api = await start(context);
  await withImage(api);
  const vms = api.client(VmService);
  for (let index = 0; index < 30; index++) await vms.createVm({ name: `vm-${index}`, spec });
  const latest = new Map<string, bigint>();
  let events = 0;
  const slow = vms.watchVms({})[Symbol.asyncIterator]();
  const readOne = async (): Promise<void> => {
    const next = await slow.next();
    const event = next.done === true ? undefined : next.value.event;
    events++;
    if (event?.case === "changed") latest.set(event.value.name, event.value.generation);
  };
  await readOne();
  for (let round = 0; round < 10; round++) {
    for (let index = 0; index < 30; index++) {
      const { vm } = await vms.stopVm({ vm: `vm-${index}` });
      assert.ok(vm);
    }
  }
  while (latest.size < 30 || [...latest.values()].some((generation) => generation < 11n)) await readOne();
  assert.ok(events <= 30 * 11 + 1, `${events} events`);
  await slow.return?.();
});

test("the serial log comes as the runtime gives it, with what was lost", async (context) => {
  const asked: unknown[] = [];
  const readLog = async function* (_vmId: string, options: unknown) {
    asked.push(options);
    yield { data: Buffer.from("boot\n"), skippedBytes: 7 };
  };
  const api = await start(context, { machines: { ...noMachines, readLog } });
  await withImage(api);
  const vms = api.client(VmService);
  await vms.createVm({ name: "web-1", spec });
  const chunks: string[] = [];
  for await (const chunk of vms.readVmLog({ vm: "web-1", tailBytes: 2n ** 64n - 1n })) {
    chunks.push(`${chunk.skippedBytes} ${Buffer.from(chunk.data).toString()}`);
  }
  assert.deepEqual(chunks, ["7 boot\n"]);
  assert.deepEqual(asked, [{ follow: false, tailBytes: Number.MAX_SAFE_INTEGER }]);
});

test("the log of a VM that is not on this node is refused with why", async (context) => {
  const api = await start(context);
  await withImage(api);
  const vms = api.client(VmService);
  await vms.createVm({ name: "web-1", spec });
  const log = vms.readVmLog({ vm: "web-1" })[Symbol.asyncIterator]();
  await assert.rejects(log.next(), fails("VM_NOT_ON_NODE"));
});

// --- Images --------------------------------------------------------------------

function kernel(sizeBytes: number): Buffer {
  const bytes = randomBytes(sizeBytes);
  bytes.writeUInt16LE(0xaa55, 0x1fe);
  bytes.write("HdrS", 0x202, "latin1");
  return bytes;
}

type ImportMessage = MessageInitShape<typeof ImportImageRequestSchema>;

async function* importOf(name: string, data: Buffer, pieceBytes = 500_000): AsyncGenerator<ImportMessage> {
  const files = [{ role: ImageFileRole.KERNEL, sizeBytes: BigInt(data.length) }];
  yield { message: { case: "header", value: { name, files, commandLine: "quiet", guestAgent: true } } };
  for (let offset = 0; offset < data.length; offset += pieceBytes) {
    yield { message: { case: "data", value: data.subarray(offset, offset + pieceBytes) } };
  }
}

test("an image is imported in pieces, listed, used by VMs, kept while used, and its space given back", async (context) => {
  const api = await start(context);
  const images = api.client(ImageService);
  const data = kernel(9_000_000);
  const { image } = await images.importImage(importOf("tiny", data));
  assert.equal(image?.sizeBytes, 9_000_000n);
  assert.equal(image.files[0]?.chunkCount, 3);
  assert.equal(image.files[0].diskFormat, DiskFormat.UNSPECIFIED);
  assert.deepEqual((await images.listImages({})).images, [image]);
  const manifest = (await api.manifests.get("tiny"))?.value;
  assert.ok(manifest);
  const { kernelPath } = await api.images.materialize(manifest, new AbortController().signal);
  assert.deepEqual(await readFile(kernelPath ?? ""), data);
  await api.client(VmService).createVm({ name: "web-1", spec: { image: "tiny" } });
  assert.deepEqual((await images.getImage({ name: "tiny" })).image?.usedBy, ["web-1"]);
  await assert.rejects(images.deleteImage({ name: "tiny" }), fails("IMAGE_IN_USE"));
  await images.importImage(importOf("other", kernel(2000)));
  await images.deleteImage({ name: "other" });
  await assert.rejects(images.getImage({ name: "other" }), fails("IMAGE_NOT_FOUND"));
  await assert.rejects(images.deleteImage({ name: "other" }), fails("IMAGE_NOT_FOUND"));
  await waitFor("the space to be free", async () => (await storedChunks(api)) === 3);
});

async function storedChunks(api: Api): Promise<number> {
  const entries = await readdir(join(api.directory, "images", "chunks"), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).length;
}

test("an import that goes wrong says why and leaves nothing", async (context) => {
  const api = await start(context);
  const images = api.client(ImageService);
  const data = kernel(5_000_000);
  await images.importImage(importOf("tiny", data));
  async function* only(...messages: ImportMessage[]): AsyncGenerator<ImportMessage> {
    yield* messages;
  }
  const piece: ImportMessage = { message: { case: "data", value: new Uint8Array(10) } };
  await assert.rejects(images.importImage(only()), fails("INVALID_ARGUMENT", "header"));
  await assert.rejects(images.importImage(only(piece)), fails("INVALID_ARGUMENT", "header"));
  await assert.rejects(images.importImage(importOf("../x", data)), fails("INVALID_ARGUMENT", "header.name"));
  await assert.rejects(images.importImage(importOf("big", data, 2_000_000)), fails("REQUEST_TOO_LARGE", "data"));
  await assert.rejects(images.importImage(importOf("bad", randomBytes(2000))), fails("IMAGE_INVALID"));
  await assert.rejects(images.importImage(importOf("tiny", kernel(2000))), fails("IMAGE_NAME_TAKEN"));
  assert.equal((await images.importImage(importOf("tiny", data))).image?.name, "tiny");
  const abort = new AbortController();
  async function* stalled(): AsyncGenerator<ImportMessage> {
    const [header, first] = await Array.fromAsync(importOf("gone", data));
    if (header !== undefined) yield header;
    if (first !== undefined) yield first;
    abort.abort();
    await new Promise(() => undefined);
  }
  await assert.rejects(images.importImage(stalled(), { signal: abort.signal }), { code: Code.Canceled });
  await waitFor("what the failures brought to be gone", async () => (await storedChunks(api)) === 2);
});

// --- Nodes, the cluster, traces --------------------------------------------------

test("nodes are listed with what they have and what is taken, and can be closed to new VMs", async (context) => {
  const api = await start(context);
  const nodes = api.client(NodeService);
  const { revision } = await api.nodes.register({
    registration: aRegistration(),
    instanceId: "run-1",
    leaseTtlMs: 15_000,
  });
  await api.cache.waitForRevision(revision);
  const [node] = (await nodes.listNodes({})).nodes;
  assert.equal(node?.state, NodeState.READY);
  assert.equal(node.schedulable, true);
  assert.equal(node.capacity?.vcpus, 8);
  assert.equal((await nodes.cordonNode({ node: "node-1" })).node?.schedulable, false);
  assert.equal((await nodes.getNode({ node: "node-1" })).node?.schedulable, false);
  assert.equal((await nodes.uncordonNode({ node: "node-1" })).node?.schedulable, true);
  await assert.rejects(nodes.getNode({ node: "node-9" }), fails("NODE_NOT_FOUND"));
  await assert.rejects(nodes.cordonNode({ node: "node-9" }), fails("NODE_NOT_FOUND"));
  await assert.rejects(nodes.getNode({ node: "" }), fails("INVALID_ARGUMENT", "node"));
});

test("the cluster's status names the store's members", async (context) => {
  const api = await start(context);
  const answer = await api.client(ClusterService).getClusterStatus({});
  assert.equal(answer.storeKind, "embedded");
  assert.equal(answer.storeVersion, "3.4.23");
  assert.equal(answer.members[0]?.leader, true);
});

test("a trace can be asked for by its id or by a VM's operation, and clients add their spans to it", async (context) => {
  const api = await start(context);
  await withImage(api);
  const telemetry = api.client(TelemetryService);
  const { vm } = await api.client(VmService).createVm({ name: "web-1", spec, operationId: "op-1" });
  const traceId = vm?.origin?.traceId ?? "";
  await assert.rejects(telemetry.getTrace({ subject: { case: "vm", value: "web-1" } }), fails("TRACE_NOT_FOUND"));
  const span = {
    traceId,
    spanId: "b7ad6b7169203331",
    name: "vm create",
    kind: SpanKind.CLIENT,
    startTimeUnixNano: 1_000n,
    endTimeUnixNano: 2_000n,
    attributes: {
      text: { value: { case: "stringValue", value: "x" } },
      count: { value: { case: "intValue", value: 5n } },
    },
    service: "a-node-that-it-is-not",
  } as const;
  assert.equal((await telemetry.recordSpans({ spans: [span] })).accepted, 1);
  for (const request of [
    { subject: { case: "traceId", value: traceId } },
    { subject: { case: "vm", value: "web-1" } },
    { subject: { case: "vm", value: vm?.id ?? "" }, operation: "latest" },
    { subject: { case: "vm", value: "web-1" }, operation: "op-1" },
  ] as const) {
    const answer = await telemetry.getTrace(request);
    assert.equal(answer.traceId, traceId);
    assert.equal(answer.spans[0]?.name, "vm create");
    assert.equal(answer.spans[0].service, "blixard-cli");
    assert.equal(answer.spans[0].attributes["count"]?.value.value, 5n);
    assert.equal(answer.spans[0].sampled, true);
  }
  await assert.rejects(
    telemetry.getTrace({ subject: { case: "vm", value: "web-1" }, operation: "op-9" }),
    fails("TRACE_NOT_FOUND", "operation"),
  );
  await assert.rejects(
    telemetry.getTrace({ subject: { case: "traceId", value: "XYZ" } }),
    fails("INVALID_ARGUMENT", "traceId"),
  );
  await assert.rejects(telemetry.getTrace({}), fails("INVALID_ARGUMENT", "subject"));
  const spans = Array.from({ length: 257 }, () => span);
  await assert.rejects(telemetry.recordSpans({ spans }), fails("INVALID_ARGUMENT", "spans"));
  assert.equal(api.telemetry.spansNamed("blixard.v1.TelemetryService/GetTrace").length, 0);
});
