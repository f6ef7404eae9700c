/** Planted mistakes, over real sockets: each must be told by its name, with the fix. */
import assert from "node:assert/strict";
import { createSecureServer } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { status } from "@grpc/grpc-js";
import { Secret } from "#model/secret.ts";
import type { OtlpOptions } from "#telemetry/telemetry-options.ts";
import {
  answer,
  assertOnly,
  diagnose,
  everySignalTo,
  finding,
  receiverFor,
  startBlackHole,
  startHttp,
  startSilence,
} from "#test/support/doctor-scene.ts";
import { freePort } from "#test/support/free-port.ts";
import { loopbackCertificate, loopbackKey } from "#test/support/loopback-certificate.ts";
import { expiredCertificate, oddKey, strangersCertificate } from "#test/support/odd-certificates.ts";

test("a healthy collector takes the canary of every signal, over gRPC and over HTTP", async (context) => {
  const receiver = await receiverFor(context);
  for (const endpoint of [receiver.grpcEndpoint, receiver.httpEndpoint]) {
    const options: OtlpOptions = { endpoint, protocol: endpoint === receiver.grpcEndpoint ? "grpc" : "http/protobuf" };
    const { checks, summary, findings, text } = await diagnose({ destinations: everySignalTo(options) });
    assert.deepEqual(findings, [], text);
    assert.equal(summary.outcome, "ok");
    for (const signal of ["traces", "metrics", "logs"]) {
      const steps = checks.filter((check) => check.signal === signal && check.outcome === "ok").map(({ step }) => step);
      assert.deepEqual(steps, ["send", "authenticate", "acknowledge"]);
    }
    assert.ok(receiver.spans.some((span) => span.traceId === summary.traceId && span.name === "telemetry.canary"));
    assert.ok(receiver.logs.some((log) => log.eventName === "blixard.telemetry.canary"));
  }
  const points = receiver.points.filter((point) => point.name === "blixard.telemetry.canary");
  assert.deepEqual(
    points.map((point) => point.noRecordedValue),
    [false, true, false, true],
    "each canary's series is ended after it",
  );
});

test("mistake 1: gRPC spoken to an HTTP gateway", async (context) => {
  const receiver = await receiverFor(context);
  const destinations = everySignalTo({ endpoint: receiver.httpEndpoint, protocol: "grpc" });
  const diagnosis = await diagnose({ destinations });
  assertOnly(diagnosis, "grpc_to_http_gateway", /Set protocol = "http\/protobuf" in \[observability\.tracing\]/);
  assert.equal(diagnosis.summary.outcome, "failed");
});

test("mistake 1 with TLS: gRPC spoken to an HTTPS gateway", async (context) => {
  const receiver = await receiverFor(context, { tls: { certificate: loopbackCertificate, key: loopbackKey } });
  const tls = { certificateAuthorities: loopbackCertificate };
  const diagnosis = await diagnose({
    destinations: { traces: [{ endpoint: receiver.httpEndpoint, protocol: "grpc", tls }] },
  });
  assertOnly(diagnosis, "grpc_to_http_gateway", /protocol = "http\/protobuf"/);
});

test("gRPC spoken to a backend's pages, or to a gateway with a base path, is told where OTLP is", async (context) => {
  const html = (request: IncomingMessage, response: ServerResponse): void => {
    response.setHeader("content-type", "text/html; charset=utf-8");
    answer(200, "<html>")(request, response);
  };
  const pages = await startHttp(context, html);
  const queries = await startHttp(context, answer(404, "404 page not found"));
  // It says yes to whatever it is sent.
  const health = await startHttp(context, answer(200, '{"status":"ok"}', { "content-type": "application/json" }));
  const spokenTo = await diagnose({ destinations: everySignalTo({ endpoint: health, protocol: "http/protobuf" }) });
  assertOnly(spokenTo, "odd_answer", /is an OTLP receiver: it says yes, but not in the way/);
  for (const endpoint of [pages, queries, health]) {
    const diagnosis = await diagnose({ destinations: everySignalTo({ endpoint, protocol: "grpc" }) });
    assertOnly(diagnosis, "not_otlp", /usually 4317 \(gRPC\) and 4318 \(HTTP\)/);
  }
  const gateway = await startHttp(context, (request, response) => {
    answer(request.url?.startsWith("/otlp/v1/") === true ? 401 : 404, "")(request, response);
  });
  const diagnosis = await diagnose({ destinations: everySignalTo({ endpoint: gateway, protocol: "grpc" }) });
  assertOnly(diagnosis, "grpc_to_http_gateway", new RegExp(`otlp_endpoint = "${gateway}/otlp"`));
});

test("mistake 2: the gateway's /otlp is missing", async (context) => {
  const endpoint = await startHttp(context, (request, response) => {
    const isThere = request.url?.startsWith("/otlp/v1/") === true;
    answer(isThere ? 401 : 404, isThere ? "who are you" : "404 page not found")(request, response);
  });
  const destinations = everySignalTo({ endpoint, protocol: "http/protobuf" });
  const diagnosis = await diagnose({ destinations });
  assertOnly(diagnosis, "otlp_path_missing", new RegExp(`Set otlp_endpoint = "${endpoint}/otlp" in`));
});

test("mistake 3: a header is not decoded, or not encoded as it should be", async (context) => {
  const endpoint = await startHttp(context, (request, response) => {
    const isRight = request.headers.authorization === `Basic ${Buffer.from("user:secret").toString("base64")}`;
    answer(isRight ? 200 : 401, "")(request, response);
  });
  const mistakes: readonly (readonly [string, RegExp])[] = [
    ["Basic%20dXNlcjpzZWNyZXQ=", /a space, not %20/],
    ['"Basic dXNlcjpzZWNyZXQ="', /quotation marks/],
    ["Basic user:secret", /base64/],
  ];
  for (const [value, fix] of mistakes) {
    const headers = { authorization: new Secret(value) };
    const diagnosis = await diagnose({ destinations: { traces: [{ endpoint, protocol: "http/protobuf", headers }] } });
    assertOnly(diagnosis, "header_malformed", fix);
    assert.doesNotMatch(JSON.stringify(diagnosis), /dXNlcjpz|user:secret/, "no credential is shown");
  }
});

test("mistake 4: TLS spoken to a plaintext port, over HTTP and over gRPC", async (context) => {
  const receiver = await receiverFor(context);
  const http = receiver.httpEndpoint.replace("http:", "https:");
  const grpc = receiver.grpcEndpoint.replace("http:", "https:");
  for (const [endpoint, protocol] of [
    [http, "http/protobuf"],
    [grpc, "grpc"],
  ] as const) {
    const diagnosis = await diagnose({ destinations: everySignalTo({ endpoint, protocol }) });
    assertOnly(
      diagnosis,
      "tls_to_plaintext_port",
      new RegExp(`otlp_endpoint = "${endpoint.replace("https:", "http:")}"`),
    );
  }
});

test("mistake 5: the collector's certificate is self-signed, or signed by an authority unknown here", async (context) => {
  const receiver = await receiverFor(context, { tls: { certificate: loopbackCertificate, key: loopbackKey } });
  for (const [endpoint, protocol] of [
    [receiver.httpEndpoint, "http/protobuf"],
    [receiver.grpcEndpoint, "grpc"],
  ] as const) {
    const wrong = await diagnose({ destinations: everySignalTo({ endpoint, protocol }) });
    assertOnly(wrong, "certificate_untrusted", /Set ca_file = /);
    const tls = { certificateAuthorities: loopbackCertificate };
    const right = await diagnose({ destinations: everySignalTo({ endpoint, protocol, tls }) });
    assert.deepEqual(right.findings, [], right.text);
  }
});

test("mistake 6: the token is wrong, or there is none", async (context) => {
  const endpoint = await startHttp(context, answer(401, "invalid token"));
  const wrong = await diagnose({
    destinations: everySignalTo({
      endpoint,
      protocol: "http/protobuf",
      headers: { authorization: new Secret("Bearer hunter2") },
    }),
  });
  assertOnly(wrong, "credentials_refused", /right token or password in \[observability\.tracing\]/);
  assert.equal(finding(wrong, "credentials_refused").step, "authenticate");
  assert.doesNotMatch(JSON.stringify(wrong), /hunter2/);
  const none = await diagnose({ destinations: everySignalTo({ endpoint, protocol: "http/protobuf" }) });
  assertOnly(none, "credentials_missing", /basic_auth/);
  const receiver = await receiverFor(context);
  receiver.misbehave({ kind: "refuse", grpcCode: status.UNAUTHENTICATED });
  const grpc = await diagnose({
    destinations: everySignalTo({
      endpoint: receiver.grpcEndpoint,
      headers: { authorization: new Secret("Bearer hunter2") },
    }),
  });
  assertOnly(grpc, "credentials_refused", /token/);
});

test("mistake 7: the clocks of the node and the backend differ", async (context) => {
  const theirsMs = Date.now() + 10 * 60_000;
  const endpoint = await startHttp(context, answer(200, "", { date: new Date(theirsMs).toUTCString() }));
  const diagnosis = await diagnose({ destinations: everySignalTo({ endpoint, protocol: "http/protobuf" }) });
  assertOnly(diagnosis, "clock_skew", /NTP/);
  assert.match(finding(diagnosis, "clock_skew").message, /^the clock of this node is (599|60\d) s behind/);
});

test("mistake 8: egress is blocked, so that packets vanish", async (context) => {
  const port = await startBlackHole(context);
  const destinations = everySignalTo({ endpoint: `http://127.0.0.1:${port}`, protocol: "http/protobuf" });
  const diagnosis = await diagnose({ destinations, timing: { networkMs: 700 } });
  assertOnly(diagnosis, "egress_blocked", new RegExp(`port ${port}/tcp: a firewall`));
});

test("mistake 8, other ways: nothing listens, something takes connections and is silent, the name is unknown", async (context) => {
  const closed = await diagnose({ destinations: everySignalTo({ endpoint: `http://127.0.0.1:${await freePort()}` }) });
  assertOnly(closed, "connection_refused", /Start the collector/);
  const silence = await startSilence(context);
  for (const protocol of ["grpc", "http/protobuf"] as const) {
    const silent = await diagnose({
      destinations: { traces: [{ endpoint: `http://127.0.0.1:${silence}`, protocol }] },
      timing: { sendMs: 500, inquiryMs: 500 },
    });
    assertOnly(silent, "no_answer", /accepts connections/);
  }
  const secure = await diagnose({
    destinations: { traces: [{ endpoint: `https://127.0.0.1:${silence}` }] },
    timing: { networkMs: 2_000, inquiryMs: 500 },
  });
  assertOnly(secure, "no_answer", /accepts connections/);
  const unknown = await diagnose({ destinations: everySignalTo({ endpoint: "http://collector.invalid:4317" }) });
  assertOnly(unknown, "name_unknown", /Correct the host name collector\.invalid/);
});

test("mistake 9: a backend that takes traces only, as Jaeger does", async (context) => {
  const receiver = await receiverFor(context);
  for (const signal of ["metrics", "logs"] as const) {
    receiver.misbehave({ kind: "refuse", grpcCode: status.UNIMPLEMENTED, httpStatus: 404 }, { signal });
  }
  for (const [endpoint, protocol] of [
    [receiver.grpcEndpoint, "grpc"],
    [receiver.httpEndpoint, "http/protobuf"],
  ] as const) {
    const diagnosis = await diagnose({ destinations: everySignalTo({ endpoint, protocol }) });
    assertOnly(diagnosis, "signal_unsupported", /otlp_enabled = false/);
    assert.equal(diagnosis.summary.outcome, "warning");
    assert.equal(diagnosis.summary.warnings, 2);
  }
  // Only metrics are sent there: that traces would be taken shows that the path is right.
  const metrics = {
    traces: [],
    metrics: [{ endpoint: receiver.httpEndpoint, protocol: "http/protobuf" }],
    logs: [],
  } as const;
  assertOnly(await diagnose({ destinations: metrics }), "signal_unsupported", /\[observability\.metrics\]/);
});

test("mistake 10: the same metrics reach Prometheus by scrape and by OTLP, under whatever labels", async (context) => {
  const receiver = await receiverFor(context);
  const identity = { job: "test/blixard", instance: "11111111-2222-5333-8444-555555555555" };
  const byAddress = { job: "node", instance: "127.0.0.1:9090" };
  /** @param scraped labels of what is `up` */
  const run = async (
    scraped: Readonly<Record<string, string>> | undefined,
    isPushed: boolean,
    destinations = isPushed ? everySignalTo({ endpoint: receiver.grpcEndpoint }) : {},
  ) => {
    const page = await startHttp(
      context,
      answer(200, "# TYPE a gauge\na 1\n# EOF\n", { "content-type": "application/openmetrics-text; version=1.0.0" }),
    );
    return diagnose({
      destinations,
      backends: { prometheusUrl: await startPrometheusDouble(context, scraped, isPushed ? identity : undefined) },
      node: {
        pageUrl: () => `${page}/metrics`,
        discoveryUrl: () => `${page}/discovery/prometheus`,
        status: () => [],
        cardinality: () => undefined,
      },
    });
  };
  for (const scraped of [byAddress, identity]) {
    const both = await run(scraped, true);
    assertOnly(both, "scrape_and_push", /Choose one way/);
    const { message } = finding(both, "scrape_and_push");
    assert.ok(message.includes(`by scrape as job "${scraped.job}", instance "${scraped.instance}"`), message);
    const one = await run(scraped, false);
    assert.deepEqual(one.findings, ["no_destination"], one.text);
    assert.match(one.text, /by scrape only/);
  }
  // What else is exported has this node's identity, and the scrape should.
  const traces = await run(byAddress, false, { traces: [{ endpoint: receiver.grpcEndpoint }] });
  assertOnly(traces, "scrape_labels_differ", /http_sd_configs: \[\{ url: "http:.*\/discovery\/prometheus" \}\]/);
  assert.equal(traces.summary.outcome, "warning");
  const pushed = await run(undefined, true);
  assert.deepEqual(pushed.findings, [], pushed.text);
  assert.match(pushed.text, /by OTLP only/);
});

test("what is not pushed must be scraped: a Prometheus that has nothing of the node is told how to find it", async (context) => {
  const receiver = await receiverFor(context);
  const page = await startHttp(
    context,
    answer(200, "# EOF\n", { "content-type": "application/openmetrics-text; version=1.0.0" }),
  );
  const ask = async (prometheusUrl: string) =>
    diagnose({
      destinations: { traces: [{ endpoint: receiver.grpcEndpoint }] },
      backends: { prometheusUrl },
      node: {
        pageUrl: () => `${page}/metrics`,
        discoveryUrl: () => `${page}/discovery/prometheus`,
        status: () => [],
        cardinality: () => undefined,
      },
    });
  const unaware = await ask(await startPrometheusDouble(context, undefined, undefined));
  assertOnly(unaware, "not_scraped", /http_sd_configs: \[\{ url: "http:.*\/discovery\/prometheus" \}\]/);
  assert.equal(unaware.summary.outcome, "warning");
  const other = await ask(await startHttp(context, answer(404, "404 page not found")));
  assertOnly(other, "backend_unreachable", /Correct the URL of Prometheus in \[observability\.doctor\]/);
});

test("a backend's URL where something else answers is told apart from a canary that is lost", async (context) => {
  const receiver = await receiverFor(context);
  const destinations = { traces: [{ endpoint: receiver.grpcEndpoint }] };
  const jaeger = await startHttp(context, answer(404, '{"errors":[{"code":404,"msg":"trace not found"}]}'));
  const elsewhere = await startHttp(context, answer(404, "404 page not found"));
  const pages = await startHttp(context, answer(200, "<!doctype html>", { "content-type": "text/html" }));
  const timing = { readBackMs: 50 };
  const lost = await diagnose({ destinations, backends: { jaegerUrl: jaeger, tempoUrl: jaeger }, timing });
  assertOnly(lost, "not_read_back", /Follow the way/);
  for (const url of [elsewhere, pages]) {
    const wrong = await diagnose({ destinations, backends: { jaegerUrl: url, tempoUrl: url }, timing });
    assertOnly(wrong, "backend_unreachable", /Correct the URL of (Jaeger|Tempo) in \[observability\.doctor\]/);
  }
});

type Labels = Readonly<Record<string, string>>;

/** Has the canary and a metric of the node where it is pushed; of what is scraped, `up` too. */
function startPrometheusDouble(
  context: Pick<TestContext, "after">,
  scraped: Labels | undefined,
  pushed: Labels | undefined,
): Promise<string> {
  return startHttp(context, (request, response) => {
    const query = new URL(request.url ?? "", "http://x").searchParams.get("query") ?? "";
    const found = query.includes("and on (job, instance) up") ? scraped : pushed;
    const result = found === undefined ? [] : [{ metric: found, value: [0, "1"] }];
    answer(200, JSON.stringify({ status: "success", data: { resultType: "vector", result } }))(request, response);
  });
}

test("what a Prometheus of another time does not show is looked for at the node's; what it refuses is the clock's", async (context) => {
  const receiver = await receiverFor(context);
  const startedMs = Date.now();
  for (const isRefused of [false, true]) {
    // An hour behind: what it has is seen only at the node's time.
    const date = new Date(startedMs - 3_600_000).toUTCString();
    const prometheusUrl = await startHttp(context, (request, response) => {
      const time = Number(new URL(request.url ?? "", "http://x").searchParams.get("time") ?? 0);
      const isSeen = !isRefused && time * 1_000 >= startedMs;
      const result = isSeen ? [{ metric: { job: "blixard", instance: "a" }, value: [time, "1"] }] : [];
      answer(200, JSON.stringify({ status: "success", data: { result } }), { date })(request, response);
    });
    const diagnosis = await diagnose({
      destinations: everySignalTo({ endpoint: receiver.grpcEndpoint }),
      backends: { prometheusUrl },
      timing: { readBackMs: isRefused ? 600 : 20_000 },
    });
    assertOnly(diagnosis, "clock_skew", /NTP/);
    const readBack = diagnosis.checks.find(({ step, signal }) => step === "read_back" && signal === "metrics");
    assert.equal(readBack?.outcome, isRefused ? "skipped" : "ok", diagnosis.text);
  }
});

test("a path that is missing behind a guard: who refuses everybody without credentials does not say what is there", async (context) => {
  const endpoint = await startHttp(context, (request, response) => {
    const isKnown = request.headers.authorization === "Bearer right";
    const isThere = request.url === "/v1/metrics";
    answer(isKnown ? (isThere ? 200 : 404) : 401, "")(request, response);
  });
  const headers = { authorization: new Secret("Bearer right") };
  const options = { endpoint: `${endpoint}/v1/metrics`, protocol: "http/protobuf", headers } as const;
  const diagnosis = await diagnose({ destinations: { metrics: [options] } });
  assertOnly(diagnosis, "signal_path_twice", new RegExp(`otlp_endpoint = "${endpoint}"`));
  assert.doesNotMatch(diagnosis.text, /right/);
});

test("plain text spoken to a TLS port", async (context) => {
  const receiver = await receiverFor(context, { tls: { certificate: loopbackCertificate, key: loopbackKey } });
  for (const [endpoint, protocol] of [
    [receiver.httpEndpoint, "http/protobuf"],
    [receiver.grpcEndpoint, "grpc"],
  ] as const) {
    const plain = endpoint.replace("https:", "http:");
    const diagnosis = await diagnose({ destinations: { traces: [{ endpoint: plain, protocol }] } });
    assertOnly(diagnosis, "plaintext_to_tls_port", new RegExp(`Set otlp_endpoint = "${endpoint}"`));
  }
});

test("HTTP spoken to a gRPC port, with TLS and without", async (context) => {
  const plain = await receiverFor(context);
  const tls = { certificate: loopbackCertificate, key: loopbackKey };
  const secure = await receiverFor(context, { tls });
  for (const endpoint of [plain.grpcEndpoint, secure.grpcEndpoint]) {
    const options = {
      endpoint,
      protocol: "http/protobuf",
      tls: { certificateAuthorities: loopbackCertificate },
    } as const;
    const diagnosis = await diagnose({ destinations: { traces: [options] } });
    assertOnly(diagnosis, "http_to_grpc_port", /Set protocol = "grpc"/);
  }
});

test("a certificate that has expired, and one for another name", async (context) => {
  for (const [certificate, id, fix] of [
    [expiredCertificate, "certificate_expired", /Renew the certificate/],
    [strangersCertificate, "certificate_name_mismatch", /collector\.example/],
  ] as const) {
    const receiver = await receiverFor(context, { tls: { certificate, key: oddKey } });
    const tls = { certificateAuthorities: certificate };
    const options = { endpoint: receiver.httpEndpoint, protocol: "http/protobuf", tls } as const;
    assertOnly(await diagnose({ destinations: { traces: [options] } }), id, fix);
  }
});

test("a client certificate is asked for, over HTTP and over gRPC", async (context) => {
  const options = {
    cert: loopbackCertificate,
    key: loopbackKey,
    ca: loopbackCertificate,
    requestCert: true,
    rejectUnauthorized: true,
  };
  for (const [server, protocol] of [
    [createHttpsServer(options, answer(200)), "http/protobuf"],
    [createSecureServer(options), "grpc"],
  ] as const) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    context.after(() => server.close());
    const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const tls = { certificateAuthorities: loopbackCertificate };
    const diagnosis = await diagnose({ destinations: { traces: [{ endpoint, protocol, tls }] } });
    assertOnly(diagnosis, "client_certificate_required", /client_certificate_file/);
  }
});

test("HTTP spoken to a gRPC port of TLS that ends what is not HTTP/2, without an alert", async (context) => {
  const server = createTlsServer(
    { cert: loopbackCertificate, key: loopbackKey, ALPNCallback: ({ protocols }) => protocols[0] },
    (socket) => {
      socket.on("error", () => {});
      if (socket.alpnProtocol === "h2") socket.end(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
      else socket.end();
    },
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => server.close());
  const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const tls = { certificateAuthorities: loopbackCertificate };
  const diagnosis = await diagnose({ destinations: { traces: [{ endpoint, protocol: "http/protobuf", tls }] } });
  assertOnly(diagnosis, "http_to_grpc_port", /Set protocol = "grpc"/);
});
