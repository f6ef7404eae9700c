/**
 * A double of the Datadog agent's OTLP receiver: not the real one, which belongs to a paid service, but with its
 * documented switches, and with what its published translators make of spans and metrics.
 *
 * - `otlp_config.receiver.protocols`: gRPC (4317) and HTTP (4318), plain text, no credentials.
 * - `otlp_config.logs.enabled` is false by default: there is no logs service then (UNIMPLEMENTED, 404).
 * - Spans: service by `service.name`, `env` and `version` by the resource, 128-bit ids, an operation by the span's kind.
 * - Monotonic sums are counts. Deltas are taken as they are; of cumulative ones the difference is taken, the first
 *   point is left out when the series is older than the agent, and so are the least and the greatest of histograms.
 *   Cumulative exponential histograms are not taken at all, and what is neither is a gauge.
 *
 * Sources: https://docs.datadoghq.com/opentelemetry/setup/otlp_ingest_in_the_agent/,
 * https://docs.datadoghq.com/metrics/open_telemetry/otlp_metric_types/ and the agent's translators
 * (datadog-agent `pkg/trace/traceutil/otel_util.go`, opentelemetry-mapping-go `pkg/otlp/metrics`).
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { Server, ServerCredentials, status, type sendUnaryData, type ServerUnaryCall } from "@grpc/grpc-js";
import { Span_SpanKind } from "#gen/otlp/opentelemetry/proto/trace/v1/trace_pb.ts";
import type { OtlpSignal } from "#telemetry/otlp/destination.ts";
import { forwardOtlp } from "./otlp-forward.ts";
import { otlpService } from "./otlp-services.ts";
import { startOtlpReceiver, type OtlpReceiver, type ReceivedPoint, type ReceivedSpan } from "./otlp-receiver.ts";

export interface DatadogAgentDouble extends AsyncDisposable {
  readonly grpcEndpoint: string;
  readonly httpEndpoint: string;
  readonly requests: readonly { readonly signal: OtlpSignal; readonly transport: "grpc" | "http" }[];
  /** What was taken, as OTLP. */
  readonly received: OtlpReceiver;
  /** What Datadog is sent for it. */
  spans(): readonly DatadogSpan[];
  metrics(): readonly DatadogMetric[];
}

export interface DatadogAgentDoubleOptions {
  /** `otlp_config.logs.enabled` */
  readonly logs?: boolean;
  /** Default: free ones. */
  readonly grpcPort?: number;
  readonly httpPort?: number;
}

export interface DatadogSpan {
  /** 128 bits, as `_dd.p.tid` and the id itself have it together. */
  readonly traceId: string;
  readonly service: string;
  /** The operation. */
  readonly name: string;
  readonly resource: string;
  readonly env: string | undefined;
  readonly version: string | undefined;
}

export interface DatadogMetric {
  readonly name: string;
  readonly type: "count" | "gauge" | "distribution";
  readonly tags: readonly string[];
  /** A distribution's count. */
  readonly value: number;
  /** Distributions only: whether the least and the greatest are the measured ones. */
  readonly exactExtremes?: boolean;
}

export async function startDatadogAgentDouble(options: DatadogAgentDoubleOptions = {}): Promise<DatadogAgentDouble> {
  const startUnixNano = BigInt(Date.now()) * 1_000_000n;
  const received = await startOtlpReceiver();
  const requests: { signal: OtlpSignal; transport: "grpc" | "http" }[] = [];
  const signals: readonly OtlpSignal[] = options.logs === true ? ["traces", "metrics", "logs"] : ["traces", "metrics"];
  const take = async (signal: OtlpSignal, transport: "grpc" | "http", body: Buffer, headers: Headers) => {
    requests.push({ signal, transport });
    return forwardOtlp(received, signal, body, headers);
  };
  const grpc = await startGrpc(signals, options.grpcPort ?? 0, take);
  const http = await startHttp(signals, options.httpPort ?? 0, take);
  return {
    grpcEndpoint: `http://127.0.0.1:${grpc.port}`,
    httpEndpoint: `http://127.0.0.1:${http.port}`,
    requests,
    received,
    spans: () => received.spans.map(datadogSpan),
    metrics: () => datadogMetrics(received.points, startUnixNano),
    async [Symbol.asyncDispose]() {
      grpc.server.forceShutdown();
      http.server.closeAllConnections();
      http.server.close();
      await once(http.server, "close");
      await received[Symbol.asyncDispose]();
    },
  };
}

type Headers = Parameters<typeof forwardOtlp>[3];
type Take = (
  signal: OtlpSignal,
  transport: "grpc" | "http",
  body: Buffer,
  headers: Headers,
) => ReturnType<typeof forwardOtlp>;

async function startGrpc(signals: readonly OtlpSignal[], port: number, take: Take) {
  const server = new Server();
  for (const signal of signals) {
    const handler = (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>): void => {
      take(signal, "grpc", call.request, { "content-type": "application/x-protobuf" }).then(
        ({ statusCode, body }) =>
          statusCode === 200 ? reply(null, body) : reply({ code: status.INVALID_ARGUMENT, details: body.toString() }),
        (error: unknown) => reply({ code: status.UNAVAILABLE, details: String(error) }),
      );
    };
    server.addService(otlpService(signal), { Export: handler });
  }
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, actual) =>
      error === null ? resolve(actual) : reject(error),
    );
  });
  return { server, port: bound };
}

async function startHttp(signals: readonly OtlpSignal[], port: number, take: Take) {
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    const signal = signals.find((candidate) => request.url === `/v1/${candidate}`);
    if (signal === undefined) return void response.writeHead(404).end("404 page not found");
    const encoding = request.headers["content-encoding"];
    const answered = await take(signal, "http", body, {
      "content-type": request.headers["content-type"] ?? "",
      ...(encoding === undefined ? {} : { "content-encoding": encoding }),
    });
    response.writeHead(answered.statusCode, { "content-type": answered.contentType }).end(answered.body);
  }
  const server = createServer((request, response) => void answer(request, response).catch(() => response.destroy()));
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

// --- What the agent makes of it ------------------------------------------------

/** Exported for its own test. */
export function datadogSpan(span: ReceivedSpan): DatadogSpan {
  const text = (key: string): string | undefined => {
    const value = span.attributes[key] ?? span.resource[key];
    return typeof value === "string" ? value : undefined;
  };
  return {
    traceId: span.traceId,
    service: text("service.name") ?? "otlpresourcenoservicename",
    name: operationOf(span, text),
    resource: text("http.request.method") ?? text("rpc.method") ?? span.name,
    env: text("deployment.environment.name") ?? text("deployment.environment"),
    version: text("service.version"),
  };
}

const sides: ReadonlyMap<Span_SpanKind, string> = new Map([
  [Span_SpanKind.SERVER, "server"],
  [Span_SpanKind.CLIENT, "client"],
]);
const otherKinds: ReadonlyMap<Span_SpanKind, string> = new Map([
  [Span_SpanKind.PRODUCER, "producer"],
  [Span_SpanKind.CONSUMER, "consumer"],
]);

function operationOf({ message }: ReceivedSpan, text: (key: string) => string | undefined): string {
  const side = sides.get(message.kind);
  if (side === undefined) return otherKinds.get(message.kind) ?? "internal";
  if (text("http.request.method") !== undefined) return `http.${side}.request`;
  const protocol = text("rpc.system") ?? text("network.protocol.name");
  return protocol === undefined ? `${side}.request` : `${protocol}.${side}.request`;
}

/** @param agentStartUnixNano whether the first point of a cumulative series counts hangs on it */
export function datadogMetrics(points: readonly ReceivedPoint[], agentStartUnixNano: bigint): readonly DatadogMetric[] {
  const previous = new Map<string, ReceivedPoint>();
  return points.flatMap((point): readonly DatadogMetric[] => {
    if (point.noRecordedValue) return [];
    const isHistogram = point.kind === "histogram" || point.kind === "exponentialHistogram";
    const metric = {
      name: point.name,
      tags: Object.entries(point.attributes).map(([key, value]) => `${key}:${String(value)}`),
    };
    if (point.temporality === "delta") {
      return [
        isHistogram
          ? { ...metric, type: "distribution", value: point.value, exactExtremes: point.maximum !== undefined }
          : { ...metric, type: "count", value: point.value },
      ];
    }
    if (point.kind === "exponentialHistogram") return [];
    if (!point.monotonic) return [{ ...metric, type: "gauge", value: point.value }];
    const before = previous.get(point.series);
    previous.set(point.series, point);
    const difference = point.value - (before?.value ?? 0);
    const isFirst = before === undefined || before.startUnixNano !== point.startUnixNano || difference < 0;
    if (isHistogram) {
      return isFirst ? [] : [{ ...metric, type: "distribution", value: difference, exactExtremes: false }];
    }
    if (!isFirst) return [{ ...metric, type: "count", value: difference }];
    return point.startUnixNano > agentStartUnixNano && point.startUnixNano !== point.timeUnixNano
      ? [{ ...metric, type: "count", value: point.value }]
      : [];
  });
}
