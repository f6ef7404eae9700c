/** What a call leaves behind: one span in the right trace, metrics, and nothing that a stranger can forge. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  grpcServerCallActive,
  grpcServerCallDuration,
  grpcServerRequestSize,
  grpcServerResponseSize,
  grpcServerStreamActive,
  rpcServerCallDuration,
} from "#gen/telemetry/metrics.ts";
import { VmService } from "#gen/api/blixard/v1/vm_pb.ts";
import { BlixardError } from "#model/errors.ts";
import type { RecordedSpan } from "#model/recorded-span.ts";
import { callHttp2, callPlain, envelope, noMachines, startApi, type ApiFixture } from "#test/support/api-server.ts";
import { createGrpcClient } from "#test/support/grpc-client.ts";
import { aCreateVm, anImage } from "#test/support/store-fixtures.ts";
import { waitFor } from "#test/support/wait-for.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const traceparent = `00-${traceId}-${spanId}-01`;
const getVm = "blixard.v1.VmService/GetVm";
const createVm = {
  method: "blixard.v1.VmService/CreateVm",
  body: '{"name":"web-1","spec":{"image":"demo"},"operationId":"op-1"}',
};

async function spanOf(fixture: ApiFixture, name: string): Promise<RecordedSpan> {
  return await waitFor(`the span ${name}`, () => fixture.telemetry.spansNamed(name)[0]);
}

test("a known caller's trace goes on through the call into admission and the store's record", async (context) => {
  const fixture = await startApi(context);
  await fixture.manifests.create(anImage());
  await callPlain(fixture.addresses.unix, { ...createVm, headers: { traceparent } });
  const server = await spanOf(fixture, "blixard.v1.VmService/CreateVm");
  const admit = await spanOf(fixture, "vm.admit");
  assert.equal(server.traceId, traceId);
  assert.equal(server.parentSpanId, spanId);
  assert.equal(server.kind, "server");
  assert.equal(admit.parentSpanId, server.spanId);
  const intent = await fixture.vms.getByName("web-1");
  assert.equal(intent?.value.origin?.traceId, traceId);
  assert.equal(intent.value.origin.spanId, server.spanId);
  assert.equal(server.attributes["blixard.vm.name"], "web-1");
  assert.equal(server.attributes["blixard.operation.id"], "op-1");
  assert.equal(server.attributes["blixard.grpc.listener"], "unix");
});

test("a caller with the token is known, and one without is not: its trace is linked, not continued", async (context) => {
  const fixture = await startApi(context);
  const check = { method: "grpc.health.v1.Health/Check", headers: { traceparent } };
  await callHttp2(fixture.addresses.tcp, check);
  const stranger = await spanOf(fixture, check.method);
  assert.notEqual(stranger.traceId, traceId);
  assert.equal(stranger.parentSpanId, undefined);
  assert.deepEqual(
    stranger.links.map((link) => [link.traceId, link.spanId]),
    [[traceId, spanId]],
  );
  const authorization = `Bearer ${fixture.token}`;
  await callPlain(fixture.addresses.tcp, {
    method: "blixard.v1.VmService/ListVms",
    headers: { traceparent, authorization },
  });
  const known = await spanOf(fixture, "blixard.v1.VmService/ListVms");
  assert.equal(known.traceId, traceId);
  assert.equal(known.attributes["network.peer.address"], "127.0.0.1");
  assert.equal(known.attributes["server.address"], "127.0.0.1");
  assert.equal(typeof known.attributes["server.port"], "number");
});

test("without a trace, or with a broken one, every call begins its own", async (context) => {
  const fixture = await startApi(context);
  const headers: Record<string, string>[] = [
    {},
    { traceparent: "broken" },
    { traceparent: `00-${"0".repeat(32)}-${spanId}-01` },
  ];
  for (const header of headers) {
    await callPlain(fixture.addresses.unix, { method: "blixard.v1.VmService/ListVms", headers: header });
  }
  const spans = await waitFor("three spans", () => {
    const found = fixture.telemetry.spansNamed("blixard.v1.VmService/ListVms");
    return found.length === 3 && found;
  });
  assert.equal(new Set(spans.map((span) => span.traceId)).size, 3);
  for (const span of spans) assert.equal(span.parentSpanId, undefined);
});

test("a stream's every message is made in the context of the call's span", async (context) => {
  const seen: (string | undefined)[] = [];
  const readLog = async function* () {
    for (let chunk = 0; chunk < 3; chunk++) {
      await new Promise(setImmediate);
      seen.push(fixture.telemetry.tracing.active()?.spanId);
      yield { data: Buffer.from(`${chunk}`), skippedBytes: 0 };
    }
  };
  const fixture: ApiFixture = await startApi(context, { machines: { ...noMachines, readLog } });
  await fixture.manifests.create(anImage());
  const { revision } = await fixture.vms.create(aCreateVm({ name: "web-1" }));
  await fixture.cache.waitForRevision(revision);
  const method = "blixard.v1.VmService/ReadVmLog";
  const headers = { "content-type": "application/connect+json" };
  await callPlain(fixture.addresses.unix, { method, body: envelope('{"vm":"web-1"}'), headers });
  using client = createGrpcClient(`unix:${fixture.addresses.unix}`);
  const stream = client.serverStream(VmService.method.readVmLog, { vm: "web-1" });
  await new Promise((resolve) => stream.on("data", () => undefined).on("end", resolve));
  const spans = await waitFor("both spans", () => {
    const found = fixture.telemetry.spansNamed(method);
    return found.length === 2 && found;
  });
  assert.deepEqual(
    seen,
    spans.flatMap((span) => [span.spanId, span.spanId, span.spanId]),
  );
});

test("a call's duration is counted under its method, protocol and outcome, in both names", async (context) => {
  const fixture = await startApi(context);
  await callPlain(fixture.addresses.unix, { method: getVm, body: '{"vm":"nobody"}' });
  using client = createGrpcClient(`unix:${fixture.addresses.unix}`);
  await client.unary(VmService.method.listVms, {});
  for (const metric of [rpcServerCallDuration, grpcServerCallDuration]) {
    const series = await waitFor("both series", () => {
      const found = fixture.telemetry.series(metric);
      return found.length === 2 && found;
    });
    assert.deepEqual(
      series.map(({ attributes, values }) => [attributes, values.length]),
      [
        [{ "rpc.system.name": "connectrpc", "rpc.method": getVm, "rpc.status_code": "NOT_FOUND" }, 1],
        [{ "rpc.system.name": "grpc", "rpc.method": "blixard.v1.VmService/ListVms", "rpc.status_code": "OK" }, 1],
      ],
    );
  }
});

test("a method that does not exist is _OTHER, however many are tried", async (context) => {
  const fixture = await startApi(context);
  for (const name of ["a.B/C", "blixard.v1.VmService/Nope", `${"x".repeat(4000)}/y`]) {
    await callPlain(fixture.addresses.unix, { method: name });
  }
  const series = await waitFor("the series", () => fixture.telemetry.series(rpcServerCallDuration)[0]);
  await waitFor("all calls", () => series.values.length === 3);
  assert.deepEqual(series.attributes, {
    "rpc.system.name": "connectrpc",
    "rpc.method": "_OTHER",
    "rpc.status_code": "UNIMPLEMENTED",
    "error.type": "UNIMPLEMENTED",
  });
  for (const span of fixture.telemetry.spansNamed("_OTHER")) {
    assert.ok(String(span.attributes["rpc.method_original"]).length <= 128);
  }
});

test("only the node's own failures mark the span as an error", async (context) => {
  const fixture = await startApi(context, {
    machines: { ...noMachines, openConsole: () => Promise.reject(new Error("secret path /root")) },
  });
  fixture.images.remove = () => Promise.reject(new BlixardError("STORE_UNAVAILABLE", "no member answers"));
  const { revision } = await fixture.manifests.create(anImage());
  await fixture.cache.waitForRevision(revision);
  await callPlain(fixture.addresses.unix, { method: getVm, body: '{"vm":"nobody"}' });
  await callPlain(fixture.addresses.unix, { method: "blixard.v1.ImageService/DeleteImage", body: '{"name":"demo"}' });
  const mine = await spanOf(fixture, "blixard.v1.ImageService/DeleteImage");
  assert.equal(mine.status.code, "error");
  assert.equal(mine.attributes["error.type"], "UNAVAILABLE");
  assert.equal(mine.attributes["blixard.error.code"], "STORE_UNAVAILABLE");
  const yours = await spanOf(fixture, getVm);
  assert.equal(yours.status.code, "unset");
  assert.equal(yours.attributes["error.type"], undefined);
  assert.equal(yours.attributes["rpc.status_code"], "NOT_FOUND");
});

test("an error that nobody expected is logged with its stack, in the call's span, and not told", async (context) => {
  const fixture = await startApi(context);
  fixture.images.remove = () => Promise.reject(new TypeError("cannot read /srv/secret"));
  const { revision } = await fixture.manifests.create(anImage());
  await fixture.cache.waitForRevision(revision);
  const answer = await callPlain(fixture.addresses.unix, {
    method: "blixard.v1.ImageService/DeleteImage",
    body: '{"name":"demo"}',
  });
  assert.equal(answer.status, 500);
  assert.doesNotMatch(answer.body.toString(), /secret|\.ts/);
  const span = await spanOf(fixture, "blixard.v1.ImageService/DeleteImage");
  const log = fixture.telemetry.logs.find((record) => record.level === "error");
  assert.ok(log?.error instanceof Error);
  assert.match(String(log.error.stack), /secret[^]*\.ts/);
  assert.equal(log.context?.spanId, span.spanId);
});

test("calls and streams under way and the sizes of messages are counted", async (context) => {
  const fixture = await startApi(context);
  using client = createGrpcClient(`unix:${fixture.addresses.unix}`);
  const watch = client.serverStream(VmService.method.watchVms, {});
  watch.on("error", () => undefined);
  await new Promise((resolve) => watch.once("data", resolve));
  const attributes = { "rpc.system.name": "grpc", "rpc.method": "blixard.v1.VmService/WatchVms" } as const;
  assert.equal(fixture.telemetry.value(grpcServerCallActive, attributes), 1);
  assert.equal(fixture.telemetry.value(grpcServerStreamActive, attributes), 1);
  watch.cancel();
  await waitFor("the stream to end", () => fixture.telemetry.value(grpcServerStreamActive, attributes) === 0);
  assert.equal(fixture.telemetry.value(grpcServerCallActive, attributes), 0);
  const body = '{"vm":"nobody"}';
  await callPlain(fixture.addresses.unix, { method: getVm, body });
  const sizes = fixture.telemetry
    .series(grpcServerRequestSize)
    .find((series) => series.attributes["rpc.method"] === getVm);
  assert.deepEqual(sizes?.values, [body.length]);
  const answers = await waitFor("the answers", () =>
    fixture.telemetry
      .series(grpcServerResponseSize)
      .find((series) => series.attributes["rpc.method"] === attributes["rpc.method"]),
  );
  assert.deepEqual(answers.values, [2]);
});
