/**
 * The guide's vendors, to the letter: its blocks and those of docs/integrations, in a network where the vendors' host
 * names are doubles (named so in test/support) that keep to the vendors' rules.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { hasCapability } from "#test/support/capability.ts";
import { startDatadogAgentDouble } from "#test/support/datadog-agent-double.ts";
import { grafanaCloudCertificate, startGrafanaCloudDouble } from "#test/support/grafana-cloud-double.ts";
import { startOtlpReceiver, type OtlpReceiver } from "#test/support/otlp-receiver.ts";
import { isInPrivateNetwork, runInPrivateNetwork } from "#test/support/private-network.ts";
import { scrapePage } from "#test/support/scrape-page.ts";
import { runCli, TestNode, type CliResult } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { exportToXRay, refuseSegment } from "#test/support/xray-double.ts";

const DEADLINE_MS = 120_000;
const ACCOUNT = { instance: "123456", token: "glc_0123456789" };
const guide = {
  grafanaCloud: `[observability.tracing]
otlp_endpoint = "https://otlp-gateway-prod-us-central-0.grafana.net:443"
# Add auth headers as needed
`,
  datadog: `[observability.tracing]
otlp_endpoint = "http://datadog-agent:4317"
`,
};
const basicAuth = 'basic_auth = { username = "123456", password = "${env:GRAFANA_CLOUD_TOKEN}" }\n';

if (isInPrivateNetwork) {
  vendorTests();
} else {
  test("the vendors' blocks of the guide work to the letter, each against its double", async (context) => {
    if (!hasCapability(context, "root", process.getuid?.() === 0)) return;
    await runInPrivateNetwork(import.meta.filename, [grafanaCloudCertificate.host, "datadog-agent", "otel-collector"]);
  });
}

function vendorTests(): void {
  let directory: string;
  let environment: Record<string, string>;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "blixard-vendors-"));
    await writeFile(join(directory, "gateway.pem"), grafanaCloudCertificate.certificate);
    environment = {
      BLIXARD_NODE__BIND: "127.0.0.1:0",
      BLIXARD_RUNTIME__DRIVER: "simulated",
      // The double's certificate is nobody's.
      NODE_EXTRA_CA_CERTS: join(directory, "gateway.pem"),
      GRAFANA_CLOUD_TOKEN: ACCOUNT.token,
    };
  });
  after(async () => rm(directory, { recursive: true }));

  const startGateway = async (scopes?: readonly ("traces" | "metrics" | "logs")[]) =>
    startGrafanaCloudDouble({
      ...ACCOUNT,
      tls: grafanaCloudCertificate,
      port: 443,
      ...(scopes === undefined ? {} : { scopes }),
    });

  /** The doctor without a node: the file alone says what would be sent where. */
  async function diagnose(toml: string, variables: Record<string, string> = {}): Promise<CliResult> {
    const file = join(directory, "blixard.toml");
    await writeFile(file, toml);
    return runCli(["telemetry", "doctor", "--config", file], {
      environment: { ...environment, ...variables },
      timeoutMs: DEADLINE_MS,
    });
  }

  test("Grafana Cloud: the guide's endpoint with credentials is HTTP/protobuf below /otlp, and everything arrives", async () => {
    await using gateway = await startGateway();
    await using node = await TestNode.start({ toml: guide.grafanaCloud + basicAuth, environment });
    await liveShortly(node);
    await everythingArrives(gateway.received);
    // The gateway notes a request with its answer, a moment after what is in it was taken.
    const noted = (): number => new Set(gateway.requests.map(({ path }) => path)).size;
    await waitFor("a request of each signal", () => noted() === 3, DEADLINE_MS);
    const sent = gateway.requests.map(({ path, contentType, contentEncoding, statusCode }) =>
      [path, contentType, contentEncoding, statusCode].join(" "),
    );
    assert.deepEqual(
      new Set(sent),
      new Set(["traces", "metrics", "logs"].map((signal) => `/otlp/v1/${signal} application/x-protobuf gzip 200`)),
    );
    assert.ok(gateway.received.points.every(({ temporality }) => temporality !== "delta"));

    const doctor = await node.cli(["telemetry", "doctor"], { timeoutMs: DEADLINE_MS });
    assert.equal(doctor.exitCode, 0, doctor.stdout);
    for (const signal of ["traces", "metrics", "logs"]) {
      const url = `https://otlp-gateway-prod-us-central-0.grafana.net:443/otlp/v1/${signal}`;
      assert.ok(doctor.stdout.includes(url), `${url}\n${doctor.stdout}`);
    }
    assert.doesNotMatch(doctor.stdout, new RegExp(ACCOUNT.token));
  });

  test("Grafana Cloud: its own OTEL_* variables do the same without a file", async () => {
    await using gateway = await startGateway();
    const credentials = Buffer.from(`${ACCOUNT.instance}:${ACCOUNT.token}`).toString("base64");
    const doctor = await diagnose("", {
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
      OTEL_EXPORTER_OTLP_ENDPOINT: "https://otlp-gateway-prod-us-central-0.grafana.net/otlp",
      OTEL_EXPORTER_OTLP_HEADERS: `Authorization=Basic%20${encodeURIComponent(credentials)}`,
    });
    assert.equal(doctor.exitCode, 0, doctor.stdout + doctor.stderr);
    const answers = gateway.requests.flatMap(({ method, statusCode }) => (method === "POST" ? [statusCode] : []));
    assert.ok(answers.length > 0 && answers.every((statusCode) => statusCode === 200), answers.join());
  });

  test("Grafana Cloud: what goes wrong is one finding with its fix", async () => {
    await using gateway = await startGateway(["traces", "metrics"]);
    const headers = (value: string): string => `headers = { authorization = "${value}" }\n`;
    const cases: readonly (readonly [string, string, string, RegExp])[] = [
      ["no credentials", "", "credentials_missing", /Set basic_auth, or headers/],
      ["a wrong token", basicAuth.replace("${env:GRAFANA_CLOUD_TOKEN}", "wrong"), "credentials_refused", /right token/],
      ["the stack's name for its number", basicAuth.replace("123456", "mystack"), "credentials_refused", /right token/],
      [
        "a token that may not write logs",
        basicAuth,
        "credentials_refused",
        /logs .*the destination refuses us(.|\n)*not allowed to write this signal/,
      ],
      ["a header without its scheme", headers(ACCOUNT.token), "header_malformed", /scheme before the token/],
      ["user:token as it is", headers("Basic 123456:glc_0123456789"), "header_malformed", /Use basic_auth/],
      ["gRPC", `${basicAuth}protocol = "grpc"\n`, "grpc_to_http_gateway", /protocol = "http\/protobuf"/],
    ];
    for (const [what, lines, finding, fix] of cases) {
      const doctor = await diagnose(guide.grafanaCloud + lines);
      assert.equal(doctor.exitCode, 1, `${what}\n${doctor.stdout}`);
      assert.deepEqual(findingsOf(doctor), [finding], `${what}\n${doctor.stdout}`);
      assert.match(doctor.stdout, fix, what);
      assert.doesNotMatch(doctor.stdout, new RegExp(ACCOUNT.token), what);
    }
    const delta = `${guide.grafanaCloud}${basicAuth}[observability.logging]\notlp_enabled = false\n[observability.metrics]\ntemporality = "delta"\n`;
    await using node = await TestNode.start({ toml: delta, environment });
    await waitFor(
      "deltas to be refused",
      () => gateway.requests.some(({ statusCode }) => statusCode === 400),
      DEADLINE_MS,
    );
    await node.endDaemon();
  });

  test("Grafana Cloud: beyond its rate the doctor says so, and the node comes back with what it has", async () => {
    await using gateway = await startGateway();
    gateway.limitRate(3, 1);
    const doctor = await diagnose(guide.grafanaCloud + basicAuth);
    assert.deepEqual(findingsOf(doctor), ["throttled"], doctor.stdout);
    gateway.limitRate(4, 1);
    await using node = await TestNode.start({ toml: guide.grafanaCloud + basicAuth, environment });
    await liveShortly(node);
    await everythingArrives(gateway.received);
    assert.ok(gateway.requests.some(({ statusCode }) => statusCode === 429));
  });

  test("Datadog: the guide's block is gRPC with deltas, and the agent counts what the page counts", async () => {
    await using agent = await startDatadogAgentDouble({ logs: true, grpcPort: 4317, httpPort: 4318 });
    const toml = `${guide.datadog}[observability]\ndeployment_environment = "staging"\n`;
    await using node = await TestNode.start({ toml, environment });
    const shown = await runCli(["config", "show", "--config", node.configFile], { environment });
    assert.match(shown.stdout, /^temporality = "delta" +# default$/m);
    await liveShortly(node);
    await everythingArrives(agent.received);
    assert.deepEqual(new Set(agent.requests.map(({ transport }) => transport)), new Set(["grpc"]));
    for (const { name, monotonic, temporality } of agent.received.points) {
      if (monotonic) assert.equal(temporality, "delta", name);
    }

    const { metrics } = await node.endpoints();
    const transitions = /^blixard_vm_state_transitions_total(?:\{.*\})? (\d+)/gm;
    await waitFor(
      "the counts of Datadog and of the page to be equal",
      async () => {
        const onPage = [...(await scrapePage(metrics)).matchAll(transitions)].map(([, value]) => Number(value));
        const counted = agent.metrics().filter(({ name }) => name === "blixard.vm.state.transitions");
        assert.ok(counted.every(({ type }) => type === "count"));
        const total = onPage.reduce((sum, value) => sum + value, 0);
        return total > 0 && total === counted.reduce((sum, { value }) => sum + value, 0);
      },
      DEADLINE_MS,
    );
    const isTold = (metric: string, as: string): boolean =>
      agent.metrics().some(({ name, type }) => name === metric && type === as);
    assert.ok(isTold("blixard.vm.count", "gauge") && isTold("blixard.vm.operation.duration", "distribution"));
    for (const span of agent.spans()) {
      assert.match(span.traceId, /^(?!0{16})[0-9a-f]{32}$/, "128 bits");
      assert.equal(span.env, "staging");
      assert.match(span.service, /^blixard(?:-cli|-guest)?$/);
      if (span.service === "blixard") assert.notEqual(span.version, undefined);
    }

    const doctor = await node.cli(["telemetry", "doctor"], { timeoutMs: DEADLINE_MS });
    assert.equal(doctor.exitCode, 0, doctor.stdout);
    assert.ok(doctor.stdout.includes("grpc http://datadog-agent:4317"), doctor.stdout);
  });

  test("Datadog: an agent that takes no logs, as it is by default, is a warning with its fix, and no loss", async () => {
    await using agent = await startDatadogAgentDouble({ grpcPort: 4317 });
    const toml = `${guide.datadog}[observability.metrics]\nhistogram_aggregation = "base2_exponential_bucket_histogram"\n`;
    await using node = await TestNode.start({ toml, environment });
    const isExponential = ({ kind }: { readonly kind: string }): boolean => kind === "exponentialHistogram";
    await agent.received.waitFor(({ spans, points }) => spans.length > 0 && points.some(isExponential), DEADLINE_MS);
    assert.ok(agent.metrics().some(({ type }) => type === "distribution"));
    const doctor = await node.cli(["telemetry", "doctor"], { timeoutMs: DEADLINE_MS });
    assert.equal(doctor.exitCode, 0, doctor.stdout);
    assert.deepEqual(findingsOf(doctor), ["signal_unsupported"], doctor.stdout);
    assert.match(doctor.stdout, /This backend does not take logs/);
  });

  test("Datadog: an agent without its OTLP receiver is told as what it is", async () => {
    const doctor = await diagnose(guide.datadog);
    assert.equal(doctor.exitCode, 1);
    assert.deepEqual(findingsOf(doctor), ["connection_refused"], doctor.stdout);
    assert.match(doctor.stdout, /Start the collector at datadog-agent:4317/);
  });

  test("X-Ray: through a Collector every span becomes a segment that X-Ray takes, by the rules of today", async () => {
    await using collector = await startOtlpReceiver({ grpcPort: 4317 });
    const toml = '[observability.tracing]\notlp_endpoint = "http://otel-collector:4317"\n';
    await using node = await TestNode.start({ toml, environment });
    await liveShortly(node);
    await everythingArrives(collector);
    checkSegments(collector, { gate: true, timeInTraceId: false });
  });

  test("X-Ray: with its ids, and through its header, every segment is taken by the older rules too", async () => {
    await using collector = await startOtlpReceiver({ grpcPort: 4317 });
    const toml = `[observability.tracing]
otlp_endpoint = "http://otel-collector:4317"
id_generator = "xray"

[observability.context]
propagators = ["xray", "tracecontext", "baggage"]
`;
    await using node = await TestNode.start({ toml, environment });
    await liveShortly(node);
    const { api, tokenFile } = await node.endpoints();
    const traceId = `${Math.floor(Date.now() / 1_000).toString(16)}${"ab".repeat(12)}`;
    const { readFile } = await import("node:fs/promises");
    const response = await fetch(`http://${api.tcp}/blixard.v1.VmService/ListVms`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${(await readFile(tokenFile ?? "", "utf8")).trim()}`,
        "x-amzn-trace-id": `Root=1-${traceId.slice(0, 8)}-${traceId.slice(8)};Parent=53995c3f42cd8ad8;Sampled=1`,
      },
      body: "{}",
    });
    assert.equal(response.status, 200);
    await everythingArrives(collector);
    await collector.waitFor(({ spans }) => spans.some((span) => span.traceId === traceId), DEADLINE_MS);
    const doctor = await node.cli(["telemetry", "doctor"], { timeoutMs: DEADLINE_MS });
    assert.equal(doctor.exitCode, 0, doctor.stdout);
    checkSegments(collector, { gate: false, timeInTraceId: true });
  });
}

/** A VM comes and goes. */
async function liveShortly(node: TestNode): Promise<void> {
  await node.importDisk("demo");
  await node.json(["vm", "create", "web", "--image", "demo", "--wait"], DEADLINE_MS);
  await node.json(["vm", "delete", "web", "--wait"], DEADLINE_MS);
}

/** All three signals, and of the VM's traces every span's parent. */
async function everythingArrives(receiver: OtlpReceiver): Promise<void> {
  const families = ["blixard.raft.", "blixard.vm.", "blixard.node.", "blixard.peer.", "blixard.grpc."];
  await receiver.waitFor(
    ({ spans, points, logs }) =>
      families.every((family) => points.some(({ name }) => name.startsWith(family))) &&
      logs.some(({ eventName }) => eventName === "blixard.vm.state_changed") &&
      ["blixard vm create", "blixard vm delete"].every((command) => {
        const traceId = spans.find(({ name, parentSpanId }) => name === command && parentSpanId === "")?.traceId;
        const trace = spans.filter((span) => span.traceId === traceId);
        const ids = new Set(trace.map(({ spanId }) => spanId));
        return trace.length > 3 && trace.every(({ parentSpanId }) => parentSpanId === "" || ids.has(parentSpanId));
      }),
    DEADLINE_MS,
  );
}

function checkSegments(
  { spans }: OtlpReceiver,
  { gate, timeInTraceId }: { readonly gate: boolean; readonly timeInTraceId: boolean },
): void {
  const now = Date.now();
  for (const span of spans) {
    const segment = exportToXRay(span, { gate, now });
    assert.ok(segment !== undefined, `the exporter leaves out ${span.name} ${span.traceId}`);
    assert.equal(refuseSegment(JSON.stringify(segment), { timeInTraceId, now }), undefined, JSON.stringify(segment));
  }
}

function findingsOf({ stdout }: CliResult): readonly string[] {
  return [...new Set([...stdout.matchAll(/^ +([a-z_]+): /gm)].map(([, finding = ""]) => finding))];
}
