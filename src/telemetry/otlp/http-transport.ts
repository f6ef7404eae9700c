/** OTLP over HTTP with protobuf bodies. Redirects are not followed: they could lead a token elsewhere. */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { promisify } from "node:util";
import { gzip as gzipCallback } from "node:zlib";
import { Secret } from "#model/secret.ts";
import type { HttpDestination, OtlpSignal } from "./destination.ts";
import { MAXIMUM_RESPONSE_BYTES, parseExportResponse, parseRpcStatus } from "./export-response.ts";
import { httpOutcome, parseRetryAfter, type SendOutcome, type Transport } from "./send-outcome.ts";

const gzip = promisify(gzipCallback);
const MAXIMUM_EXPLANATION_LENGTH = 200;

export function createHttpTransport(destination: HttpDestination, signal: OtlpSignal, userAgent: string): Transport {
  const agent = createAgent(destination);
  const options: RequestOptions = {
    agent,
    host: destination.host,
    port: destination.port,
    path: destination.path,
    method: "POST",
    headers: {
      ...revealHeaders(destination),
      "content-type": "application/x-protobuf",
      "user-agent": userAgent,
      ...(destination.compression === "gzip" ? { "content-encoding": "gzip" } : {}),
    },
  };

  async function attempt(bytes: Uint8Array, abort: AbortSignal): Promise<SendOutcome> {
    const body = destination.compression === "gzip" ? await gzip(bytes) : bytes;
    const response = await post(destination.secure, options, body, abort);
    const answer = await readBounded(response);
    return interpret(signal, response, answer);
  }

  return {
    async send(bytes, abort) {
      const timeout = AbortSignal.timeout(destination.timeoutMs);
      try {
        return await attempt(bytes, AbortSignal.any([abort, timeout]));
      } catch (error) {
        if (timeout.aborted) return retry("timeout", `no answer within ${destination.timeoutMs} ms`);
        return connectionOutcome(error);
      }
    },
    close: () => agent.destroy(),
  };
}

function createAgent(destination: HttpDestination): HttpAgent {
  const { certificateAuthorities, clientCertificate, clientKey } = destination.tls;
  const shared = { keepAlive: true, maxSockets: 1 };
  if (!destination.secure) return new HttpAgent(shared);
  return new HttpsAgent({
    ...shared,
    ...(certificateAuthorities === undefined ? {} : { ca: certificateAuthorities }),
    ...(clientCertificate === undefined ? {} : { cert: clientCertificate }),
    ...(clientKey === undefined ? {} : { key: clientKey.reveal() }),
  });
}

function revealHeaders(destination: HttpDestination): Record<string, string> {
  return Object.fromEntries(
    Object.entries(destination.headers).map(([name, value]) => [
      name,
      value instanceof Secret ? value.reveal() : value,
    ]),
  );
}

function post(
  secure: boolean,
  options: RequestOptions,
  body: Uint8Array,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = (secure ? httpsRequest : httpRequest)({ ...options, signal }, resolve);
    request.on("error", reject);
    request.end(body);
  });
}

/** The body, or undefined when it is larger than any answer may be. */
async function readBounded(response: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAXIMUM_RESPONSE_BYTES) {
      response.destroy();
      return undefined;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function interpret(signal: OtlpSignal, response: IncomingMessage, body: Buffer | undefined): SendOutcome {
  const statusCode = response.statusCode ?? 0;
  if (statusCode >= 200 && statusCode < 300) return interpretSuccess(signal, response, body);
  if (statusCode >= 300 && statusCode < 400) {
    const location = response.headers.location?.slice(0, MAXIMUM_EXPLANATION_LENGTH) ?? "somewhere else";
    return httpOutcome(
      statusCode,
      `redirects are not followed; set the endpoint to where it points (${location})`,
      undefined,
    );
  }
  const retryAfterMs = parseRetryAfter(response.headers["retry-after"], Date.now());
  return httpOutcome(statusCode, explanationOf(response, body), retryAfterMs);
}

function interpretSuccess(signal: OtlpSignal, response: IncomingMessage, body: Buffer | undefined): SendOutcome {
  const contentType = response.headers["content-type"] ?? "";
  if (contentType.startsWith("text/html")) {
    // A web page says yes to anything: this is no OTLP receiver, and silence would hide it.
    return { kind: "refused", errorType: "invalid_response", reason: "the endpoint answers with a web page" };
  }
  if (body === undefined) return { kind: "accepted", note: "the answer is too large to be an OTLP response" };
  if (!contentType.startsWith("application/x-protobuf")) return { kind: "accepted" };
  try {
    return parseExportResponse(signal, body);
  } catch {
    return { kind: "accepted", note: "the answer is not an OTLP response" };
  }
}

/** Failures carry a `google.rpc.Status`, or text from something in between. */
function explanationOf(response: IncomingMessage, body: Buffer | undefined): string {
  if (body === undefined) return "";
  const isProtobuf = (response.headers["content-type"] ?? "").startsWith("application/x-protobuf");
  const text = isProtobuf ? parseRpcStatus(body)?.message : body.toString("utf8");
  return (text ?? "").trim().slice(0, MAXIMUM_EXPLANATION_LENGTH);
}

function connectionOutcome(error: unknown): SendOutcome {
  const code =
    error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "connection_error";
  return retry(code, error instanceof Error ? error.message || code : code);
}

function retry(errorType: string, reason: string): SendOutcome {
  return { kind: "retry", errorType, reason };
}
