/** The keys of `[observability]`: what the node tells of itself, to whom, within which bounds. */
import { otlpVendorOf } from "#model/otlp-vendors.ts";
import { list, map } from "./collection-kinds.ts";
import { followingOtlpKeys, tracingOtlpKeys } from "./otlp-keys.ts";
import { optional, section, withComputedDefault, withDefault } from "./schema-types.ts";
import {
  address,
  advertisedAddress,
  attributeValue,
  boolean,
  choice,
  decimal,
  duration,
  httpUrl,
  integer,
  path,
  secretText,
  size,
  text,
} from "./value-kinds.ts";

const MEBIBYTE = 1024 ** 2;

const signalName = {
  keyPattern: /^[a-z][a-z0-9_.]{0,254}$/,
  keyExpectation: "expected a name as docs/reference/telemetry.md has it, such as vm.start",
};
const attributeName = {
  keyPattern: /^[\x21-\x7E]{1,255}$/,
  keyExpectation: "expected an attribute name of printable ASCII",
};
const baggageKey = text({
  pattern: /^[A-Za-z0-9!#$%&'+.^_`|~-]{1,128}\*?$/,
  expectation: "a key of W3C baggage, with * at its end for any rest",
});
/** Sources: OTEL_*_LIMIT. */
const count = integer({ minimum: 0, maximum: 1_024 });
const valueLength = integer({ minimum: 0, maximum: 65_536 });

/** The way from a finished span or log record to its request. */
function batchKeys(things: string) {
  return section(`How ${things} are put together for an export.`, {
    schedule_delay: withDefault(
      duration({ minimumMs: 0, maximumMs: 3_600_000 }),
      1_000,
      "How long one waits at most for others.",
    ),
    queue_size: withDefault(
      integer({ minimum: 1, maximum: 1_000_000 }),
      32_768,
      `How many ${things} wait at most; more are dropped and counted.`,
    ),
    batch_size: withDefault(
      integer({ minimum: 1, maximum: 100_000 }),
      1_024,
      "Most in one request; never more than wait at most.",
    ),
    export_timeout: withDefault(
      duration({ minimumMs: 100, maximumMs: 86_400_000 }),
      300_000,
      "How long a batch is tried, all attempts together, before it is dropped. With a spool it goes there after the first.",
    ),
  });
}

const metrics = section("Metrics.", {
  enabled: withDefault(boolean, true, "Whether metrics are recorded."),
  runtime_metrics: withDefault(boolean, false, "Node.js runtime, process and host metrics too."),
  export_interval: withDefault(
    duration({ minimumMs: 100, maximumMs: 3_600_000 }),
    10_000,
    "Time between two exports by OTLP.",
  ),
  export_timeout: withDefault(
    duration({ minimumMs: 100, maximumMs: 3_600_000 }),
    30_000,
    "Deadline of one export by OTLP, all attempts together.",
  ),
  temporality: withComputedDefault(
    choice("cumulative", "delta", "lowmemory"),
    '`"delta"` for a Datadog agent (host `datadog-agent`), else `"cumulative"`',
    ({ get }) => {
      const endpoint = get("observability.metrics.otlp_endpoint");
      return (typeof endpoint === "string" ? otlpVendorOf(endpoint)?.temporality : undefined) ?? "cumulative";
    },
    "How sums and histograms go out by OTLP. `delta`: as differences, as Datadog wants them; `lowmemory`: only where that costs nothing.",
  ),
  histogram_aggregation: withDefault(
    choice("explicit_bucket_histogram", "base2_exponential_bucket_histogram"),
    "explicit_bucket_histogram",
    "How histograms go out by OTLP.",
  ),
  exponential_histograms: withDefault(
    boolean,
    true,
    "Whether histograms are kept in exponential buckets too, for Prometheus's native histograms and for OTLP.",
  ),
  exemplars: withDefault(
    choice("trace_based", "always_on", "always_off"),
    "trace_based",
    "Which spans may stand beside a measurement as its example; `trace_based`: those that are exported.",
  ),
  cardinality_limit: optional(
    integer({ minimum: 10, maximum: 1_000_000 }),
    "Series of one instrument; more are counted together as overflow. Without it 2,000, and 50,000 of those that name VMs.",
  ),
  cardinality_limits: optional(
    map(integer({ minimum: 10, maximum: 1_000_000 }), signalName),
    'The same for single instruments, by name: `{ "blixard.vm.state" = 5000 }`.',
  ),
  http_server: section("The page that Prometheus scrapes, with `/discovery/prometheus`, `/healthz` and `/readyz`.", {
    enabled: withDefault(boolean, true, "Whether it is served."),
    bind: withDefault(address, { host: "127.0.0.1", port: 9090 }, "Where it listens. Port 0: any free one."),
    advertise: optional(
      advertisedAddress,
      "Host, or host and port, by which others reach it, for `/discovery/prometheus`. Default: `bind`, or where that is all addresses, the machine's on the interface of its default route.",
    ),
    certificate_file: optional(path, "PEM file of the server's certificate: the page is served by HTTPS then."),
    key_file: optional(path, "PEM file of that certificate's key."),
    client_ca_file: optional(path, "PEM file of authorities: scrapers must show a certificate of theirs."),
    basic_auth: section("HTTP basic authentication that scrapers must give.", {
      username: optional(text({ maximumLength: 512 }), "User name."),
      password: optional(
        secretText,
        'Password. Take it from the environment or a file: `"${file:/run/secrets/scrape}"`.',
      ),
    }),
    bearer_token: optional(secretText, "Token that scrapers must give as `Authorization: Bearer …`."),
    scope_labels: withDefault(boolean, false, "Whether series carry `otel_scope_name` and `otel_scope_version`."),
    created: withDefault(boolean, false, "Whether OpenMetrics has `_created` lines."),
  }),
  ...followingOtlpKeys("observability.metrics", "metrics"),
});

const tracing = section("Traces. VM operations are recorded for `blixard vm trace` in any case.", {
  enabled: withComputedDefault(
    boolean,
    "true when `otlp_endpoint` is set",
    ({ get }) => get("observability.tracing.otlp_endpoint") !== undefined,
    "Whether traces are exported by OTLP.",
  ),
  service_name: withDefault(text({ maximumLength: 255 }), "blixard", "`service.name` on every signal."),
  sampling_ratio: withDefault(
    decimal({ minimum: 0, maximum: 1 }),
    1,
    "Share of traces that is exported; traces with errors are in any case.",
  ),
  id_generator: withDefault(
    choice("random", "xray"),
    "random",
    "How trace ids are made. `xray`: they begin with the time, which AWS X-Ray asked for until 2023; those of `blixard` commands always do.",
  ),
  slow_thresholds: optional(
    map(duration({ minimumMs: 0, maximumMs: 86_400_000 }), signalName),
    'By name of a span: one that lasts longer has its trace exported, whatever the ratio: `{ "vm.start" = "10s" }`. Spans that are not named here keep the built-in ones (VM operations: 5 to 60 seconds).',
  ),
  exceptions: optional(
    choice("logs", "span_events", "both"),
    "How exceptions are told. Default: `logs`; `both` while traces are exported and logs are not.",
  ),
  batch: batchKeys("spans"),
  limits: section("Bounds of one span; what is beyond is cut and counted.", {
    attribute_count: withDefault(count, 128, "Attributes."),
    attribute_value_length: withDefault(valueLength, 4_096, "Characters of a value."),
    event_count: withDefault(count, 64, "Events."),
    link_count: withDefault(count, 32, "Links."),
    attributes_per_event: withDefault(count, 128, "Attributes of an event."),
    attributes_per_link: withDefault(count, 128, "Attributes of a link."),
  }),
  recorder: section("What is kept in memory for `blixard vm trace`; the oldest goes first.", {
    max_spans: withDefault(integer({ minimum: 100, maximum: 1_000_000 }), 20_000, "Spans."),
    max_size: withDefault(size({ minimumBytes: MEBIBYTE, maximumBytes: 1024 * MEBIBYTE }), 32 * MEBIBYTE, "Memory."),
  }),
  ...tracingOtlpKeys,
});

const logging = section("Logs.", {
  level: withDefault(choice("debug", "info", "warn", "error"), "info", "Least severity that is logged."),
  format: withDefault(choice("human", "json"), "human", "How lines on stderr look."),
  batch: batchKeys("log records"),
  limits: section("Bounds of one log record; what is beyond is cut and counted.", {
    attribute_count: withDefault(count, 128, "Attributes."),
    attribute_value_length: withDefault(valueLength, 4_096, "Characters of a value."),
  }),
  ...followingOtlpKeys("observability.logging", "logs"),
});

export const observabilityKeys = {
  enabled: withDefault(boolean, true, "False: nothing is recorded, exposed or exported (logs on stderr remain)."),
  deployment_environment: optional(
    text({ maximumLength: 255 }),
    "`deployment.environment.name` on every signal: `production`, `staging` …",
  ),
  resource_attributes: optional(
    map(attributeValue, attributeName),
    "Attributes of the OpenTelemetry resource, on every signal. They win over detected ones.",
  ),
  metrics,
  tracing,
  logging,
  context: section("What of a caller's context is taken in and passed on.", {
    propagators: withDefault(
      list(choice("tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray"), 6),
      ["tracecontext", "baggage"],
      "Formats that are read, the first that is there counts, and written.",
    ),
    baggage_allowed: withDefault(
      list(baggageKey, 64),
      [],
      "Baggage that is taken in and passed on; everything else is dropped at the edge. `*` at the end stands for any rest.",
    ),
    baggage_attributes: withDefault(
      list(baggageKey, 64),
      [],
      "Of that, what becomes attributes `baggage.<key>` of spans and log records.",
    ),
  }),
  spool: section("What is kept on disk, below the data directory, while a destination is down.", {
    enabled: withDefault(boolean, true, "Whether; it has an effect only with a destination."),
    limit: withDefault(
      size({ minimumBytes: MEBIBYTE, maximumBytes: 1024 ** 4 }),
      256 * MEBIBYTE,
      "For each signal; the oldest goes first.",
    ),
    replay_metrics: withDefault(
      boolean,
      false,
      "Send the metrics of an outage too. Without it they go on as cumulative points, with a gap.",
    ),
  }),
  doctor: section("Backends that `blixard telemetry doctor` asks for what it has sent.", {
    prometheus_url: optional(httpUrl, "Base URL of Prometheus's API, e.g. `http://prometheus:9090`."),
    jaeger_url: optional(httpUrl, "Base URL of Jaeger's query service, e.g. `http://jaeger:16686`."),
    tempo_url: optional(httpUrl, "Base URL of Tempo's API, e.g. `http://tempo:3200`."),
  }),
};
