/**
 * 1,000 random and malformed calls over real sockets: each one is answered with success
 * or a typed error, or its connection is closed; the node serves on, and nothing inside
 * it fails in a way that nobody expected.
 */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { fromBinary, toBinary, toJsonString, type DescMethod, type DescService } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { ClusterService } from "#gen/api/blixard/v1/cluster_pb.ts";
import { ErrorDetailSchema } from "#gen/api/blixard/v1/common_pb.ts";
import { ImageService } from "#gen/api/blixard/v1/image_pb.ts";
import { NodeService } from "#gen/api/blixard/v1/node_pb.ts";
import { TelemetryService } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { VmService } from "#gen/api/blixard/v1/vm_pb.ts";
import { Health } from "#gen/grpc/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "#gen/grpc/grpc/reflection/v1/reflection_pb.ts";
import { errorCodes } from "#model/errors.ts";
import {
  callHttp2,
  callPlain,
  envelope,
  openEnvelopes,
  openSocket,
  startApi,
  type ApiFixture,
  type PlainAnswer,
  type PlainCall,
} from "#test/support/api-server.ts";
import { createRandom, randomMessage, type Random } from "#test/support/random-message.ts";
import { anImage, aRegistration } from "#test/support/store-fixtures.ts";

const CALLS = 1000;
const CONCURRENCY = 16;
const services: readonly [DescService, ...DescService[]] = [
  VmService,
  ImageService,
  NodeService,
  ClusterService,
  TelemetryService,
  Health,
  ServerReflection,
];

type Protocol = "json" | "proto" | "connect+json" | "connect+proto" | "grpc" | "grpc-web" | "odd";
const protocols: readonly [Protocol, ...Protocol[]] = [
  "json",
  "proto",
  "connect+json",
  "connect+proto",
  "grpc",
  "grpc-web",
  "odd",
];
const oddContentTypes = [
  "",
  "text/plain",
  "application/grpc+json",
  "application/grpc-web-text",
  "application/connect+xml",
  "application/json; charset=latin1",
  "multipart/form-data",
  '"',
  "application/grpc+proto; x=1",
] as const;
const garbage = [
  "",
  "{",
  "null",
  "[]",
  "true",
  '"x"',
  '{"vm":7}',
  '{"vm":"web-1","vm":"x"}',
  '{"spec":{"vcpus":-1}}',
  '{"spec":{"memoryBytes":"1e400"}}',
  '{"__proto__":{}}',
  "[".repeat(5000),
  "\ud800",
  '{"pageSize":1e99}',
] as const;

interface Attempt {
  readonly call: PlainCall;
  readonly protocol: Protocol;
  readonly http2: boolean;
}

function randomAttempt(random: Random): Attempt {
  const service = random.pick(services);
  const method = service.methods[random.below(service.methods.length)] ?? VmService.method.getVm;
  const protocol = random.pick(protocols);
  const path = random.next() < 0.9 ? `${service.typeName}/${method.name}` : randomPath(random);
  const contentType = protocol === "odd" ? random.pick(oddContentTypes) : `application/${protocol}`;
  return {
    call: {
      method: path,
      httpMethod: random.next() < 0.95 ? "POST" : random.pick(["GET", "PUT", "OPTIONS", "DELETE", "PATCH"]),
      body: randomBody(random, method, protocol),
      headers: { "content-type": contentType, te: "trailers", ...randomHeaders(random) },
    },
    protocol,
    http2: random.next() < 0.5,
  };
}

function randomPath(random: Random): string {
  return random.pick([
    "",
    "/",
    "blixard.v1.VmService",
    "blixard.v1.VmService/",
    "a/b",
    "%00",
    "..%2f..",
    "x".repeat(3000),
    "blixard.v1.VmService/GetVm?x=1",
    "#",
  ]);
}

function randomHeaders(random: Random): Record<string, string> {
  const headers: Record<string, string> = {};
  // Streams of the node's end by the caller's deadline: every attempt has one.
  headers["connect-timeout-ms"] = random.next() < 0.9 ? "400" : random.pick(["-1", "x", "99999999999", "0", "1"]);
  headers["grpc-timeout"] = random.next() < 0.9 ? "400m" : random.pick(["1H1", "x", "999999999H", "0n", "1u"]);
  if (random.next() < 0.1) headers["content-encoding"] = random.pick(["gzip", "br", "deflate", "x"]);
  if (random.next() < 0.1) headers["grpc-encoding"] = random.pick(["gzip", "identity", "x"]);
  if (random.next() < 0.1)
    headers["traceparent"] = random.pick(["x", "00-1-1-1", `00-${"a".repeat(32)}-${"b".repeat(16)}-01`]);
  if (random.next() < 0.05) headers["x-odd"] = "é".repeat(random.below(50));
  return headers;
}

function randomBody(random: Random, method: DescMethod, protocol: Protocol): Buffer {
  const isStream = protocol === "grpc" || protocol === "grpc-web" || protocol.startsWith("connect+");
  const choice = random.next();
  if (choice < 0.1) return random.bytes(random.below(200));
  const messages = Array.from({ length: isStream ? random.pick([1, 1, 1, 0, 2, 3]) : 1 }, () =>
    randomPayload(random, method, protocol),
  );
  if (!isStream) return messages[0] ?? Buffer.alloc(0);
  const body = Buffer.concat(messages.map((message) => envelope(message, random.next() < 0.9 ? 0 : random.below(256))));
  if (choice < 0.2) return body.subarray(0, random.below(body.length + 1));
  if (choice < 0.25 && body.length > 5) body.writeUInt32BE(random.pick([0, 5_000_000, 0xffffffff]), 1);
  return body;
}

function randomPayload(random: Random, method: DescMethod, protocol: Protocol): Buffer {
  const choice = random.next();
  if (choice < 0.15) return random.bytes(random.below(300));
  if (choice < 0.17) return Buffer.alloc(4_300_000, 0x20);
  if (choice < 0.35) return Buffer.from(random.pick(garbage));
  const message = randomMessage(method.input, random);
  if (!protocol.endsWith("json")) return Buffer.from(toBinary(method.input, message));
  try {
    return Buffer.from(toJsonString(method.input, message));
  } catch {
    // JSON has no words for some of these values.
    return Buffer.from("{}");
  }
}

// --- What an answer may be -----------------------------------------------------

/** The answer's status as a gRPC status name, or how it is neither success nor a typed error. */
function judge({ call, protocol }: Attempt, answer: PlainAnswer): string {
  const contentType = answer.headers["content-type"] ?? "";
  if (contentType.startsWith("application/grpc-web")) return judgeTrailers(parseTrailers(openEnvelopes(answer.body)));
  if (contentType.startsWith("application/grpc")) return judgeTrailers(grpcTrailersOf(answer));
  if (contentType.startsWith("application/connect+")) {
    const end = openEnvelopes(answer.body).findLast(({ flags }) => (flags & 2) !== 0);
    assert.ok(end, "a Connect stream without its end");
    const { error } = JSON.parse(end.data.toString()) as { error?: ConnectErrorJson };
    return error === undefined ? "ok" : judgeConnectError(error);
  }
  if (answer.status === 200) {
    assert.match(contentType, /^application\/(json|proto)/, `${protocol} ${call.method}`);
    return "ok";
  }
  assert.ok(
    answer.json !== undefined,
    `${answer.status} ${contentType} without JSON: ${answer.body.toString().slice(0, 200)}`,
  );
  return judgeConnectError(answer.json as unknown as ConnectErrorJson);
}

function grpcTrailersOf(answer: PlainAnswer): Record<string, string> {
  const headers: Readonly<Record<string, unknown>> = answer.headers;
  const names = Object.keys(headers).filter((name) => name.startsWith("grpc-"));
  return Object.fromEntries(names.map((name) => [name, String(headers[name])]));
}

interface ConnectErrorJson {
  readonly code: string;
  readonly message?: string;
  readonly details?: readonly { readonly type: string; readonly value: string }[];
}

function judgeConnectError({ code, message, details }: ConnectErrorJson): string {
  assert.notEqual(code, "internal", String(message));
  assert.notEqual(code, "unknown", String(message));
  const [detail] = details ?? [];
  if (detail !== undefined) judgeDetail(fromBinary(ErrorDetailSchema, base64Decode(detail.value)).code);
  return code;
}

function judgeTrailers(trailers: Readonly<Record<string, string>>): string {
  const code = trailers["grpc-status"];
  assert.ok(code !== undefined, `no grpc-status in ${JSON.stringify(trailers)}`);
  assert.ok(
    Number(code) >= 0 && Number(code) <= 16 && code !== "2" && code !== "13",
    `grpc-status ${code}: ${trailers["grpc-message"]}`,
  );
  const error = findTrailerError(new Headers(trailers));
  if (error === undefined) return "ok";
  const [detail] = error.findDetails(ErrorDetailSchema);
  assert.ok(detail, `status ${code} without a detail`);
  judgeDetail(detail.code);
  return code;
}

function judgeDetail(code: string): void {
  assert.ok(Object.hasOwn(errorCodes, code), code);
  assert.notEqual(code, "INTERNAL");
}

function parseTrailers(envelopes: readonly { flags: number; data: Buffer }[]): Record<string, string> {
  const end = envelopes.findLast(({ flags }) => (flags & 0x80) !== 0);
  assert.ok(end, "a gRPC-web answer without its trailers");
  return Object.fromEntries(
    end.data
      .toString()
      .split("\r\n")
      .filter((line) => line.includes(":"))
      .map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
}

// --- Callers that are no clients ---------------------------------------------------

const HTTP2_PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** Says something, then goes away: at once, politely, or after the node has closed the connection. */
async function babble(address: string, random: Random): Promise<void> {
  const socket = await openSocket(address);
  const beginning = random.pick([
    "",
    "GET / HTTP/1.1\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
    "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    HTTP2_PREFACE,
    HTTP2_PREFACE.slice(0, 10),
    "\x16\x03\x01\x02\x00",
    "CONNECT a:1 HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
  ]);
  const frame = Buffer.concat([
    Buffer.from([0, 0, random.below(20), random.below(12), random.below(256), 0, 0, 0, random.below(5)]),
    random.bytes(random.below(60)),
  ]);
  socket.on("data", () => undefined);
  socket.write(beginning, "latin1");
  if (random.next() < 0.7) socket.write(random.next() < 0.5 ? frame : random.bytes(random.below(500)));
  await new Promise(setImmediate);
  if (random.next() < 0.5) socket.destroy();
  else socket.end();
}

async function attempt(fixture: ApiFixture, random: Random): Promise<string> {
  const onTcp = random.next() < 0.3;
  const address = onTcp ? fixture.addresses.tcp : fixture.addresses.unix;
  if (random.next() < 0.1) {
    await babble(address, random);
    return "babble";
  }
  const plan = randomAttempt(random);
  const headers: Record<string, string> = { ...plan.call.headers };
  if (onTcp) headers["authorization"] = `Bearer ${fixture.token}`;
  const { te: _te, ...plainHeaders } = headers;
  // gRPC needs HTTP/2: elsewhere its trailers cannot be read.
  const overHttp2 = plan.http2 || headers["content-type"]?.startsWith("application/grpc") === true;
  const answer = overHttp2
    ? await callHttp2(address, { ...plan.call, headers })
    : await callPlain(address, {
        ...plan.call,
        headers: plainHeaders,
        ...(plan.call.httpMethod === "POST" ? {} : { body: "" }),
      });
  try {
    return judge(plan, answer);
  } catch (error) {
    const { body, ...shown } = plan.call;
    const sent = Buffer.from(body ?? "")
      .subarray(0, 200)
      .toString("latin1");
    throw new Error(JSON.stringify({ overHttp2, headers, ...shown, sent }), { cause: error });
  }
}

test("1,000 random and malformed calls are each a success or a typed error, and the node serves on", async (context) => {
  const seed = Number(process.env["BLIXARD_TEST_SEED"] ?? randomInt(2 ** 31));
  context.diagnostic(`BLIXARD_TEST_SEED=${seed}`);
  const fixture = await startApi(context, { limits: { requestIdleTimeoutMs: 2000, headerTimeoutMs: 500 } });
  const { revision } = await fixture.manifests.create(anImage());
  await fixture.nodes.register({ registration: aRegistration(), instanceId: "run-1", leaseTtlMs: 3_600_000 });
  await fixture.cache.waitForRevision(revision);
  const unexpected: unknown[] = [];
  const note = (error: unknown): void => void unexpected.push(error);
  process.on("unhandledRejection", note);
  process.on("uncaughtException", note);
  context.after(() => {
    process.off("unhandledRejection", note);
    process.off("uncaughtException", note);
  });
  const outcomes = new Map<string, number>();
  let next = 0;
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      while (next < CALLS) {
        const index = next++;
        try {
          const outcome = await attempt(fixture, createRandom(seed + index));
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        } catch (error) {
          throw new Error(`call ${index} of seed ${seed}`, { cause: error });
        }
      }
    }),
  );
  for (const address of [fixture.addresses.unix, fixture.addresses.tcp]) {
    const headers = { authorization: `Bearer ${fixture.token}` };
    assert.equal((await callPlain(address, { method: "blixard.v1.VmService/ListVms", headers })).status, 200);
  }
  assert.deepEqual(unexpected, []);
  assert.deepEqual(
    fixture.telemetry.logs.filter((log) => log.level === "error"),
    [],
  );
  context.diagnostic(JSON.stringify(Object.fromEntries(outcomes)));
  assert.ok((outcomes.get("ok") ?? 0) > 20, "the calls are not all nonsense");
});
