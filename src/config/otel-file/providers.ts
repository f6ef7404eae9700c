/** The three providers of a declarative configuration: who gets what, how often, within which bounds. */
import type { Destination } from "../destinations.ts";
import type { Position } from "../toml-document.ts";
import { formatSocketAddress, type AttributeValue } from "../value-kinds.ts";
import type { Located, NodeReader } from "./node-reader.ts";
import { readExporter, type Signal } from "./otlp-exporters.ts";

/** Where what was read goes. */
export interface FileContext {
  readonly file: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A key's text. Of several for one key the first counts. */
  set(path: string, text: string, at: Position): void;
  send(signal: Signal, destination: Located<Destination>): void;
  setResource(attributes: Readonly<Record<string, AttributeValue>>, at: Position): void;
}

const TRACING = "observability.tracing";
const METRICS = "observability.metrics";
const LOGGING = "observability.logging";

export function readTracerProvider(provider: NodeReader, context: FileContext): void {
  readProcessors(provider, "traces", TRACING, context);
  readLimits(provider, TRACING, context, {
    attribute_value_length_limit: "attribute_value_length",
    attribute_count_limit: "attribute_count",
    event_count_limit: "event_count",
    link_count_limit: "link_count",
    event_attribute_count_limit: "attributes_per_event",
    link_attribute_count_limit: "attributes_per_link",
  });
  const sampler = provider.map("sampler");
  const ratio = sampler === undefined ? 1 : readSampler(sampler);
  context.set(`${TRACING}.sampling_ratio`, String(ratio), sampler?.at ?? provider.at);
  const generator = provider.map("id_generator");
  if (generator !== undefined) readIdGenerator(generator, context);
  provider.unsupported("tracer_configurator/development", "all spans of the node are recorded");
  provider.end();
}

function readIdGenerator(generator: NodeReader, context: FileContext): void {
  const made = generator.names.join();
  if (made === "random" || made === "xray") context.set(`${TRACING}.id_generator`, made, generator.at);
  else generator.warn(generator.at, `${generator.path} has no effect: it knows random and xray`);
}

export function readLoggerProvider(provider: NodeReader, context: FileContext): void {
  readProcessors(provider, "logs", LOGGING, context);
  readLimits(provider, LOGGING, context, {
    attribute_value_length_limit: "attribute_value_length",
    attribute_count_limit: "attribute_count",
  });
  provider.unsupported("logger_configurator/development", "observability.logging.level says what is logged");
  provider.end();
}

/** Those of the schema, with the defaults of a batch for one signal. */
const BATCH = [
  { name: "schedule_delay", key: "schedule_delay", traces: 5_000, logs: 1_000 },
  { name: "export_timeout", key: "export_timeout", traces: 30_000, logs: 30_000 },
  { name: "max_queue_size", key: "queue_size", traces: 2_048, logs: 2_048 },
  { name: "max_export_batch_size", key: "batch_size", traces: 512, logs: 512 },
] as const;
const LONGEST_EXPORT = "24h";

function readProcessors(provider: NodeReader, signal: "traces" | "logs", section: string, context: FileContext): void {
  const processors = provider.maps("processors");
  if (processors.length === 0) provider.fail(provider.at, "expected processors, at least one");
  let first: string | undefined;
  for (const processor of processors) {
    const { name, reader } = processor.variant() ?? {};
    if (name === undefined || reader === undefined) continue;
    if (name !== "batch" && name !== "simple") {
      processor.warn(processor.at, `${reader.path} has no effect: there are batch and simple`);
      continue;
    }
    const batch = BATCH.map(({ name: option, key, [signal]: byDefault }) => {
      // What is not batched goes at once.
      if (name === "simple") return { key, text: key === "schedule_delay" ? "0ms" : batchText(key, byDefault) };
      const given = reader.integer(option, key.endsWith("_size") ? 1 : 0);
      return { key, text: batchText(key, given?.value ?? byDefault) };
    });
    const exports = readDestination(reader, signal, context);
    reader.end();
    if (!exports) continue;
    const described = JSON.stringify(batch);
    if (first !== undefined && first !== described)
      reader.warn(reader.at, `the batch options of ${reader.path} have no effect: those of the first processor count`);
    first ??= described;
    for (const { key, text } of batch) context.set(`${section}.batch.${key}`, text, reader.at);
  }
}

function batchText(key: string, value: number): string {
  if (key.endsWith("_size")) return String(value);
  return key === "export_timeout" && value === 0 ? LONGEST_EXPORT : `${value}ms`;
}

/** Whether there is something to export to. */
function readDestination(reader: NodeReader, signal: Signal, context: FileContext): boolean {
  const exporter = reader.map("exporter");
  if (exporter === undefined) {
    reader.fail(reader.at, "expected an exporter");
    return false;
  }
  const destination = readExporter(exporter, { signal, file: context.file });
  if (destination !== undefined) context.send(signal, destination);
  return destination !== undefined;
}

function readLimits(
  provider: NodeReader,
  section: string,
  context: FileContext,
  names: Readonly<Record<string, string>>,
): void {
  const limits = provider.map("limits");
  if (limits === undefined) return;
  for (const [name, key] of Object.entries(names)) {
    const limit = limits.integer(name);
    if (limit !== undefined) context.set(`${section}.limits.${key}`, String(limit.value), limit.at);
  }
  limits.unsupported("attribute_value_depth_limit", FLAT_ATTRIBUTES);
  limits.end();
}

export const FLAT_ATTRIBUTES = "the node's attributes are not nested";

const FOLLOWED: Readonly<Record<string, string>> = {
  remote_parent_sampled: "always_on",
  remote_parent_not_sampled: "always_off",
  local_parent_sampled: "always_on",
  local_parent_not_sampled: "always_off",
};

/** Share of traces that begin here and are exported. What a trusted caller has decided is always followed. */
function readSampler(sampler: NodeReader): number {
  const { name, reader } = sampler.variant() ?? {};
  switch (reader === undefined ? undefined : name) {
    case undefined:
      return 1;
    case "always_on":
      return 1;
    case "always_off":
      return 0;
    case "trace_id_ratio_based":
    case "probability/development": {
      const ratio = reader?.ratio("ratio")?.value ?? 1;
      reader?.end();
      return ratio;
    }
    case "parent_based": {
      const root = reader?.map("root");
      for (const [branch, only] of Object.entries(FOLLOWED)) {
        const given = reader?.map(branch);
        if (given !== undefined && given.names.join() !== only)
          given.warn(given.at, `${given.path} has no effect: it is always ${only}`);
      }
      reader?.end();
      return root === undefined ? 1 : readSampler(root);
    }
    default:
      sampler.warn(
        sampler.at,
        `${reader?.path ?? sampler.path} has no effect, everything is sampled: there are always_on, always_off, trace_id_ratio_based and parent_based`,
      );
      return 1;
  }
}

const DEFAULT_INTERVAL_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 30_000;
const PRODUCERS = "metrics come from the node alone";

export function readMeterProvider(provider: NodeReader, context: FileContext): void {
  const readers = provider.maps("readers");
  if (readers.length === 0) provider.fail(provider.at, "expected readers, at least one");
  const seen = { interval: undefined as number | undefined, page: false };
  for (const entry of readers) {
    const { name, reader } = entry.variant() ?? {};
    if (reader === undefined) continue;
    if (name === "periodic") {
      const interval = reader.integer("interval")?.value ?? DEFAULT_INTERVAL_MS;
      const timeout = reader.integer("timeout")?.value ?? DEFAULT_TIMEOUT_MS;
      if (seen.interval !== undefined && seen.interval !== interval)
        reader.warn(reader.at, `the interval of ${reader.path} has no effect: that of the first reader counts`);
      seen.interval ??= interval;
      context.set(`${METRICS}.export_interval`, `${interval}ms`, reader.at);
      context.set(`${METRICS}.export_timeout`, timeout === 0 ? "1h" : `${timeout}ms`, reader.at);
      readDestination(reader, "metrics", context);
      reader.unsupported("max_export_batch_size/development", "requests are split by their size");
    } else if (name === "pull") {
      if (seen.page) reader.warn(reader.at, `${reader.path} has no effect: there is one page, that of the first`);
      else readPage(reader, context);
      seen.page = true;
      reader.ignore("exporter");
    } else {
      entry.warn(entry.at, `${reader.path} has no effect: there are periodic and pull`);
      continue;
    }
    reader.unsupported("producers", PRODUCERS);
    readCardinality(reader, context);
    reader.end();
  }
  const filter = provider.choice("exemplar_filter", ["trace_based", "always_on", "always_off"]);
  if (filter !== undefined) context.set(`${METRICS}.exemplars`, filter.value, filter.at);
  provider.unsupported("views", "instruments are fixed; a collector's processors can drop and rename");
  provider.unsupported("meter_configurator/development", "observability.metrics.runtime_metrics chooses");
  provider.end();
}

function readCardinality(reader: NodeReader, context: FileContext): void {
  const limits = reader.map("cardinality_limits");
  if (limits === undefined) return;
  const limit = limits.integer("default", 1);
  if (limit !== undefined) context.set(`${METRICS}.cardinality_limit`, String(limit.value), limit.at);
  for (const name of limits.names.filter((each) => each !== "default"))
    limits.unsupported(
      name,
      "the default counts for every kind; observability.metrics.cardinality_limits has single ones",
    );
  limits.end();
}

const DEFAULT_PORT = 9464;

/** A pull reader: where the page that Prometheus scrapes listens. */
function readPage(reader: NodeReader, context: FileContext): void {
  const exporter = reader.map("exporter");
  const { name, reader: prometheus } = exporter?.variant() ?? {};
  if (exporter === undefined || prometheus === undefined) {
    if (exporter === undefined) reader.fail(reader.at, "expected an exporter");
    return;
  }
  if (name !== "prometheus/development" && name !== "prometheus") {
    exporter.warn(exporter.at, `${prometheus.path} has no effect: there is prometheus/development`);
    return;
  }
  const host = prometheus.string("host")?.value ?? "localhost";
  const port = prometheus.integer("port")?.value ?? DEFAULT_PORT;
  const path = `${METRICS}.http_server`;
  context.set(`${path}.bind`, formatSocketAddress({ host, port }), prometheus.at);
  context.set(`${path}.enabled`, "true", prometheus.at);
  const scopes = prometheus.boolean("scope_info_enabled")?.value ?? true;
  context.set(`${path}.scope_labels`, String(scopes), prometheus.at);
  const target = prometheus.boolean("target_info_enabled/development");
  if (target?.value === false) prometheus.warn(target.at, `${prometheus.path}: target_info is always there`);
  const strategy = prometheus.string("translation_strategy");
  if (strategy !== undefined && strategy.value !== "underscore_escaping_with_suffixes")
    prometheus.warn(
      strategy.at,
      `${prometheus.path}.translation_strategy has no effect: the scraper chooses the escaping, suffixes are always there`,
    );
  prometheus.unsupported("resource_constant_labels", "target_info has the resource");
  prometheus.end();
}
