/**
 * One small HTTP request: bounded in time and size, never redirected. For asking backends
 * and paths, not for telemetry.
 */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";

export interface SmallRequest {
  readonly url: string;
  /** Default GET. */
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  /** PEM of trusted authorities; default the system's. */
  readonly certificateAuthorities?: string | undefined;
  /** Only for a server that is known to be our own. */
  readonly trustAnyCertificate?: boolean;
  /** The rest is not read. Default 1 MiB. */
  readonly maximumBytes?: number;
  readonly signal: AbortSignal;
}

export interface SmallResponse {
  readonly statusCode: number;
  /** As far as it was read. */
  readonly body: Buffer;
  readonly contentType: string;
  /** Unix time in ms of the `Date` header; absent or unreadable: undefined. */
  readonly dateMs: number | undefined;
}

const DEFAULT_MAXIMUM_BYTES = 2 ** 20;

/** @throws Error when there is no answer */
export async function requestSmall(request: SmallRequest): Promise<SmallResponse> {
  const response = await open(request);
  const maximumBytes = request.maximumBytes ?? DEFAULT_MAXIMUM_BYTES;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > maximumBytes) break;
  }
  const dateMs = Date.parse(response.headers.date ?? "");
  return {
    statusCode: response.statusCode ?? 0,
    body: Buffer.concat(chunks).subarray(0, maximumBytes),
    contentType: response.headers["content-type"] ?? "",
    dateMs: Number.isNaN(dateMs) ? undefined : dateMs,
  };
}

function open({ url, method, headers, signal, ...tls }: SmallRequest): Promise<IncomingMessage> {
  const send = url.startsWith("https:") ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(
      url,
      {
        method: method ?? "GET",
        headers: { ...headers, ...(method === "POST" ? { "content-length": 0 } : {}) },
        agent: false,
        signal,
        ...(tls.certificateAuthorities === undefined ? {} : { ca: tls.certificateAuthorities }),
        ...(tls.trustAnyCertificate === true ? { rejectUnauthorized: false } : {}),
      },
      resolve,
    );
    request.on("error", reject);
    request.end();
  });
}

/** The code of a system's or OpenSSL's error; `timeout` for a deadline. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  if (error.name === "AbortError" || error.name === "TimeoutError") return "timeout";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}
