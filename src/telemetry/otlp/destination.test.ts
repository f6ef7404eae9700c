import assert from "node:assert/strict";
import { test } from "node:test";
import { Secret } from "#model/secret.ts";
import type { OtlpOptions } from "../telemetry-options.ts";
import { redactSecrets, resolveDestination, type Destination, type OtlpSignal } from "./destination.ts";

function resolve(endpoint: string, options: Partial<OtlpOptions> = {}, signal: OtlpSignal = "traces"): Destination {
  return resolveDestination({ endpoint, ...options }, signal);
}

/** `protocol scheme host port path` */
function summary(destination: Destination): string {
  const { protocol, secure, host, port } = destination;
  return [protocol, secure ? "tls" : "plain", host, port, ...(protocol === "grpc" ? [] : [destination.path])].join(" ");
}

test("the guide's endpoints go where their owners listen", () => {
  assert.equal(summary(resolve("http://localhost:4317")), "grpc plain localhost 4317");
  assert.equal(summary(resolve("http://datadog-agent:4317")), "grpc plain datadog-agent 4317");
  const grafana = "https://otlp-gateway-prod-us-central-0.grafana.net";
  for (const endpoint of [`${grafana}:443`, grafana, `${grafana}/otlp`, `${grafana}/otlp/`]) {
    assert.equal(
      summary(resolve(endpoint, {}, "metrics")),
      "http/protobuf tls otlp-gateway-prod-us-central-0.grafana.net 443 /otlp/v1/metrics",
    );
  }
});

test("port 4318 or a path means HTTP, anything else gRPC, and the operator's word goes first", () => {
  assert.equal(summary(resolve("http://c:4318")), "http/protobuf plain c 4318 /v1/traces");
  assert.equal(summary(resolve("https://c/api/otlp", {}, "logs")), "http/protobuf tls c 443 /api/otlp/v1/logs");
  assert.equal(summary(resolve("https://c:8443")), "grpc tls c 8443");
  assert.equal(summary(resolve("https://c")), "grpc tls c 443");
  assert.equal(summary(resolve("http://c:4318", { protocol: "grpc" })), "grpc plain c 4318");
  assert.equal(
    summary(resolve("http://c:4317", { protocol: "http/protobuf" })),
    "http/protobuf plain c 4317 /v1/traces",
  );
  assert.equal(summary(resolve("http://c:80")), "grpc plain c 80");
  assert.equal(summary(resolve("http://[::1]:80")), "grpc plain ::1 80");
  assert.equal(summary(resolve("http://c")), "grpc plain c 4317");
  assert.equal(summary(resolve("http://[::1]:4317")), "grpc plain ::1 4317");
});

test("an endpoint given for one signal is used as it is, a base one gets the signal's path", () => {
  const exact = { protocol: "http/protobuf", endpointKind: "exact" } as const;
  assert.equal(summary(resolve("http://c:4318/custom?x=1", exact)), "http/protobuf plain c 4318 /custom?x=1");
  assert.equal(summary(resolve("http://c:4318/", exact)), "http/protobuf plain c 4318 /");
  assert.equal(summary(resolve("http://c/base/?key=1")), "http/protobuf plain c 80 /base/v1/traces?key=1");
});

test("without a scheme an endpoint is gRPC, with TLS unless told otherwise", () => {
  assert.equal(summary(resolve("collector:4317")), "grpc tls collector 4317");
  assert.equal(summary(resolve("collector:4317", { insecure: true })), "grpc plain collector 4317");
  assert.equal(summary(resolve("https://collector:4317", { insecure: true })), "grpc tls collector 4317");
});

test("basic authentication becomes the header, and no secret is ever shown", () => {
  const destination = resolve("http://c:4318", {
    basicAuth: { username: "123456", password: new Secret("glc_token") },
    headers: { "X-Scope-OrgID": "team-a", "x-api-key": new Secret("k3y") },
  });
  const { authorization } = destination.headers;
  assert.ok(authorization instanceof Secret);
  assert.equal(authorization.reveal(), `Basic ${Buffer.from("123456:glc_token").toString("base64")}`);
  assert.equal(destination.headers["x-scope-orgid"], "team-a");
  assert.doesNotMatch(JSON.stringify(destination), /glc_token|k3y|MTIzNDU2/);
});

test("HTTP/JSON goes where HTTP/protobuf goes, in smaller requests; a receiver's own limit is kept to", () => {
  const json = resolve("http://c:4318", { protocol: "http/json" }, "logs");
  assert.equal(summary(json), "http/json plain c 4318 /v1/logs");
  const protobuf = resolve("http://c:4318", { protocol: "http/protobuf" }, "logs");
  assert.ok(json.requestLimits.targetBytes < protobuf.requestLimits.targetBytes);
  assert.equal(json.requestLimits.maximumBytes, protobuf.requestLimits.maximumBytes);
  assert.ok(protobuf.requestLimits.maximumBytes < 4 * 1024 * 1024);
  const small = resolve("http://c:4317", { maximumRequestBytes: 100_000 }).requestLimits;
  assert.deepEqual(small, { maximumBytes: 100_000, targetBytes: 100_000 });
});

test("what a receiver repeats of our secrets is taken out, with its scheme and without", () => {
  const destination = resolve("http://c:4318", {
    headers: { authorization: new Secret("Bearer glc_token"), "x-pin": new Secret("1"), "x-team": "team-a" },
  });
  assert.equal(
    redactSecrets(destination, "team-a: Bearer glc_token is no good, glc_token neither; 1 is too short to hide"),
    "team-a: [redacted] is no good, [redacted] neither; 1 is too short to hide",
  );
});

test("an endpoint or header that cannot work is refused with what to do", () => {
  const bad: readonly [string, Partial<OtlpOptions>][] = [
    ["", {}],
    ["http://", {}],
    ["ftp://c", {}],
    ["unix:///run/x", {}],
    ["http://user:pass@c:4317", {}],
    ["collector:4318", { protocol: "http/protobuf" }],
    ["collector:4318", { protocol: "http/json" }],
    ["http://c", { maximumRequestBytes: 1_000 }],
    ["http://c", { maximumRequestBytes: Number.NaN }],
    ["http://c", { headers: { "bad header": "x" } }],
    ["http://c", { headers: { ok: "a\r\nEvil: 1" } }],
    ["http://c", { headers: { "content-type": "x" } }],
    ["http://c", { headers: { Authorization: "x" }, basicAuth: { username: "u", password: new Secret("p") } }],
    ["http://c", { basicAuth: { username: "a:b", password: new Secret("p") } }],
  ];
  for (const [endpoint, options] of bad) {
    assert.throws(
      () => resolve(endpoint, options),
      (error: unknown) => {
        assert.ok(error instanceof Error && "code" in error && "hint" in error);
        assert.equal(error.code, "CONFIG_INVALID");
        assert.equal(typeof error.hint, "string");
        assert.doesNotMatch(error.message, /user:pass/);
        return true;
      },
    );
  }
});
