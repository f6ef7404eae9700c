/**
 * A double of Grafana Cloud's OTLP gateway: not the real one, which is a paid service, but as strict as its
 * documentation, and with the answers that its users report.
 *
 * - OTLP over HTTP alone, at `/otlp/v1/{traces,metrics,logs}`; gRPC is not spoken, nothing is at other paths.
 * - Basic authentication, the instance's number and a token; a token writes the signals of its scopes.
 * - protobuf and JSON, plain or gzip.
 * - Metrics are stored by a Prometheus: cumulative ones are taken, deltas are not.
 * - Beyond the tenant's rate: 429 with Retry-After.
 *
 * Sources: https://grafana.com/docs/grafana-cloud/send-data/otlp/send-data-otlp/ and …/otlp-format-considerations/
 */
import { once } from "node:events";
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { ExportMetricsServiceRequestSchema } from "#gen/otlp/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { otlpSignals, type OtlpSignal } from "#telemetry/otlp/destination.ts";
import { collectPoints } from "./otlp-collect.ts";
import { forwardOtlp, type ForwardedAnswer } from "./otlp-forward.ts";
import { readOtlpJson } from "./otlp-json.ts";
import { startOtlpReceiver, type OtlpReceiver } from "./otlp-receiver.ts";

export interface GatewayRequest {
  readonly method: string;
  readonly path: string;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly statusCode: number;
}

export interface GrafanaCloudDouble extends AsyncDisposable {
  /** `https://…` or `http://…`, without a path. */
  readonly origin: string;
  /** Every request, also those that were refused. */
  readonly requests: readonly GatewayRequest[];
  /** What was taken. */
  readonly received: OtlpReceiver;
  /** Asks for patience for the next `times` requests. */
  limitRate(times: number, retryAfterSeconds: number): void;
}

export interface GrafanaCloudDoubleOptions {
  /** Of the stack: its number. */
  readonly instance: string;
  readonly token: string;
  /** What the token may write; default all. */
  readonly scopes?: readonly OtlpSignal[];
  /** PEM; the real one is there by TLS only. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Default: a free one. */
  readonly port?: number;
}

/** What goes wrong, as the gateway words it. */
const refusals = {
  noCredentials: [401, "authentication error: no credentials provided"],
  notAnInstance: [401, "authentication error: legacy auth cannot be upgraded because the host is not found"],
  wrongToken: [401, "authentication error: invalid token"],
  wrongScope: [401, "authentication error: invalid scope requested"],
  rateLimited: [429, "the request has been rejected because the tenant exceeded the request rate limit"],
  notFound: [404, "404 page not found"],
  methodNotAllowed: [405, "method not allowed"],
  unsupportedType: [415, "unsupported content type, supported: [application/json, application/x-protobuf]"],
  unsupportedEncoding: [415, "unsupported compression, supported: [gzip, none]"],
} as const;
type Refusal = keyof typeof refusals;

export async function startGrafanaCloudDouble(options: GrafanaCloudDoubleOptions): Promise<GrafanaCloudDouble> {
  const received = await startOtlpReceiver();
  const requests: GatewayRequest[] = [];
  let limited = { times: 0, retryAfterSeconds: 0 };

  async function answer(request: IncomingMessage): Promise<ForwardedAnswer & { readonly retryAfter?: string }> {
    const body = await buffer(request);
    const signal = otlpSignals.find((candidate) => request.url === `/otlp/v1/${candidate}`);
    if (signal === undefined) return refusal("notFound");
    if (request.method !== "POST") return refusal("methodNotAllowed");
    const unauthenticated = authenticate(request.headers.authorization, signal, options);
    if (unauthenticated !== undefined) return refusal(unauthenticated);
    if (limited.times > 0) {
      limited.times--;
      return { ...refusal("rateLimited"), retryAfter: String(limited.retryAfterSeconds) };
    }
    const type = request.headers["content-type"] ?? "";
    if (type !== "application/x-protobuf" && type !== "application/json") return refusal("unsupportedType");
    const encoding = request.headers["content-encoding"];
    if (encoding !== undefined && encoding !== "gzip") return refusal("unsupportedEncoding");
    const delta = signal === "metrics" ? firstDelta(encoding === "gzip" ? gunzipSync(body) : body, type) : undefined;
    if (delta !== undefined) {
      return failure(400, `otlp parse error: invalid temporality and type combination for metric "${delta}"`);
    }
    return forwardOtlp(received, signal, body, {
      "content-type": type,
      ...(encoding === undefined ? {} : { "content-encoding": encoding }),
    });
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { statusCode, contentType, body, retryAfter } = await answer(request);
    requests.push({
      method: request.method ?? "",
      path: request.url ?? "",
      contentType: request.headers["content-type"] ?? "",
      contentEncoding: request.headers["content-encoding"] ?? "",
      statusCode,
    });
    const patience: Record<string, string> = retryAfter === undefined ? {} : { "retry-after": retryAfter };
    response.writeHead(statusCode, { "content-type": contentType, ...patience }).end(body);
  }
  const listener: RequestListener = (request, response) =>
    void handle(request, response).catch(() => response.destroy());
  const { tls } = options;
  const server =
    tls === undefined
      ? createHttpServer(listener)
      : createHttpsServer({ cert: tls.certificate, key: tls.key }, listener);
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    origin: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    requests,
    received,
    limitRate(times, retryAfterSeconds) {
      limited = { times, retryAfterSeconds };
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
      await received[Symbol.asyncDispose]();
    },
  };
}

function authenticate(
  authorization: string | undefined,
  signal: OtlpSignal,
  { instance, token, scopes = otlpSignals }: GrafanaCloudDoubleOptions,
): Refusal | undefined {
  const [, encoded] = /^Basic ([A-Za-z0-9+/]+=*)$/.exec(authorization ?? "") ?? [];
  if (encoded === undefined) return "noCredentials";
  const [username, ...password] = Buffer.from(encoded, "base64").toString("utf8").split(":");
  if (!/^\d+$/.test(username ?? "")) return "notAnInstance";
  if (username !== instance || password.join(":") !== token) return "wrongToken";
  return scopes.includes(signal) ? undefined : "wrongScope";
}

/** The name of a metric that its Prometheus cannot store. */
function firstDelta(body: Buffer, contentType: string): string | undefined {
  const schema = ExportMetricsServiceRequestSchema;
  const request =
    contentType === "application/json" ? readOtlpJson(schema, body.toString("utf8")) : fromBinary(schema, body);
  return collectPoints(request).find(({ temporality }) => temporality === "delta")?.name;
}

function refusal(kind: Refusal): ForwardedAnswer {
  const [statusCode, message] = refusals[kind];
  return failure(statusCode, message);
}

function failure(statusCode: number, message: string): ForwardedAnswer {
  if (statusCode === 404) return { statusCode, contentType: "text/plain; charset=utf-8", body: Buffer.from(message) };
  const body = Buffer.from(JSON.stringify({ status: "error", error: message }));
  return { statusCode, contentType: "application/json", body };
}

/**
 * For the guide's own host name, self-signed, valid for a hundred years. Its key is public: it protects nothing, and
 * only who is told to trust it does.
 */
export const grafanaCloudCertificate = {
  host: "otlp-gateway-prod-us-central-0.grafana.net",
  certificate: `-----BEGIN CERTIFICATE-----
MIIB+jCCAaCgAwIBAgIUFFAqp9YN4gQxFljpKFnRtrzdIt8wCgYIKoZIzj0EAwIw
NTEzMDEGA1UEAwwqb3RscC1nYXRld2F5LXByb2QtdXMtY2VudHJhbC0wLmdyYWZh
bmEubmV0MCAXDTI2MTEyMzAyNTQyMVoYDzIxMjYxMDMwMDI1NDIxWjA1MTMwMQYD
VQQDDCpvdGxwLWdhdGV3YXktcHJvZC11cy1jZW50cmFsLTAuZ3JhZmFuYS5uZXQw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR+xW45A5/orvwzFO9F8g28BjytTpdJ
EQD9URQeCo8SR5P7u0wtTnBQsZvGhmG6LRnbmA9ycoz/MI7mtdQgXAYEo4GLMIGI
MB0GA1UdDgQWBBSHAzmPlTelbGIN/nTTKRpgvUUZADAfBgNVHSMEGDAWgBSHAzmP
lTelbGIN/nTTKRpgvUUZADAPBgNVHRMBAf8EBTADAQH/MDUGA1UdEQQuMCyCKm90
bHAtZ2F0ZXdheS1wcm9kLXVzLWNlbnRyYWwtMC5ncmFmYW5hLm5ldDAKBggqhkjO
PQQDAgNIADBFAiEA6q86UcAOGFla6h4N0F4zlnCAjbfEYHcIZzjluHOd6hUCICwP
PxPQbgWXBf1myOh+Q02pwY8jFG0QtU6xsFwbL3AM
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQghLt6Hbu+ug3Jkv15
5EAtbaok9v1FLP6vVLsbasSMd+ahRANCAAR+xW45A5/orvwzFO9F8g28BjytTpdJ
EQD9URQeCo8SR5P7u0wtTnBQsZvGhmG6LRnbmA9ycoz/MI7mtdQgXAYE
-----END PRIVATE KEY-----
`,
} as const;
