/** What Jaeger and Tempo say of traces, by their own APIs, as the spans that OTLP brought them. */
import { fromBinary } from "@bufbuild/protobuf";
import { ExportTraceServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import { collectSpans, type ReceivedSpan } from "#test/support/otlp-collect.ts";
import { readOtlpJson } from "#test/support/otlp-json.ts";

export interface TraceBackend {
  readonly url: string;
  /** All it has of a trace; undefined while it knows none of its spans. */
  trace(traceId: string): Promise<readonly ReceivedSpan[] | undefined>;
}

export interface JaegerApi extends TraceBackend {
  /** What its search offers. */
  services(): Promise<readonly string[]>;
  operations(service: string): Promise<readonly string[]>;
  /** The traces of the last hour that its search finds: each with all of its spans. */
  find(search: JaegerSearch): Promise<readonly ReceivedSpan[]>;
}

export interface JaegerSearch {
  readonly service: string;
  /** A span's name. */
  readonly operation?: string;
}

/** Jaeger 2: the query API v3, in which traces are OTLP. */
export function createJaegerApi(url: string): JaegerApi {
  return {
    url,
    trace: async (traceId) => {
      const response = await ask(`${url}/api/v3/traces/${traceId}`);
      if (response.status === 404) return undefined;
      return readTraces(await response.text());
    },
    find: async ({ service, operation }) => {
      const nowMs = Date.now();
      const query = new URLSearchParams({
        "query.service_name": service,
        ...(operation === undefined ? {} : { "query.operation_name": operation }),
        "query.start_time_min": new Date(nowMs - 3_600_000).toISOString(),
        "query.start_time_max": new Date(nowMs + 60_000).toISOString(),
        "query.num_traces": "1000",
      });
      const response = await ask(`${url}/api/v3/traces?${query.toString()}`);
      return response.status === 404 ? [] : readTraces(await response.text());
    },
    services: async () => {
      const { services } = (await (await ask(`${url}/api/v3/services`)).json()) as { services: string[] };
      return services;
    },
    operations: async (service) => {
      const response = await ask(`${url}/api/v3/operations?service=${encodeURIComponent(service)}`);
      const { operations } = (await response.json()) as { operations: { name: string }[] };
      return operations.map(({ name }) => name);
    },
  };
}

/** One JSON document a chunk of the stream. */
function readTraces(text: string): ReceivedSpan[] {
  const documents = text.split("\n").filter((line) => line.trim() !== "");
  return documents.flatMap((document) => {
    const { result } = JSON.parse(document) as { readonly result: unknown };
    return collectSpans(readOtlpJson(ExportTraceServiceRequestSchema, JSON.stringify(result)));
  });
}

/** Tempo: its protobuf is OTLP's but for the names. */
export function createTempoApi(url: string): TraceBackend {
  return {
    url,
    trace: async (traceId) => {
      const response = await ask(`${url}/api/traces/${traceId}`, { accept: "application/protobuf" });
      if (response.status === 404) return undefined;
      const bytes = new Uint8Array(await response.arrayBuffer());
      return collectSpans(fromBinary(ExportTraceServiceRequestSchema, bytes));
    },
  };
}

/** @throws for any answer but 200 and 404 */
async function ask(url: string, headers: Record<string, string> = {}): Promise<Response> {
  const response = await fetch(url, { headers });
  if (response.ok || response.status === 404) return response;
  throw new Error(`${url}: ${response.status} ${await response.text()}`);
}
