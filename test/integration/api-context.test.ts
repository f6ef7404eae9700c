/** Callers' contexts over real sockets: every format in every protocol, what is malformed, what is too large; and the audit. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterService } from "#gen/api/blixard/v1/cluster_pb.ts";
import { ImageService } from "#gen/api/blixard/v1/image_pb.ts";
import { NodeService } from "#gen/api/blixard/v1/node_pb.ts";
import { TelemetryService } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { VmService } from "#gen/api/blixard/v1/vm_pb.ts";
import { auditedVerb, unauditedVerb } from "#api/call/audit.ts";
import type { PropagatorName } from "#model/propagation/propagators.ts";
import type { RecordedSpan } from "#model/recorded-span.ts";
import {
  callHttp2,
  callPlain,
  envelope,
  openSocket,
  startApi,
  type ApiFixture,
  type PlainAnswer,
} from "#test/support/api-server.ts";
import { anImage } from "#test/support/store-fixtures.ts";
import { waitFor } from "#test/support/wait-for.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const listVms = "blixard.v1.VmService/ListVms";
const propagators = ["tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray"] as const satisfies PropagatorName[];
const allFormats = { propagators };

const formats: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  w3c: { traceparent: `00-${traceId}-${spanId}-01` },
  b3: { b3: `${traceId}-${spanId}-1` },
  "b3 multi": { "x-b3-traceid": traceId, "x-b3-spanid": spanId, "x-b3-sampled": "1" },
  jaeger: { "uber-trace-id": `${traceId}:${spanId}:0:1` },
  "x-ray": { "x-amzn-trace-id": `Root=1-${traceId.slice(0, 8)}-${traceId.slice(8)};Parent=${spanId};Sampled=1` },
};

type Headers = Readonly<Record<string, string>>;

const protocols: Readonly<Record<string, (address: string, headers: Headers) => Promise<PlainAnswer>>> = {
  "Connect over HTTP/1.1": (address, headers) => callPlain(address, { method: listVms, headers }),
  "Connect over HTTP/2": (address, headers) => callHttp2(address, { method: listVms, headers }),
  gRPC: (address, headers) =>
    callHttp2(address, {
      method: listVms,
      headers: { ...headers, "content-type": "application/grpc", te: "trailers" },
      body: envelope(""),
    }),
};

async function lastSpan(fixture: ApiFixture, count: number, name = listVms): Promise<RecordedSpan> {
  return await waitFor(`span number ${count}`, () => {
    const spans = fixture.telemetry.spansNamed(name);
    return spans.length === count && spans.at(-1);
  });
}

test("a caller's trace is continued from every format, in every protocol", async (context) => {
  const fixture = await startApi(context, allFormats);
  let count = 0;
  for (const [protocol, call] of Object.entries(protocols)) {
    for (const [format, headers] of Object.entries(formats)) {
      const { status } = await call(fixture.addresses.unix, headers);
      assert.equal(status, 200);
      const span = await lastSpan(fixture, ++count);
      assert.deepEqual([span.traceId, span.parentSpanId], [traceId, spanId], `${format} by ${protocol}`);
    }
  }
});

test("malformed headers of every format begin a new trace and fail nothing", async (context) => {
  const fixture = await startApi(context, allFormats);
  const names = [...new Set(Object.values(formats).flatMap((headers) => Object.keys(headers)))];
  const junk = [
    "x",
    "%",
    "-",
    ":::",
    `${"0".repeat(32)}-${"0".repeat(16)}-1`,
    "Root=;Parent=;Sampled=",
    "f".repeat(4_000),
  ];
  let count = 0;
  const seen = new Set<string>();
  for (const value of junk) {
    for (const call of Object.values(protocols)) {
      const headers = Object.fromEntries([...names, "tracestate", "baggage", "uberctx-a"].map((name) => [name, value]));
      // Less than the listener's limit of headers.
      const fitting = value.length > 100 ? Object.fromEntries(Object.entries(headers).slice(0, 3)) : headers;
      const { status } = await call(fixture.addresses.unix, fitting);
      assert.equal(status, 200, value.slice(0, 40));
      const span = await lastSpan(fixture, ++count);
      assert.equal(span.parentSpanId, undefined);
      seen.add(span.traceId);
    }
  }
  assert.equal(seen.size, count);
});

test("a stranger cannot force sampling in any format, not with B3's debug flag either", async (context) => {
  const fixture = await startApi(context, allFormats);
  const check = "grpc.health.v1.Health/Check";
  const forcing = {
    ...formats,
    debug: { b3: `${traceId}-${spanId}-d` },
    flags: { ...formats["b3 multi"], "x-b3-flags": "1" },
  };
  let count = 0;
  for (const headers of Object.values(forcing)) {
    await callPlain(fixture.addresses.tcp, { method: check, headers: { ...headers, baggage: "user=mallory" } });
    const span = await lastSpan(fixture, ++count, check);
    assert.notEqual(span.traceId, traceId);
    assert.equal(span.parentSpanId, undefined);
    assert.deepEqual(
      span.links.map((link) => link.traceId),
      [traceId],
    );
  }
});

test("baggage of a known caller reaches the store's record with its trace", async (context) => {
  const fixture = await startApi(context);
  await fixture.manifests.create(anImage());
  await callPlain(fixture.addresses.unix, {
    method: "blixard.v1.VmService/CreateVm",
    body: '{"name":"web-1","spec":{"image":"demo"}}',
    headers: { ...formats["w3c"], baggage: "user=alice" },
  });
  const intent = await fixture.vms.getByName("web-1");
  assert.equal(intent?.value.origin?.traceId, traceId);
  assert.equal(intent.value.origin.baggage, "user=alice");
});

test("ten megabytes of baggage are refused by the listener, and nobody else is affected", async (context) => {
  const fixture = await startApi(context);
  const other = await openSocket(fixture.addresses.unix);
  for (const address of [fixture.addresses.unix, fixture.addresses.tcp]) {
    const socket = await openSocket(address);
    let answer = "";
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString("latin1")));
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    socket.write(`POST /${listVms} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nbaggage: `);
    const piece = "k=v,".repeat(64 * 1024);
    for (let sent = 0; sent < 10_000_000 && socket.writable; sent += piece.length) {
      if (!socket.write(piece)) await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), closed]);
    }
    await closed;
    assert.match(
      answer,
      /^(HTTP\/1\.1 431 |$)/,
      "431 Request Header Fields Too Large, unless the connection was reset first",
    );
  }
  assert.ok(other.writable);
  other.destroy();
  assert.equal((await callPlain(fixture.addresses.unix, { method: listVms })).status, 200);
  // As much as the listener takes.
  const { status } = await callPlain(fixture.addresses.unix, {
    method: listVms,
    headers: { baggage: "k=v,".repeat(3_500) },
  });
  assert.equal(status, 200);
});

test("every method is either put on record or known to change nothing", () => {
  for (const service of [ClusterService, ImageService, NodeService, TelemetryService, VmService]) {
    for (const { name } of service.methods) {
      assert.notEqual(auditedVerb.test(name), unauditedVerb.test(name), `${service.typeName}/${name}`);
    }
  }
});

test("an accepted change is put on record with who, what and its trace; reading and refusals are not", async (context) => {
  const fixture = await startApi(context);
  await fixture.manifests.create(anImage());
  const authorization = `Bearer ${fixture.token}`;
  const call = (method: string, body: string): Promise<PlainAnswer> =>
    callPlain(fixture.addresses.tcp, {
      method: `blixard.v1.${method}`,
      body,
      headers: { ...formats["w3c"], authorization },
    });
  await call("VmService/CreateVm", '{"name":"web-1","spec":{"image":"demo"},"operationId":"op-1"}');
  await call("VmService/GetVm", '{"vm":"web-1"}');
  assert.equal((await call("VmService/StopVm", '{"vm":"nobody"}')).status, 404);
  await call("TelemetryService/CreateTraceRule", '{"vm":"web-1","duration":"90s"}');
  await call("TelemetryService/SetLogLevel", '{"level":"LOG_LEVEL_DEBUG"}');
  const records = fixture.telemetry.logs.filter((record) => record.eventName === "blixard.audit");
  const common = { "blixard.grpc.listener": "tcp", "network.peer.address": "127.0.0.1" };
  assert.deepEqual(
    records.map((record) => record.attributes),
    [
      {
        "blixard.audit.action": "blixard.v1.VmService/CreateVm",
        "blixard.audit.subject": "web-1",
        "blixard.operation.id": "op-1",
        ...common,
      },
      {
        "blixard.audit.action": "blixard.v1.TelemetryService/CreateTraceRule",
        "blixard.audit.subject": "web-1",
        "blixard.audit.detail": "1m30s",
        ...common,
      },
      { "blixard.audit.action": "blixard.v1.TelemetryService/SetLogLevel", "blixard.audit.detail": "debug", ...common },
    ],
  );
  assert.deepEqual(
    records.map((record) => record.context?.traceId),
    [traceId, traceId, traceId],
  );
});

test("the log level is told and changed, and nonsense is refused", async (context) => {
  const fixture = await startApi(context);
  const call = (method: string, body: string): Promise<PlainAnswer> =>
    callPlain(fixture.addresses.unix, { method: `blixard.v1.TelemetryService/${method}`, body });
  assert.deepEqual((await call("GetLogLevel", "{}")).json, { level: "LOG_LEVEL_INFO" });
  assert.deepEqual((await call("SetLogLevel", '{"level":"LOG_LEVEL_ERROR"}')).json, {
    previousLevel: "LOG_LEVEL_INFO",
  });
  assert.deepEqual((await call("GetLogLevel", "{}")).json, { level: "LOG_LEVEL_ERROR" });
  for (const body of ["{}", '{"level":99}', '{"level":"LOUD"}'])
    assert.equal((await call("SetLogLevel", body)).status, 400);
});

test("trace rules over the wire: made, listed, ended, and refused with a reason", async (context) => {
  const fixture = await startApi(context);
  await fixture.manifests.create(anImage());
  const call = (method: string, body: string): Promise<PlainAnswer> =>
    callPlain(fixture.addresses.unix, { method: `blixard.v1.${method}`, body });
  await call("VmService/CreateVm", '{"name":"web-1","spec":{"image":"demo"}}');
  const made = (await call("TelemetryService/CreateTraceRule", '{"vm":"web-1","duration":"60s"}')).json?.["rule"];
  const rule = made as { ruleId: string; vmName: string; traceId: string };
  assert.deepEqual([rule.vmName, rule.traceId.length], ["web-1", 32]);
  assert.deepEqual((await call("TelemetryService/ListTraceRules", "{}")).json, { rules: [made] });
  for (const [body, status] of [
    ["{}", 400],
    ['{"vm":"web-1"}', 400],
    ['{"vm":"web-1","duration":"0.5s"}', 400],
    ['{"vm":"web-1","duration":"315576000000s"}', 400],
    ['{"vm":"web-2","duration":"60s"}', 404],
  ] as const)
    assert.equal((await call("TelemetryService/CreateTraceRule", body)).status, status, body);
  const end = (): Promise<PlainAnswer> =>
    call("TelemetryService/DeleteTraceRule", JSON.stringify({ ruleId: rule.ruleId }));
  assert.equal((await end()).status, 200);
  assert.equal((await end()).status, 404);
  assert.deepEqual((await call("TelemetryService/ListTraceRules", "{}")).json, {});
});
