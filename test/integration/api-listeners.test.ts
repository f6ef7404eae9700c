/** Who may open the API, and what happens at its borders: taken places, slow and greedy callers, the end. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import { status } from "@grpc/grpc-js";
import { createApiServer } from "#api/api-server.ts";
import { grpcServerRejected } from "#gen/telemetry/metrics.ts";
import { VmService } from "#gen/api/blixard/v1/vm_pb.ts";
import { BlixardError, type ErrorCode } from "#model/errors.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import {
  callHttp2,
  callPlain,
  envelope,
  noMachines,
  openSocket,
  startApi,
  type ApiFixture,
} from "#test/support/api-server.ts";
import { createGrpcClient } from "#test/support/grpc-client.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { aCreateVm, anImage } from "#test/support/store-fixtures.ts";
import { waitFor } from "#test/support/wait-for.ts";

const listVms = { method: "blixard.v1.VmService/ListVms" };

const fails =
  (code: ErrorCode) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof BlixardError, String(error));
    assert.equal(error.code, code);
    assert.ok((error.hint ?? "").length > 10);
    return true;
  };

function detailOf(answer: { json: Record<string, unknown> | undefined }): { code: string; hint: string } {
  const details = answer.json?.["details"] as { debug: { code: string; hint: string } }[] | undefined;
  const detail = details?.[0];
  assert.ok(detail);
  return detail.debug;
}

const rejected = (fixture: ApiFixture, reason: "auth" | "overload" | "invalid" | "shutting_down"): number =>
  fixture.telemetry.value(grpcServerRejected, { "blixard.grpc.rejection_reason": reason }) ?? -1;

/** Resolves with everything the server said when it has closed the connection. */
async function untilClosed(socket: Socket): Promise<string> {
  let said = "";
  socket.on("data", (data) => (said += data.toString("latin1")));
  if (!socket.destroyed) await new Promise((resolve) => socket.once("close", resolve));
  return said;
}

// --- Who may call ------------------------------------------------------------

test("the unix socket and the token can be opened by their owner alone", async (context) => {
  const fixture = await startApi(context);
  assert.equal((await stat(fixture.addresses.unix)).mode & 0o777, 0o600);
  assert.equal((await stat(dirname(fixture.addresses.unix))).mode & 0o777, 0o700);
  assert.equal((await stat(join(fixture.directory, "token"))).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(dirname(fixture.addresses.unix)), ["api.sock"]);
});

test("on TCP a call needs the token, in every protocol, and refusals are counted and leave no span", async (context) => {
  const fixture = await startApi(context);
  const authorization = { authorization: `Bearer ${fixture.token}` };
  for (const send of [callPlain, callHttp2]) {
    assert.equal((await send(fixture.addresses.tcp, { ...listVms, headers: authorization })).status, 200);
    const refused = await send(fixture.addresses.tcp, { ...listVms, headers: { authorization: "Bearer wrong" } });
    assert.equal(refused.status, 401);
    assert.match(detailOf(refused).hint, /token/);
  }
  using stranger = createGrpcClient(fixture.addresses.tcp);
  await assert.rejects(stranger.unary(VmService.method.listVms, {}), { code: status.UNAUTHENTICATED });
  assert.equal(rejected(fixture, "auth"), 3);
  assert.equal(fixture.telemetry.spans.length, 2);
});

test("a web page cannot reach the node under its own name, nor from another origin", async (context) => {
  const fixture = await startApi(context);
  const authorization = `Bearer ${fixture.token}`;
  for (const headers of [{ host: "evil.example" }, { origin: "http://evil.example" }]) {
    const answer = await callPlain(fixture.addresses.tcp, { ...listVms, headers: { authorization, ...headers } });
    assert.equal(answer.status, 403);
    assert.equal(detailOf(answer).code, "PERMISSION_DENIED");
  }
});

// --- Taken places --------------------------------------------------------------

async function startBare(
  context: TestContext,
  socketPath: string,
  tcp?: { host: string; port: number; tokenFile: string },
) {
  const server = createApiServer({
    socketPath,
    ...(tcp === undefined ? {} : { tcp }),
    services: [],
    telemetry: createMemoryTelemetry(),
    clock: createSystemClock(),
  });
  context.after(() => server.stop({ timeoutMs: 100 }));
  return await server.start();
}

async function temporaryDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "blixard-listen-"));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

test("a port that is taken is PORT_TAKEN with what to do, and nothing else listens then", async (context) => {
  const directory = await temporaryDirectory(context);
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  context.after(() => other.close());
  const { port } = other.address() as { port: number };
  const socketPath = join(directory, "api.sock");
  const tcp = { host: "127.0.0.1", port, tokenFile: join(directory, "token") };
  await assert.rejects(startBare(context, socketPath, tcp), fails("PORT_TAKEN"));
  assert.deepEqual(await readdir(directory), ["token"]);
});

test("an address that this machine does not have, or a port it may not open, is CONFIG_INVALID", async (context) => {
  const directory = await temporaryDirectory(context);
  const tcp = { host: "203.0.113.7", port: 0, tokenFile: join(directory, "token") };
  await assert.rejects(startBare(context, join(directory, "api.sock"), tcp), fails("CONFIG_INVALID"));
});

test("the socket of a node that lives is not taken away from it", async (context) => {
  const fixture = await startApi(context);
  await assert.rejects(startBare(context, fixture.addresses.unix), fails("PORT_TAKEN"));
  assert.equal((await callPlain(fixture.addresses.unix, listVms)).status, 200);
});

test("the socket that a killed node left behind is replaced", async (context) => {
  const directory = await temporaryDirectory(context);
  const socketPath = join(directory, "api.sock");
  const listen = `require("node:net").createServer().listen(${JSON.stringify(socketPath)}, () => console.log("up"))`;
  const child = spawn(process.execPath, ["--eval", listen], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.ok((await stat(socketPath)).isSocket());
  await startBare(context, socketPath);
  assert.equal((await callPlain(socketPath, { method: "grpc.health.v1.Health/Check" })).status, 200);
});

test("a socket path that cannot work is refused before anything is tried", async (context) => {
  const directory = await temporaryDirectory(context);
  await assert.rejects(startBare(context, join(directory, "x".repeat(120))), fails("DATA_DIRECTORY_UNUSABLE"));
  await writeFile(join(directory, "file"), "");
  await assert.rejects(startBare(context, join(directory, "file", "api.sock")), fails("DATA_DIRECTORY_UNUSABLE"));
  await mkdir(join(directory, "folder"));
  await assert.rejects(startBare(context, join(directory, "folder")), fails("DATA_DIRECTORY_UNUSABLE"));
});

// --- Slow and greedy callers -----------------------------------------------------

test("connections that never finish a request's headers are ended, and the others are served meanwhile", async (context) => {
  const fixture = await startApi(context, { limits: { headerTimeoutMs: 300 } });
  const beginnings = [
    "",
    "P",
    "PRI * HTTP/2.0\r\n\r\nSM",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "POST /blixard.v1.VmService/ListVms HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
  ];
  const sockets = await Promise.all(beginnings.map(() => openSocket(fixture.addresses.unix)));
  const closed = sockets.map(async (socket, index) => {
    socket.write(beginnings[index] ?? "");
    const drip = setInterval(() => socket.write("x"), 50);
    if (index === 0 || index === 3) clearInterval(drip);
    await untilClosed(socket);
    clearInterval(drip);
  });
  assert.equal((await callPlain(fixture.addresses.unix, listVms)).status, 200);
  await Promise.all(closed);
});

test("a body that stops coming is DEADLINE_EXCEEDED, over HTTP/1.1 and HTTP/2", async (context) => {
  const fixture = await startApi(context, { limits: { requestIdleTimeoutMs: 200 } });
  const socket = await openSocket(fixture.addresses.unix);
  const head =
    "POST /blixard.v1.VmService/ListVms HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{";
  socket.write(head);
  assert.match(await untilClosed(socket), /deadline_exceeded.*DEADLINE_EXCEEDED/);
  const session = connectHttp2(`http://${fixture.addresses.tcp}`);
  const stream = session.request({
    ":method": "POST",
    ":path": "/blixard.v1.VmService/ListVms",
    "content-type": "application/grpc",
    authorization: `Bearer ${fixture.token}`,
  });
  stream.on("data", () => undefined);
  const [trailers] = (await once(stream, "trailers")) as [Record<string, string>];
  assert.equal(trailers["grpc-status"], String(status.DEADLINE_EXCEEDED));
  session.destroy();
});

test("a message that is too large is REQUEST_TOO_LARGE, also when it is only so unpacked", async (context) => {
  const fixture = await startApi(context, { limits: { maximumMessageBytes: 10_000 } });
  const large = JSON.stringify({ pageToken: "x".repeat(20_000) });
  for (const send of [callPlain, callHttp2]) {
    const answer = await send(fixture.addresses.unix, { ...listVms, body: large });
    assert.equal(answer.status, 429);
    assert.equal(detailOf(answer).code, "REQUEST_TOO_LARGE");
  }
  const bomb = gzipSync(Buffer.alloc(50_000_000));
  assert.ok(bomb.length > 10_000);
  const packed = gzipSync(Buffer.from(large));
  assert.ok(packed.length < 1000);
  for (const body of [bomb, packed]) {
    const answer = await callPlain(fixture.addresses.unix, {
      ...listVms,
      body,
      headers: { "content-encoding": "gzip" },
    });
    assert.equal(detailOf(answer).code, "REQUEST_TOO_LARGE");
  }
  assert.equal(rejected(fixture, "invalid"), 4);
});

test("an answer that is due before the request is complete is given then, and ends the sending", async (context) => {
  const fixture = await startApi(context);
  const body = Buffer.alloc(4_000_000);
  const answer = await callHttp2(fixture.addresses.unix, { method: "no.such/Method", body });
  assert.equal(answer.status, 501);
  const headers = { "content-type": "application/grpc" };
  const refused = await callHttp2(fixture.addresses.tcp, { ...listVms, body, headers });
  assert.equal((refused.headers as Record<string, string>)["grpc-status"], String(status.UNAUTHENTICATED));
});

test("headers that are too large end the request, not the node", async (context) => {
  const fixture = await startApi(context);
  const headers = { "x-large": "x".repeat(20_000) };
  assert.equal((await callPlain(fixture.addresses.unix, { ...listVms, headers })).status, 431);
  assert.equal((await callPlain(fixture.addresses.unix, listVms)).status, 200);
});

test("more calls than the node serves at a time are TOO_MANY_REQUESTS, and counted", async (context) => {
  const fixture = await startApi(context, { limits: { maximumStreamingCalls: 2 } });
  using client = createGrpcClient(`unix:${fixture.addresses.unix}`);
  const watches = [1, 2].map(() => client.serverStream(VmService.method.watchVms, {}));
  for (const watch of watches) watch.on("error", () => undefined);
  await Promise.all(watches.map((watch) => once(watch, "data")));
  const third = client.serverStream(VmService.method.watchVms, {});
  const [error] = (await once(
    third.on("data", () => undefined),
    "error",
  )) as [{ code: number }];
  assert.equal(error.code, status.RESOURCE_EXHAUSTED);
  assert.equal(rejected(fixture, "overload"), 1);
  await client.unary(VmService.method.listVms, {});
  watches[0]?.cancel();
  await waitFor("a place to be free", async () => {
    const watch = client.serverStream(VmService.method.watchVms, {});
    const first = await Promise.race([
      once(watch, "data").then(() => true),
      once(watch, "error").then(() => false),
    ]).catch(() => false);
    watch.on("error", () => undefined);
    watch.cancel();
    return first;
  });
  for (const watch of watches) watch.cancel();
});

test("more connections than the node bears are closed at once, and counted", async (context) => {
  const fixture = await startApi(context, { limits: { maximumConnections: 3 } });
  const sockets = await Promise.all([1, 2, 3].map(() => openSocket(fixture.addresses.unix)));
  const fourth = await openSocket(fixture.addresses.unix);
  await untilClosed(fourth);
  assert.equal(rejected(fixture, "overload"), 1);
  for (const socket of sockets) socket.destroy();
  await waitFor("a place to be free", async () => {
    const answer = await callPlain(fixture.addresses.unix, listVms).catch(() => undefined);
    return answer?.status === 200;
  });
});

test("a watcher that reads nothing is dropped, and does not hold up the others", async (context) => {
  const endless = (async function* () {
    for (;;) yield { data: Buffer.alloc(60_000), skippedBytes: 0 };
  })();
  const fixture = await startApi(context, {
    limits: { responseStallTimeoutMs: 300 },
    machines: { ...noMachines, readLog: () => endless },
  });
  await fixture.manifests.create(anImage());
  const { revision } = await fixture.vms.create(aCreateVm({ name: "web-1" }));
  await fixture.cache.waitForRevision(revision);
  const socket = await openSocket(fixture.addresses.unix);
  const body = envelope('{"vm":"web-1","follow":true}');
  socket.pause();
  socket.write(
    `POST /blixard.v1.VmService/ReadVmLog HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/connect+json\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  socket.write(body);
  await waitFor("the stalled call to end", () =>
    fixture.telemetry
      .spansNamed("blixard.v1.VmService/ReadVmLog")
      .some((span) => span.attributes["rpc.status_code"] === "CANCELLED"),
  );
  assert.equal((await callPlain(fixture.addresses.unix, listVms)).status, 200);
  socket.destroy();
});

// --- The end ---------------------------------------------------------------------

test("stopping ends streams with UNAVAILABLE, lets calls finish, and takes no new ones", async (context) => {
  const gate = Promise.withResolvers<void>();
  const fixture = await startApi(context, { machines: noMachines });
  const remove = fixture.images.remove.bind(fixture.images);
  fixture.images.remove = async (image) => {
    await gate.promise;
    await remove(image);
  };
  const { revision } = await fixture.manifests.create(anImage());
  await fixture.cache.waitForRevision(revision);
  using client = createGrpcClient(`unix:${fixture.addresses.unix}`);
  const watch = client.serverStream(VmService.method.watchVms, {});
  const ended = once(watch, "error") as Promise<[{ code: number; details: string }]>;
  await once(watch, "data");
  const slow = callPlain(fixture.addresses.unix, {
    method: "blixard.v1.ImageService/DeleteImage",
    body: '{"name":"demo"}',
  });
  await waitFor("the delete to be under way", async () => (await fixture.manifests.get("demo")) === undefined);
  const stopped = fixture.server.stop({ timeoutMs: 10_000 });
  assert.equal((await ended)[0].code, status.UNAVAILABLE);
  assert.match((await ended)[0].details, /shutting down/);
  await assert.rejects(callPlain(fixture.addresses.unix, listVms));
  gate.resolve();
  assert.equal((await slow).status, 200);
  await stopped;
  await assert.rejects(stat(fixture.addresses.unix), { code: "ENOENT" });
});

test("a call that does not end by the deadline of stopping is told UNAVAILABLE", async (context) => {
  const fixture = await startApi(context);
  fixture.images.remove = () => new Promise(() => undefined);
  const { revision } = await fixture.manifests.create(anImage());
  await fixture.cache.waitForRevision(revision);
  const stuck = callPlain(fixture.addresses.unix, {
    method: "blixard.v1.ImageService/DeleteImage",
    body: '{"name":"demo"}',
  });
  await waitFor("the delete to be under way", async () => (await fixture.manifests.get("demo")) === undefined);
  await fixture.server.stop({ timeoutMs: 50 });
  const answer = await stuck;
  assert.equal(answer.status, 503);
  assert.equal(detailOf(answer).code, "SHUTTING_DOWN");
});

test("a unary call that hangs is answered when the node's own deadline has passed", async (context) => {
  const fixture = await startApi(context, { limits: { unaryTimeoutMs: 200 } });
  fixture.images.remove = () => new Promise(() => undefined);
  const { revision } = await fixture.manifests.create(anImage());
  await fixture.cache.waitForRevision(revision);
  const answer = await callPlain(fixture.addresses.unix, {
    method: "blixard.v1.ImageService/DeleteImage",
    body: '{"name":"demo"}',
  });
  assert.equal(answer.status, 504);
  assert.equal(detailOf(answer).code, "DEADLINE_EXCEEDED");
});
