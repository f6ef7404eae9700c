import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { loadConfig } from "#config/config.ts";
import type { Secret } from "#model/secret.ts";
import type { TelemetryOptions } from "#telemetry/telemetry-options.ts";
import { telemetryOptionsOf } from "./telemetry-options.ts";

async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "blixard-options-"));
  try {
    await use(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function optionsOf(
  directory: string,
  toml: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<TelemetryOptions> {
  const file = join(directory, "node.toml");
  await writeFile(file, toml);
  const host = { hostName: "host-1", isRoot: false, workingDirectory: directory };
  const { config } = await loadConfig(file, { environment, host });
  const resource = { serviceVersion: "1.0.0", clusterId: "c", nodeId: "n", environment: {} };
  return telemetryOptionsOf(config, resource, { colour: false });
}

test("without a destination nothing is exported and nothing is spooled", () =>
  withDirectory(async (directory) => {
    const { logging, metrics, spool, tracing } = await optionsOf(directory, "");
    assert.deepEqual([tracing.destinations, metrics.destinations, logging.destinations], [[], [], []]);
    assert.equal(spool, undefined);
    assert.equal(tracing.enabled, true, "spans are recorded in any case");
  }));

test("keys reach telemetry: preferences, bounds, certificates, spool", () =>
  withDirectory(async (directory) => {
    for (const name of ["ca", "cert", "key"]) await writeFile(join(directory, `${name}.pem`), name);
    const options = await optionsOf(
      directory,
      `[node]
data_dir = "data"
[observability]
deployment_environment = "staging"
[observability.metrics]
temporality = "delta"
cardinality_limits = { "blixard.vm.state" = 5000 }
[observability.tracing]
otlp_endpoint = "https://collector:4317"
ca_file = "ca.pem"
client_certificate_file = "cert.pem"
client_key_file = "key.pem"
slow_thresholds = { "vm.start" = "10s" }
batch = { queue_size = 100 }
limits = { event_count = 7 }
[observability.context]
baggage_allowed = ["tenant", "team.*"]
[observability.spool]
limit = "8MiB"
replay_metrics = true
[observability.doctor]
tempo_url = "http://tempo:3200"
`,
    );
    const [traces] = options.tracing.destinations;
    assert.equal(traces?.tls?.certificateAuthorities, "ca");
    assert.equal(traces?.tls?.clientCertificate, "cert");
    assert.equal(traces?.tls?.clientKey?.reveal(), "key");
    assert.equal(traces?.temporality, undefined);
    assert.equal(options.metrics.destinations[0]?.temporality, "delta");
    assert.deepEqual({ ...options.metrics.seriesLimits }, { "blixard.vm.state": 5000 });
    assert.deepEqual({ ...options.tracing.slowThresholdsMs }, { "vm.start": 10_000 });
    assert.equal(options.tracing.batch?.maximumBatchItems, 100, "a batch is never more than the queue");
    assert.equal(options.tracing.limits?.eventCount, 7);
    assert.deepEqual(options.context?.baggageAllowed, ["tenant", "team.*"]);
    assert.equal(options.resource.deploymentEnvironment, "staging");
    assert.deepEqual(options.doctor, { tempoUrl: "http://tempo:3200" });
    assert.deepEqual(options.spool, {
      directory: join(directory, "data", "telemetry", "spool"),
      maximumBytes: 8 * 1024 * 1024,
      replayMetrics: true,
    });
    const off = await optionsOf(
      directory,
      `[observability.tracing]\notlp_endpoint = "http://c:4317"\n[observability.spool]\nenabled = false`,
    );
    assert.equal(off.spool, undefined);
  }));

test("several exporters of OTEL_CONFIG_FILE are several destinations, each with its own credentials", () =>
  withDirectory(async (directory) => {
    await writeFile(
      join(directory, "otel.yaml"),
      `file_format: "1.1"
logger_provider:
  processors:
    - batch: { exporter: { otlp_grpc: { endpoint: "http://one:4317" } } }
    - batch: { exporter: { otlp_http: { endpoint: "http://two/v1/logs", headers: [{ name: k, value: "\${KEY}" }] } } }
`,
    );
    const { logging, tracing } = await optionsOf(
      directory,
      `[observability.tracing]\notlp_endpoint = "http://toml:4317"`,
      { OTEL_CONFIG_FILE: "otel.yaml", KEY: "v" },
    );
    assert.deepEqual(tracing.destinations, []);
    assert.deepEqual(
      logging.destinations.map(({ endpoint, protocol, headers }) => [
        endpoint,
        protocol,
        (headers?.["k"] as Secret | undefined)?.reveal(),
      ]),
      [
        ["http://one:4317", "grpc", undefined],
        ["http://two/v1/logs", "http/protobuf", "v"],
      ],
    );
  }));

test("a certificate that cannot be read is told with its path", () =>
  withDirectory(async (directory) => {
    const toml = `[observability.tracing]\notlp_endpoint = "https://c:4317"\nca_file = "nowhere.pem"`;
    await assert.rejects(optionsOf(directory, toml), { code: "CONFIG_UNREADABLE", message: /nowhere\.pem/ });
  }));
