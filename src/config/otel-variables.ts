/**
 * Every `OTEL_*` variable of the OpenTelemetry specification, in one table: which
 * keys of ours it sets and how, or why it has no meaning here. Precedence is the
 * table's order: a later variable wins over an earlier one, so those of one signal
 * come after the general ones.
 *
 * By the specification's rules: an empty variable counts as unset, enumerations are
 * read in any case, and what a variable says wrongly is a warning and ignored, never
 * an error, because they are often set for a whole machine. Source:
 * specification/configuration/sdk-environment-variables.md, protocol/exporter.md,
 * metrics/sdk_exporters, entities; the opt-in variables of the semantic conventions.
 */
import {
  boolean,
  chooseExporters,
  choosePropagators,
  chooseSampler,
  exceptionSignal,
  logLevel,
  lowerCase,
  milliseconds,
  readEntities,
  readPrometheusAddress,
  readResourceAttributes,
  samplerArgumentAlone,
  timeoutUpTo,
  type Convert,
  type OtelReading,
} from "./otel-conversions.ts";
import { editDistance } from "./suggest.ts";

export type OtelVariable = SupportedVariable | InapplicableVariable;

export interface SupportedVariable {
  readonly kind: "supported";
  readonly name: string;
  /** Paths of keys. Empty for those that name a file. */
  readonly keys: readonly string[];
  /** What of its values is not plain, for the reference. */
  readonly meaning?: string;
  /** A value that changes the keys, with other variables that it needs: the test sets it. */
  readonly example: string;
  readonly needs?: Readonly<Record<string, string>>;
  read(text: string, reading: OtelReading): void;
}

export interface InapplicableVariable {
  readonly kind: "not applicable";
  readonly name: string;
  readonly reason: string;
  /** What it asks for is so in any case: setting it is no reason for a warning. */
  readonly quiet?: boolean;
}

const OBSERVABILITY = "observability";
const TRACING = "observability.tracing";
const METRICS = "observability.metrics";
const LOGGING = "observability.logging";

const SIGNALS = [
  { variable: "TRACES", section: TRACING },
  { variable: "METRICS", section: METRICS },
  { variable: "LOGS", section: LOGGING },
] as const;

interface DirectOptions {
  readonly example: string;
  readonly convert?: Convert;
  readonly meaning?: string;
  readonly needs?: Readonly<Record<string, string>>;
}

/** The converted text is the value of each of the keys. */
function direct(name: string, keys: readonly string[], options: DirectOptions): SupportedVariable {
  const { example, convert = (text) => text, meaning, needs } = options;
  return {
    kind: "supported",
    name,
    keys,
    example,
    ...(meaning === undefined ? {} : { meaning }),
    ...(needs === undefined ? {} : { needs }),
    read: (text, reading) => {
      const converted = convert(text, reading);
      if (converted !== undefined) for (const key of keys) reading.set(key, converted);
    },
  };
}

function special(
  name: string,
  keys: readonly string[],
  options: Omit<SupportedVariable, "kind" | "name" | "keys">,
): SupportedVariable {
  return { kind: "supported", name, keys, ...options };
}

function inapplicable(name: string, reason: string, quiet = false): InapplicableVariable {
  return { kind: "not applicable", name, reason, ...(quiet ? { quiet } : {}) };
}

/** `read` of variables that are looked at before all others. */
const readElsewhere = (): void => undefined;

const general: readonly OtelVariable[] = [
  special("OTEL_CONFIG_FILE", [], {
    meaning: "a file of the declarative configuration, see below; then the others here are ignored",
    example: "otel.yaml",
    read: readElsewhere,
  }),
  special("OTEL_EXPERIMENTAL_CONFIG_FILE", [], {
    meaning: "deprecated name of OTEL_CONFIG_FILE",
    example: "otel.yaml",
    read: readElsewhere,
  }),
  direct("OTEL_SDK_DISABLED", [`${OBSERVABILITY}.enabled`], {
    example: "true",
    convert: (text, reading) => String(!boolean(text, reading)),
    meaning: "reversed",
  }),
  special("OTEL_ENTITIES", [`${OBSERVABILITY}.resource_attributes`, `${TRACING}.service_name`], {
    example: "host{host.id=h1}[host.name=web]",
    meaning: "identifying and descriptive attributes; OTEL_RESOURCE_ATTRIBUTES wins over them",
    read: readEntities,
  }),
  special("OTEL_RESOURCE_ATTRIBUTES", [`${OBSERVABILITY}.resource_attributes`, `${TRACING}.service_name`], {
    example: "team=a%2Cb",
    meaning: "`service.name` goes to `service_name`; percent-decoded",
    read: readResourceAttributes,
  }),
  direct("OTEL_SERVICE_NAME", [`${TRACING}.service_name`], { example: "edge" }),
  direct("OTEL_LOG_LEVEL", [`${LOGGING}.level`], {
    example: "debug",
    convert: logLevel,
    meaning: "the node has one logger, for itself and for telemetry",
  }),
  special("OTEL_PROPAGATORS", [`${OBSERVABILITY}.context.propagators`], {
    example: "b3,tracecontext",
    meaning: "`none`: an empty list; the deprecated `jaeger` is read and written, `ottrace` is not",
    read: choosePropagators,
  }),
  special("OTEL_TRACES_SAMPLER", [`${TRACING}.sampling_ratio`], {
    example: "parentbased_always_off",
    meaning:
      "`always_on`, `always_off`, `traceidratio`, each also as `parentbased_…`; it decides what is exported, operations are recorded in any case",
    read: chooseSampler,
  }),
  special("OTEL_TRACES_SAMPLER_ARG", [`${TRACING}.sampling_ratio`], {
    example: "0.25",
    needs: { OTEL_TRACES_SAMPLER: "traceidratio" },
    meaning: "with a sampler by ratio: 0 to 1",
    read: samplerArgumentAlone,
  }),
];

const batches: readonly OtelVariable[] = [
  ["OTEL_BSP", TRACING],
  ["OTEL_BLRP", LOGGING],
].flatMap(([prefix, section]) => [
  direct(`${prefix}_SCHEDULE_DELAY`, [`${section}.batch.schedule_delay`], { example: "250", convert: milliseconds }),
  direct(`${prefix}_EXPORT_TIMEOUT`, [`${section}.batch.export_timeout`], {
    example: "20000",
    convert: timeoutUpTo("24h"),
    meaning: "0: a day",
  }),
  direct(`${prefix}_MAX_QUEUE_SIZE`, [`${section}.batch.queue_size`], { example: "5000" }),
  direct(`${prefix}_MAX_EXPORT_BATCH_SIZE`, [`${section}.batch.batch_size`], { example: "256" }),
]);

const limits: readonly OtelVariable[] = [
  direct(
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    [`${TRACING}.limits.attribute_value_length`, `${LOGGING}.limits.attribute_value_length`],
    { example: "900" },
  ),
  direct("OTEL_ATTRIBUTE_COUNT_LIMIT", [`${TRACING}.limits.attribute_count`, `${LOGGING}.limits.attribute_count`], {
    example: "90",
  }),
  direct("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", [`${TRACING}.limits.attribute_value_length`], { example: "800" }),
  direct("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", [`${TRACING}.limits.attribute_count`], { example: "80" }),
  direct("OTEL_SPAN_EVENT_COUNT_LIMIT", [`${TRACING}.limits.event_count`], { example: "20" }),
  direct("OTEL_SPAN_LINK_COUNT_LIMIT", [`${TRACING}.limits.link_count`], { example: "8" }),
  direct("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", [`${TRACING}.limits.attributes_per_event`], { example: "16" }),
  direct("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", [`${TRACING}.limits.attributes_per_link`], { example: "16" }),
  direct("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", [`${LOGGING}.limits.attribute_value_length`], {
    example: "700",
  }),
  direct("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", [`${LOGGING}.limits.attribute_count`], { example: "70" }),
];

/** `OTEL_EXPORTER_OTLP_<signal><NAME>`: of all signals, or with `TRACES_` … of one. */
function otlpVariables(signal: string, sections: readonly string[]): readonly OtelVariable[] {
  const exact = signal !== "";
  const of = (name: string, key: string, options: DirectOptions): SupportedVariable =>
    direct(
      `OTEL_EXPORTER_OTLP_${signal}${name}`,
      sections.map((section) => `${section}.${key}`),
      options,
    );
  return [
    special(
      `OTEL_EXPORTER_OTLP_${signal}ENDPOINT`,
      sections.flatMap((section) => [`${section}.otlp_endpoint`, `${section}.otlp_endpoint_exact`]),
      {
        example: exact ? "http://collector:4318/custom" : "http://collector:4318",
        meaning: exact ? "used as it is" : "over HTTP the signal's path is appended",
        read: (text, reading) => {
          for (const section of sections) {
            reading.set(`${section}.otlp_endpoint`, text);
            reading.set(`${section}.otlp_endpoint_exact`, String(exact));
          }
        },
      },
    ),
    of("PROTOCOL", "protocol", { example: "http/json", convert: lowerCase }),
    of("HEADERS", "headers", { example: "api-key=a%20b", meaning: "`key=value,…`, percent-decoded" }),
    of("TIMEOUT", "timeout", { example: "2500", convert: timeoutUpTo("10m"), meaning: "0: 10 minutes" }),
    of("COMPRESSION", "compression", { example: "none", convert: lowerCase }),
    of("INSECURE", "insecure", { example: "true", convert: (text, reading) => String(boolean(text, reading)) }),
    of("CERTIFICATE", "ca_file", { example: "/etc/ca.pem" }),
    of("CLIENT_CERTIFICATE", "client_certificate_file", {
      example: "/etc/client.pem",
      needs: { [`OTEL_EXPORTER_OTLP_${signal}CLIENT_KEY`]: "/etc/client.key" },
    }),
    of("CLIENT_KEY", "client_key_file", {
      example: "/etc/client.key",
      needs: { [`OTEL_EXPORTER_OTLP_${signal}CLIENT_CERTIFICATE`]: "/etc/client.pem" },
    }),
  ];
}

const otlp: readonly OtelVariable[] = [
  ...otlpVariables(
    "",
    SIGNALS.map(({ section }) => section),
  ),
  direct("OTEL_EXPORTER_OTLP_SPAN_INSECURE", [`${TRACING}.insecure`], {
    example: "true",
    convert: (text, reading) => String(boolean(text, reading)),
    meaning: "obsolete name",
  }),
  direct("OTEL_EXPORTER_OTLP_METRIC_INSECURE", [`${METRICS}.insecure`], {
    example: "true",
    convert: (text, reading) => String(boolean(text, reading)),
    meaning: "obsolete name",
  }),
  ...SIGNALS.flatMap(({ variable, section }) => otlpVariables(`${variable}_`, [section])),
];

const exporters: readonly OtelVariable[] = [
  special("OTEL_TRACES_EXPORTER", [`${TRACING}.enabled`, `${TRACING}.otlp_endpoint`], {
    example: "otlp",
    meaning:
      "`otlp` (without an endpoint: the specification's, on this machine) or `none`; others are not there and left out with a warning",
    read: chooseExporters({ section: TRACING, switchKey: `${TRACING}.enabled` }),
  }),
  special(
    "OTEL_METRICS_EXPORTER",
    [`${METRICS}.otlp_enabled`, `${METRICS}.otlp_endpoint`, `${METRICS}.http_server.enabled`],
    {
      example: "otlp",
      meaning: "`otlp`, `prometheus` (the scrape page is served) or `none` (by OTLP; the page stays as it is)",
      read: chooseExporters({
        section: METRICS,
        switchKey: `${METRICS}.otlp_enabled`,
        local: { name: "prometheus", key: `${METRICS}.http_server.enabled` },
      }),
    },
  ),
  special("OTEL_LOGS_EXPORTER", [`${LOGGING}.otlp_enabled`, `${LOGGING}.otlp_endpoint`], {
    example: "otlp",
    meaning: "`otlp`, `console` (stderr has the logs in any case) or `none`",
    read: chooseExporters({ section: LOGGING, switchKey: `${LOGGING}.otlp_enabled`, local: { name: "console" } }),
  }),
];

const metrics: readonly OtelVariable[] = [
  direct("OTEL_METRIC_EXPORT_INTERVAL", [`${METRICS}.export_interval`], { example: "30000", convert: milliseconds }),
  direct("OTEL_METRIC_EXPORT_TIMEOUT", [`${METRICS}.export_timeout`], {
    example: "20000",
    convert: timeoutUpTo("1h"),
    meaning: "0: an hour",
  }),
  direct("OTEL_METRICS_EXEMPLAR_FILTER", [`${METRICS}.exemplars`], { example: "always_off", convert: lowerCase }),
  direct("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", [`${METRICS}.temporality`], {
    example: "LowMemory",
    convert: lowerCase,
  }),
  direct("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", [`${METRICS}.histogram_aggregation`], {
    example: "base2_exponential_bucket_histogram",
    convert: lowerCase,
  }),
  special("OTEL_EXPORTER_PROMETHEUS_HOST", [`${METRICS}.http_server.bind`], {
    example: "127.0.0.2",
    meaning: "the host alone; the port stays",
    read: (_text, reading) => readPrometheusAddress(reading),
  }),
  special("OTEL_EXPORTER_PROMETHEUS_PORT", [`${METRICS}.http_server.bind`], {
    example: "9464",
    meaning: "the port alone; the host stays",
    read: (_text, reading) => readPrometheusAddress(reading),
  }),
];

const conventions: readonly OtelVariable[] = [
  direct("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", [`${TRACING}.exceptions`], {
    example: "logs/dup",
    convert: exceptionSignal,
    meaning: "`logs`; `logs/dup` is `both`",
  }),
  inapplicable(
    "OTEL_SEMCONV_STABILITY_OPT_IN",
    "only the stable conventions are emitted: there are no older ones to leave",
    true,
  ),
  inapplicable(
    "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",
    "the node's HTTP listener has GET and HEAD; other methods are told as `_OTHER`",
  ),
];

const elsewhere: readonly OtelVariable[] = [
  ...["ENDPOINT", "TIMEOUT", "PROTOCOL"].map((name) =>
    inapplicable(
      `OTEL_EXPORTER_ZIPKIN_${name}`,
      "there is no Zipkin exporter, which the specification has deprecated: Zipkin's successors take OTLP",
    ),
  ),
  inapplicable("OTEL_GO_X_OBSERVABILITY", "of the SDK for Go; telemetry about telemetry is always there", true),
];

export const otelVariables: readonly OtelVariable[] = [
  ...general,
  ...batches,
  ...limits,
  ...otlp,
  ...metrics,
  ...exporters,
  ...conventions,
  ...elsewhere,
];

type Environment = Readonly<Record<string, string | undefined>>;

export interface OtelSink {
  /** A key's value without what is still to be read. */
  current(path: string): unknown;
  set(path: string, variable: string, text: string): void;
  warn(message: string): void;
}

/** Sets what the variables say, in the table's order. */
export function readOtelVariables(environment: Environment, sink: OtelSink): void {
  const textOf = (name: string): string | undefined => environment[name]?.trim() || undefined;
  for (const variable of otelVariables) {
    const text = textOf(variable.name);
    if (text === undefined) continue;
    if (variable.kind === "not applicable") {
      if (variable.quiet !== true) sink.warn(`${variable.name} has no effect: ${variable.reason}`);
      continue;
    }
    variable.read(text, {
      text: textOf,
      current: (path) => sink.current(path),
      set: (path, value) => sink.set(path, variable.name, value),
      warn: (message) => sink.warn(`${variable.name} is ignored: ${message}`),
      remark: (message) => sink.warn(`${variable.name}: ${message}`),
    });
  }
  for (const warning of misspelt(environment)) sink.warn(warning);
}

/** Those that would count and are set, but for the names of the file itself. */
export function otelVariablesSet(environment: Environment): readonly string[] {
  return otelVariables
    .filter(
      ({ kind, name }) =>
        kind === "supported" && (environment[name]?.trim() ?? "") !== "" && !name.endsWith("CONFIG_FILE"),
    )
    .map(({ name }) => name);
}

const MAXIMUM_UNKNOWN = 100;

/** Variables that nobody knows are somebody else's, unless they look like a slip. */
function* misspelt(environment: Environment): Iterable<string> {
  const names = otelVariables.map(({ name }) => name);
  const unknown = Object.keys(environment).filter(
    (name) => /^OTEL_[A-Z0-9_]{1,80}$/.test(name) && !names.includes(name),
  );
  for (const name of unknown.slice(0, MAXIMUM_UNKNOWN)) {
    const meant = names.find((known) => Math.abs(known.length - name.length) <= 2 && editDistance(name, known) <= 2);
    if (meant !== undefined) yield `${name} is no variable of OpenTelemetry; did you mean ${meant}?`;
  }
}
