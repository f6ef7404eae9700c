/** Exporters of a declarative configuration as destinations of ours. */
import { dirname, resolve } from "node:path";
import type { Destination } from "../destinations.ts";
import { otlpKinds } from "../otlp-keys.ts";
import type { Position } from "../toml-document.ts";
import { endpoint as endpointKind, type ValueKind } from "../value-kinds.ts";
import type { Located, NodeReader } from "./node-reader.ts";

export type Signal = "traces" | "metrics" | "logs";

export interface ExporterContext {
  readonly signal: Signal;
  /** Of the file, for relative paths. */
  readonly file: string;
}

const NO_FILE = "there is no exporter to files: send to a collector, which has one";

/** Undefined: there is nothing to export to, which has been said. */
export function readExporter(exporter: NodeReader, context: ExporterContext): Located<Destination> | undefined {
  const variant = exporter.variant();
  if (variant === undefined) return undefined;
  const { name, reader } = variant;
  const at = exporter.at;
  switch (name) {
    case "otlp_http":
    case "otlp_grpc": {
      const value = readOtlp(reader, name === "otlp_grpc", context);
      reader.end();
      return value === undefined ? undefined : { value, at };
    }
    case "console":
      // The logs are on stderr in any case.
      if (context.signal !== "logs")
        exporter.warn(at, `${reader.path} has no effect: ${context.signal} are not written to the console`);
      return undefined;
    case "otlp_file/development":
      exporter.warn(at, `${reader.path} has no effect: ${NO_FILE}`);
      return undefined;
    default:
      exporter.warn(at, `${reader.path} has no effect: there are otlp_http and otlp_grpc`);
      return undefined;
  }
}

function readOtlp(reader: NodeReader, grpc: boolean, { signal, file }: ExporterContext): Destination | undefined {
  const given = reader.string("endpoint");
  const fallback = grpc ? "http://localhost:4317" : `http://localhost:4318/v1/${signal}`;
  const endpoint = given === undefined ? fallback : readValue(reader, endpointKind, given, "endpoint");
  const tls = reader.map("tls");
  const pathOf = (name: string): string | undefined => {
    const path = tls?.string(name)?.value;
    return path === undefined ? undefined : resolve(dirname(file), path);
  };
  const [caFile, clientCertificateFile, clientKeyFile] = [pathOf("ca_file"), pathOf("cert_file"), pathOf("key_file")];
  const insecure = grpc ? (tls?.boolean("insecure")?.value ?? false) : false;
  tls?.end();
  if (tls !== undefined && (clientCertificateFile === undefined) !== (clientKeyFile === undefined))
    return tls.fail(tls.at, "cert_file and key_file need each other");
  const headers = readHeaders(reader);
  const compression = readCompression(reader);
  const timeout = reader.integer("timeout");
  const maximumRequestBytes = readMaximumRequest(reader);
  reader.unsupported("max_response_size", "no more than 4 MiB of an answer is read");
  const encoding = grpc ? undefined : reader.choice("encoding", ["protobuf", "json"])?.value;
  const metrics = signal === "metrics" ? readMetricPreferences(reader) : {};
  if (endpoint === undefined) return undefined;
  if (!grpc && !/^https?:\/\//.test(endpoint))
    return reader.fail(given?.at ?? reader.at, "endpoint: expected a URL with http:// or https://");
  return {
    endpoint,
    endpointKind: grpc ? "base" : "exact",
    protocol: grpc ? "grpc" : encoding === "json" ? "http/json" : "http/protobuf",
    ...(headers === undefined ? {} : { headers }),
    compression,
    timeoutMs: readTimeout(reader, timeout),
    ...(maximumRequestBytes === undefined ? {} : { maximumRequestBytes }),
    insecure,
    caFile,
    clientCertificateFile,
    clientKeyFile,
    ...metrics,
  };
}

/** Entries of `headers` win over those of `headers_list`. */
function readHeaders(reader: NodeReader): Destination["headers"] {
  const list = reader.string("headers_list");
  const listed =
    list === undefined || list.value.trim() === ""
      ? undefined
      : readValue(reader, otlpKinds.headers, list, "headers_list");
  const pairs = reader.maps("headers").flatMap((pair) => {
    const [name, value] = [pair.string("name"), pair.string("value")];
    pair.end();
    if (name === undefined || value === undefined) return [];
    return [`${encodeURIComponent(name.value)}=${encodeURIComponent(value.value)}`];
  });
  const single =
    pairs.length === 0
      ? undefined
      : readValue(reader, otlpKinds.headers, { value: pairs.join(","), at: reader.at }, "headers");
  return listed === undefined && single === undefined ? undefined : { ...listed, ...single };
}

function readCompression(reader: NodeReader): "gzip" | "none" {
  const given = reader.string("compression");
  if (given === undefined || given.value === "none") return "none";
  if (given.value === "gzip") return "gzip";
  reader.warn(given.at, `${reader.pathOf("compression")} has no effect: there are gzip and none`);
  return "none";
}

const DEFAULT_TIMEOUT_MS = 10_000;
const TIMEOUT_LIMITS = { minimumMs: 100, maximumMs: 600_000 } as const;

/** 0 means no limit, for which the longest stands that there is. */
function readTimeout(reader: NodeReader, given: Located<number> | undefined): number {
  if (given === undefined) return DEFAULT_TIMEOUT_MS;
  const { minimumMs, maximumMs } = TIMEOUT_LIMITS;
  if (given.value === 0) return maximumMs;
  const bounded = Math.min(maximumMs, Math.max(minimumMs, given.value));
  if (bounded !== given.value)
    reader.warn(given.at, `${reader.pathOf("timeout")} counts as ${bounded}: from ${minimumMs} to ${maximumMs} ms`);
  return bounded;
}

const REQUEST_BYTES = { least: 64 * 1024, own: 4 * 1024 * 1024 } as const;

/** Undefined: as large as ours are in any case, which no larger limit changes. 0 means none. */
function readMaximumRequest(reader: NodeReader): number | undefined {
  const given = reader.integer("max_request_size");
  if (given === undefined || given.value === 0 || given.value >= REQUEST_BYTES.own) return undefined;
  if (given.value >= REQUEST_BYTES.least) return given.value;
  reader.warn(
    given.at,
    `${reader.pathOf("max_request_size")} counts as ${REQUEST_BYTES.least}: smaller ones hold little`,
  );
  return REQUEST_BYTES.least;
}

function readMetricPreferences(reader: NodeReader): Pick<Destination, "temporality" | "histogramAggregation"> {
  const temporality = reader.choice("temporality_preference", ["cumulative", "delta", "low_memory"])?.value;
  const histogramAggregation = reader.choice("default_histogram_aggregation", [
    "explicit_bucket_histogram",
    "base2_exponential_bucket_histogram",
  ])?.value;
  return {
    temporality: temporality === "low_memory" ? "lowmemory" : (temporality ?? "cumulative"),
    histogramAggregation: histogramAggregation ?? "explicit_bucket_histogram",
  };
}

/** By a kind of ours; what is wrong is a problem that does not quote the text. */
function readValue<T>(reader: NodeReader, kind: ValueKind<T>, text: Located<string>, name: string): T | undefined {
  return kind.fromText(text.value, {
    baseDirectory: "/",
    expand: (value) => value,
    fail: (message) => failAt(reader, text.at, name, message),
  });
}

function failAt(reader: NodeReader, at: Position, name: string, message: string): undefined {
  return reader.fail(at, `${name}: ${message}`);
}
