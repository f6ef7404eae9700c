import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { loadConfig, parseConfig, type LoadedConfig } from "../config.ts";
import { ConfigError } from "../problem.ts";
import { formatOrigin, renderConfig } from "../show.ts";
import { readOtelFile } from "./read-otel-file.ts";

const host = { hostName: "host-1", isRoot: false, workingDirectory: "/home/ann" };

type Environment = Readonly<Record<string, string>>;

function load(text: string, environment: Environment = {}, toml = ""): LoadedConfig {
  const otelFile = readOtelFile({
    path: "/etc/otel.yaml",
    variable: "OTEL_CONFIG_FILE",
    text,
    environment,
    readSubstitute: (path) => {
      if (path === "/etc/token") return "from-a-file";
      throw new Error("it is not there");
    },
  });
  return parseConfig({ environment, host, otelFile, file: { path: "/etc/node.toml", text: toml } });
}

/** As `place: key: message`. */
function problemsOf(text: string, environment: Environment = {}): readonly string[] {
  try {
    load(text, environment);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.match(error.message, /^\/etc\/otel\.yaml has /);
    return error.message.split("\n  ").slice(1);
  }
  throw new assert.AssertionError({ message: `it loaded: ${text.slice(0, 200)}` });
}

const KITCHEN = `file_format: "1.1"
disabled: false
log_level: debug2
resource:
  attributes:
    - { name: service.name, value: kitchen }
    - name: team
      value: \${TEAM}
    - { name: shelf.count, value: 3, type: int }
    - { name: shelf.names, value: [a, b], type: string_array }
    - { name: ignored, value: null }
  attributes_list: team=unused,site=north%20hall
  detection/development:
    detectors: [{ host: }, { process: }]
attribute_limits:
  attribute_value_length_limit: 2000
  attribute_count_limit: 100
propagator:
  composite: [{ tracecontext: }, { b3: }]
  composite_list: baggage,b3
tracer_provider:
  processors:
    - batch:
        schedule_delay: 250
        max_queue_size: 3000
        exporter:
          otlp_http:
            endpoint: https://traces.example/v1/traces
            headers:
              - { name: authorization, value: "Bearer \${TOKEN}" }
            headers_list: authorization=unused,x-team=a%2Cb
            tls: { ca_file: ca.pem, cert_file: /pki/c.pem, key_file: /pki/c.key }
            compression: gzip
            timeout: 2500
            encoding: json
    - batch:
        schedule_delay: 250
        max_queue_size: 3000
        exporter:
          otlp_grpc:
            endpoint: collector:4317
            tls: { insecure: true }
            headers: [{ name: x-token, value: "\${file:token}" }]
  limits:
    attribute_count_limit: 50
    event_count_limit: 10
  sampler:
    parent_based:
      root: { trace_id_ratio_based: { ratio: 0.25 } }
      remote_parent_sampled: { always_on: }
meter_provider:
  readers:
    - periodic:
        interval: 15000
        timeout: 0
        cardinality_limits: { default: 5000 }
        exporter:
          otlp_grpc:
            endpoint: http://metrics:4317
            temporality_preference: low_memory
            default_histogram_aggregation: base2_exponential_bucket_histogram
    - pull:
        exporter:
          prometheus/development: { host: 127.0.0.1, port: 9464, scope_info_enabled: true }
  exemplar_filter: always_on
logger_provider:
  processors:
    - simple: { exporter: { otlp_http: } }
    - simple: { exporter: { console: } }
  limits: { attribute_value_length_limit: 900 }
`;

test("a full file becomes destinations of each signal, and keys", () => {
  const { config, warnings } = load(KITCHEN, { TEAM: "platform", TOKEN: "swordfish" });
  assert.deepEqual(warnings, []);
  const { traces, metrics, logs } = config.destinations;
  assert.deepEqual(
    traces.map(({ endpoint, endpointKind, protocol }) => [endpoint, endpointKind, protocol]),
    [
      ["https://traces.example/v1/traces", "exact", "http/json"],
      ["collector:4317", "base", "grpc"],
    ],
  );
  const [first, second] = traces;
  assert.equal(first?.headers?.["authorization"]?.reveal(), "Bearer swordfish");
  assert.equal(first?.headers?.["x-team"]?.reveal(), "a,b");
  assert.deepEqual(
    [first?.caFile, first?.clientCertificateFile, first?.clientKeyFile, first?.compression, first?.timeoutMs],
    ["/etc/ca.pem", "/pki/c.pem", "/pki/c.key", "gzip", 2500],
  );
  assert.equal(second?.insecure, true);
  assert.equal(second?.compression, "none", "the schema's default");
  assert.equal(second?.headers?.["x-token"]?.reveal(), "from-a-file");
  assert.deepEqual(
    metrics.map(({ endpoint, temporality, histogramAggregation }) => [endpoint, temporality, histogramAggregation]),
    [["http://metrics:4317", "lowmemory", "base2_exponential_bucket_histogram"]],
  );
  assert.deepEqual(
    logs.map(({ endpoint, protocol }) => [endpoint, protocol]),
    [["http://localhost:4318/v1/logs", "http/protobuf"]],
  );
  const { observability } = config;
  assert.equal(observability.tracing.serviceName, "kitchen");
  assert.deepEqual(
    { ...observability.resourceAttributes },
    { team: "platform", site: "north hall", "shelf.count": 3, "shelf.names": ["a", "b"] },
  );
  assert.equal(observability.tracing.samplingRatio, 0.25);
  assert.equal(observability.tracing.batch.scheduleDelayMs, 250);
  assert.equal(observability.tracing.batch.queueSize, 3000);
  assert.equal(observability.tracing.batch.batchSize, 512, "the schema's default");
  assert.equal(observability.tracing.limits.attributeCount, 50, "the signal's limit wins over the general one");
  assert.equal(observability.tracing.limits.attributeValueLength, 2000);
  assert.equal(observability.logging.limits.attributeValueLength, 900);
  assert.equal(observability.logging.limits.attributeCount, 100);
  assert.equal(observability.logging.level, "debug");
  assert.equal(observability.logging.batch.scheduleDelayMs, 0);
  assert.deepEqual(observability.context.propagators, ["tracecontext", "b3", "baggage"]);
  assert.equal(observability.metrics.exportIntervalMs, 15_000);
  assert.equal(observability.metrics.exportTimeoutMs, 3_600_000);
  assert.equal(observability.metrics.exemplars, "always_on");
  assert.equal(observability.metrics.cardinalityLimit, 5000);
  assert.deepEqual(observability.metrics.httpServer.bind, { host: "127.0.0.1", port: 9464 });
  assert.equal(observability.metrics.httpServer.scopeLabels, true);
});

test("flags win over the file, the file over OTEL_*, BLIXARD_* and TOML, which one warning each names", () => {
  const toml = `[observability.tracing]\notlp_endpoint = "http://toml:4317"\nservice_name = "toml"\nsampling_ratio = 0.5`;
  const environment = {
    OTEL_CONFIG_FILE: "/etc/otel.yaml",
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://variable:4317",
    OTEL_TRACES_SAMPLER: "always_off",
    BLIXARD_OBSERVABILITY__TRACING__TIMEOUT: "3s",
    TEAM: "t",
    TOKEN: "swordfish",
  };
  const { config, entries, fileDestinations, warnings } = load(KITCHEN, environment, toml);
  assert.equal(config.observability.tracing.samplingRatio, 0.25);
  assert.equal(config.observability.tracing.otlpEndpoint, undefined);
  assert.equal(warnings.length, 2);
  assert.match(warnings[0] ?? "", /OTEL_CONFIG_FILE is set.*: OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_ENDPOINT$/);
  assert.match(warnings[1] ?? "", /tracing\.otlp_endpoint, .*tracing\.sampling_ratio, .*tracing\.timeout$/);
  const shown = renderConfig(entries, fileDestinations);
  assert.match(shown, /^sampling_ratio = 0\.25 +# OTEL_CONFIG_FILE \/etc\/otel\.yaml:48:\d+$/m);
  assert.match(
    shown,
    /^# traces to https:\/\/traces\.example\/v1\/traces \(http\/json\) +# OTEL_CONFIG_FILE .*:27:\d+$/m,
  );
  assert.doesNotMatch(shown, /swordfish|from-a-file/);
  const flagged = parseConfig({
    environment,
    host,
    otelFile: readOtelFile({
      path: "/otel.yaml",
      variable: "OTEL_CONFIG_FILE",
      text: `file_format: "1.0"\nlog_level: error`,
      environment,
      readSubstitute: () => "",
    }),
    flags: { "observability.logging.level": { flag: "--log-level", text: "warn" } },
  });
  const level = flagged.entries.find(({ path }) => path === "observability.logging.level");
  assert.deepEqual([level?.shown, formatOrigin(level?.origin ?? { kind: "default" })], ['"warn"', "flag --log-level"]);
});

test("the service detector takes the name of OTEL_SERVICE_NAME, where the attributes have none", () => {
  const nameOf = (resource: string, OTEL_SERVICE_NAME: string): string =>
    load(
      `file_format: "1.1"\nresource: ${resource}`,
      { OTEL_SERVICE_NAME },
      '[observability.tracing]\nservice_name = "toml"',
    ).config.observability.tracing.serviceName;
  const service = "detection/development: { detectors: [{ host: }, { service: }] }";
  assert.equal(nameOf(`{ ${service} }`, " edge "), "edge");
  assert.equal(nameOf(`{ ${service}, attributes_list: "service.name=listed" }`, "edge"), "listed");
  assert.equal(nameOf(`{ ${service} }`, " "), "toml");
  assert.equal(nameOf("{ detection/development: { detectors: [{ host: }] } }", "edge"), "toml");
});

test("a receiver's limit of one request is kept, where it is below our own", () => {
  const limitOf = (size: number) => {
    const text = `file_format: "1.1"
logger_provider:
  processors: [{ batch: { exporter: { otlp_grpc: { max_request_size: ${size} } } } }]`;
    const { config, warnings } = load(text);
    return [config.destinations.logs[0]?.maximumRequestBytes, warnings.length];
  };
  assert.deepEqual(limitOf(1_000_000), [1_000_000, 0]);
  assert.deepEqual(limitOf(67_108_864), [undefined, 0]);
  assert.deepEqual(limitOf(0), [undefined, 0]);
  assert.deepEqual(limitOf(10), [65_536, 1]);
});

test("a file without providers exports nothing, and keeps what is not the file's", () => {
  const toml = `[observability.tracing]\notlp_endpoint = "http://toml:4317"\nservice_name = "edge"`;
  const { config } = load(`file_format: "1.0"`, {}, toml);
  assert.deepEqual(config.destinations, { traces: [], metrics: [], logs: [] });
  assert.equal(config.observability.tracing.serviceName, "edge");
  assert.deepEqual(config.observability.context.propagators, []);
  assert.equal(config.observability.metrics.httpServer.enabled, true);
});

test("disabled switches everything off", () => {
  const { config } = load(KITCHEN.replace("disabled: false", "disabled: ${OFF:-true}"));
  assert.equal(config.observability.enabled, false);
  assert.deepEqual(config.destinations, { traces: [], metrics: [], logs: [] });
});

test("the file says how trace ids are made, by the generators that there are", () => {
  const generatedBy = (generator: string) => {
    const processors = "processors: [{ batch: { exporter: { otlp_grpc: } } }]";
    const text = `file_format: "1.1"\ntracer_provider:\n  ${processors}\n  id_generator: { ${generator} }\n`;
    const { config, warnings } = load(text, {}, `[observability.tracing]\nid_generator = "xray"\n`);
    return [config.observability.tracing.idGenerator, ...warnings.filter((line) => line.includes("id_generator"))];
  };
  assert.deepEqual(generatedBy("random:"), ["random"]);
  assert.deepEqual(generatedBy("xray:"), ["xray"]);
  const [made, warning] = generatedBy("snowflake:");
  assert.equal(made, "xray");
  assert.match(warning ?? "", /:4:17: tracer_provider\.id_generator has no effect: it knows random and xray/);
});

test("what has no meaning here is a warning with its line and column", () => {
  const { warnings } = load(`file_format: "1.9"
tracer_provider:
  processors:
    - batch: { exporter: { zipkin: { endpoint: x } } }
    - sometimes: { exporter: { console: } }
    - simple: { exporter: { console: } }
  sampler: { jaeger_remote/development: { endpoint: x } }
  colour: red
meter_provider:
  readers:
    - periodic: { exporter: { otlp_file/development: }, producers: [{ opencensus: }] }
  views:
    - selector: { instrument_name: x }
propagator: { composite: [{ ottrace: }] }
instrumentation/development:
  java: { x: y }
`);
  const expected = [
    /otel\.yaml:1:14: file_format is newer than 1\.1/,
    /:4:26: .*zipkin has no effect: there are otlp_http and otlp_grpc/,
    /:5:7: .*sometimes has no effect: there are batch and simple/,
    /:6:\d+: .*console has no effect: traces are not written to the console/,
    /:7:12: .*jaeger_remote\/development has no effect, everything is sampled/,
    /:8:3: tracer_provider\.colour has no effect: Blixard does not know it/,
    /:11:\d+: .*otlp_file\/development has no effect/,
    /:11:\d+: .*producers has no effect/,
    /:13:5: meter_provider\.views has no effect/,
    /:14:13: propagator "ottrace" has no effect/,
    /:16:3: instrumentation\/development\.java has no effect/,
  ];
  for (const pattern of expected)
    assert.ok(
      warnings.some((line) => pattern.test(line)),
      `${pattern}\n${warnings.join("\n")}`,
    );
  assert.equal(warnings.length, expected.length);
});

test("malformed YAML, wrong types and other formats are problems with their place, all at once", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /otel\.yaml:1:1: expected a map with file_format/],
    ["- a", /expected a map with file_format/],
    ["disabled: true", /file_format is missing/],
    [`file_format: "0.4"`, /:1:14: file_format: Blixard reads the 1\.x line/],
    [`file_format: 1.1`, /:1:14: file_format: expected a string, found a number/],
    [`file_format: "1.0`, /:\d+:\d+: not YAML: /],
    [`a: [1, 2\nb: }`, /not YAML: /],
    [`file_format: "1.0"\nfile_format: "1.0"`, /:2:1: this key is already there/],
    [`file_format: "1.0"\n---\na: 1`, /not YAML: expected one document/],
    [`file_format: "1.0"\ndisabled: perhaps`, /:2:11: disabled: expected true or false, found another string/],
    [`file_format: "1.0"\ntracer_provider: []`, /:2:18: tracer_provider: expected a map/],
    [`file_format: "1.0"\ntracer_provider: {}`, /tracer_provider: expected processors, at least one/],
    [
      `file_format: "1.0"\ntracer_provider: { processors: [{ batch: { exporter: { otlp_http: { timeout: -1 } } } }] }`,
      /processors\[0\]\.batch\.exporter\.otlp_http\.timeout: expected an integer of at least 0/,
    ],
    [
      `file_format: "1.0"\nlogger_provider: { processors: [{ batch: {}, simple: {} }] }`,
      /processors\[0\]: expected exactly one key/,
    ],
    [
      `file_format: "1.0"\nlogger_provider: { processors: [{ batch: { exporter: { otlp_http: { endpoint: "ftp://x" } } } }] }`,
      /endpoint: expected a URL with http/,
    ],
    [
      `file_format: "1.0"\nlogger_provider: { processors: [{ batch: { exporter: { otlp_grpc: { tls: { cert_file: x } } } } }] }`,
      /cert_file and key_file need each other/,
    ],
    [`file_format: "1.0"\nlog_level: "\${STRING:?error}"`, /:2:12: expected \$\{NAME\}, \$\{NAME:-default\} or/],
    [`file_format: "1.0"\nlog_level: "\${file:nowhere}"`, /a file of a substitution cannot be read: it is not there/],
    [`file_format: "1.0"\nresource: { attributes: [{ name: a, value: x, type: int }] }`, /value: expected int/],
  ];
  for (const [text, expected] of cases) assert.match(problemsOf(text).join("\n"), expected, text);
  const several = problemsOf(`file_format: "1.0"\ndisabled: 1\nlog_level: loud\nresource: 3`);
  assert.equal(several.length, 3);
});

test("several processors for one signal share the batch options of the first that exports", () => {
  const { config, warnings } = load(`file_format: "1.0"
logger_provider:
  processors:
    - simple: { exporter: { console: } }
    - batch: { schedule_delay: 700, exporter: { otlp_grpc: } }
    - batch: { schedule_delay: 900, exporter: { otlp_http: } }
`);
  assert.equal(config.observability.logging.batch.scheduleDelayMs, 700);
  assert.equal(config.destinations.logs.length, 2);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /:6:14: the batch options of .*processors\[2\]\.batch have no effect/);
});

test("aliases that multiply, deep nesting and many values are refused in no time", () => {
  const levels = Array.from(
    { length: 30 },
    (_, index) => `l${index + 1}: &l${index + 1} [*l${index}, *l${index}, *l${index}]`,
  );
  assert.match(problemsOf(`file_format: "1.0"\nl0: &l0 [x]\n${levels.join("\n")}`).join(), /more than 20000 values/);
  assert.match(problemsOf(`file_format: "1.0"\na: &a [*a]`).join(), /nested deeper|anchor/);
  assert.match(problemsOf("[".repeat(100_000)).join(), /nested|not YAML/);
  assert.match(problemsOf(`file_format: "1.0"\nx: ${"[".repeat(50)}${"]".repeat(50)}`).join(), /nested deeper than 32/);
  const keys = Array.from({ length: 60_000 }, (_, index) => `k${index}: 1`);
  assert.match(problemsOf(keys.join("\n")).join(), /more than 20000 values/);
});

test("no message and no output quotes a value: any may be secret", () => {
  const secret = "swordfish";
  const texts = [
    `file_format: "1.0"\nlog_level: ${secret}`,
    `file_format: "1.0"\nlogger_provider: { processors: [{ batch: { exporter: { otlp_http: { endpoint: "http://u:${secret}@h" } } } }] }`,
    `file_format: "1.0"\nlogger_provider: { processors: [{ batch: { exporter: { otlp_http: { headers: ${secret} } } } }] }`,
    `file_format: "1.0"\nlogger_provider: { processors: [{ batch: { exporter: { otlp_http: { headers_list: "${secret}" } } } }] }`,
    `file_format: "1.0"\nlogger_provider: { processors: [{ batch: { exporter: { otlp_http: { headers: [{ name: "a b", value: ${secret} }] } } } }] }`,
    `file_format: "1.0"\nresource: "${secret}`,
    `file_format: "1.0"\nresource: *${secret}`,
  ];
  for (const text of texts) assert.doesNotMatch(problemsOf(text).join("\n"), /swordfish/, text);
});

test("OTEL_CONFIG_FILE is read from the working directory; the deprecated name works and says so", async () => {
  const directory = await mkdtemp(join(tmpdir(), "blixard-otel-"));
  try {
    await writeFile(join(directory, "otel.yaml"), `file_format: "1.1"\nlog_level: warn\n`);
    const local = { ...host, workingDirectory: directory };
    const current = await loadConfig(undefined, { environment: { OTEL_CONFIG_FILE: "otel.yaml" }, host: local });
    assert.equal(current.config.observability.logging.level, "warn");
    assert.equal(current.config.otelFile, join(directory, "otel.yaml"));
    assert.deepEqual(current.warnings, []);
    const old = await loadConfig(undefined, {
      environment: { OTEL_EXPERIMENTAL_CONFIG_FILE: "otel.yaml" },
      host: local,
    });
    assert.deepEqual(old.warnings, ["OTEL_EXPERIMENTAL_CONFIG_FILE is deprecated: use OTEL_CONFIG_FILE"]);
    await assert.rejects(loadConfig(undefined, { environment: { OTEL_CONFIG_FILE: "nowhere.yaml" }, host: local }), {
      code: "CONFIG_UNREADABLE",
    });
  } finally {
    await rm(directory, { recursive: true });
  }
});
