/**
 * The planted mistakes of `blixard telemetry doctor`, against the real Collector, Jaeger
 * and Prometheus: each is told by its name with the fix, and nothing else is found.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { freePort } from "#test/support/free-port.ts";
import { loopbackCertificate, loopbackKey } from "#test/support/loopback-certificate.ts";
import { waitFor } from "#test/support/wait-for.ts";
import {
  askDoctor,
  assertHealthy,
  assertNothingFound,
  assertOnlyFinding,
  type DoctorsWord,
} from "./support/ask-doctor.ts";
import { useBackend } from "./support/backends.ts";
import {
  type Collector,
  type Jaeger,
  NOWHERE,
  type PrometheusServer,
  startCollector,
  startJaeger,
  startPrometheusServer,
} from "./support/loopback-backends.ts";
import { StackNetwork } from "./support/stack-network.ts";

const TIMEOUT_MS = 120_000;
const OTLP_RECEIVER = "--web.enable-otlp-receiver";
/** bcrypt of "secret". */
const HASH_OF_SECRET = "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
const BASE64_OF_CREDENTIALS = Buffer.from("node:secret").toString("base64");

const ends: (() => Promise<void>)[] = [];
const owner = { after: (end: () => Promise<void>) => void ends.unshift(end) };
let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "blixard-doctor-"));
});

after(async () => {
  for (const end of ends) await end();
  await rm(directory, { recursive: true, force: true });
});

/** A healthy stack for all tests: a Collector that hands on to Jaeger and, by remote write, to Prometheus. */
interface Scene {
  readonly jaeger: Jaeger;
  readonly prometheus: PrometheusServer;
  readonly collector: Collector;
  readonly programs: Programs;
}

type Programs = Readonly<Record<"collector" | "jaeger" | "prometheus" | "prometheus3", string>>;

let scene: Promise<Scene> | undefined;

/** Undefined where a program is missing: the test is skipped then. */
async function sceneFor(context: TestContext): Promise<Scene | undefined> {
  const collector = useBackend(context, "collector");
  const jaeger = useBackend(context, "jaeger");
  const prometheus = useBackend(context, "prometheus");
  const prometheus3 = useBackend(context, "prometheus3");
  if (collector === undefined || jaeger === undefined || prometheus === undefined || prometheus3 === undefined) return;
  scene ??= setScene({ collector, jaeger, prometheus, prometheus3 });
  return scene;
}

async function setScene(programs: Programs): Promise<Scene> {
  const jaeger = await startJaeger(owner, programs.jaeger);
  const prometheus = await startPrometheusServer(owner, programs.prometheus3, { flags: [OTLP_RECEIVER] });
  const collector = await startCollector(owner, programs.collector, {
    exporters: {
      otlp: { endpoint: jaeger.grpc, tls: { insecure: true } },
      prometheusremotewrite: { endpoint: `${prometheus.url}/api/v1/write` },
    },
    pipelines: {
      ...everythingToNowhere,
      traces: { receivers: ["otlp"], exporters: ["otlp"] },
      metrics: { receivers: ["otlp"], exporters: ["prometheusremotewrite"] },
    },
  });
  return { jaeger, prometheus, collector, programs };
}

const toNowhere = { receivers: ["otlp"], exporters: [NOWHERE] };
const everythingToNowhere = { traces: toNowhere, metrics: toNowhere, logs: toNowhere };

type Protocol = "grpc" | "http/protobuf" | "http/json";

/** Every signal to one endpoint. */
function tracing(endpoint: string, protocol: Protocol, more = ""): string {
  return `[observability.tracing]\notlp_endpoint = "${endpoint}"\nprotocol = "${protocol}"\n${more}`;
}

function backends({ jaeger, prometheus }: Pick<Scene, "jaeger" | "prometheus">): string {
  return `[observability.doctor]\njaeger_url = "${jaeger.url}"\nprometheus_url = "${prometheus.url}"\n`;
}

test("all is well: Jaeger and Prometheus have the canary, and show it to others too", async (context) => {
  const set = await sceneFor(context);
  if (set === undefined) return;
  for (const [endpoint, protocol] of [
    [set.collector.grpc, "grpc"],
    [set.collector.http, "http/protobuf"],
    [set.collector.http, "http/json"],
  ] as const) {
    await assertWell(await askDoctor(tracing(endpoint, protocol) + backends(set)), set);
  }
});

test("all is well where Debian's Prometheus scrapes the Collector, and where a node writes to Prometheus itself", async (context) => {
  const set = await sceneFor(context);
  if (set === undefined) return;
  const { jaeger, programs } = set;
  const pagePort = await freePort();
  const collector = await startCollector(context, programs.collector, {
    exporters: {
      otlp: { endpoint: jaeger.grpc, tls: { insecure: true } },
      prometheus: { endpoint: `127.0.0.1:${pagePort}` },
    },
    pipelines: {
      ...everythingToNowhere,
      traces: { receivers: ["otlp"], exporters: ["otlp"] },
      metrics: { receivers: ["otlp"], exporters: ["prometheus"] },
    },
  });
  const targets = [`127.0.0.1:${pagePort}`];
  const prometheus = await startPrometheusServer(context, programs.prometheus, {
    config: {
      global: { scrape_interval: "1s" },
      scrape_configs: [{ job_name: "collector", honor_labels: true, static_configs: [{ targets }] }],
    },
  });
  const scraped = { jaeger, prometheus };
  await assertWell(await askDoctor(tracing(collector.grpc, "grpc") + backends(scraped)), scraped);
  const direct = `[observability.metrics]
otlp_endpoint = "${set.prometheus.url}/api/v1/otlp"
protocol = "http/protobuf"
[observability.logging]
otlp_enabled = false
`;
  await assertWell(await askDoctor(tracing(jaeger.grpc, "grpc") + direct + backends(set)), set);
});

test("all is well where Prometheus keeps OpenTelemetry's names as they are", async (context) => {
  const set = await sceneFor(context);
  if (set === undefined) return;
  const prometheus = await startPrometheusServer(context, set.programs.prometheus3, {
    config: { otlp: { translation_strategy: "NoTranslation" } },
    flags: [OTLP_RECEIVER],
  });
  const doctor = `[observability.doctor]\nprometheus_url = "${prometheus.url}"`;
  assertHealthy(await askDoctor(metricsOnly(`${prometheus.url}/api/v1/otlp`, doctor)));
  const untouched = 'count_over_time({"blixard.telemetry.canary"}[10m])';
  assert.equal((await prometheus.query(untouched)).length, 1);
});

/** Everything was found well, and the canary is in the backends whatever the doctor says. */
async function assertWell(
  word: DoctorsWord,
  { jaeger, prometheus }: Pick<Scene, "jaeger" | "prometheus">,
): Promise<void> {
  assertHealthy(word);
  const readBack = (signal: string) =>
    word.checks.find((check) => check.step === "read_back" && check.signal === signal);
  assert.match(readBack("traces")?.message ?? "", /^Jaeger has it after/);
  assert.match(
    readBack("metrics")?.message ?? "",
    /^Prometheus has it after .*, as job "(.+\/)?blixard", instance "[0-9a-f-]{36}"$/,
  );
  const trace = await jaeger.trace(word.traceId);
  assert.deepEqual(
    trace?.map(({ name }) => name),
    ["telemetry.canary"],
  );
  const id = String(trace?.[0]?.attributes["blixard.telemetry.canary_id"]);
  const selector = `blixard_telemetry_canary{blixard_telemetry_canary_id="${id}"}`;
  const [sample] = await prometheus.query(`last_over_time(${selector}[10m])`);
  assert.equal(sample?.value[1], "1");
  // Its series ends with the diagnosis.
  await waitFor("the end of the canary", async () => (await prometheus.query(selector)).length === 0, TIMEOUT_MS);
}

test("mistake 1: gRPC spoken to an HTTP gateway", async (context) => {
  const set = await sceneFor(context);
  if (set === undefined) return;
  for (const endpoint of [set.collector.http, set.jaeger.http]) {
    const word = await askDoctor(tracing(endpoint, "grpc"));
    assertOnlyFinding(word, "grpc_to_http_gateway", /Set protocol = "http\/protobuf" in \[observability\.tracing\]/);
    assert.equal(word.exitCode, 1);
  }
  const direct = await askDoctor(metricsOnly(set.prometheus.url).replace('"http/protobuf"', '"grpc"'));
  const receiver = `protocol = "http/protobuf" and otlp_endpoint = "${set.prometheus.url}/api/v1/otlp"`;
  assertOnlyFinding(direct, "grpc_to_http_gateway", new RegExp(RegExp.escape(receiver)));
});

test("gRPC spoken to the port of Jaeger's pages is told of the port that takes OTLP", async (context) => {
  const set = await sceneFor(context);
  if (set === undefined) return;
  assertOnlyFinding(await askDoctor(tracing(set.jaeger.url, "grpc")), "not_otlp", /usually 4317/);
});

test("mistake 1 the other way: HTTP spoken to a gRPC port", async (context) => {
  const set = await sceneFor(context);
  if (set === undefined) return;
  for (const endpoint of [set.collector.grpc, set.jaeger.grpc]) {
    assertOnlyFinding(await askDoctor(tracing(endpoint, "http/protobuf")), "http_to_grpc_port", /protocol = "grpc"/);
  }
});

test("mistake 2: the gateway's /otlp is missing", async (context) => {
  const set = await sceneFor(context);
  if (set === undefined) return;
  const gateway = await startCollector(context, set.programs.collector, {
    http: {
      traces_url_path: "/otlp/v1/traces",
      metrics_url_path: "/otlp/v1/metrics",
      logs_url_path: "/otlp/v1/logs",
    },
    pipelines: everythingToNowhere,
  });
  const word = await askDoctor(tracing(gateway.http, "http/protobuf"));
  assertOnlyFinding(word, "otlp_path_missing", new RegExp(`Set otlp_endpoint = "${gateway.http}/otlp" in`));
  assertNothingFound(await askDoctor(tracing(`${gateway.http}/otlp`, "http/protobuf")));
});

test("mistake 2, Prometheus: its /api/v1/otlp is missing, or its receiver is switched off", async (context) => {
  const set = await sceneFor(context);
  if (set === undefined) return;
  const missing = await askDoctor(metricsOnly(set.prometheus.url));
  assertOnlyFinding(missing, "otlp_path_missing", new RegExp(`otlp_endpoint = "${set.prometheus.url}/api/v1/otlp"`));
  const switchedOff = await startPrometheusServer(context, set.programs.prometheus3);
  const off = await askDoctor(metricsOnly(`${switchedOff.url}/api/v1/otlp`));
  assertOnlyFinding(off, "receiver_switched_off", /with --web\.enable-otlp-receiver/);
});

/** Nothing but metrics, over HTTP. */
function metricsOnly(endpoint: string, more = ""): string {
  return `[observability.tracing]
enabled = false
[observability.logging]
otlp_enabled = false
[observability.metrics]
otlp_enabled = true
otlp_endpoint = "${endpoint}"
protocol = "http/protobuf"
${more}
`;
}

test("mistakes 3 and 6: a header is not encoded as it should be, the token is wrong, or there is none", async (context) => {
  const set = await sceneFor(context);
  if (set === undefined) return;
  const guarded = await startPrometheusServer(context, set.programs.prometheus3, {
    web: { basic_auth_users: { node: HASH_OF_SECRET } },
    flags: [OTLP_RECEIVER],
  });
  const ask = (more: string, path = ""): Promise<DoctorsWord> =>
    askDoctor(metricsOnly(`${guarded.url}/api/v1/otlp${path}`, more));
  for (const [authorization, fix] of [
    [`Basic%20${BASE64_OF_CREDENTIALS}`, /a space, not %20/],
    [`\\"Basic ${BASE64_OF_CREDENTIALS}\\"`, /quotation marks/],
    ["Basic node:secret", /base64/],
  ] as const) {
    const word = await ask(`headers = { authorization = "${authorization}" }`);
    assertOnlyFinding(word, "header_malformed", fix);
    assert.ok(!word.text.includes(BASE64_OF_CREDENTIALS) && !word.text.includes("node:secret"), word.text);
  }
  const wrong = await ask('basic_auth = { username = "node", password = "hunter2" }');
  assertOnlyFinding(wrong, "credentials_refused", /right token or password in \[observability\.metrics\]/);
  assert.ok(!wrong.text.includes("hunter2"));
  assertOnlyFinding(await ask(""), "credentials_missing", /basic_auth/);
  const right = 'basic_auth = { username = "node", password = "secret" }';
  assertNothingFound(await ask(right));
  // Without credentials it refuses whatever it is asked for: that says nothing of which paths there are.
  assertOnlyFinding(await ask(right, "/v1/metrics"), "signal_path_twice", /api\/v1\/otlp" in/);
});

test("mistake 4: TLS spoken to a plaintext port", async (context) => {
  const set = await sceneFor(context);
  if (set === undefined) return;
  for (const [endpoint, protocol] of [
    [set.collector.grpc, "grpc"],
    [set.collector.http, "http/protobuf"],
    [set.jaeger.grpc, "grpc"],
    [set.jaeger.http, "http/protobuf"],
    [set.prometheus.url, "http/protobuf"],
  ] as const) {
    const word = await askDoctor(tracing(endpoint.replace("http:", "https:"), protocol));
    assertOnlyFinding(word, "tls_to_plaintext_port", new RegExp(`otlp_endpoint = "${endpoint}"`));
  }
});

test("mistake 5: the collector's certificate is self-signed; and plain text spoken to its TLS port", async (context) => {
  const set = await sceneFor(context);
  if (set === undefined) return;
  const [certificate, key] = [join(directory, "server.pem"), join(directory, "server.key")];
  await writeFile(certificate, loopbackCertificate);
  await writeFile(key, loopbackKey, { mode: 0o600 });
  const secure = await startCollector(context, set.programs.collector, {
    protocol: { tls: { cert_file: certificate, key_file: key } },
    pipelines: everythingToNowhere,
  });
  for (const [endpoint, protocol] of [
    [secure.grpc, "grpc"],
    [secure.http, "http/protobuf"],
  ] as const) {
    const word = await askDoctor(tracing(endpoint, protocol));
    assertOnlyFinding(word, "certificate_untrusted", /Set ca_file = /);
    assertNothingFound(await askDoctor(tracing(endpoint, protocol, `ca_file = "${certificate}"\n`)));
    const plain = await askDoctor(tracing(endpoint.replace("https:", "http:"), protocol));
    assertOnlyFinding(plain, "plaintext_to_tls_port", new RegExp(`Set otlp_endpoint = "${endpoint}"`));
  }
});

test("mistake 7: the clocks of the node and the backend differ", async (context) => {
  const set = await sceneFor(context);
  if (set === undefined) return;
  const { grpc, http } = set.collector;
  // Prometheus takes what is old, and refuses what is more than ten minutes ahead.
  for (const { minutes, seen, endpoint, protocol, metric } of [
    { minutes: 5, seen: "(299|30\\d) s ahead of", endpoint: http, protocol: "http/json", metric: "OK" },
    { minutes: 15, seen: "(899|90\\d) s ahead of", endpoint: grpc, protocol: "grpc", metric: "SKIPPED" },
    { minutes: -15, seen: "(899|90\\d) s behind", endpoint: http, protocol: "http/protobuf", metric: "OK" },
  ] as const) {
    const environment = { NODE_OPTIONS: `--import=${clockShiftedBy(minutes)}` };
    const word = await askDoctor(tracing(endpoint, protocol) + backends(set), environment);
    assertOnlyFinding(word, "clock_skew", /NTP/);
    const check = word.checks.find(({ finding }) => finding === "clock_skew");
    assert.match(check?.message ?? "", new RegExp(`^the clock of this node is ${seen}`));
    const readBack = word.checks.find(({ step, signal }) => step === "read_back" && signal === "metrics");
    assert.equal(readBack?.outcome, `CHECK_OUTCOME_${metric}`, word.text);
  }
});

/** A module that sets the clock of a Node.js process. */
function clockShiftedBy(minutes: number): string {
  const code = `const now=Date.now;Date.now=()=>now()+${minutes * 60_000};`;
  return `data:text/javascript,${encodeURIComponent(code)}`;
}

test("mistake 9: Jaeger takes traces only", async (context) => {
  const set = await sceneFor(context);
  if (set === undefined) return;
  for (const [endpoint, protocol] of [
    [set.jaeger.grpc, "grpc"],
    [set.jaeger.http, "http/protobuf"],
  ] as const) {
    const word = await askDoctor(tracing(endpoint, protocol));
    assertOnlyFinding(word, "signal_unsupported", /otlp_enabled = false/);
    assert.deepEqual(unsupportedSignals(word), ["metrics", "logs"]);
    assert.equal(word.outcome, "CHECK_OUTCOME_WARNING");
    assert.equal(word.exitCode, 0);
  }
});

function unsupportedSignals({ checks }: DoctorsWord): readonly (string | undefined)[] {
  return checks.filter(({ finding }) => finding === "signal_unsupported").map(({ signal }) => signal);
}

test("mistake 9, others: Prometheus takes metrics only, a Collector what it has pipelines for", async (context) => {
  const set = await sceneFor(context);
  if (set === undefined) return;
  const prometheus = await askDoctor(tracing(`${set.prometheus.url}/api/v1/otlp`, "http/protobuf"));
  assertOnlyFinding(prometheus, "signal_unsupported", /does not take (traces|logs)/);
  assert.deepEqual(unsupportedSignals(prometheus), ["traces", "logs"]);
  const withoutLogs = await startCollector(context, set.programs.collector, {
    pipelines: { traces: toNowhere, metrics: toNowhere },
  });
  for (const [endpoint, protocol] of [
    [withoutLogs.grpc, "grpc"],
    [withoutLogs.http, "http/protobuf"],
  ] as const) {
    const word = await askDoctor(tracing(endpoint, protocol));
    assertOnlyFinding(word, "signal_unsupported", /\[observability\.logging\]/);
    assert.deepEqual(unsupportedSignals(word), ["logs"]);
  }
});

test("mistake 8: egress is blocked, so that packets vanish or are refused", async (context) => {
  const path = useBackend(context, "collector");
  if (path === undefined) return;
  await using network = await StackNetwork.create();
  const address = await network.add("otel-collector");
  const config = {
    receivers: {
      otlp: { protocols: { grpc: { endpoint: `${address}:4317` }, http: { endpoint: `${address}:4318` } } },
    },
    exporters: { [NOWHERE]: { endpoint: "http://127.0.0.1:9" } },
    service: { telemetry: { metrics: { level: "none" } }, pipelines: everythingToNowhere },
  };
  const file = join(network.directory, "collector.yaml");
  await writeFile(file, JSON.stringify(config));
  const collector = await network.spawn("otel-collector", path, ["--config", file]);
  await waitFor("the Collector", () => collector.output.includes("Everything is ready"), TIMEOUT_MS);
  const ways = [
    ["http://otel-collector:4317", "grpc"],
    ["http://otel-collector:4318", "http/protobuf"],
  ] as const;
  for (const way of ways) assertNothingFound(await askDoctor(tracing(way[0], way[1])));
  for (const block of [losePacketsTo, prohibitTheWayTo]) {
    await block(address);
    for (const [endpoint, protocol] of ways) {
      const word = await askDoctor(tracing(endpoint, protocol));
      assertOnlyFinding(word, "egress_blocked", new RegExp(`port ${new URL(endpoint).port}/tcp: a firewall`));
      assert.equal(word.exitCode, 1);
    }
  }
});

async function ip(...args: string[]): Promise<string> {
  return (await promisify(execFile)("ip", args)).stdout;
}

/** As a firewall does that drops them: they go to a neighbour who is not there. */
async function losePacketsTo(address: string): Promise<void> {
  const device = / dev (\S+)/.exec(await ip("route", "get", address))?.[1];
  assert.ok(device !== undefined);
  await ip("neighbour", "replace", address, "lladdr", "02:00:00:00:00:fe", "dev", device, "nud", "permanent");
}

/** As a firewall does that says so. */
async function prohibitTheWayTo(address: string): Promise<void> {
  await ip("route", "add", "prohibit", address);
}
