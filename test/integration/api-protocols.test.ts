/** One definition, three protocols, two listeners: what curl, gRPC, gRPC-web and Connect clients see. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { create, createFileRegistry, fromBinary, type DescService, type MessageShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { status } from "@grpc/grpc-js";
import type { LocalConsole, LocalMachines } from "#api/ports.ts";
import { ErrorDetailSchema } from "#gen/api/blixard/v1/common_pb.ts";
import { VmService } from "#gen/api/blixard/v1/vm_pb.ts";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "#gen/grpc/grpc/health/v1/health_pb.ts";
import { ServerReflection, type ServerReflectionRequestSchema } from "#gen/grpc/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as OldServerReflection } from "#gen/grpc/grpc/reflection/v1alpha/reflection_pb.ts";
import {
  callHttp2,
  callPlain,
  envelope,
  noMachines,
  openEnvelopes,
  startApi,
  type ApiFixture,
} from "#test/support/api-server.ts";
import { createGrpcClient } from "#test/support/grpc-client.ts";
import { aCreateVm, anImage } from "#test/support/store-fixtures.ts";
import { waitFor } from "#test/support/wait-for.ts";

const run = promisify(execFile);

async function addVm(fixture: ApiFixture, name: string): Promise<string> {
  await fixture.manifests.create(anImage());
  const { vm, revision } = await fixture.vms.create(aCreateVm({ name, operationId: `create-${name}` }));
  await fixture.cache.waitForRevision(revision);
  return vm.value.id;
}

const bearer = (fixture: ApiFixture): Record<string, string> => ({ authorization: `Bearer ${fixture.token}` });

test("JSON over HTTP/1.1 and HTTP/2 on both listeners gives the same answer", async (context) => {
  const fixture = await startApi(context);
  await addVm(fixture, "web-1");
  const call = { method: "blixard.v1.VmService/GetVm", body: '{"vm":"web-1"}', headers: bearer(fixture) };
  for (const address of [fixture.addresses.unix, fixture.addresses.tcp]) {
    for (const send of [callPlain, callHttp2]) {
      const answer = await send(address, call);
      assert.equal(answer.status, 200);
      const vm = answer.json?.["vm"] as { name: string } | undefined;
      assert.equal(vm?.name, "web-1");
    }
  }
});

test("the unix socket serves whatever host a client names, as gRPC's C core names the socket's path", async (context) => {
  const fixture = await startApi(context);
  await addVm(fixture, "web-1");
  const authority = encodeURIComponent(fixture.addresses.unix.slice(1));
  const call = { method: "blixard.v1.VmService/GetVm", body: '{"vm":"web-1"}' };
  assert.match(authority, /%2F/);
  const answers = [
    await callHttp2(fixture.addresses.unix, { ...call, headers: { ":authority": authority } }),
    await callPlain(fixture.addresses.unix, { ...call, headers: { host: authority } }),
  ];
  for (const answer of answers) assert.equal((answer.json?.["vm"] as { name: string } | undefined)?.name, "web-1");
});

test("plain curl on the unix socket gets JSON, and a stream of JSON", async (context) => {
  const fixture = await startApi(context);
  await addVm(fixture, "web-1");
  const base = ["--silent", "--show-error", "--unix-socket", fixture.addresses.unix];
  const url = (method: string): string => `http://localhost/blixard.v1.VmService/${method}`;
  const json = await run("curl", [...base, "--json", "{}", url("ListVms")]);
  assert.equal((JSON.parse(json.stdout) as { vms: { name: string }[] }).vms[0]?.name, "web-1");
  const file = join(fixture.directory, "request");
  await writeFile(file, envelope("{}"));
  const header = ["--header", "content-type: application/connect+json", "--header", "connect-timeout-ms: 300"];
  const stream = await run("curl", [...base, ...header, "--data-binary", `@${file}`, url("WatchVms")], {
    encoding: "buffer",
  });
  const messages = openEnvelopes(stream.stdout);
  assert.match(String(messages[0]?.data), /"changed":.*"web-1"/);
  assert.match(String(messages[1]?.data), /"synced"/);
  assert.match(String(messages[2]?.data), /"deadline_exceeded"/);
});

const transports: readonly [string, (fixture: ApiFixture) => Transport][] = [
  ["gRPC over HTTP/2", (fixture) => grpcOver(fixture)],
  [
    "gRPC-web over HTTP/1.1",
    ({ addresses }) => createGrpcWebTransport({ baseUrl: `http://${addresses.tcp}`, httpVersion: "1.1" }),
  ],
  [
    "gRPC-web over HTTP/2",
    ({ addresses }) => createGrpcWebTransport({ baseUrl: `http://${addresses.tcp}`, httpVersion: "2" }),
  ],
  [
    "Connect over HTTP/1.1",
    ({ addresses }) =>
      createConnectTransport({ baseUrl: `http://${addresses.tcp}`, httpVersion: "1.1", useBinaryFormat: true }),
  ],
  [
    "Connect JSON over HTTP/2",
    ({ addresses }) =>
      createConnectTransport({ baseUrl: `http://${addresses.tcp}`, httpVersion: "2", useBinaryFormat: false }),
  ],
];

function grpcOver({ addresses }: ApiFixture): Transport {
  const createConnection = () => connect(addresses.unix);
  const sessionManager = new Http2SessionManager("http://localhost", {}, { createConnection });
  return createGrpcTransport({ baseUrl: "http://localhost", sessionManager });
}

for (const [name, createTransport] of transports) {
  test(`a ${name} client calls, streams, and reads an error's detail`, async (context) => {
    const fixture = await startApi(context);
    await addVm(fixture, "web-1");
    const client = createClient(VmService, createTransport(fixture));
    const options = { headers: bearer(fixture) };
    const { vm } = await client.getVm({ vm: "web-1" }, options);
    assert.equal(vm?.name, "web-1");
    const seen: (string | undefined)[] = [];
    for await (const { event } of client.watchVms({}, options)) {
      seen.push(event.case);
      if (event.case === "synced") break;
    }
    assert.deepEqual(seen, ["changed", "synced"]);
    await assert.rejects(client.getVm({ vm: "nobody" }, options), (error) => {
      assert.ok(error instanceof ConnectError);
      assert.equal(error.code, Code.NotFound);
      const [detail] = error.findDetails(ErrorDetailSchema);
      assert.equal(detail?.code, "VM_NOT_FOUND");
      assert.equal(detail.field, "vm");
      assert.equal(detail.fault, "user");
      assert.match(detail.hint, /vm list/);
      return true;
    });
  });
}

for (const listener of ["unix", "tcp"] as const) {
  test(`a grpc-js client on the ${listener} listener calls, streams and converses`, async (context) => {
    const consoles: FakeConsole[] = [];
    const fixture = await startApi(context, { machines: machinesWith(consoles) });
    const vmId = await addVm(fixture, "web-1");
    const target = listener === "unix" ? `unix:${fixture.addresses.unix}` : fixture.addresses.tcp;
    using client = createGrpcClient(target, bearer(fixture));

    const { vm } = await client.unary(VmService.method.getVm, { vm: "web-1" });
    assert.equal(vm?.id, vmId);
    await assert.rejects(client.unary(VmService.method.getVm, { vm: "nobody" }), { code: status.NOT_FOUND });

    const watch = client.serverStream(VmService.method.watchVms, {});
    const kinds: (string | undefined)[] = [];
    watch.on("data", (message) => kinds.push(message.event.case));
    watch.on("error", () => undefined);
    await waitFor("the watch to be complete", () => kinds.includes("synced"));
    watch.cancel();
    assert.deepEqual(kinds, ["changed", "synced"]);

    const console = client.bidi(VmService.method.attachVmConsole);
    let output = "";
    console.on("data", (message) => (output += Buffer.from(message.output).toString()));
    console.on("error", () => undefined);
    console.write({ $typeName: "blixard.v1.AttachVmConsoleRequest", message: { case: "vm", value: "web-1" } });
    const typed = { case: "input", value: Buffer.from("uname\n") } as const;
    console.write({ $typeName: "blixard.v1.AttachVmConsoleRequest", message: typed });
    await waitFor("the guest's echo", () => output === "login: uname\n");
    console.cancel();
    await waitFor("the console to be let go", () => consoles[0]?.disposed === true);
  });

  test(`reflection on the ${listener} listener tells every service, by its new name and its old one`, async (context) => {
    const fixture = await startApi(context);
    const target = listener === "unix" ? `unix:${fixture.addresses.unix}` : fixture.addresses.tcp;
    using client = createGrpcClient(target, bearer(fixture));
    for (const { method } of [ServerReflection, OldServerReflection]) {
      const list = await ask(client, method.serverReflectionInfo, { case: "listServices", value: "" });
      assert.equal(list.case, "listServicesResponse");
      const names = (list.value as { service: { name: string }[] }).service.map((service) => service.name);
      for (const service of ["Vm", "Image", "Node", "Cluster", "Telemetry"])
        assert.ok(names.includes(`blixard.v1.${service}Service`));
      assert.ok(names.includes("grpc.health.v1.Health"));
      const symbols = ["blixard.v1.VmService", "blixard.v1.VmService.GetVm", "blixard.v1.VmSpec"];
      for (const symbol of symbols) {
        const file = await ask(client, method.serverReflectionInfo, { case: "fileContainingSymbol", value: symbol });
        const protos = (file.value as { fileDescriptorProto: Uint8Array[] }).fileDescriptorProto;
        const files = protos.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
        const set = { $typeName: FileDescriptorSetSchema.typeName, file: files.toReversed() } as const;
        assert.ok(createFileRegistry(set).getService("blixard.v1.VmService"));
      }
      const unknown = await ask(client, method.serverReflectionInfo, {
        case: "fileContainingSymbol",
        value: "no.such.Thing",
      });
      assert.equal((unknown.value as { errorCode: number }).errorCode, status.NOT_FOUND);
    }
  });
}

test("health answers without a token, is watched, and says NOT_SERVING while the node stops", async (context) => {
  const fixture = await startApi(context);
  using client = createGrpcClient(fixture.addresses.tcp);
  assert.equal((await client.unary(Health.method.check, {})).status, Serving.SERVING);
  assert.equal((await client.unary(Health.method.check, { service: "blixard.v1.VmService" })).status, Serving.SERVING);
  await assert.rejects(client.unary(Health.method.check, { service: "nobody" }), { code: status.NOT_FOUND });
  const statuses: Serving[] = [];
  const watch = client.serverStream(Health.method.watch, {});
  const ended = Promise.withResolvers<{ code: number }>();
  watch.on("data", (message) => statuses.push(message.status));
  watch.on("error", ended.resolve);
  await waitFor("the first status", () => statuses.length === 1);
  fixture.server.setServing(false);
  await waitFor("the change", () => statuses.length === 2);
  assert.deepEqual(statuses, [Serving.SERVING, Serving.NOT_SERVING]);
  await fixture.server.stop({ timeoutMs: 5000 });
  assert.equal((await ended.promise).code, status.UNAVAILABLE);
});

type Answer = { case: string | undefined; value?: unknown };

/** One question over a stream of its own. */
function ask(
  client: ReturnType<typeof createGrpcClient>,
  method: typeof ServerReflection.method.serverReflectionInfo | typeof OldServerReflection.method.serverReflectionInfo,
  question: { case: "listServices" | "fileContainingSymbol"; value: string },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = client.bidi(method as typeof ServerReflection.method.serverReflectionInfo);
    stream.on("error", reject);
    stream.on("data", (message) => {
      resolve(message.messageResponse);
      stream.end();
    });
    stream.write(
      create(method.input, { messageRequest: question }) as MessageShape<typeof ServerReflectionRequestSchema>,
    );
  });
}

interface FakeConsole extends LocalConsole {
  disposed: boolean;
}

/** Guests that greet and echo. */
function machinesWith(consoles: FakeConsole[]): LocalMachines {
  return {
    ...noMachines,
    openConsole(_vmId, signal) {
      const pending: Uint8Array[] = [Buffer.from("login: ")];
      let wake = Promise.withResolvers<void>();
      signal.addEventListener("abort", () => wake.resolve());
      const console: FakeConsole = {
        disposed: false,
        output: (async function* () {
          while (!signal.aborted) {
            yield* pending.splice(0);
            await wake.promise;
            wake = Promise.withResolvers();
          }
        })(),
        write(data) {
          pending.push(data);
          wake.resolve();
          return Promise.resolve();
        },
        [Symbol.asyncDispose]() {
          console.disposed = true;
          return Promise.resolve();
        },
      };
      consoles.push(console);
      return Promise.resolve(console);
    },
  };
}

test("every service that is served is one that reflection describes completely", async (context) => {
  const fixture = await startApi(context);
  const services: readonly DescService[] = [VmService, Health];
  for (const service of services) {
    for (const method of service.methods) {
      const answer = await callPlain(fixture.addresses.unix, {
        method: `${service.typeName}/${method.name}`,
        headers: { "content-type": "text/plain" },
      });
      assert.notEqual(answer.status, 404, method.name);
      assert.equal(answer.json?.["code"], "invalid_argument");
    }
  }
});
