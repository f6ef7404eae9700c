import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { parseConfig, type ConfigSources, type LoadedConfig } from "./config.ts";
import { ConfigError } from "./problem.ts";
import { renderConfig } from "./show.ts";

const host = { hostName: "host-1", isRoot: false, workingDirectory: "/home/ann" };

/** The guide's three blocks, to the letter. */
const guide = {
  quickSetup: `[observability.metrics]
enabled = true
runtime_metrics = true

[observability.metrics.http_server]
enabled = true
bind = "0.0.0.0:9090"

[observability.tracing]
enabled = true
otlp_endpoint = "http://localhost:4317"  # Your OTLP collector
service_name = "blixard"
sampling_ratio = 1.0
`,
  grafanaCloud: `[observability.tracing]
otlp_endpoint = "https://otlp-gateway-prod-us-central-0.grafana.net:443"
# Add auth headers as needed
`,
  datadog: `[observability.tracing]
otlp_endpoint = "http://datadog-agent:4317"
`,
} as const;

function load(text: string, sources: Partial<ConfigSources> = {}): LoadedConfig {
  return parseConfig({ file: { path: "/etc/blixard/node.toml", text }, environment: {}, host, ...sources });
}

/** What is wrong, as `place: …` lines. */
function problemsOf(text: string, sources: Partial<ConfigSources> = {}): string[] {
  try {
    load(text, sources);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.code, "CONFIG_INVALID");
    return error.message.split("\n  ").slice(1);
  }
  throw new assert.AssertionError({ message: "it loaded" });
}

test("without a file a node has working defaults", () => {
  const { config } = parseConfig({ environment: {}, host });
  assert.equal(config.node.id, "host-1");
  assert.equal(config.node.dataDir, "/home/ann/.blixard");
  assert.deepEqual(config.node.bind, { host: "127.0.0.1", port: 7001 });
  assert.deepEqual(config.observability.metrics.httpServer.bind, { host: "127.0.0.1", port: 9090 });
  assert.equal(config.observability.tracing.enabled, false);
  assert.equal(
    parseConfig({ environment: {}, host: { ...host, isRoot: true } }).config.node.dataDir,
    "/var/lib/blixard",
  );
});

test("the guide's quick setup loads verbatim", () => {
  const { tracing, metrics, logging } = load(guide.quickSetup).config.observability;
  assert.equal(metrics.runtimeMetrics, true);
  assert.equal(metrics.httpServer.enabled, true);
  assert.deepEqual(metrics.httpServer.bind, { host: "0.0.0.0", port: 9090 });
  assert.equal(tracing.otlpEndpoint, "http://localhost:4317");
  assert.equal(tracing.samplingRatio, 1);
  assert.equal(tracing.serviceName, "blixard");
  assert.equal(metrics.otlpEndpoint, "http://localhost:4317", "metrics are exported when an endpoint is configured");
  assert.equal(logging.otlpEnabled, true);
});

test("the guide's vendor blocks switch the export on by their endpoint alone", () => {
  for (const block of [guide.grafanaCloud, guide.datadog]) {
    const { tracing, metrics } = load(block).config.observability;
    assert.equal(tracing.enabled, true);
    assert.equal(metrics.otlpEnabled, true);
    assert.equal(metrics.otlpEndpoint, tracing.otlpEndpoint);
  }
});

test("metrics go as a Datadog agent wants them, and cumulative to everybody else, unless the operator says how", () => {
  const temporalityOf = (text: string, environment = {}): unknown =>
    load(text, { environment }).config.destinations.metrics[0]?.temporality;
  assert.equal(temporalityOf(guide.datadog), "delta");
  assert.equal(temporalityOf(guide.grafanaCloud), "cumulative");
  assert.equal(temporalityOf(guide.quickSetup), "cumulative");
  assert.equal(temporalityOf(`${guide.datadog}[observability.metrics]\ntemporality = "cumulative"\n`), "cumulative");
  const environment = { OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "LowMemory" };
  assert.equal(temporalityOf(guide.datadog, environment), "lowmemory");
  const elsewhere = `[observability.metrics]\notlp_endpoint = "http://collector:4317"\n`;
  assert.equal(temporalityOf(guide.datadog + elsewhere), "cumulative", "it is the metrics' own endpoint that counts");
});

test("the guide's blocks load verbatim one below the other: the last endpoint counts, and warnings say so", () => {
  const { config, warnings } = load(`${guide.quickSetup}\n${guide.grafanaCloud}\n${guide.datadog}`);
  const { tracing, metrics } = config.observability;
  assert.equal(tracing.otlpEndpoint, "http://datadog-agent:4317");
  assert.equal(tracing.serviceName, "blixard");
  assert.equal(metrics.httpServer.bind.host, "0.0.0.0");
  assert.equal(warnings.length, 3);
  assert.match(warnings[2] ?? "", /other machines can reach 0\.0\.0\.0:9090/);
  assert.match(warnings[0] ?? "", /node\.toml:15:\d+: this table appears again/);
});

test("a key twice in one table is an error", () => {
  assert.match(
    problemsOf(`[node]\nid = "a"\nid = "b"`).join("\n"),
    /:3:1: not TOML: this key or table is already defined/,
  );
});

test("every problem is reported at once, with line and column, the text and a suggestion", () => {
  const problems = problemsOf(
    `[node]
id = 5
bnd = "x"
bind = "localhost"
[observability.tracing]
sampling_ratio = 2
[observability.mertics]
enabled = true
[runtime]
driver = "xen"
`,
    { environment: { BLIXARD_NODE__IDD: "x", BLIXARD_API__DRAIN_TIMEOUT: "soon" } },
  );
  assert.equal(problems.length, 8);
  assert.match(problems[0] ?? "", /node\.toml:2:6: node\.id: expected .*, found 5$/);
  assert.match(problems[1] ?? "", /node\.toml:3:1: unknown key in \[node\].*found "bnd"; did you mean "bind"\?$/);
  assert.match(problems[2] ?? "", /node\.toml:4:8: node\.bind: expected host:port.*found "localhost"$/);
  assert.match(problems[3] ?? "", /node\.toml:6:18: .*sampling_ratio: expected a number from 0 to 1, found 2$/);
  assert.match(
    problems[4] ?? "",
    /node\.toml:7:16: unknown key in \[observability\].*"mertics"; did you mean "metrics"\?$/,
  );
  assert.match(problems[5] ?? "", /node\.toml:10:10: runtime\.driver: expected "qemu" or "simulated", found "xen"$/);
  assert.ok(problems.some((line) => /^environment BLIXARD_API__DRAIN_TIMEOUT: .*found "soon"$/.test(line)));
  assert.ok(problems.some((line) => /^environment BLIXARD_NODE__IDD: .*did you mean BLIXARD_NODE__ID\?$/.test(line)));
});

test("after a syntax error the rest is checked too", () => {
  const problems = problemsOf(`[node]\nid = "unfinished\nbind = 7\n`);
  assert.match(problems[0] ?? "", /:2:\d+: not TOML: unterminated string/);
  assert.match(problems[1] ?? "", /:3:8: node\.bind/);
});

test("flags win over OTEL_*, OTEL_* over BLIXARD_*, BLIXARD_* over the file, the file over the default", () => {
  const key = "observability.tracing.service_name";
  const text = `[observability.tracing]\nservice_name = "file"\n`;
  const name = (sources: Partial<ConfigSources>, file = text): string =>
    load(file, sources).config.observability.tracing.serviceName;
  const blixard = { BLIXARD_OBSERVABILITY__TRACING__SERVICE_NAME: "blixard-variable" };
  const otel = { ...blixard, OTEL_SERVICE_NAME: "otel-variable" };
  assert.equal(name({}, ""), "blixard");
  assert.equal(name({}), "file");
  assert.equal(name({ environment: blixard }), "blixard-variable");
  assert.equal(name({ environment: otel }), "otel-variable");
  assert.equal(name({ environment: otel, flags: { [key]: { flag: "--service-name", text: "flag" } } }), "flag");
});

test("every value says where it came from", () => {
  const { entries } = load(`[node]\nid = "n1"\n[observability.tracing]\notlp_endpoint = "http://c:4317"\n`, {
    environment: { BLIXARD_RUNTIME__DRIVER: "simulated" },
    flags: { "observability.logging.level": { flag: "--log-level", text: "debug" } },
  });
  const shown = renderConfig(entries);
  assert.match(shown, /^id = "n1" +# \/etc\/blixard\/node\.toml:2:1$/m);
  assert.match(shown, /^driver = "simulated" +# environment BLIXARD_RUNTIME__DRIVER$/m);
  assert.match(shown, /^level = "debug" +# flag --log-level$/m);
  assert.match(shown, /^otlp_endpoint = "http:\/\/c:4317" +# as observability\.tracing\.otlp_endpoint$/m);
  assert.match(shown, /^accelerator = "auto" +# default$/m);
});

test("what `config show` prints loads again with the same meaning", () => {
  const first = load(`${guide.quickSetup}headers = { "X-Scope-OrgID" = "team-a" }
slow_thresholds = { "vm.start" = "1m30s" }
[observability]
resource_attributes = { team = "a", ports = [1, 2], "on" = true }
[observability.metrics]
cardinality_limits = { "blixard.vm.state" = 100 }
[observability.context]
propagators = ["b3", "xray"]
baggage_allowed = ["tenant", "team.*"]
[node.capacity]
memory = "3GiB"
`);
  const second = load(renderConfig(first.entries));
  assert.equal(JSON.stringify(second.config), JSON.stringify(first.config));
});

test("a secret never shows: not in errors, not in `config show`, not when the configuration is printed", () => {
  const text = `[observability.tracing]
otlp_endpoint = "http://c:4317"
headers = { authorisation = "Bearer swordfish" }
basic_auth = { username = "\${env:WHO}", password = "\${env:TOKEN}" }
`;
  const { config, entries } = load(text, { environment: { WHO: "swordfish-user", TOKEN: "swordfish-token" } });
  assert.equal(config.observability.tracing.basicAuth.password?.reveal(), "swordfish-token");
  assert.equal(config.observability.metrics.basicAuth.password?.reveal(), "swordfish-token");
  for (const output of [
    renderConfig(entries),
    JSON.stringify(entries),
    JSON.stringify(config.observability.tracing.headers),
    inspect(config.observability.metrics.headers, { depth: 9 }),
  ]) {
    assert.doesNotMatch(output, /swordfish/);
  }
  const wrong = [
    `[observability.tracing]\nbasic_auth = { username = "a", password = ["swordfish"] }`,
    `[observability.tracing]\nbasic_auth = "swordfish"`,
    `[observability.tracing]\nheaders = "swordfish"`,
    `[observability.tracing]\nheaders = { "a b" = "swordfish" }`,
    `[observability.tracing]\nheaders = { a = ["swordfish"] }`,
    `[observability.tracing]\npassword = "swordfish"`,
    `[observability.tracing]\nbasic_auth = { username = "a", password = "swordfish }`,
    `[observability.tracing]\notlp_endpoint = "https://user:swordfish@host:4317"`,
    `[observability.tracing]\notlp_endpoint = "https://host:4317/?token=swordfish"`,
  ];
  for (const bad of wrong) assert.doesNotMatch(problemsOf(bad).join("\n"), /swordfish/, bad);
  const environments = [
    { BLIXARD_OBSERVABILITY__TRACING__HEADERS: "swordfish" },
    { BLIXARD_OBSERVABILITY__TRACING__OTLP_ENDPOINT: "ftp://user:swordfish@host" },
  ];
  for (const environment of environments) assert.doesNotMatch(problemsOf("", { environment }).join("\n"), /swordfish/);
  const warned = load("", { environment: { OTEL_EXPORTER_OTLP_HEADERS: "swordfish" } });
  assert.equal(warned.warnings.length, 1);
  assert.doesNotMatch(warned.warnings.join("\n"), /swordfish/);
});

test("a missing variable of a substitution is an error that names it; a doubled dollar is none", () => {
  const [problem] = problemsOf(`[observability.tracing]\nservice_name = "a-\${env:NOWHERE}"`);
  assert.match(problem ?? "", /node\.toml:2:16: .*environment variable NOWHERE is not set/);
  const { config, entries } = load(`[observability.tracing]\nservice_name = "$\${env:NOWHERE}-\${env:HERE}"`, {
    environment: { HERE: "x" },
  });
  assert.equal(config.observability.tracing.serviceName, "${env:NOWHERE}-x");
  assert.ok(entries.some(({ shown }) => shown === `"$\${env:NOWHERE}-\${env:HERE}"`));
});

test("metrics with an endpoint of their own never get the traces' credentials", () => {
  const { metrics, logging, tracing } = load(`[observability.tracing]
otlp_endpoint = "http://traces:4317"
timeout = "3s"
basic_auth = { username = "u", password = "p" }
[observability.metrics]
otlp_endpoint = "http://metrics:4317"
`).config.observability;
  assert.equal(tracing.timeoutMs, 3_000);
  assert.equal(metrics.basicAuth.password, undefined);
  assert.equal(metrics.timeoutMs, 10_000);
  assert.equal(logging.basicAuth.password?.reveal(), "p");
  assert.equal(logging.timeoutMs, 3_000);
});

test("OTEL_* variables mean what the OpenTelemetry specification says", () => {
  const { config, warnings } = load("", {
    environment: {
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318",
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://traces:4318/custom",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
      OTEL_EXPORTER_OTLP_HEADERS: "api-key=a%20b,x=y",
      OTEL_EXPORTER_OTLP_TIMEOUT: "2500",
      OTEL_EXPORTER_OTLP_COMPRESSION: "none",
      OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0.25",
      OTEL_METRIC_EXPORT_INTERVAL: "30000",
      OTEL_RESOURCE_ATTRIBUTES: "service.name=unused,team=a%2Cb",
      OTEL_SERVICE_NAME: "named",
      OTEL_LOGS_EXPORTER: "none",
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "",
    },
  });
  const { tracing, metrics, logging, resourceAttributes } = config.observability;
  assert.deepEqual(warnings, []);
  assert.equal(tracing.otlpEndpoint, "http://traces:4318/custom");
  assert.equal(tracing.otlpEndpointExact, true);
  assert.equal(metrics.otlpEndpoint, "http://collector:4318");
  assert.equal(metrics.otlpEndpointExact, false);
  assert.equal(tracing.protocol, "http/protobuf");
  assert.equal(metrics.headers?.["api-key"]?.reveal(), "a b");
  assert.equal(metrics.timeoutMs, 2500);
  assert.equal(metrics.compression, "none");
  assert.equal(metrics.exportIntervalMs, 30_000);
  assert.equal(tracing.samplingRatio, 0.25);
  assert.equal(tracing.serviceName, "named");
  assert.deepEqual(resourceAttributes, { team: "a,b" });
  assert.equal(logging.otlpEnabled, false);
  assert.equal(load("", { environment: { OTEL_SDK_DISABLED: "TRUE" } }).config.observability.enabled, false);
  assert.equal(
    load("", { environment: { OTEL_TRACES_EXPORTER: "otlp" } }).config.observability.tracing.otlpEndpoint,
    "http://localhost:4317",
  );
});

test("an OTEL_* variable that makes no sense is a warning, not an error", () => {
  const { config, warnings } = load("", {
    environment: { OTEL_TRACES_SAMPLER: "xray", OTEL_EXPORTER_OTLP_TIMEOUT: "long", OTEL_METRICS_EXPORTER: "console" },
  });
  assert.equal(config.observability.tracing.samplingRatio, 1);
  assert.ok(warnings.some((line) => line.includes("OTEL_TRACES_SAMPLER")));
  assert.ok(warnings.some((line) => line.includes("OTEL_EXPORTER_OTLP_TIMEOUT")));
  assert.ok(warnings.some((line) => line.includes("OTEL_METRICS_EXPORTER")));
});

test("contradictions are reported where they were written", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    [`[node]\nbind = "0.0.0.0:7001"`, /:2:1: node\.bind: .*allow_insecure_bind/],
    [`[node]\nbind = "192.168.1.4:7001"`, /:2:1: node\.bind: /],
    [
      `[observability.tracing]\nenabled = true`,
      /:2:1: observability\.tracing\.enabled: .*no observability\.tracing\.otlp_endpoint/,
    ],
    [
      `[observability.tracing]\notlp_endpoint = "http://x:1"\nbasic_auth.username = "u"`,
      /:3:1: .*username: needs .*password too/,
    ],
    [`[store]\nca_file = "ca.pem"`, /:2:1: store\.ca_file: .*only with store\.endpoints/],
    [`[store]\nendpoints = []`, /:2:1: store\.endpoints: /],
    [`[node]\nbind = "127.0.0.1:9090"`, /http_server\.bind: is the same port as node\.bind/],
    [
      `[observability.metrics.http_server]\ncertificate_file = "c.pem"`,
      /:2:1: .*certificate_file: needs .*http_server\.key_file too/,
    ],
    [`[observability.metrics.http_server]\nclient_ca_file = "c.pem"`, /:2:1: .*needs .*certificate_file too/],
    [
      `[observability.metrics.http_server]\nbearer_token = "t"\nbasic_auth = { username = "u", password = "p" }`,
      /:2:1: .*bearer_token: is another way to authenticate/,
    ],
    [`[observability.tracing]\notlp_endpoint = "c:1"\nprotocol = "http/json"`, /:2:1: .*needs http:\/\/ or https/],
    [`[node.capacity]\nmemory = "256MiB"`, /:2:1: node\.capacity\.memory: nothing is left for guests/],
  ];
  for (const [text, expected] of cases) assert.match(problemsOf(text).join("\n"), expected, text);
  assert.equal(load(`[node]\nbind = "0.0.0.0:0"\nallow_insecure_bind = true`).config.node.bind.port, 0);
});

test("a page is advertised by a host that others can call, with or without a port", () => {
  const advertise = (value: string): string => `[observability.metrics.http_server]\nadvertise = "${value}"`;
  const accepted: readonly (readonly [string, string, number | undefined])[] = [
    ["node-1.example", "node-1.example", undefined],
    ["node-1.example:19090", "node-1.example", 19_090],
    ["10.0.0.4", "10.0.0.4", undefined],
    ["2001:db8::4", "2001:db8::4", undefined],
    ["[2001:db8::4]:9090", "2001:db8::4", 9090],
  ];
  for (const [value, host, port] of accepted) {
    const loaded = load(advertise(value));
    assert.deepEqual(loaded.config.observability.metrics.httpServer.advertise, { host, port });
    const shown = loaded.entries.find(({ path }) => path === "observability.metrics.http_server.advertise")?.shown;
    assert.equal(shown, `"${value}"`);
  }
  for (const value of [
    "",
    "0.0.0.0",
    "0.0.0.0:9090",
    "::",
    "[::]:9090",
    "node-1:0",
    "http://node-1:9090",
    "a b",
    "10.0.0.4:99999",
    "10.0.0.400",
  ]) {
    assert.match(
      problemsOf(advertise(value)).join(),
      /:2:13: .*advertise: expected a host that others can call/,
      value,
    );
  }
});

test("a page that other machines reach without encryption or credentials is advised against, not refused", () => {
  const page = (keys: string): readonly string[] =>
    load(`[observability.metrics.http_server]\nbind = "0.0.0.0:9090"\n${keys}`).warnings;
  const tls = 'certificate_file = "c.pem"\nkey_file = "k.pem"\n';
  assert.match(page("").join(), /neither encrypted nor limited.*set certificate_file and key_file/);
  assert.match(page(tls).join(), /anybody may read the metrics there: set bearer_token/);
  assert.deepEqual(page(`${tls}bearer_token = "t"`), []);
  assert.deepEqual(page(`${tls}client_ca_file = "ca.pem"`), []);
  assert.deepEqual(page("enabled = false"), []);
});

test("paths in a file start from the file, paths elsewhere from the working directory", () => {
  const text = `[node]\ndata_dir = "data"`;
  assert.equal(load(text).config.node.dataDir, "/etc/blixard/data");
  assert.equal(load("", { environment: { BLIXARD_DATA_DIR: "data" } }).config.node.dataDir, "/home/ann/data");
  const both = { BLIXARD_DATA_DIR: "/a", BLIXARD_NODE__DATA_DIR: "/b" };
  assert.equal(load(text, { environment: both }).config.node.dataDir, "/b");
});

test("the configuration cannot be changed", () => {
  const { config } = load(guide.quickSetup);
  assert.throws(() => Object.assign(config.node, { id: "other" }), TypeError);
  assert.throws(() => Object.assign(config.observability.metrics.httpServer.bind, { port: 1 }), TypeError);
});

test("fifty thousand unknown keys are counted, and the first fifty told", () => {
  const text = Array.from({ length: 50_000 }, (_, index) => `key${index} = 1`).join("\n");
  const problems = problemsOf(text);
  assert.equal(problems.length, 51);
  assert.match(problems[0] ?? "", /node\.toml:1:1: unknown key/);
  assert.equal(problems[50], "… and 49950 more");
});
