import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:https";
import { connect } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { describe, test } from "node:test";
import { httpServerRequestDuration, telemetryScrapeRejected } from "#gen/telemetry/metrics.ts";
import { BlixardError } from "#model/errors.ts";
import { Secret } from "#model/secret.ts";
import { loopbackCertificate, loopbackKey } from "#test/support/loopback-certificate.ts";
import { countOf, get, type GetOptions, serve, type Served } from "#test/support/metrics-listener.ts";
import { oddKey, strangersCertificate } from "#test/support/odd-certificates.ts";
import { waitFor } from "#test/support/wait-for.ts";
import type { MetricsServerTls } from "./metrics-server.ts";

const tls: MetricsServerTls = { certificate: loopbackCertificate, key: new Secret(loopbackKey) };
const ca = loopbackCertificate;

function basic(credentials: string): GetOptions {
  return { headers: { authorization: `Basic ${Buffer.from(credentials).toString("base64")}` } };
}

describe("credentials", () => {
  const basicAuth = { username: "prometheus", password: new Secret("p:ä ss") };

  test("by HTTP basic authentication: only the right ones get the page", async () => {
    await using served = await serve({ basicAuth });
    assert.equal((await get(served, "/metrics", basic("prometheus:p:ä ss"))).status, 200);
    const wrong = [
      "prometheus:p:ä s",
      "prometheus:p:ä sss",
      "Prometheus:p:ä ss",
      "prometheus",
      ":",
      "",
      "x".repeat(9_000),
    ];
    for (const credentials of wrong) {
      assert.equal((await get(served, "/metrics", basic(credentials))).status, 401, credentials.slice(0, 20));
    }
    assert.equal(countOf(served.engine, telemetryScrapeRejected, "auth"), wrong.length);
  });

  test("by bearer token: only the right one gets the page", async () => {
    await using served = await serve({ bearerToken: new Secret("t0ken") });
    const call = async (authorization: string): Promise<number> =>
      (await get(served, "/metrics", { headers: { authorization } })).status;
    assert.equal(await call("Bearer t0ken"), 200);
    assert.equal(await call("bearer  t0ken "), 200);
    for (const wrong of [
      "Bearer t0ke",
      "Bearer",
      "Bearer ",
      "t0ken",
      "Basic t0ken",
      "Bearer t0ken t0ken",
      "Bearer [redacted]",
    ]) {
      assert.equal(await call(wrong), 401, wrong);
    }
  });

  test("either of the two is enough, and a refusal names both", async () => {
    await using served = await serve({ basicAuth, bearerToken: new Secret("t0ken") });
    assert.equal((await get(served, "/metrics", basic("prometheus:p:ä ss"))).status, 200);
    assert.equal((await get(served, "/metrics", { headers: { authorization: "Bearer t0ken" } })).status, 200);
    const refused = await get(served, "/metrics");
    assert.equal(refused.status, 401);
    assert.equal(
      refused.headers["www-authenticate"],
      'Basic realm="blixard metrics", charset="UTF-8", Bearer realm="blixard metrics"',
    );
    assert.ok(!refused.body.toString().includes("blixard_vm"));
  });

  test("are not needed for health", async () => {
    await using served = await serve({ basicAuth });
    assert.equal((await get(served, "/healthz")).status, 200);
    assert.equal((await get(served, "/readyz")).status, 200);
    assert.equal((await get(served, "/metrics", { method: "HEAD" })).status, 401);
  });
});

describe("TLS", () => {
  test("serves all there is by HTTPS, and measures it as such", async () => {
    await using served = await serve({ tls });
    assert.equal(served.server.scheme, "https");
    assert.equal((await get(served, "/metrics", { ca })).status, 200);
    assert.equal((await get(served, "/healthz", { ca })).status, 200);
    await waitFor("the requests", () => countOf(served.engine, httpServerRequestDuration, "https") === 2);
  });

  test("plain text to it is no answer, and it goes on", async () => {
    await using served = await serve({ tls });
    const socket = connect(served.server.address);
    socket.on("error", () => {});
    socket.write("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    await once(socket, "close");
    assert.equal((await get(served, "/metrics", { ca })).status, 200);
  });

  test("one who never ends the handshake is cut off", async () => {
    await using served = await serve({ tls, limits: { handshakeTimeoutMs: 50 } });
    const socket = connect(served.server.address);
    socket.on("error", () => {});
    await once(socket, "close");
  });

  test("closing does not wait for a handshake", async () => {
    const served = await serve({ tls });
    const socket = connect(served.server.address);
    socket.on("error", () => {});
    await once(socket, "connect");
    await served.server.close(50);
    socket.destroy();
  });

  test("a certificate that was renewed is shown from the next connection on", async () => {
    await using served = await serve({ tls });
    assert.equal(await shownBy(served), "CN=localhost");
    served.server.renewTls({ certificate: strangersCertificate, key: new Secret(oddKey) });
    assert.equal(await shownBy(served), "CN=collector.example");
    assert.throws(
      () => served.server.renewTls({ certificate: loopbackCertificate, key: new Secret(oddKey) }),
      (error: unknown) => error instanceof BlixardError && error.code === "CONFIG_INVALID",
    );
    assert.equal(await shownBy(served), "CN=collector.example");
  });

  test("a key that is not the certificate's is a clear error", async () => {
    await assert.rejects(serve({ tls: { certificate: loopbackCertificate, key: new Secret(oddKey) } }), {
      code: "CONFIG_INVALID",
      hint: /key_file/,
    });
  });
});

describe("client certificates", () => {
  const limits = { tls: { ...tls, clientAuthorities: loopbackCertificate } };
  const trusted = { ca, cert: loopbackCertificate, key: loopbackKey };
  const stranger = { ca, cert: strangersCertificate, key: oddKey };

  test("of a trusted authority get the page; others and none are refused", async () => {
    await using served = await serve(limits);
    assert.equal((await get(served, "/metrics", trusted)).status, 200);
    assert.equal((await get(served, "/metrics", stranger)).status, 403);
    assert.equal((await get(served, "/metrics", { ca })).status, 403);
    assert.equal(countOf(served.engine, telemetryScrapeRejected, "auth"), 2);
  });

  test("are not needed for health", async () => {
    await using served = await serve(limits);
    assert.equal((await get(served, "/healthz", { ca })).status, 200);
  });

  test("do not take the place of credentials", async () => {
    await using served = await serve({ ...limits, bearerToken: new Secret("t0ken") });
    assert.equal((await get(served, "/metrics", trusted)).status, 401);
    const both = { ...trusted, headers: { authorization: "Bearer t0ken" } };
    assert.equal((await get(served, "/metrics", both)).status, 200);
    assert.equal((await get(served, "/metrics", { ca, headers: { authorization: "Bearer t0ken" } })).status, 403);
  });

  test("a session that began without one gets nothing when it is resumed", async () => {
    await using served = await serve(limits);
    const first = await openTls(served);
    const session = once(first, "session");
    assert.match(await askOver(first), /^HTTP\/1\.1 403 /);
    const [ticket] = await session;
    const second = await openTls(served, ticket);
    assert.equal(second.isSessionReused(), true);
    assert.match(await askOver(second), /^HTTP\/1\.1 403 /);
  });
});

/** The subject of the certificate that the listener shows. */
async function shownBy({ server }: Served): Promise<string> {
  const { host, port } = server.address;
  const call = request({ host, port, path: "/healthz", rejectUnauthorized: false, agent: false });
  call.end();
  const [response] = await once(call, "response");
  response.resume();
  return response.socket.getPeerX509Certificate().subject;
}

async function openTls({ server }: Served, session?: Buffer): Promise<TLSSocket> {
  const { host, port } = server.address;
  const socket = connectTls({ host, port, ca, ...(session === undefined ? {} : { session }) });
  await once(socket, "secureConnect");
  return socket;
}

async function askOver(socket: TLSSocket): Promise<string> {
  socket.write("GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
