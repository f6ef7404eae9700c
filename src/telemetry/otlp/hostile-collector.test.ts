// Collectors that misbehave on real sockets: each is bounded, and named for what it is.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { test, type TestContext } from "node:test";
import { Secret } from "#model/secret.ts";
import { loopbackCertificate, loopbackKey } from "#test/support/loopback-certificate.ts";
import { expiredCertificate, oddKey, strangersCertificate } from "#test/support/odd-certificates.ts";
import { startOtlpReceiver, type OtlpReceiver, type OtlpReceiverOptions } from "#test/support/otlp-receiver.ts";
import { buildSpan } from "#test/support/spans.ts";
import type { OtlpOptions, OtlpProtocol } from "../telemetry-options.ts";
import { resolveDestination } from "./destination.ts";
import { encodeSpans } from "./encode-spans.ts";
import type { NetworkProblem, SendOutcome } from "./send-outcome.ts";
import { createTransport } from "./signal-sender.ts";

const protocols: readonly OtlpProtocol[] = ["grpc", "http/protobuf", "http/json"];
const httpProtocols = ["http/protobuf", "http/json"] as const;
const span = buildSpan();

async function send(t: TestContext, endpoint: string, options: Partial<OtlpOptions>): Promise<SendOutcome> {
  const transport = createTransport(resolveDestination({ endpoint, ...options }, "traces"), "traces", "blixard/test");
  t.after(() => transport.close());
  const [request] = encodeSpans([span]).requests;
  assert.ok(request !== undefined);
  return transport.send(request.bytes, new AbortController().signal);
}

function assertProblem(outcome: SendOutcome, cause: NetworkProblem, kind: SendOutcome["kind"] = "retry"): void {
  assert.equal("cause" in outcome ? outcome.cause : outcome.kind, cause, JSON.stringify(outcome));
  assert.equal(outcome.kind, kind, JSON.stringify(outcome));
  assert.ok("reason" in outcome && outcome.reason.length > 0 && outcome.reason.length < 400);
  assert.doesNotMatch(outcome.reason, /\p{Cc}/u);
}

/** A port where `behave` gets each connection as soon as it has said something. */
async function listen(t: TestContext, behave: (socket: Socket) => void, server = createServer()): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.once("data", () => behave(socket));
  });
  return opened(t, server, () => sockets.forEach((socket) => socket.destroy()));
}

async function opened(t: TestContext, server: Server, end: () => void): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    end();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function startReceiver(t: TestContext, options?: OtlpReceiverOptions): Promise<OtlpReceiver> {
  const receiver = await startOtlpReceiver(options);
  t.after(() => receiver[Symbol.asyncDispose]());
  return receiver;
}

for (const protocol of protocols) {
  const isGrpc = protocol === "grpc";

  test(`${protocol}: a collector that resets, closes or never answers`, async (t) => {
    const resets = await listen(t, (socket) => void socket.resetAndDestroy());
    assertProblem(await send(t, resets, { protocol }), "connection_reset");
    const closes = await listen(t, (socket) => void socket.end());
    assertProblem(await send(t, closes, { protocol }), "connection_reset");
    const silent = await listen(t, (socket) => void socket.resume());
    assertProblem(await send(t, silent, { protocol, timeoutMs: 200 }), "timeout");
  });

  test(`${protocol}: nobody there, no such name`, async (t) => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    assertProblem(await send(t, `http://127.0.0.1:${port}`, { protocol }), "connection_refused");
  });

  test(`${protocol}: a port that speaks something else`, async (t) => {
    const ssh = await listen(t, (socket) => void socket.end("SSH-2.0-OpenSSH_9.6\r\n"));
    assertProblem(await send(t, ssh, { protocol }), isGrpc ? "grpc_to_http1_port" : "response_not_otlp");
  });

  test(`${protocol}: TLS to plain text, the wrong protocol within TLS and without`, async (t) => {
    const plain = await startReceiver(t);
    const secure = await startReceiver(t, { tls: { certificate: loopbackCertificate, key: loopbackKey } });
    const tls = { certificateAuthorities: loopbackCertificate };
    const [own, other] = isGrpc
      ? (["grpcEndpoint", "httpEndpoint"] as const)
      : (["httpEndpoint", "grpcEndpoint"] as const);
    const withTls = plain[own].replace("http:", "https:");
    assertProblem(await send(t, withTls, { protocol, tls }), "tls_to_plaintext_port");
    const wrong = isGrpc ? "grpc_to_http1_port" : "http_to_grpc_port";
    assertProblem(await send(t, plain[other], { protocol }), wrong);
    // A server of gRPC tells those who come with HTTP/1.1 within TLS to go.
    assertProblem(await send(t, secure[other], { protocol, tls }), wrong, isGrpc ? "retry" : "refused");
    // It only closes the connection: what it expected has to be found out.
    const withoutTls = secure[own].replace("https:", "http:");
    const outcome = await send(t, withoutTls, { protocol });
    assertProblem(outcome, "plaintext_to_tls_port");
    assert.deepEqual(plain.problems, []);
  });

  test(`${protocol}: certificates that are self-signed, expired, or another host's; a client certificate that is missing`, async (t) => {
    const signed = await startReceiver(t, { tls: { certificate: loopbackCertificate, key: loopbackKey } });
    const endpointOf = (receiver: OtlpReceiver): string => (isGrpc ? receiver.grpcEndpoint : receiver.httpEndpoint);
    assertProblem(await send(t, endpointOf(signed), { protocol }), "certificate_self_signed");
    const cases: readonly (readonly [string, NetworkProblem])[] = [
      [expiredCertificate, "certificate_expired"],
      [strangersCertificate, "certificate_wrong_host"],
    ];
    for (const [certificate, problem] of cases) {
      const receiver = await startReceiver(t, { tls: { certificate, key: oddKey } });
      const tls = { certificateAuthorities: certificate };
      assertProblem(await send(t, endpointOf(receiver), { protocol, tls }), problem);
    }
    const wanting = createTlsServer({
      cert: loopbackCertificate,
      key: loopbackKey,
      ca: loopbackCertificate,
      requestCert: true,
      rejectUnauthorized: true,
      // Here the refusal is part of the handshake; with TLS 1.3 it may come after the request.
      maxVersion: "TLSv1.2",
      ALPNProtocols: ["h2", "http/1.1"],
    });
    wanting.on("tlsClientError", () => {});
    const endpoint = (await opened(t, wanting, () => {})).replace("http:", "https:");
    const tls = { certificateAuthorities: loopbackCertificate };
    const outcome = await send(t, endpoint, { protocol, tls });
    assert.ok("cause" in outcome);
    assert.match(outcome.cause ?? "", /^(client_certificate_refused|tls_failed|connection_reset)$/);
    // With one, it talks.
    const clientKey = new Secret(loopbackKey);
    wanting.on("secureConnection", (socket) => socket.on("error", () => {}).destroy());
    const known = await send(t, endpoint, {
      protocol,
      tls: { ...tls, clientCertificate: loopbackCertificate, clientKey },
    });
    assertProblem(known, "connection_reset");
  });

  test(`${protocol}: a secret that the collector repeats is not repeated by us`, async (t) => {
    const headers = { "x-token": new Secret("hush-hush-token") };
    const echo = isGrpc
      ? await listenHttp2(t, (stream) => {
          stream.respond(
            { ":status": 200, "grpc-status": "16", "grpc-message": "bad token hush-hush-token" },
            { endStream: true },
          );
        })
      : await listenHttp(t, (_request, response) => void response.writeHead(401).end("bad token hush-hush-token"));
    const outcome = await send(t, echo, { protocol, headers });
    assertProblem(outcome, "unauthenticated", "refused");
    assert.match("reason" in outcome ? outcome.reason : "", /bad token \[redacted\]/);
  });
}

// --- HTTP --------------------------------------------------------------------

type HttpHandler = NonNullable<Parameters<typeof createHttpServer>[1]>;

async function listenHttp(t: TestContext, handler: HttpHandler): Promise<string> {
  const server = createHttpServer((request, response) => {
    response.on("error", () => {});
    request.resume().once("end", () => handler(request, response));
  });
  return opened(t, server, () => server.closeAllConnections());
}

for (const protocol of httpProtocols) {
  test(`${protocol}: an answer of 100 MB is read to the limit and no further, whatever its status`, async (t) => {
    const block = Buffer.alloc(1024 * 1024, 1);
    for (const statusCode of [200, 503]) {
      let written = 0;
      const endless = await listenHttp(t, (_request, response) => {
        response.writeHead(statusCode, { "content-type": "application/x-protobuf" });
        const more = (): void => {
          while (written < 100 && !response.destroyed) {
            written++;
            if (!response.write(block)) return void response.once("drain", more);
          }
          response.end();
        };
        more();
      });
      assertProblem(await send(t, endless, { protocol }), "response_too_large", "refused");
      assert.ok(written < 50, `${written} MB were taken`);
    }
  });

  test(`${protocol}: headers without end, an answer that stops half-way, one byte at a time`, async (t) => {
    const headers = await listen(t, (socket) => {
      socket.write("HTTP/1.1 200 OK\r\nx: ");
      const more = (): void => {
        while (!socket.destroyed) if (!socket.write("y".repeat(64 * 1024))) return void socket.once("drain", more);
      };
      more();
    });
    assertProblem(await send(t, headers, { protocol }), "response_too_large", "refused");
    const half = await listen(t, (socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", () => socket.resetAndDestroy());
    });
    assertProblem(await send(t, half, { protocol }), "connection_reset");
    const drip = await listen(t, (socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 100000\r\n\r\n");
      const timer = setInterval(() => socket.write("\n"), 20);
      socket.once("close", () => clearInterval(timer));
    });
    assertProblem(await send(t, drip, { protocol, timeoutMs: 300 }), "timeout");
  });

  test(`${protocol}: redirects, web pages and other answers that are not a receiver's`, async (t) => {
    const receiver = await startReceiver(t);
    const location = `${receiver.httpEndpoint}/v1/traces`;
    const redirect = await listenHttp(t, (_request, response) => void response.writeHead(307, { location }).end());
    const redirected = await send(t, redirect, { protocol });
    assertProblem(redirected, "redirected", "refused");
    assert.match("reason" in redirected ? redirected.reason : "", /redirects are not followed.*\/v1\/traces/);
    assert.equal(receiver.requests.length, 0);
    const page = await listenHttp(t, (_request, response) => {
      response.writeHead(200, { "content-type": "text/html" }).end("<html>Welcome</html>");
    });
    assertProblem(await send(t, page, { protocol }), "response_not_otlp", "refused");
    // It took the data; what it says about that is odd, and no reason to send them again.
    for (const [contentType, body] of [
      ["application/x-protobuf", "\xff\xff\xffgarbage"],
      ["application/json", "{ not json"],
      ["application/json", '{"status":"Server available","uptime":"13m"}'],
      ["text/plain", "thank you"],
      ["image/png", "…"],
    ] as const) {
      const odd = await listenHttp(t, (_request, response) => {
        response.writeHead(200, { "content-type": contentType }).end(body);
      });
      const outcome = await send(t, odd, { protocol });
      assert.equal(outcome.kind, "accepted");
      assert.match("note" in outcome ? outcome.note : "", /not an OTLP response/);
    }
    for (const statusCode of [200, 202, 204]) {
      const terse = await listenHttp(t, (_request, response) => void response.writeHead(statusCode).end());
      assert.deepEqual(await send(t, terse, { protocol }), { kind: "accepted" });
    }
  });

  test(`${protocol}: what a failure says is found in a Status of either encoding, and in plain text`, async (t) => {
    const protobuf = Buffer.concat([Buffer.from([0x12, 11]), Buffer.from("bad request")]);
    for (const [contentType, body] of [
      ["application/x-protobuf", protobuf],
      ["application/json", Buffer.from(`{"code":3,"message":"bad request","details":[]}`)],
      ["text/plain", Buffer.from("bad request\n")],
    ] as const) {
      const refusing = await listenHttp(t, (_request, response) => {
        response.writeHead(400, { "content-type": contentType }).end(body);
      });
      const outcome = await send(t, refusing, { protocol });
      assertProblem(outcome, "request_refused", "refused");
      assert.match("reason" in outcome ? outcome.reason : "", /HTTP 400: bad request/);
    }
  });
}

test("http/json: a partial success in JSON is understood, with 64-bit numbers as text, and absurd ones", async (t) => {
  for (const [rejected, expected] of [
    [`"2"`, 2],
    ["2", 2],
    [`"9223372036854775807"`, 2 ** 63],
  ] as const) {
    const partial = await listenHttp(t, (_request, response) => {
      response.writeHead(200, { "content-type": "application/json; charset=utf-8" });
      response.end(`{"partialSuccess":{"rejectedSpans":${rejected},"errorMessage":"too\\nold","hint":1}}`);
    });
    const outcome = await send(t, partial, { protocol: "http/json" });
    assert.deepEqual(outcome, { kind: "partial", rejectedItems: expected, reason: "too old" });
  }
  const negative = await listenHttp(t, (_request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(`{"partialSuccess":{"rejectedSpans":"-5"}}`);
  });
  assert.equal((await send(t, negative, { protocol: "http/json" })).kind, "accepted");
});

// --- gRPC --------------------------------------------------------------------

async function listenHttp2(t: TestContext, behave: (stream: ServerHttp2Stream) => void): Promise<string> {
  const server = createHttp2Server();
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => void sessions.add(session.on("error", () => {})));
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => {});
    stream.resume().once("end", () => behave(stream));
  });
  return opened(t, server as unknown as Server, () => sessions.forEach((session) => session.destroy()));
}

/** A gRPC message: not compressed, of `length` bytes. */
function messageHead(length: number): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length, 1);
  return head;
}

const GRPC_HEADERS = { ":status": 200, "content-type": "application/grpc" } as const;

test("grpc: an answer of 100 MB is refused at its head", async (t) => {
  const length = 100 * 1024 * 1024;
  const endless = await listenHttp2(t, (stream) => {
    stream.respond(GRPC_HEADERS);
    stream.write(messageHead(length));
    const more = (): void => {
      while (!stream.destroyed) if (!stream.write(Buffer.alloc(64 * 1024))) return void stream.once("drain", more);
    };
    more();
  });
  assertProblem(await send(t, endless, { protocol: "grpc" }), "response_too_large", "refused");
});

test("grpc: trailers that are garbage, missing, or a web server's", async (t) => {
  const answers: readonly (readonly [(stream: ServerHttp2Stream) => void, NetworkProblem | "accepted"])[] = [
    [(stream) => stream.respond({ ...GRPC_HEADERS, "grpc-status": "banana" }, { endStream: true }), "server_error"],
    [
      (stream) =>
        stream.respond(
          { ...GRPC_HEADERS, "grpc-status": "14", "grpc-status-details-bin": "////" },
          { endStream: true },
        ),
      "server_unavailable",
    ],
    [(stream) => stream.respond(GRPC_HEADERS, { endStream: true }), "response_not_otlp"],
    [
      (stream) => {
        stream.respond({ ":status": 200, "content-type": "text/html" });
        stream.end("<html>Welcome</html>");
      },
      "response_not_otlp",
    ],
    [(stream) => stream.respond({ ":status": 404 }, { endStream: true }), "signal_not_taken"],
    [(stream) => stream.respond({ ":status": 503 }, { endStream: true }), "server_unavailable"],
    [(stream) => stream.close(8), "cancelled"],
    [(stream) => stream.session?.destroy(), "connection_reset"],
  ];
  for (const [behave, problem] of answers) {
    const outcome = await send(t, await listenHttp2(t, behave), { protocol: "grpc" });
    assert.equal(
      "cause" in outcome ? outcome.cause : outcome.kind,
      problem,
      `${String(behave)} ${JSON.stringify(outcome)}`,
    );
  }
});

test("grpc: an answer that hangs half-way costs the timeout", async (t) => {
  const half = await listenHttp2(t, (stream) => {
    stream.respond(GRPC_HEADERS);
    stream.write(messageHead(100));
  });
  assertProblem(await send(t, half, { protocol: "grpc", timeoutMs: 300 }), "timeout");
});
