/** What is made of observations, without any network. What the network shows: test/integration/telemetry-doctor.test.ts. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Secret } from "#model/secret.ts";
import type { DestinationStatus } from "../otlp/destination-status.ts";
import type { MetricCardinality } from "../metrics/cardinality.ts";
import { summarize, type DoctorCheck } from "./check.ts";
import { diagnoseAcknowledgement, diagnoseAuthentication, diagnoseSend } from "./diagnose-export.ts";
import { diagnoseConnect, diagnoseResolve, diagnoseTls } from "./diagnose-network.ts";
import { diagnoseCardinality, diagnoseClock, diagnoseDelivery } from "./diagnose-node.ts";
import { findings, found, type FindingId, type Subject } from "./findings.ts";
import { shapeOfCredentials } from "./header-shape.ts";
import { inOrder } from "./in-order.ts";
import type { SendObservation } from "./observations.ts";
import { resultsOf, withoutCredentials } from "./read-back.ts";
import { checkDuplicates, diagnoseDuplicates, diagnosePage } from "./scrape-checks.ts";

const subject: Subject = {
  signals: ["metrics"],
  section: "metrics",
  origin: "https://collector.example:4318",
  host: "collector.example",
  port: 4318,
  secure: true,
  protocol: "http",
  path: "/v1/metrics",
};

describe("findings", () => {
  test("each has a stable name, and a fix that says what to do in whole sentences", () => {
    for (const id of Object.keys(findings) as FindingId[]) {
      assert.match(id, /^[a-z]+(_[a-z]+)*$/);
      const { fix = "", finding, outcome } = found(id, "seen", subject, "some detail");
      assert.equal(finding, id);
      assert.notEqual(outcome, "ok");
      assert.doesNotMatch(fix, /undefined|\[object/, id);
      if (id !== "header_malformed") assert.match(fix, /^[A-Z].*\.$/s, `${id}: ${fix}`);
    }
  });

  test("a fix names the section in which the destination is configured", () => {
    assert.match(found("credentials_missing", "", subject).fix ?? "", /in \[observability\.metrics\]/);
    const ofAll: Subject = { ...subject, section: "traces" };
    assert.match(found("credentials_missing", "", ofAll).fix ?? "", /in \[observability\.tracing\]/);
  });
});

describe("the way to a destination", () => {
  const failed = (code: string) => ({ kind: "failed", code, message: code }) as const;

  test("each way not to get there has its name", () => {
    assert.equal(diagnoseResolve(failed("ENOTFOUND"), subject).finding, "name_unknown");
    assert.equal(diagnoseResolve(failed("timeout"), subject).finding, "name_unknown");
    const connects: readonly (readonly [string, FindingId])[] = [
      ["ECONNREFUSED", "connection_refused"],
      ["timeout", "egress_blocked"],
      ["ETIMEDOUT", "egress_blocked"],
      ["ENETUNREACH", "egress_blocked"],
      ["EPERM", "egress_blocked"],
      ["ECONNRESET", "connection_lost"],
    ];
    for (const [code, id] of connects) assert.equal(diagnoseConnect(failed(code), subject).finding, id);
    const handshakes: readonly (readonly [string, FindingId])[] = [
      ["ERR_SSL_WRONG_VERSION_NUMBER", "tls_to_plaintext_port"],
      ["ERR_SSL_PACKET_LENGTH_TOO_LONG", "tls_to_plaintext_port"],
      ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "client_certificate_required"],
      ["ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "http_to_grpc_port"],
      ["ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", "tls_failed"],
      ["ERR_SSL_TLSV1_UNRECOGNIZED_NAME", "server_name_unknown"],
      ["timeout", "no_answer"],
      ["ECONNRESET", "connection_lost"],
    ];
    for (const [code, id] of handshakes) assert.equal(diagnoseTls(failed(code), subject).finding, id, code);
    const plain = diagnoseTls(failed("ECONNRESET"), subject, { kind: "http2" });
    assert.equal(plain.finding, "tls_to_plaintext_port");
  });

  test("each thing that can be wrong with a certificate has its name", () => {
    const certificate = {
      subject: "collector",
      issuer: "Example CA",
      names: "DNS:collector",
      validFrom: "Jan  1 00:00:00 2026 GMT",
      validTo: "Feb  1 00:00:00 2026 GMT",
    };
    const diagnose = (problem: string | undefined) =>
      diagnoseTls({ kind: "established", version: "TLSv1.3", application: undefined, problem, certificate }, subject);
    assert.equal(diagnose(undefined).message, "TLSv1.3, certificate of collector valid until 2026-02-01");
    assert.match(diagnose("CERT_HAS_EXPIRED").message, /expired on 2026-02-01/);
    assert.equal(diagnose("CERT_NOT_YET_VALID").finding, "certificate_not_yet_valid");
    assert.equal(diagnose("ERR_TLS_CERT_ALTNAME_INVALID").finding, "certificate_name_mismatch");
    assert.match(diagnose("UNABLE_TO_VERIFY_LEAF_SIGNATURE").message, /signed by Example CA, whom/);
    assert.match(diagnose("DEPTH_ZERO_SELF_SIGNED_CERT").message, /signed by itself/);
    assert.equal(diagnose("CERT_REVOKED").finding, "tls_failed");
  });
});

describe("what comes of a canary", () => {
  const observation = (more: Partial<SendObservation>): SendObservation => ({
    outcome: { kind: "accepted" },
    authorization: "absent",
    delta: false,
    ...more,
  });
  const refused = (errorType: string, reason = "no") => ({ kind: "refused", errorType, reason }) as const;

  test("a 404 is a missing base path, a signal that is not taken, or a wrong path", () => {
    const notFound = { kind: "unsupported", errorType: "404", reason: "HTTP 404" } as const;
    const diagnose = (more: Partial<SendObservation>, about = subject) =>
      diagnoseSend(observation({ outcome: notFound, ...more }), about).finding;
    assert.equal(
      diagnose({ paths: { belowOtlp: "there", otherSignals: ["missing", "missing"] } }),
      "otlp_path_missing",
    );
    const prometheus = { belowOtlp: "missing", belowPrometheus: "there", otherSignals: ["missing"] } as const;
    const logs = { ...subject, signals: ["logs"], path: "/v1/logs" } as const;
    assert.equal(diagnose({ paths: prometheus }, logs), "signal_unsupported");
    const metrics = { ...subject, signals: ["metrics"], path: "/v1/metrics" } as const;
    assert.equal(diagnose({ paths: prometheus }, metrics), "otlp_path_missing");
    assert.equal(
      diagnose({ paths: { belowOtlp: "missing", otherSignals: ["missing", "there"] } }),
      "signal_unsupported",
    );
    assert.equal(diagnose({ paths: { belowOtlp: "missing", otherSignals: ["silent", "missing"] } }), "path_not_found");
    assert.equal(diagnose({}, { ...subject, path: "/" }), "signal_path_missing");
    assert.equal(diagnose({}, { ...subject, path: "/v1/metrics/v1/metrics" }), "signal_path_twice");
    const inherited = diagnoseSend(observation({ outcome: notFound }), { ...subject, path: "/a/v1/traces/v1/metrics" });
    assert.equal(inherited.finding, "signal_path_twice");
    assert.match(inherited.fix ?? "", /otlp_endpoint = "https:\/\/collector\.example:4318\/a"/);
    const reason = "HTTP 404: otlp write receiver needs to be enabled with --web.enable-otlp-receiver";
    const off = diagnoseSend(observation({ outcome: { ...notFound, reason } }), subject);
    assert.equal(off.finding, "receiver_switched_off");
    assert.match(off.fix ?? "", /with --web\.enable-otlp-receiver:/);
  });

  test("gRPC spoken to HTTP is sent to where OTLP is taken, and to another port where it is not", () => {
    const outcome = { kind: "retry", errorType: "UNAVAILABLE", reason: "x", cause: "grpc_to_http1_port" } as const;
    const traces = { ...subject, protocol: "grpc", signals: ["traces"], section: "traces", path: "" } as const;
    const diagnose = (paths: SendObservation["paths"], about: Subject = traces) =>
      diagnoseSend(observation({ outcome, ...(paths === undefined ? {} : { paths }) }), about);
    const nowhere = { own: "missing", belowOtlp: "missing", belowPrometheus: "missing" } as const;
    const none = ["missing", "missing"] as const;
    const page = diagnose({ ...nowhere, otherSignals: none });
    assert.equal(page.finding, "not_otlp");
    assert.match(page.message, /takes no OTLP at \/v1\/traces/);
    assert.match(page.fix ?? "", /usually 4317 \(gRPC\) and 4318 \(HTTP\)/);
    assert.match(diagnose({ own: "there", otherSignals: [] }).fix ?? "", /^Set protocol = "http\/protobuf" in/);
    for (const gateway of [
      diagnose({ ...nowhere, own: "there", otherSignals: none }),
      diagnose({ ...nowhere, otherSignals: ["missing", "there"] }),
      diagnose({ ...nowhere, own: "silent", otherSignals: none }),
      diagnose(undefined),
    ]) {
      assert.equal(gateway.finding, "grpc_to_http_gateway");
    }
    const below = diagnose({ ...nowhere, belowOtlp: "there", otherSignals: none });
    assert.match(below.fix ?? "", /"http\/protobuf" and otlp_endpoint = "https:\/\/collector\.example:4318\/otlp"/);
    const prometheus = { ...nowhere, belowPrometheus: "there", otherSignals: none } as const;
    assert.equal(diagnose(prometheus).finding, "signal_unsupported");
    const metrics = diagnose(prometheus, { ...traces, signals: ["metrics"], section: "metrics" });
    assert.equal(metrics.finding, "grpc_to_http_gateway");
    assert.match(metrics.fix ?? "", /:4318\/api\/v1\/otlp" in \[observability\.metrics\]/);
  });

  test("a tenant that is not named is told as that, whatever code it comes with", () => {
    const grpc = { ...subject, protocol: "grpc", path: "" } as const;
    for (const [errorType, about] of [
      ["401", subject],
      ["500", subject],
      ["UNAUTHENTICATED", grpc],
      ["UNKNOWN", grpc],
    ] as const) {
      const failed = observation({ outcome: refused(errorType, "no org id"), application: "h2" });
      assert.equal(diagnoseSend(failed, about).outcome, "ok");
      const { finding, fix = "" } = diagnoseAuthentication(failed, about);
      assert.equal(finding, "tenant_missing");
      assert.match(fix, /^Set headers = \{ "X-Scope-OrgID" = "…" \} in \[observability\.metrics\]/);
    }
  });

  test("a path that is there twice is told with the endpoint that has it once", () => {
    const path = "/base/v1/metrics/v1/metrics";
    const { fix = "" } = found("signal_path_twice", "", { ...subject, path });
    assert.match(fix, /^Set otlp_endpoint = "https:\/\/collector\.example:4318\/base" in/);
  });

  test("a proxy's refusal is not the destination's", () => {
    const verdict = diagnoseAuthentication(observation({ outcome: refused("407") }), subject);
    assert.equal(verdict.finding, "proxy_in_between");
    assert.match(verdict.fix ?? "", /proxy-authorization/);
  });

  test("a client certificate that is asked for after the handshake is told over gRPC too", () => {
    const outcome = { kind: "retry", errorType: "UNAVAILABLE", reason: "closed", cause: "connection_reset" } as const;
    const language = { kind: "client_certificate_refused" } as const;
    const grpc: Subject = { ...subject, protocol: "grpc", path: "" };
    const verdict = diagnoseSend(observation({ outcome, language, application: "h2" }), grpc);
    assert.equal(verdict.finding, "client_certificate_required");
  });

  test("credentials: none, written wrongly, refused; over both transports", () => {
    const diagnose = (errorType: string, authorization: SendObservation["authorization"]) =>
      diagnoseAuthentication(observation({ outcome: refused(errorType), authorization }), subject).finding;
    for (const errorType of ["401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED"]) {
      assert.equal(diagnose(errorType, "absent"), "credentials_missing");
      assert.equal(diagnose(errorType, "well_formed"), "credentials_refused");
      assert.equal(diagnose(errorType, "percent_encoded"), "header_malformed");
    }
    assert.equal(diagnose("400", "percent_encoded"), undefined);
  });

  test("a partial success that rejects the canary is none, and one that does not is one", () => {
    const partial = (rejectedItems: number, reason: string, delta = false) =>
      diagnoseAcknowledgement(observation({ outcome: { kind: "partial", rejectedItems, reason }, delta }), subject);
    assert.equal(partial(1, "no").finding, "canary_rejected");
    assert.equal(partial(1, "delta is not supported", true).finding, "delta_refused");
    assert.equal(partial(0, "deprecated").outcome, "ok");
    const odd = diagnoseAcknowledgement(observation({ outcome: { kind: "accepted", note: "odd" } }), subject);
    assert.equal(odd.finding, "odd_answer");
  });
});

test("the shape of a credential is told, whichever header carries it", () => {
  const shape = (headers: Record<string, string | Secret>) => shapeOfCredentials(headers);
  assert.equal(shape({}), "absent");
  assert.equal(shape({ "x-scope-orgid": "a%20b" }), "absent");
  assert.equal(shape({ authorization: "Bearer abc" }), "well_formed");
  assert.equal(shape({ authorization: new Secret("Basic%20YTpi") }), "percent_encoded");
  assert.equal(shape({ "x-api-key": '"abc"' }), "quoted");
  assert.equal(shape({ authorization: "Basic a:b" }), "basic_not_base64");
  assert.equal(shape({ authorization: `Basic ${Buffer.from("a:b").toString("base64")}` }), "well_formed");
  assert.equal(shape({ authorization: "Bearer abc", "dd-api-key": "a%2Bb" }), "percent_encoded");
  assert.equal(shape({ authorization: "abc" }), "scheme_missing");
  assert.equal(shape({ authorization: "Bearer " }), "token_missing");
  assert.equal(shape({ authorization: "Bearer Bearer abc" }), "scheme_twice");
  assert.equal(shape({ "x-api-key": "abc" }), "well_formed");
});

describe("the node", () => {
  test("clocks that differ by less than can be measured agree", () => {
    assert.equal(diagnoseClock({ skewMs: 2_400, uncertaintyMs: 500 }).outcome, "ok");
    assert.equal(diagnoseClock({ skewMs: -9_000, uncertaintyMs: 8_000 }).outcome, "ok");
    assert.match(diagnoseClock({ skewMs: 60_000, uncertaintyMs: 600 }).message, /60 s ahead of/);
    assert.match(diagnoseClock({ skewMs: -60_000, uncertaintyMs: 600 }).message, /60 s behind/);
  });

  const status: DestinationStatus = {
    destination: "grpc http://localhost:4317",
    signal: "metrics",
    index: 0,
    state: "ok",
    sinceMs: 0,
    queue: { items: 0, capacity: 100 },
    exportedItems: 7,
    failedItems: 0,
    droppedItems: 0,
  };
  const findingsOf = (more: Partial<DestinationStatus>) =>
    diagnoseDelivery({ ...status, ...more }, subject).flatMap(({ verdict }) => verdict.finding ?? []);

  test("queues, spools, losses and the last export each have their say", () => {
    assert.deepEqual(findingsOf({}), []);
    assert.deepEqual(findingsOf({ queue: { items: 81, capacity: 100 } }), ["queue_nearly_full"]);
    const spool = { bytes: 10, limitBytes: 100, items: 1 };
    assert.deepEqual(findingsOf({ spool }), ["spool_in_use"]);
    assert.deepEqual(findingsOf({ spool: { ...spool, bytes: 90 } }), ["spool_nearly_full"]);
    assert.deepEqual(findingsOf({ spool: { ...spool, bytes: 0, items: 0 } }), []);
    assert.deepEqual(findingsOf({ droppedItems: 1 }), ["signals_dropped"]);
    const lastError = { errorType: "400", reason: "invalid temporality", timeMs: 0 };
    assert.deepEqual(findingsOf({ state: "failing", lastError }), ["delta_refused"]);
    assert.deepEqual(findingsOf({ state: "failing" }), ["delivery_failing"]);
    assert.deepEqual(findingsOf({ state: "unsupported" }), ["signal_unsupported"]);
  });

  test("a metric near its limit is a warning, one that reached it is a failure", () => {
    const metric = (series: number, overflows = 0): MetricCardinality => ({
      name: "blixard.a",
      prometheusName: "blixard_a",
      instrument: "gauge",
      series,
      samples: series,
      limit: 100,
      overflows,
      attributes: [],
      perVm: false,
    });
    const diagnose = (...metrics: readonly MetricCardinality[]) =>
      diagnoseCardinality({ metrics, series: 0, samples: 0 });
    assert.equal(diagnose(metric(80)).outcome, "ok");
    assert.equal(diagnose(metric(81)).finding, "cardinality_near_limit");
    assert.equal(diagnose(metric(81), metric(100, 3)).finding, "cardinality_exceeded");
    assert.equal(diagnoseCardinality(undefined).outcome, "skipped");
  });
});

describe("the scrape", () => {
  const page = (body: string, statusCode = 200, contentType = "application/openmetrics-text; version=1.0.0") =>
    diagnosePage("http://n/metrics", { statusCode, contentType, body: Buffer.from(body), dateMs: undefined });

  test("a page is valid, asks for credentials, or is broken", () => {
    assert.equal(page('# TYPE a gauge\na{b="c # d"} 1.5\na_total 1 # {trace_id="x"} 1 2\n# EOF\n').outcome, "ok");
    assert.equal(page("", 401).outcome, "ok");
    assert.equal(page("", 503).finding, "page_unreachable");
    assert.equal(page("a 1\n").finding, "page_invalid");
    assert.equal(page("a b c d e\n# EOF\n").finding, "page_invalid");
    assert.equal(page("a 1\n# EOF\n", 200, "text/html").finding, "page_invalid");
  });

  test("metrics come twice only when both ways are seen", () => {
    const [push, scrape] = [
      { job: "a", instance: "b" },
      { job: "c", instance: "d" },
    ];
    const options = { identity: push, discoveryUrl: undefined, scrapedOnlyBy: undefined };
    assert.equal(diagnoseDuplicates([push], [scrape], options).finding, "scrape_and_push");
    assert.equal(diagnoseDuplicates([], [scrape, push], options).finding, "scraped_twice");
    for (const [pushed, scraped] of [
      [[push], []],
      [[], [scrape]],
      [[], []],
    ] as const) {
      assert.equal(diagnoseDuplicates(pushed, scraped, options).outcome, "ok");
    }
  });

  test("Prometheus is asked for an instance of any name", async () => {
    const asked: string[] = [];
    const verdict = await checkDuplicates({
      prometheusUrl: "http://prometheus:9090/",
      identity: { job: "blixard", instance: 'rack "7" \\ 3' },
      discoveryUrl: undefined,
      scrapedOnlyBy: undefined,
      pushed: undefined,
      fetch: async (url) => {
        asked.push(new URL(url).searchParams.get("query") ?? "");
        return { statusCode: 200, body: Buffer.from('{"status":"success"}'), contentType: "", dateMs: undefined };
      },
      signal: new AbortController().signal,
    });
    assert.equal(verdict.outcome, "ok");
    assert.equal(asked.length, 2);
    for (const query of asked) assert.ok(query.includes(String.raw`instance="rack \"7\" \\ 3"`), query);
  });

  test("a scrape under other labels than OTLP's is advised to discover its targets, unless there is no OTLP", () => {
    const identity = { job: "prod/blixard", instance: "627cc493" };
    const discoveryUrl = "http://node-1:9090/discovery/prometheus";
    const scrapedAs = (scraped: Readonly<Record<string, string>>, url?: string) =>
      diagnoseDuplicates([], [scraped], { identity, discoveryUrl: url, scrapedOnlyBy: undefined });
    for (const other of [
      { ...identity, instance: "node-1:9090" },
      { ...identity, job: "blixard" },
    ]) {
      const verdict = scrapedAs(other, discoveryUrl);
      assert.equal(verdict.outcome, "warning");
      assert.equal(verdict.finding, "scrape_labels_differ");
      assert.match(verdict.message, /job "prod\/blixard", instance "627cc493"$/);
      assert.match(verdict.fix ?? "", /http_sd_configs: \[\{ url: "http:\/\/node-1:9090\/discovery\/prometheus" \}\]/);
      assert.equal(scrapedAs(other).outcome, "ok");
    }
    assert.equal(scrapedAs(identity, discoveryUrl).outcome, "ok");
  });

  test("answers of a backend that are none are empty, and its URL is shown without its password", () => {
    for (const body of ["", "[]", '{"data":1}', '{"data":{"result":[{"metric":1}]}}', "\u0000"]) {
      assert.ok(
        resultsOf(Buffer.from(body)).every((labels) => Object.keys(labels).length === 0),
        body,
      );
    }
    assert.equal(withoutCredentials("http://user:hunter2@prometheus:9090/base/"), "http://prometheus:9090/base");
  });
});

describe("the whole", () => {
  test("generators run at the same time, and what they say stays together", async () => {
    const first = Promise.withResolvers<void>();
    async function* slow(): AsyncGenerator<string, void, void> {
      yield "a1";
      await first.promise;
      yield "a2";
    }
    async function* quick(): AsyncGenerator<string, void, void> {
      yield "b1";
      // Only together can they end: the first waits for the second.
      first.resolve();
      yield "b2";
    }
    const values: string[] = [];
    for await (const value of inOrder([slow(), quick()], first.reject)) values.push(value);
    assert.deepEqual(values, ["a1", "a2", "b1", "b2"]);
  });

  test("ended early, generators are told to give up what they wait for, and end", async () => {
    const abandoned = Promise.withResolvers<void>();
    let ended = 0;
    async function* waiting(): AsyncGenerator<string, void, void> {
      try {
        yield "a";
        await abandoned.promise;
      } finally {
        ended++;
      }
    }
    const unread = inOrder([waiting(), waiting()], abandoned.resolve);
    await unread.next();
    await unread.return();
    assert.equal(ended, 2);
  });

  test("what one generator throws is thrown", async () => {
    async function* failing(): AsyncGenerator<string, void, void> {
      yield "a";
      throw new Error("boom");
    }
    const all = inOrder([failing()], () => undefined);
    assert.equal((await all.next()).value, "a");
    await assert.rejects(all.next(), /boom/);
  });

  test("a summary is as bad as the worst check", () => {
    const check = (outcome: DoctorCheck["outcome"]): DoctorCheck => ({
      target: "node",
      step: "send",
      outcome,
      message: "",
      durationMs: 0,
    });
    assert.equal(summarize([], "").outcome, "skipped");
    assert.equal(summarize([check("skipped"), check("ok")], "").outcome, "ok");
    assert.equal(summarize([check("ok"), check("warning")], "").outcome, "warning");
    const { outcome, failed, warnings } = summarize([check("warning"), check("failed"), check("failed")], "");
    assert.deepEqual([outcome, failed, warnings], ["failed", 2, 1]);
  });
});
