/**
 * The planted mistakes of `blixard telemetry doctor`, against the real Collector, Jaeger
 * and Prometheus: each is told by its name with the fix, and nothing else is found.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { loopbackCertificate, loopbackKey } from "#test/support/loopback-certificate.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { askDoctor, assertHealthy, assertOnlyFinding, type DoctorsWord } from "./support/ask-doctor.ts";
import {
  type Collector,
  type Jaeger,
  type PrometheusServer,
  startCollector,
  startJaeger,
  startPrometheusServer,
} from "./support/loopback-backends.ts";

const TIMEOUT_MS = 120_000;
/** bcrypt of "secret". */
const HASH_OF_SECRET = "HASHHERE";

let directory: string;
let jaeger: Jaeger;
let prometheus: PrometheusServer;
let collector: Collector;
const ends: (() => Promise<void>)[] = [];
const owner = { after: (end: () => Promise<void>) => void ends.unshift(end) };

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "blixard-doctor-"));
  jaeger = await startJaeger(owner);
  prometheus = await startPrometheusServer(owner);
  collector = await startCollector(owner, {
    exporters: {
      otlp: { endpoint: jaeger.grpc, tls: { insecure: true } },
      prometheusremotewrite: { endpoint: `${prometheus.url}/api/v1/write` },
    },
    pipelines: {
      traces: { receivers: ["otlp"], exporters: ["otlp"] },
      metrics: { receivers: ["otlp"], exporters: ["prometheusremotewrite"] },
      logs: { receivers: ["otlp"], exporters: ["debug"] },
    },
  });
});

after(async () => {
  for (const end of ends) await end();
  await rm(directory, { recursive: true, force: true });
});

/** Every signal to one endpoint. */
function tracing(endpoint: string, protocol: "grpc" | "http/protobuf" | "http/json", more = ""): string {
  return `[observability.tracing]\notlp_endpoint = "${endpoint}"\nprotocol = "${protocol}"\n${more}`;
}

const backends = (): string =>
  `[observability.doctor]\njaeger_url = "${jaeger.url}"\nprometheus_url = "${prometheus.url}"\n`;

test("all is well: Jaeger and Prometheus have the canary, and show it to others too", async () => {
  for (const [endpoint, protocol] of [
    [collector.grpc, "grpc"],
    [collector.http, "http/protobuf"],
    [collector.http, "http/json"],
  ] as const) {
    const word = await askDoctor(tracing(endpoint, protocol) + backends());
    assertHealthy(word);
    const readBack = word.checks.filter(({ step }) => step === "read_back");
    assert.deepEqual(
      readBack.map(({ signal, outcome }) => [signal, outcome]),
      [
        ["traces", "CHECK_OUTCOME_OK"],
        ["metrics", "CHECK_OUTCOME_OK"],
        ["logs", "CHECK_OUTCOME_SKIPPED"],
      ],
    );
    await assertArrived(word);
  }
});

/** The canary is in the backends, whatever the doctor says. */
async function assertArrived({ traceId }: DoctorsWord): Promise<void> {
  const trace = await jaeger.trace(traceId);
  assert.deepEqual(
    trace?.spans.map(({ operationName }) => operationName),
    ["telemetry.canary"],
  );
  const id = String(trace?.spans[0]?.tags.find(({ key }) => key === "blixard.telemetry.canary_id")?.value);
  const selector = `blixard_telemetry_canary{blixard_telemetry_canary_id="${id}"}`;
  const [sample] = await prometheus.query(`last_over_time(${selector}[10m])`);
  assert.equal(sample?.value?.[1], "1");
  // Its series ends with the diagnosis.
  await waitFor("the end of the canary", async () => (await prometheus.query(selector)).length === 0, TIMEOUT_MS);
}

test("mistake 1: gRPC spoken to an HTTP gateway", async () => {
  for (const endpoint of [collector.http, jaeger.http, `${prometheus.url}/api/v1/otlp`]) {
    const word = await askDoctor(tracing(endpoint, "grpc"));
    assertOnlyFinding(word, "grpc_to_http_gateway", /Set protocol = "http\/protobuf" in \[observability\.tracing\]/);
    assert.equal(word.exitCode, 1);
  }
});

test("mistake 1 the other way: HTTP spoken to a gRPC port", async () => {
  for (const endpoint of [collector.grpc, jaeger.grpc]) {
    assertOnlyFinding(await askDoctor(tracing(endpoint, "http/protobuf")), "http_to_grpc_port", /protocol = "grpc"/);
  }
});

test("mistake 2: the gateway's /otlp is missing", async (context) => {
  const gateway = await startCollector(context, {
    http: Object.fromEntries(["traces", "metrics", "logs"].map((s) => [`${s}_url_path`, `/otlp/v1/${s}`])),
    pipelines: everythingToDebug,
  });
  const word = await askDoctor(tracing(gateway.http, "http/protobuf"));
  assertOnlyFinding(word, "otlp_path_missing", new RegExp(`otlp_endpoint = "${gateway.http}/otlp"`));
  assertHealthyButReadBack(await askDoctor(tracing(`${gateway.http}/otlp`, "http/protobuf")));
});

const everythingToDebug = Object.fromEntries(
  ["traces", "metrics", "logs"].map((signal) => [signal, { receivers: ["otlp"], exporters: ["debug"] }]),
);

function assertHealthyButReadBack(word: DoctorsWord): void {
  assert.deepEqual(word.findings, [], word.text);
  assert.equal(word.exitCode, 0);
}

test("mistake 4: TLS spoken to a plaintext port", async () => {
  for (const [endpoint, protocol] of [
    [collector.grpc, "grpc"],
    [collector.http, "http/protobuf"],
    [jaeger.grpc, "grpc"],
    [jaeger.http, "http/protobuf"],
    [`${prometheus.url}/api/v1/otlp`, "http/protobuf"],
  ] as const) {
    const word = await askDoctor(tracing(endpoint.replace("http:", "https:"), protocol));
    const { origin } = new URL(endpoint);
    assertOnlyFinding(word, "tls_to_plaintext_port", new RegExp(`otlp_endpoint = "${origin}"`));
  }
});

test("mistake 5: the collector's certificate is self-signed", async (context) => {
  const file = (name: string): string => join(directory, name);
  await writeFile(file("server.pem"), loopbackCertificate);
  await writeFile(file("server.key"), loopbackKey, { mode: 0o600 });
  const secure = await startCollector(context, {
    protocol: { tls: { cert_file: file("server.pem"), key_file: file("server.key") } },
    pipelines: everythingToDebug,
  });
  for (const [endpoint, protocol] of [
    [secure.grpc, "grpc"],
    [secure.http, "http/protobuf"],
  ] as const) {
    const word = await askDoctor(tracing(endpoint, protocol));
    assertOnlyFinding(word, "certificate_untrusted", /Set ca_file = /);
    assertHealthyButReadBack(await askDoctor(tracing(endpoint, protocol, `ca_file = "${file("server.pem")}"\n`)));
    const plain = await askDoctor(tracing(endpoint.replace("https:", "http:"), protocol));
    assertOnlyFinding(plain, "plaintext_to_tls_port", new RegExp(`Set otlp_endpoint = "${endpoint}"`));
  }
});

test("mistake 9: Jaeger takes traces only", async () => {
  for (const [endpoint, protocol] of [
    [jaeger.grpc, "grpc"],
    [jaeger.http, "http/protobuf"],
  ] as const) {
    const word = await askDoctor(tracing(endpoint, protocol));
    assertOnlyFinding(word, "signal_unsupported", /otlp_enabled = false/);
    assert.equal(word.outcome, "CHECK_OUTCOME_WARNING");
    assert.equal(word.exitCode, 0);
  }
});

test("mistake 9, other backends: Prometheus takes metrics only, and a Collector what it has pipelines for", async (context) => {
  const word = await askDoctor(tracing(`${prometheus.url}/api/v1/otlp`, "http/protobuf"));
  assertOnlyFinding(word, "signal_unsupported", /does not take (traces|logs)/);
  const withoutLogs = await startCollector(context, { pipelines: { traces: everythingToDebug["traces"]! } });
});
