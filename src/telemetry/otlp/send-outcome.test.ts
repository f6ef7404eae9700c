// What each answer and each failure means, over all codes. Source: OTLP 1.x, docs/specification.md.
import assert from "node:assert/strict";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import {
  backoffMs,
  connectionOutcome,
  grpcOutcome,
  httpOutcome,
  networkProblems,
  parseRetryAfter,
  type NetworkProblem,
  type SendOutcome,
} from "./send-outcome.ts";
import { describeProblem } from "./network-problem.ts";

/** The specification's table, "Failures". */
const grpcRetryable: Readonly<Record<string, boolean>> = {
  CANCELLED: true,
  UNKNOWN: false,
  INVALID_ARGUMENT: false,
  DEADLINE_EXCEEDED: true,
  NOT_FOUND: false,
  ALREADY_EXISTS: false,
  PERMISSION_DENIED: false,
  UNAUTHENTICATED: false,
  RESOURCE_EXHAUSTED: false,
  FAILED_PRECONDITION: false,
  ABORTED: true,
  OUT_OF_RANGE: true,
  UNIMPLEMENTED: false,
  INTERNAL: false,
  UNAVAILABLE: true,
  DATA_LOSS: true,
};

test("gRPC: each code is retried or not as the specification's table has it", () => {
  const names = Object.keys(status).filter((key) => !/^\d+$/.test(key) && key !== "OK");
  assert.deepEqual(names.toSorted(), Object.keys(grpcRetryable).toSorted(), "every code of gRPC is in the table");
  for (const [name, retryable] of Object.entries(grpcRetryable)) {
    const outcome = grpcOutcome(status[name as keyof typeof status], "told so", undefined);
    assert.equal(outcome.kind === "retry", retryable, name);
    assert.equal("errorType" in outcome && outcome.errorType, name);
  }
});

test("gRPC: a server that says when is asked again then, and only so an exhausted one is asked again at all", () => {
  const throttled = grpcOutcome(status.RESOURCE_EXHAUSTED, "", 2_000);
  assert.deepEqual(pick(throttled), { kind: "retry", afterMs: 2_000, cause: "throttled" });
  assert.deepEqual(pick(grpcOutcome(status.RESOURCE_EXHAUSTED, "", undefined)), {
    kind: "refused",
    cause: "throttled",
  });
  const unavailable = grpcOutcome(status.UNAVAILABLE, "busy", 500);
  assert.deepEqual(pick(unavailable), { kind: "retry", afterMs: 500, cause: "server_unavailable" });
  // Nothing that may not be retried becomes so by a delay.
  assert.equal(grpcOutcome(status.INVALID_ARGUMENT, "", 500).kind, "refused");
  const day = grpcOutcome(status.UNAVAILABLE, "", 86_400_000);
  assert.ok(day.kind === "retry" && (day.afterMs ?? 0) <= 600_000, "patience has an end");
});

test("HTTP: 429, 502, 503 and 504 are retried, no other failure is, and 404 means that the signal is not taken", () => {
  for (let statusCode = 300; statusCode < 600; statusCode++) {
    const expected = [429, 502, 503, 504].includes(statusCode)
      ? "retry"
      : statusCode === 404
        ? "unsupported"
        : "refused";
    const outcome = httpOutcome(statusCode, "", undefined);
    assert.equal(outcome.kind, expected, String(statusCode));
    assert.equal("errorType" in outcome && outcome.errorType, String(statusCode));
  }
  assert.deepEqual(pick(httpOutcome(503, "", 1_500)), { kind: "retry", afterMs: 1_500, cause: "server_unavailable" });
});

test("Retry-After is seconds or a date; anything else is not heard", () => {
  const now = Date.parse("2026-11-22T10:00:00Z");
  const expected: readonly (readonly [string | undefined, number | undefined])[] = [
    [undefined, undefined],
    ["0", 0],
    ["120", 120_000],
    [" 3 ", 3_000],
    ["Sun, 22 Nov 2026 10:00:30 GMT", 30_000],
    ["Sun, 22 Nov 2026 09:00:00 GMT", 0],
    ["-1", undefined],
    ["soon", undefined],
    ["99999999999999", undefined],
  ];
  for (const [header, afterMs] of expected) {
    assert.equal(parseRetryAfter(header, now), afterMs, String(header));
  }
});

test("patience doubles up to a limit, differs from node to node, and is never shorter than the server's", () => {
  const options = { initialMs: 1_000, maximumMs: 8_000 };
  const waits = [1, 2, 3, 4, 5, 100].map((attempt) => backoffMs(attempt, options, () => 1));
  assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
  assert.equal(
    backoffMs(1, options, () => 0),
    500,
  );
  assert.ok(backoffMs(1, options, () => 0, 5_000) > 5_000);
});

/** As Node.js 26 and grpc-js 1.14 really say it; hostile-collector.test.ts meets most of them on sockets. */
const openssl = (words: string): string =>
  `4093BD92F87F0000:error:0A00010B:SSL routines:ssl3_read_bytes:${words}:../deps/openssl/openssl/ssl/record/x.c:918:SSL alert number 1\n`;
const grpcJs = (words: string): string => `No connection established. Last error: ${words}. Resolution note: `;

const connectionTable: readonly (readonly [code: string, message: string, problem: NetworkProblem])[] = [
  ["ENOTFOUND", "getaddrinfo ENOTFOUND nowhere.invalid", "name_not_found"],
  ["EAI_AGAIN", "getaddrinfo EAI_AGAIN nowhere", "name_not_found"],
  ["ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:1", "connection_refused"],
  ["EHOSTUNREACH", "connect EHOSTUNREACH 10.0.0.1:4318", "unreachable"],
  ["ENETUNREACH", "connect ENETUNREACH 2001:db8::1:4318", "unreachable"],
  ["ETIMEDOUT", "connect ETIMEDOUT 10.0.0.1:4318", "timeout"],
  ["timeout", "10000 ms", "timeout"],
  ["cancelled", "", "cancelled"],
  ["ECONNRESET", "socket hang up", "connection_reset"],
  ["ECONNRESET", "read ECONNRESET", "connection_reset"],
  ["EPIPE", "write EPIPE", "connection_reset"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate; if the root CA is …", "certificate_self_signed"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "self-signed certificate in certificate chain", "certificate_untrusted"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "unable to verify the first certificate", "certificate_untrusted"],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "unable to get local issuer certificate", "certificate_untrusted"],
  ["CERT_HAS_EXPIRED", "certificate has expired", "certificate_expired"],
  ["CERT_NOT_YET_VALID", "certificate is not yet valid", "certificate_not_yet_valid"],
  [
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "Hostname/IP does not match certificate's altnames: Host: a. is not cert's CN: b",
    "certificate_wrong_host",
  ],
  [
    "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
    openssl("tlsv13 alert certificate required"),
    "client_certificate_refused",
  ],
  ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", openssl("tlsv1 alert unknown ca"), "client_certificate_refused"],
  ["EPROTO", `write EPROTO ${openssl("wrong version number")}`, "tls_to_plaintext_port"],
  ["EPROTO", `write EPROTO ${openssl("tlsv1 alert protocol version")}`, "tls_failed"],
  ["ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", openssl("sslv3 alert handshake failure"), "tls_failed"],
  ["HPE_INVALID_CONSTANT", "Parse Error: Expected HTTP/, RTSP/ or ICE/", "response_not_otlp"],
  ["HPE_HEADER_OVERFLOW", "Parse Error: Header overflow", "response_too_large"],
  ["EWHATEVER", "something new", "other"],
];

test("HTTP: every way in which a connection fails has its name", () => {
  for (const [code, message, problem] of connectionTable) {
    const outcome = connectionOutcome({ code, message });
    assert.equal("cause" in outcome && outcome.cause, problem, `${code} ${message}`);
    assert.equal("errorType" in outcome && outcome.errorType, code);
  }
  const greetings: readonly (readonly [readonly number[], NetworkProblem])[] = [
    [[0, 0, 18, 4, 0, 0, 0, 0, 0, 0, 3], "http_to_grpc_port"],
    [[0x15, 3, 1, 0, 2, 2, 70], "plaintext_to_tls_port"],
    [[...Buffer.from("SSH-2.0-OpenSSH")], "response_not_otlp"],
  ];
  for (const [bytes, problem] of greetings) {
    const rawPacket = Uint8Array.from(bytes);
    const outcome = connectionOutcome({ code: "HPE_INVALID_CONSTANT", message: "Parse Error", rawPacket });
    assert.equal("cause" in outcome && outcome.cause, problem);
  }
});

const grpcTable: readonly (readonly [code: keyof typeof status, details: string, problem: NetworkProblem])[] = [
  ["UNAVAILABLE", "Name resolution failed for target dns:nowhere.invalid:4317", "name_not_found"],
  ["UNAVAILABLE", grpcJs("Error: connect ECONNREFUSED 127.0.0.1:1"), "connection_refused"],
  ["UNAVAILABLE", grpcJs("Error: connect EHOSTUNREACH 10.0.0.1:4317"), "unreachable"],
  ["UNAVAILABLE", grpcJs(`Error: ${openssl("wrong version number")}`), "tls_to_plaintext_port"],
  ["UNAVAILABLE", grpcJs("Error: self-signed certificate; if the root CA is installed"), "certificate_self_signed"],
  ["UNAVAILABLE", grpcJs("Error: unable to verify the first certificate; if the root"), "certificate_untrusted"],
  ["UNAVAILABLE", grpcJs("Error: certificate has expired"), "certificate_expired"],
  ["UNAVAILABLE", grpcJs("Error: Hostname/IP does not match certificate's altnames: …"), "certificate_wrong_host"],
  ["UNAVAILABLE", grpcJs(openssl("tlsv13 alert certificate required")), "client_certificate_refused"],
  ["UNAVAILABLE", grpcJs(`Error: ${openssl("tlsv1 alert no application protocol")}`), "grpc_to_http1_port"],
  ["UNAVAILABLE", grpcJs("Protocol error (2026-11-23T00:03:02.105Z)"), "grpc_to_http1_port"],
  ["UNAVAILABLE", grpcJs("read ECONNRESET (2026-11-23T00:03:02.158Z)"), "connection_reset"],
  ["UNAVAILABLE", grpcJs("Failed to connect (2026-11-23T00:03:02.045Z)"), "connection_reset"],
  ["UNAVAILABLE", "Connection dropped", "connection_reset"],
  ["UNAVAILABLE", "the pipeline is full", "server_unavailable"],
  ["UNAVAILABLE", "Received HTTP status code 503", "server_unavailable"],
  ["UNAVAILABLE", "Received HTTP status code 429", "throttled"],
  ["DEADLINE_EXCEEDED", "Deadline exceeded after 1.504s,Waiting for LB pick", "timeout"],
  ["CANCELLED", "Cancelled on client", "cancelled"],
  ["UNAUTHENTICATED", "invalid token", "unauthenticated"],
  ["PERMISSION_DENIED", "not yours", "forbidden"],
  ["PERMISSION_DENIED", "Received HTTP status code 403", "forbidden"],
  ["UNIMPLEMENTED", "unknown service", "signal_not_taken"],
  ["RESOURCE_EXHAUSTED", "quota", "throttled"],
  ["RESOURCE_EXHAUSTED", "Received message larger than max (104857600 vs 4194304)", "response_too_large"],
  ["RESOURCE_EXHAUSTED", "Received message larger than max (1752460652 vs 4194304)", "response_not_otlp"],
  ["RESOURCE_EXHAUSTED", "grpc: received message larger than max (5000000 vs. 4194304)", "request_too_large"],
  ["INVALID_ARGUMENT", "bad data", "request_refused"],
  ["INTERNAL", "disk full", "server_error"],
  ["INTERNAL", "Received RST_STREAM with code 0 (Call ended without gRPC status)", "response_not_otlp"],
];

test("gRPC: every way in which a call fails has its name", () => {
  for (const [code, details, problem] of grpcTable) {
    const outcome = grpcOutcome(status[code], details, undefined);
    assert.equal("cause" in outcome && outcome.cause, problem, `${code} ${details}`);
  }
});

test("HTTP: servers that say what went wrong are understood", () => {
  const table: readonly (readonly [number, string, NetworkProblem])[] = [
    [401, "", "unauthenticated"],
    [403, "", "forbidden"],
    [404, "", "signal_not_taken"],
    [307, "", "redirected"],
    [413, "", "request_too_large"],
    [429, "", "throttled"],
    [400, "proto: cannot parse", "request_refused"],
    [500, "", "server_error"],
    [503, "", "server_unavailable"],
    [400, "Client sent an HTTP request to an HTTPS server.", "plaintext_to_tls_port"],
    [400, "<center>The plain HTTP request was sent to HTTPS port</center>", "plaintext_to_tls_port"],
    [415, "invalid gRPC request content-type", "http_to_grpc_port"],
  ];
  for (const [statusCode, explanation, problem] of table) {
    const outcome = httpOutcome(statusCode, explanation, undefined);
    assert.equal("cause" in outcome && outcome.cause, problem, `${statusCode} ${explanation}`);
  }
});

test("a reason is one line in plain words, the same each time, without addresses in memory and times", () => {
  const reasonOf = (outcome: SendOutcome): string => ("reason" in outcome ? outcome.reason : "");
  assert.equal(
    reasonOf(grpcOutcome(status.UNAVAILABLE, grpcJs("Error: connect ECONNREFUSED 127.0.0.1:1"), undefined)),
    "nobody listens there (connect ECONNREFUSED 127.0.0.1:1)",
  );
  assert.equal(reasonOf(grpcOutcome(status.UNAVAILABLE, grpcJs("null"), undefined)), "it cannot be reached");
  assert.equal(
    reasonOf(connectionOutcome({ code: "EPROTO", message: `write EPROTO ${openssl("wrong version number")}` })),
    "TLS was spoken to a port of plain text (wrong version number)",
  );
  assert.equal(
    reasonOf(grpcOutcome(status.UNAVAILABLE, grpcJs("Protocol error (2026-11-23T00:03:02.105Z)"), undefined)),
    "gRPC was spoken to a port that does not speak HTTP/2 (Protocol error)",
  );
  for (const problem of networkProblems) {
    const reason = describeProblem(problem, `a\u0000b\r\n\u001b[31m${"x".repeat(100_000)}`);
    assert.doesNotMatch(reason, /\p{Cc}/u);
    assert.ok(reason.length < 300);
  }
});

function pick(outcome: SendOutcome): Record<string, unknown> {
  const { kind } = outcome;
  return {
    kind,
    ...("afterMs" in outcome ? { afterMs: outcome.afterMs } : {}),
    ...("cause" in outcome ? { cause: outcome.cause } : {}),
  };
}
