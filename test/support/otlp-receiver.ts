/**
 * An OTLP receiver for tests: gRPC and HTTP (protobuf and JSON) on free loopback ports. It
 * decodes with generated code, checks every message (otlp-checks.ts), keeps what it
 * took and can misbehave on demand. A message that fails a check is refused and fails
 * the next `waitFor`.
 */
import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { Metadata, Server, ServerCredentials, status, type sendUnaryData, type ServerUnaryCall } from "@grpc/grpc-js";
import { ExportLogsServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import { ExportMetricsServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { ExportTraceServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import type { OtlpSignal } from "#telemetry/otlp/destination.ts";
import { collectLogs, collectPoints, collectSpans } from "./otlp-collect.ts";
import type { ReceivedLog, ReceivedPoint, ReceivedSpan } from "./otlp-collect.ts";
import { exportResponse, retryInfoStatus, type BodyEncoding } from "./otlp-answers.ts";
import { readOtlpJson } from "./otlp-json.ts";
import { checkLogs, checkMetrics, checkTraces } from "./otlp-checks.ts";
import { otlpService } from "./otlp-services.ts";

export type { ReceivedLog, ReceivedPoint, ReceivedSpan } from "./otlp-collect.ts";

export type Misbehaviour =
  /** Answers with this gRPC code (default UNAVAILABLE) or HTTP status (default 503). */
  | {
      readonly kind: "refuse";
      readonly grpcCode?: number;
      readonly httpStatus?: number;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Asks for patience: RESOURCE_EXHAUSTED with RetryInfo, or 429 with Retry-After. */
  | { readonly kind: "throttle"; readonly delaySeconds: number }
  /** Takes the request and never answers. */
  | { readonly kind: "hang" }
  /** Answers success with `bytes` that are not an OTLP response. */
  | { readonly kind: "garbage"; readonly bytes: Uint8Array; readonly contentType?: string }
  /** Takes the message but for `rejected` items. */
  | { readonly kind: "partial"; readonly rejected: number; readonly message: string };

export interface ReceivedRequest {
  readonly signal: OtlpSignal;
  readonly transport: "grpc" | "http";
  readonly encoding: BodyEncoding;
  readonly headers: Readonly<Record<string, string>>;
  /** On the wire, compressed or not; HTTP only. */
  readonly bodyBytes: number;
  readonly receivedMs: number;
}

export interface OtlpReceiver extends AsyncDisposable {
  readonly grpcEndpoint: string;
  readonly httpEndpoint: string;
  readonly spans: readonly ReceivedSpan[];
  readonly points: readonly ReceivedPoint[];
  readonly logs: readonly ReceivedLog[];
  /** Every request that arrived, refused ones too. */
  readonly requests: readonly ReceivedRequest[];
  /** What was wrong with messages. */
  readonly problems: readonly string[];
  /** For the next `times` requests (default: until told otherwise) of `signal` (default: all). */
  misbehave(
    behaviour: Misbehaviour | undefined,
    options?: { readonly times?: number; readonly signal?: OtlpSignal },
  ): void;
  /** Resolves when `predicate` holds, rejects at the deadline or when a message was wrong. */
  waitFor(predicate: (receiver: OtlpReceiver) => boolean, deadlineMs?: number): Promise<void>;
}

export interface OtlpReceiverOptions {
  /** PEM; then both listeners speak TLS. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default: a free one. */
  readonly grpcPort?: number;
}

const SIGNALS = ["traces", "metrics", "logs"] as const;
const DEFAULT_DEADLINE_MS = 15_000;

export async function startOtlpReceiver(options: OtlpReceiverOptions = {}): Promise<OtlpReceiver> {
  const host = options.host ?? "127.0.0.1";
  const state = createState();
  const grpc = await startGrpc(state, `${host}:${options.grpcPort ?? 0}`, options.tls);
  const http = await startHttp(state, host, options.tls);
  const scheme = options.tls === undefined ? "http" : "https";
  const receiver: OtlpReceiver = {
    grpcEndpoint: `${scheme}://${host}:${grpc.port}`,
    httpEndpoint: `${scheme}://${host}:${http.port}`,
    spans: state.spans,
    points: state.points,
    logs: state.logs,
    requests: state.requests,
    problems: state.problems,
    misbehave(behaviour, { times = Number.POSITIVE_INFINITY, signal } = {}) {
      for (const target of signal === undefined ? SIGNALS : [signal]) {
        if (behaviour === undefined) state.misbehaviours.delete(target);
        else state.misbehaviours.set(target, { behaviour, remaining: times });
      }
    },
    async waitFor(predicate, deadlineMs = DEFAULT_DEADLINE_MS) {
      const deadline = AbortSignal.timeout(deadlineMs);
      for (;;) {
        if (state.problems.length > 0) throw new Error(`OTLP messages were wrong: ${state.problems.join("; ")}`);
        if (predicate(receiver)) return;
        try {
          await once(state.changes, "change", { signal: deadline });
        } catch (error) {
          throw new Error(`not received within ${deadlineMs} ms: ${String(predicate)}\n${describe(state)}`, {
            cause: error,
          });
        }
      }
    },
    async [Symbol.asyncDispose]() {
      grpc.server.forceShutdown();
      http.server.closeAllConnections();
      http.server.close();
      await once(http.server, "close");
    },
  };
  return receiver;
}

// --- What both transports share --------------------------------------------

interface State {
  readonly changes: EventTarget;
  readonly spans: ReceivedSpan[];
  readonly points: ReceivedPoint[];
  readonly logs: ReceivedLog[];
  readonly requests: ReceivedRequest[];
  readonly problems: string[];
  readonly misbehaviours: Map<OtlpSignal, { readonly behaviour: Misbehaviour; remaining: number }>;
  /** Last value of each monotonic series, to see that it never falls. */
  readonly totals: Map<string, ReceivedPoint>;
}

function createState(): State {
  return {
    changes: new EventTarget(),
    spans: [],
    points: [],
    logs: [],
    requests: [],
    problems: [],
    misbehaviours: new Map(),
    totals: new Map(),
  };
}

function describe(state: State): string {
  return `received ${state.spans.length} spans, ${state.points.length} points, ${state.logs.length} logs in ${state.requests.length} requests`;
}

function changed(state: State): void {
  state.changes.dispatchEvent(new Event("change"));
}

function takeMisbehaviour(state: State, signal: OtlpSignal): Misbehaviour | undefined {
  const current = state.misbehaviours.get(signal);
  if (current === undefined) return undefined;
  if (--current.remaining <= 0) state.misbehaviours.delete(signal);
  return current.behaviour;
}

/** Keeps what is right; returns what is wrong with the message. */
function take(
  state: State,
  signal: OtlpSignal,
  bytes: Uint8Array,
  encoding: BodyEncoding = "protobuf",
): readonly string[] {
  let problems: readonly string[];
  try {
    problems = decodeAndKeep(state, signal, bytes, encoding);
  } catch (error) {
    problems = [`undecodable: ${String(error)}`];
  }
  state.problems.push(...problems.map((problem) => `${signal}: ${problem}`));
  return problems;
}

function decodeAndKeep(state: State, signal: OtlpSignal, bytes: Uint8Array, encoding: BodyEncoding): readonly string[] {
  const decode = <D extends DescMessage>(schema: D): MessageShape<D> =>
    encoding === "json" ? readOtlpJson(schema, Buffer.from(bytes).toString("utf8")) : fromBinary(schema, bytes);
  switch (signal) {
    case "traces": {
      const request = decode(ExportTraceServiceRequestSchema);
      const problems = checkTraces(request);
      if (problems.length === 0) state.spans.push(...collectSpans(request));
      return problems;
    }
    case "metrics": {
      const request = decode(ExportMetricsServiceRequestSchema);
      const points = collectPoints(request);
      const problems = [...checkMetrics(request), ...checkTotals(state, points)];
      if (problems.length === 0) state.points.push(...points);
      return problems;
    }
    case "logs": {
      const request = decode(ExportLogsServiceRequestSchema);
      const problems = checkLogs(request);
      if (problems.length === 0) state.logs.push(...collectLogs(request));
      return problems;
    }
  }
}

function checkTotals(state: State, points: readonly ReceivedPoint[]): string[] {
  const problems: string[] = [];
  for (const point of points) {
    if (!point.monotonic || point.noRecordedValue) continue;
    const previous = state.totals.get(point.series);
    if (previous !== undefined) problems.push(...compareTotals(previous, point));
    state.totals.set(point.series, point);
  }
  return problems;
}

function compareTotals(previous: ReceivedPoint, point: ReceivedPoint): string[] {
  const problems: string[] = [];
  const isSame = previous.temporality === point.temporality;
  if (!isSame) problems.push(`${point.series} changed its temporality`);
  else if (point.temporality === "delta") {
    if (point.startUnixNano < previous.timeUnixNano) problems.push(`${point.series} tells an interval twice`);
  } else if (previous.startUnixNano === point.startUnixNano && point.value < previous.value) {
    problems.push(`${point.series} fell from ${previous.value} to ${point.value}`);
  }
  if (point.timeUnixNano < previous.timeUnixNano) problems.push(`${point.series} went back in time`);
  return problems;
}

// --- gRPC --------------------------------------------------------------------

async function startGrpc(
  state: State,
  address: string,
  tls: OtlpReceiverOptions["tls"],
): Promise<{ server: Server; port: number }> {
  const server = new Server();
  for (const signal of SIGNALS) {
    const handler = (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>): void => {
      const headers = Object.fromEntries(
        Object.entries(call.metadata.getMap()).map(([key, value]) => [key, String(value)]),
      );
      state.requests.push({
        signal,
        transport: "grpc",
        encoding: "protobuf",
        headers,
        bodyBytes: call.request.length,
        receivedMs: performance.now(),
      });
      answerGrpc(state, signal, call.request, reply);
      changed(state);
    };
    server.addService(otlpService(signal), { Export: handler });
  }
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [
          { cert_chain: Buffer.from(tls.certificate), private_key: Buffer.from(tls.key) },
        ]);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(address, credentials, (error, bound) => (error === null ? resolve(bound) : reject(error))),
  );
  return { server, port };
}

function answerGrpc(state: State, signal: OtlpSignal, bytes: Buffer, reply: sendUnaryData<Buffer>): void {
  const misbehaviour = takeMisbehaviour(state, signal);
  switch (misbehaviour?.kind) {
    case "hang":
      return;
    case "refuse":
      return reply({ code: misbehaviour.grpcCode ?? status.UNAVAILABLE, details: "told to refuse" });
    case "throttle": {
      const metadata = new Metadata();
      metadata.set("grpc-status-details-bin", retryInfoStatus(misbehaviour.delaySeconds));
      return reply({ code: status.RESOURCE_EXHAUSTED, details: "told to throttle", metadata });
    }
    case "garbage":
      return reply(null, Buffer.from(misbehaviour.bytes));
    case "partial":
    case undefined: {
      const problems = take(state, signal, bytes);
      if (problems.length > 0) return reply({ code: status.INVALID_ARGUMENT, details: problems.join("; ") });
      return reply(null, exportResponse(signal, "protobuf", misbehaviour?.rejected, misbehaviour?.message));
    }
  }
}

// --- HTTP --------------------------------------------------------------------

async function startHttp(
  state: State,
  host: string,
  tls: OtlpReceiverOptions["tls"],
): Promise<{ server: ReturnType<typeof createHttpServer>; port: number }> {
  const handler = (request: IncomingMessage, response: ServerResponse): void =>
    void handleHttp(state, request, response).catch((error: unknown) => state.problems.push(`http: ${String(error)}`));
  const server =
    tls === undefined ? createHttpServer(handler) : createHttpsServer({ cert: tls.certificate, key: tls.key }, handler);
  server.listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { server, port };
}

async function handleHttp(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await buffer(request);
  const signal = SIGNALS.find((candidate) => request.url?.split("?", 1)[0]?.endsWith(`/v1/${candidate}`));
  if (signal === undefined || request.method !== "POST") return void response.writeHead(404).end("no such path");
  const headers = Object.fromEntries(Object.entries(request.headers).map(([key, value]) => [key, String(value)]));
  const encoding = headers["content-type"] === "application/json" ? "json" : "protobuf";
  const receivedMs = performance.now();
  state.requests.push({ signal, transport: "http", encoding, headers, bodyBytes: body.length, receivedMs });
  if (encoding === "protobuf" && headers["content-type"] !== "application/x-protobuf") {
    state.problems.push(`content type ${headers["content-type"]}`);
  }
  const bytes = headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
  answerHttp(state, signal, encoding, bytes, response);
  changed(state);
}

function answerHttp(
  state: State,
  signal: OtlpSignal,
  encoding: BodyEncoding,
  bytes: Buffer,
  response: ServerResponse,
): void {
  const contentType = { "content-type": encoding === "json" ? "application/json" : "application/x-protobuf" };
  const misbehaviour = takeMisbehaviour(state, signal);
  switch (misbehaviour?.kind) {
    case "hang":
      return;
    case "refuse":
      return void response.writeHead(misbehaviour.httpStatus ?? 503, misbehaviour.headers).end("told to refuse");
    case "throttle":
      return void response.writeHead(429, { "retry-after": String(misbehaviour.delaySeconds) }).end();
    case "garbage":
      return void response
        .writeHead(200, { "content-type": misbehaviour.contentType ?? "application/x-protobuf" })
        .end(misbehaviour.bytes);
    case "partial":
    case undefined: {
      const problems = take(state, signal, bytes, encoding);
      if (problems.length > 0) return void response.writeHead(400).end(problems.join("; "));
      return void response
        .writeHead(200, contentType)
        .end(exportResponse(signal, encoding, misbehaviour?.rejected, misbehaviour?.message));
    }
  }
}
