import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig, type ConfigEntry } from "./config.ts";
import { otelVariables, type SupportedVariable } from "./otel-variables.ts";
import { configSchema, flattenKeys, variableOf } from "./schema.ts";
import type { Key } from "./schema-types.ts";
import { formatOrigin } from "./show.ts";

const host = { hostName: "host-1", isRoot: false, workingDirectory: "/home/ann" };

/** Every `OTEL_*` name in the specification 1.60 and the semantic conventions 1.44. */
const SPECIFIED = `
  OTEL_ATTRIBUTE_COUNT_LIMIT
  OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT
  OTEL_BLRP_EXPORT_TIMEOUT
  OTEL_BLRP_MAX_EXPORT_BATCH_SIZE
  OTEL_BLRP_MAX_QUEUE_SIZE
  OTEL_BLRP_SCHEDULE_DELAY
  OTEL_BSP_EXPORT_TIMEOUT
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE
  OTEL_BSP_MAX_QUEUE_SIZE
  OTEL_BSP_SCHEDULE_DELAY
  OTEL_CONFIG_FILE
  OTEL_ENTITIES
  OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT
  OTEL_EXPERIMENTAL_CONFIG_FILE
  OTEL_EXPORTER_OTLP_CERTIFICATE
  OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE
  OTEL_EXPORTER_OTLP_CLIENT_KEY
  OTEL_EXPORTER_OTLP_COMPRESSION
  OTEL_EXPORTER_OTLP_ENDPOINT
  OTEL_EXPORTER_OTLP_HEADERS
  OTEL_EXPORTER_OTLP_INSECURE
  OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE
  OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE
  OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY
  OTEL_EXPORTER_OTLP_LOGS_COMPRESSION
  OTEL_EXPORTER_OTLP_LOGS_ENDPOINT
  OTEL_EXPORTER_OTLP_LOGS_HEADERS
  OTEL_EXPORTER_OTLP_LOGS_INSECURE
  OTEL_EXPORTER_OTLP_LOGS_PROTOCOL
  OTEL_EXPORTER_OTLP_LOGS_TIMEOUT
  OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE
  OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE
  OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY
  OTEL_EXPORTER_OTLP_METRICS_COMPRESSION
  OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT
  OTEL_EXPORTER_OTLP_METRICS_HEADERS
  OTEL_EXPORTER_OTLP_METRICS_INSECURE
  OTEL_EXPORTER_OTLP_METRICS_PROTOCOL
  OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE
  OTEL_EXPORTER_OTLP_METRICS_TIMEOUT
  OTEL_EXPORTER_OTLP_METRIC_INSECURE
  OTEL_EXPORTER_OTLP_PROTOCOL
  OTEL_EXPORTER_OTLP_SPAN_INSECURE
  OTEL_EXPORTER_OTLP_TIMEOUT
  OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE
  OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE
  OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY
  OTEL_EXPORTER_OTLP_TRACES_COMPRESSION
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
  OTEL_EXPORTER_OTLP_TRACES_HEADERS
  OTEL_EXPORTER_OTLP_TRACES_INSECURE
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL
  OTEL_EXPORTER_OTLP_TRACES_TIMEOUT
  OTEL_EXPORTER_PROMETHEUS_HOST
  OTEL_EXPORTER_PROMETHEUS_PORT
  OTEL_EXPORTER_ZIPKIN_ENDPOINT
  OTEL_EXPORTER_ZIPKIN_PROTOCOL
  OTEL_EXPORTER_ZIPKIN_TIMEOUT
  OTEL_GO_X_OBSERVABILITY
  OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS
  OTEL_LINK_ATTRIBUTE_COUNT_LIMIT
  OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT
  OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT
  OTEL_LOGS_EXPORTER
  OTEL_LOG_LEVEL
  OTEL_METRICS_EXEMPLAR_FILTER
  OTEL_METRICS_EXPORTER
  OTEL_METRIC_EXPORT_INTERVAL
  OTEL_METRIC_EXPORT_TIMEOUT
  OTEL_PROPAGATORS
  OTEL_RESOURCE_ATTRIBUTES
  OTEL_SDK_DISABLED
  OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN
  OTEL_SEMCONV_STABILITY_OPT_IN
  OTEL_SERVICE_NAME
  OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT
  OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT
  OTEL_SPAN_EVENT_COUNT_LIMIT
  OTEL_SPAN_LINK_COUNT_LIMIT
  OTEL_TRACES_EXPORTER
  OTEL_TRACES_SAMPLER
  OTEL_TRACES_SAMPLER_ARG
`;

type Environment = Readonly<Record<string, string>>;

interface Effect {
  readonly entry: (path: string) => ConfigEntry;
  readonly warnings: readonly string[];
}

function effectOf(environment: Environment, text = ""): Effect {
  const { entries, warnings } = parseConfig({ environment, host, file: { path: "/etc/node.toml", text } });
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  const entry = (path: string): ConfigEntry => {
    const found = byPath.get(path);
    assert.ok(found !== undefined, `there is a key ${path}`);
    return found;
  };
  return { entry, warnings };
}

const supported = otelVariables.filter(
  (variable): variable is SupportedVariable => variable.kind === "supported" && variable.keys.length > 0,
);

function environmentOf({ name, example, needs = {} }: SupportedVariable): Environment {
  return { ...needs, [name]: example };
}

const keys: ReadonlyMap<string, Key<unknown>> = new Map(flattenKeys(configSchema).map(({ path, key }) => [path, key]));

/** A valid text for a key, other than the examples. */
function otherText(path: string): string {
  const key = keys.get(path);
  assert.ok(key !== undefined);
  if (key.kind.type === "path") return "/elsewhere";
  if (key.kind.type === "URL or host:port") return "http://elsewhere:4317";
  if (path.endsWith(".headers") || path.endsWith("_attributes")) return "else=where";
  if (path.endsWith(".protocol")) return "grpc";
  if (path.endsWith(".exceptions")) return "logs";
  if (path.endsWith(".temporality")) return "delta";
  if (path.endsWith(".propagators")) return "xray";
  if (key.kind.type === "boolean") return "false";
  if (key.default.kind === "value") return key.kind.show(key.default.value).replaceAll('"', "");
  if (path.endsWith(".timeout")) return "7s";
  if (path.endsWith(".compression")) return "gzip";
  throw new Error(`no text for ${path}`);
}

test("the table has every OTEL_* variable of the specification, once, and no other", () => {
  const names = otelVariables.map(({ name }) => name);
  assert.deepEqual(names.toSorted(), SPECIFIED.trim().split(/\s+/).toSorted());
});

test("each supported variable changes the effective configuration, which says where that came from", () => {
  const without = effectOf({});
  for (const variable of supported) {
    const { entry, warnings } = effectOf(environmentOf(variable));
    assert.deepEqual(warnings, [], variable.name);
    const changed = variable.keys.filter((path) => entry(path).shown !== without.entry(path).shown);
    const [first] = changed;
    assert.ok(first !== undefined, `${variable.name} changes ${variable.keys.join(" or ")}`);
    assert.equal(formatOrigin(entry(first).origin), `environment ${variable.name}`);
  }
});

test("each supported variable wins over BLIXARD_* and the file", () => {
  for (const variable of supported) {
    const alone = effectOf(environmentOf(variable));
    const set = variable.keys.filter(
      (path) =>
        formatOrigin(alone.entry(path).origin) === `environment ${variable.name}` &&
        // The specification's endpoint counts only where there is no other.
        !(variable.name.endsWith("_EXPORTER") && path.endsWith(".otlp_endpoint")),
    );
    for (const path of set) {
      const ours = { [variableOf(path)]: otherText(path) };
      const both = effectOf({ ...ours, ...environmentOf(variable) });
      assert.equal(both.entry(path).shown, alone.entry(path).shown, `${variable.name} before ${variableOf(path)}`);
      if (variable.needs !== undefined) continue;
      assert.equal(formatOrigin(effectOf(ours).entry(path).origin), `environment ${variableOf(path)}`);
    }
  }
  const file = `[observability.tracing]\nservice_name = "file"\nbatch = { queue_size = 9 }`;
  const { entry } = effectOf({ OTEL_SERVICE_NAME: "otel", OTEL_BSP_MAX_QUEUE_SIZE: "5" }, file);
  assert.equal(entry("observability.tracing.service_name").shown, '"otel"');
  assert.equal(entry("observability.tracing.batch.queue_size").shown, "5");
});

test("a variable of one signal wins over the general one, for that signal alone", () => {
  const signals = { TRACES: "tracing", METRICS: "metrics", LOGS: "logging" } as const;
  const names = [
    "ENDPOINT",
    "PROTOCOL",
    "HEADERS",
    "TIMEOUT",
    "COMPRESSION",
    "INSECURE",
    "CERTIFICATE",
    "CLIENT_CERTIFICATE",
    "CLIENT_KEY",
  ];
  const find = (name: string): SupportedVariable => {
    const found = supported.find((variable) => variable.name === name);
    assert.ok(found !== undefined, name);
    return found;
  };
  for (const name of names) {
    const general = find(`OTEL_EXPORTER_OTLP_${name}`);
    for (const [signal, section] of Object.entries(signals)) {
      const own = find(`OTEL_EXPORTER_OTLP_${signal}_${name}`);
      const { entry } = effectOf({ ...environmentOf(general), ...environmentOf(own) });
      for (const path of general.keys) {
        const winner = path.startsWith(`observability.${section}.`) ? own : general;
        assert.equal(formatOrigin(entry(path).origin), `environment ${winner.name}`, path);
      }
    }
  }
});

test("each variable that is not applicable is accepted with at most one warning, which says why", () => {
  for (const variable of otelVariables) {
    if (variable.kind !== "not applicable") continue;
    const { warnings } = effectOf({ [variable.name]: "anything" });
    assert.deepEqual(warnings, variable.quiet === true ? [] : [`${variable.name} has no effect: ${variable.reason}`]);
  }
});

test("an empty variable counts as unset", () => {
  const environment = Object.fromEntries(otelVariables.map(({ name }): [string, string] => [name, " "]));
  const [empty, none] = [effectOf(environment), effectOf({})];
  assert.deepEqual(empty.warnings, []);
  for (const path of keys.keys()) assert.deepEqual(empty.entry(path), none.entry(path));
});

test("a variable with nonsense is one warning that names it, and changes nothing", () => {
  for (const { name, keys: paths } of supported) {
    // Everything is a name, a path, an address.
    if (/SERVICE_NAME|CERTIFICATE|CLIENT_KEY|SAMPLER_ARG/.test(name)) continue;
    const { entry, warnings } = effectOf({ [name]: "}no sense{" });
    assert.equal(warnings.length, 1, name);
    assert.ok(warnings[0]?.startsWith(name), name);
    for (const path of paths) {
      // Booleans are false then, by the specification.
      const origin = formatOrigin(entry(path).origin);
      assert.ok(!origin.includes(name) || /INSECURE|SDK_DISABLED|ENDPOINT/.test(name), `${name} sets ${path}`);
    }
  }
});

test("headers that no export could carry are a warning, not the end of the node", () => {
  for (const text of [
    "x-name=%C3%A9",
    "x-token=abc%0A",
    "content-type=text/plain",
    "Grpc-Timeout=1S",
    "trace-bin=AA==",
  ]) {
    const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4317", OTEL_EXPORTER_OTLP_HEADERS: text };
    const { config, warnings } = parseConfig({ environment, host });
    assert.equal(warnings.length, 1, text);
    assert.match(warnings[0] ?? "", /^OTEL_EXPORTER_OTLP_HEADERS is ignored: /);
    assert.deepEqual(config.destinations.traces[0]?.headers, undefined);
  }
});

test("values are read as the specification writes them", () => {
  const shown = (environment: Environment, path: string): string | undefined => effectOf(environment).entry(path).shown;
  const context = "observability.context.propagators";
  assert.equal(shown({ OTEL_PROPAGATORS: "none" }, context), "[]");
  assert.equal(shown({ OTEL_PROPAGATORS: "B3, b3,baggage" }, context), '["b3", "baggage"]');
  assert.equal(shown({ OTEL_PROPAGATORS: "ottrace,jaeger" }, context), '["jaeger"]');
  assert.match(effectOf({ OTEL_PROPAGATORS: "ottrace" }).warnings.join(), /no propagator "ottrace"/);
  const ratio = "observability.tracing.sampling_ratio";
  assert.equal(shown({ OTEL_TRACES_SAMPLER: "AlwaysOff" }, ratio), "1");
  assert.equal(shown({ OTEL_TRACES_SAMPLER: "ALWAYS_OFF" }, ratio), "0");
  assert.equal(shown({ OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: ".5" }, ratio), "0.5");
  assert.equal(shown({ OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "2" }, ratio), "1");
  assert.equal(shown({ OTEL_TRACES_SAMPLER_ARG: "0.5" }, ratio), "1");
  const bind = "observability.metrics.http_server.bind";
  assert.equal(
    shown({ OTEL_EXPORTER_PROMETHEUS_HOST: "::", OTEL_EXPORTER_PROMETHEUS_PORT: "9464" }, bind),
    '"[::]:9464"',
  );
  assert.equal(shown({ OTEL_EXPORTER_OTLP_TIMEOUT: "0" }, "observability.tracing.timeout"), '"10m"');
  assert.equal(shown({ OTEL_BSP_SCHEDULE_DELAY: "-1" }, "observability.tracing.batch.schedule_delay"), '"1s"');
  assert.equal(shown({ OTEL_SDK_DISABLED: "1" }, "observability.enabled"), "true");
  assert.equal(shown({ OTEL_LOG_LEVEL: "VERBOSE" }, "observability.logging.level"), '"debug"');
  const exceptions = "observability.tracing.exceptions";
  assert.equal(shown({ OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN: "logs" }, exceptions), '"logs"');
  assert.equal(shown({ OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN: "x, logs/dup" }, exceptions), '"both"');
});

test("entities and resource attributes are percent-decoded and merged, malformed ones left out", () => {
  const path = "observability.resource_attributes";
  const { entry, warnings } = effectOf({
    OTEL_ENTITIES: "service{service.name=my%2Capp}[a=1];invalid{syntax;host{host.id=h%3D1,b=2};x{}",
    OTEL_RESOURCE_ATTRIBUTES: "b=3,deployment.environment.name=pr%20od",
  });
  assert.equal(entry(path).shown, '{ a = "1", "host.id" = "h=1", b = "3", "deployment.environment.name" = "pr od" }');
  assert.equal(entry("observability.tracing.service_name").shown, '"my,app"');
  assert.deepEqual(warnings, ["OTEL_ENTITIES: 2 malformed parts are left out"]);
  const broken = effectOf({ OTEL_RESOURCE_ATTRIBUTES: "a=1,b=%zz" });
  assert.equal(broken.entry(path).shown, undefined, "all of it is discarded");
  assert.equal(broken.warnings.length, 1);
});

test("exporters that are not there are named, the others count", () => {
  const section = "observability.tracing";
  const both = effectOf({ OTEL_TRACES_EXPORTER: "zipkin,otlp" });
  assert.equal(both.entry(`${section}.otlp_endpoint`).shown, '"http://localhost:4317"');
  assert.match(both.warnings.join(), /OTEL_TRACES_EXPORTER: there is no exporter "zipkin"/);
  const file = `[${section}]\notlp_endpoint = "http://c:4317"`;
  assert.equal(
    effectOf({ OTEL_TRACES_EXPORTER: "otlp" }, file).entry(`${section}.otlp_endpoint`).shown,
    '"http://c:4317"',
  );
  assert.equal(effectOf({ OTEL_TRACES_EXPORTER: "console" }, file).entry(`${section}.enabled`).shown, "true");
  assert.equal(effectOf({ OTEL_TRACES_EXPORTER: "none" }, file).entry(`${section}.enabled`).shown, "false");
  const page = `${file}\n[observability.metrics.http_server]\nenabled = false`;
  const prometheus = effectOf({ OTEL_METRICS_EXPORTER: "prometheus" }, page);
  assert.equal(prometheus.entry("observability.metrics.http_server.enabled").shown, "true");
  assert.equal(prometheus.entry("observability.metrics.otlp_enabled").shown, "false");
  const logs = effectOf({ OTEL_LOGS_EXPORTER: "console" }, file);
  assert.deepEqual([logs.entry("observability.logging.otlp_enabled").shown, logs.warnings], ["false", []]);
});

test("a variable that is nearly one of the specification's is asked about, others are let be", () => {
  const { warnings } = effectOf({ OTEL_EXPORTER_OTLP_ENDPIONT: "http://x", OTEL_PYTHON_LOG_CORRELATION: "true" });
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0] ?? "",
    /OTEL_EXPORTER_OTLP_ENDPIONT is no variable .* did you mean OTEL_EXPORTER_OTLP_ENDPOINT\?/,
  );
});
