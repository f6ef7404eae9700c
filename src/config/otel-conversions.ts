/** What the values of `OTEL_*` variables mean in keys of ours, where that is more than a copy. */
import { formatSocketAddress, type SocketAddress } from "./value-kinds.ts";

/** The variables, as one of them sees them while it is read. */
export interface OtelReading {
  /** Of any variable; undefined when it is unset or empty. */
  text(variable: string): string | undefined;
  /** The value that a key has so far. */
  current(path: string): unknown;
  set(path: string, text: string): void;
  /** The variable is ignored, because … */
  warn(message: string): void;
  /** It counts, but … */
  remark(message: string): void;
}

/** To a key's text; undefined when it is ignored, which is warned of. */
export type Convert = (text: string, reading: OtelReading) => string | undefined;

export const lowerCase: Convert = (text) => text.toLowerCase();

/** Durations are integers, in milliseconds. */
export const milliseconds: Convert = (text) => (/^\d+$/.test(text) ? `${text}ms` : text);

/** As `milliseconds`; 0 means no limit, for which the longest stands that there is. */
export function timeoutUpTo(longest: string): Convert {
  return (text, reading) => (/^0+$/.test(text) ? longest : milliseconds(text, reading));
}

/** Only `true` is true; anything else but `false` is warned of. */
export function boolean(text: string, reading: OtelReading): boolean {
  const lowered = text.toLowerCase();
  if (lowered !== "true" && lowered !== "false") reading.remark("counts as false: expected true or false");
  return lowered === "true";
}

const LOG_LEVELS: Readonly<Record<string, string>> = {
  all: "debug",
  trace: "debug",
  verbose: "debug",
  debug: "debug",
  info: "info",
  warn: "warn",
  warning: "warn",
  error: "error",
  fatal: "error",
  off: "error",
  none: "error",
};

export const logLevel: Convert = (text, reading) => {
  const lowered = text.toLowerCase();
  const level = Object.hasOwn(LOG_LEVELS, lowered) ? LOG_LEVELS[lowered] : undefined;
  if (level === undefined) reading.warn("expected debug, info, warn or error");
  return level;
};

/** The list may hold what concerns other signals. */
export const exceptionSignal: Convert = (text, reading) => {
  const items = listOf(text);
  if (items.includes("logs/dup")) return "both";
  if (items.includes("logs")) return "logs";
  reading.warn("expected logs or logs/dup");
  return undefined;
};

const PROPAGATORS = ["tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray"];

export function choosePropagators(text: string, reading: OtelReading): void {
  const names = [...new Set(listOf(text))];
  const known = names.filter((name) => PROPAGATORS.includes(name));
  const unknown = names.filter((name) => name !== "none" && !PROPAGATORS.includes(name));
  const path = "observability.context.propagators";
  if (names.includes("none") && known.length === 0) reading.set(path, "");
  else if (known.length > 0) reading.set(path, known.join(","));
  if (unknown.length === 0) return;
  const message = `there is no propagator ${named(unknown)}: there are ${PROPAGATORS.join(", ")}, and none for none`;
  if (known.length > 0) reading.remark(message);
  else reading.warn(message);
}

const RATIO = "observability.tracing.sampling_ratio";
const ARGUMENT = "OTEL_TRACES_SAMPLER_ARG";

/** Only the root's decision is ours to configure: a trusted caller's is always followed. */
export function chooseSampler(text: string, reading: OtelReading): void {
  const sampler = text.toLowerCase().replace(/^parentbased_/, "");
  switch (sampler) {
    case "always_on":
      reading.set(RATIO, "1");
      return;
    case "always_off":
      reading.set(RATIO, "0");
      return;
    case "traceidratio": {
      // Without an argument, or with one that is none: 1.
      if (!isRatio(reading.text(ARGUMENT))) reading.set(RATIO, "1");
      return;
    }
    default:
      reading.warn("there are always_on, always_off and traceidratio, each also as parentbased_…");
  }
}

export function samplerArgumentAlone(text: string, reading: OtelReading): void {
  const sampler = reading.text("OTEL_TRACES_SAMPLER")?.toLowerCase();
  if (sampler === undefined) reading.warn("it counts only with OTEL_TRACES_SAMPLER");
  else if (!sampler.endsWith("traceidratio")) reading.warn("the sampler has no argument");
  else if (isRatio(text)) reading.set(RATIO, String(Number(text)));
  else reading.warn("expected a number from 0 to 1");
}

function isRatio(text: string | undefined): boolean {
  return text !== undefined && /^\+?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text) && Number(text) <= 1;
}

export interface ExporterChoice {
  readonly section: string;
  /** The key that switches OTLP. */
  readonly switchKey: string;
  /** Another exporter that is there, and the key that switches it on. */
  readonly local?: { readonly name: string; readonly key?: string };
}

/** A list of exporters. What is not there is left out with a warning; with nothing left, all stays as it is. */
export function chooseExporters({ section, switchKey, local }: ExporterChoice) {
  return (text: string, reading: OtelReading): void => {
    const names = listOf(text);
    const known = names.filter((name) => ["otlp", "none", local?.name].includes(name));
    const unknown = names.filter((name) => !known.includes(name));
    if (unknown.length > 0) {
      const message = `there is no exporter ${named(unknown)}: there are otlp, ${local === undefined ? "" : `${local.name}, `}none`;
      if (known.length > 0) reading.remark(message);
      else reading.warn(message);
    }
    if (known.length === 0) return;
    const exports = known.includes("otlp");
    const endpointKey = `${section}.otlp_endpoint`;
    if (exports && reading.current(endpointKey) === undefined)
      reading.set(endpointKey, defaultEndpoint(reading.current(`${section}.protocol`)));
    reading.set(switchKey, String(exports));
    if (local?.key !== undefined && known.includes(local.name)) reading.set(local.key, "true");
  };
}

/** The specification's, by the protocol that was chosen. */
function defaultEndpoint(protocol: unknown): string {
  return typeof protocol === "string" && protocol.startsWith("http/")
    ? "http://localhost:4318"
    : "http://localhost:4317";
}

export function readPrometheusAddress(reading: OtelReading): void {
  const path = "observability.metrics.http_server.bind";
  const { host, port } = reading.current(path) as SocketAddress;
  const givenHost = reading.text("OTEL_EXPORTER_PROMETHEUS_HOST") ?? host;
  const givenPort = reading.text("OTEL_EXPORTER_PROMETHEUS_PORT") ?? String(port);
  const bare = givenHost.replace(/^\[(.*)\]$/, "$1");
  reading.set(path, `${formatSocketAddress({ host: bare, port: 0 }).replace(/0$/, "")}${givenPort}`);
}

const ATTRIBUTES = "observability.resource_attributes";
const SERVICE_NAME = "observability.tracing.service_name";

/** Invalid anywhere: all of it is discarded, as the specification asks. */
export function readResourceAttributes(text: string, reading: OtelReading): void {
  const own = parseAttributes(text);
  if (own === undefined) {
    reading.warn("expected key=value,key=value, percent-encoded");
    return;
  }
  const entities = reading.text("OTEL_ENTITIES");
  // Its warnings have been given where it was read itself.
  setAttributes({ ...(entities === undefined ? {} : parseEntities(entities).attributes), ...own }, reading);
}

export function readEntities(text: string, reading: OtelReading): void {
  const { attributes, skipped, conflicting } = parseEntities(text);
  if (skipped > 0 || conflicting.length > 0) {
    const reasons = [
      ...(skipped === 0 ? [] : [`${skipped} malformed parts are left out`]),
      ...(conflicting.length === 0 ? [] : [`the last value counts of ${conflicting.join(", ")}`]),
    ];
    reading.remark(reasons.join("; "));
  }
  setAttributes(attributes, reading);
}

type Attributes = Readonly<Record<string, string>>;

function setAttributes(attributes: Attributes, reading: OtelReading): void {
  const { "service.name": serviceName, ...others } = attributes;
  if (serviceName !== undefined && serviceName !== "") reading.set(SERVICE_NAME, serviceName);
  if (Object.keys(others).length === 0) return;
  const pairs = Object.entries(others).map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`);
  reading.set(ATTRIBUTES, pairs.join(","));
}

/** `key=value,key=value`, percent-decoded; undefined when any of it is malformed. */
export function parseAttributes(text: string): Attributes | undefined {
  const attributes: [string, string][] = [];
  for (const pair of text.split(",")) {
    if (pair.trim() === "") continue;
    const equals = pair.indexOf("=");
    const key = percentDecoded(pair.slice(0, equals).trim());
    const value = percentDecoded(pair.slice(equals + 1).trim());
    if (equals <= 0 || key === undefined || key === "" || value === undefined) return undefined;
    attributes.push([key, value]);
  }
  return Object.fromEntries(attributes);
}

interface Entities {
  readonly attributes: Attributes;
  /** Definitions that are malformed or lack what they must have. */
  readonly skipped: number;
  /** Keys with more than one value. */
  readonly conflicting: readonly string[];
}

const ENTITY = /^[a-zA-Z][a-zA-Z0-9._-]*\{([^{}[\]]*)\}(?:\[([^{}[\]]*)\])?(?:@(.*))?$/;
const MAXIMUM_ENTITIES_LENGTH = 65_536;

/** `type{id=…,…}[description=…]@schema;…`. Source: specification/entities/entity-propagation.md. */
export function parseEntities(text: string): Entities {
  const attributes = new Map<string, string>();
  const conflicting = new Set<string>();
  let skipped = 0;
  for (const definition of text.slice(0, MAXIMUM_ENTITIES_LENGTH).split(";")) {
    if (definition.trim() === "") continue;
    const match = ENTITY.exec(definition.trim());
    const identifying = match?.[1] === undefined ? undefined : parseAttributes(match[1]);
    const descriptive = parseAttributes(match?.[2] ?? "");
    if (identifying === undefined || descriptive === undefined || Object.keys(identifying).length === 0) {
      skipped++;
      continue;
    }
    for (const [key, value] of Object.entries({ ...descriptive, ...identifying })) {
      if (attributes.has(key) && attributes.get(key) !== value) conflicting.add(key);
      attributes.set(key, value);
    }
  }
  return { attributes: Object.fromEntries(attributes), skipped, conflicting: [...conflicting] };
}

function percentDecoded(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

function listOf(text: string): readonly string[] {
  return text
    .split(",")
    .map((item) => item.trim().toLowerCase())
    .filter((item) => item !== "");
}

/** Foreign names made fit to show. */
function named(names: readonly string[]): string {
  return names
    .slice(0, 5)
    .map((name) => JSON.stringify(name.slice(0, 40)))
    .join(", ");
}
