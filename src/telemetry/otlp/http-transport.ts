/** OTLP over HTTP with protobuf or JSON bodies. Redirects are not followed: they could lead a token elsewhere. */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { promisify } from "node:util";
import { constants, gzip as gzipCallback } from "node:zlib";
import { Secret } from "#model/secret.ts";
import { redactSecrets, type HttpDestination, type OtlpSignal } from "./destination.ts";
import { encodeJson } from "./encode-json.ts";
import {
  MAXIMUM_RESPONSE_BYTES,
  parseExportResponse,
  parseRpcStatus,
  parseRpcStatusMessage,
  type BodyEncoding,
} from "./export-response.ts";
import type { ConnectionError } from "./network-problem.ts";
import {
  connectionOutcome,
  httpOutcome,
  parseRetryAfter,
  redactOutcome,
  refusedAnswer,
  type SendOutcome,
  type Transport,
} from "./send-outcome.ts";
import { createTlsSuspicion } from "./tls-suspicion.ts";

const gzip = promisify(gzipCallback);
/** A third of the default's work; what repeats in telemetry is found all the same. */
const GZIP_OPTIONS = { level: constants.Z_BEST_SPEED };
const MAXIMUM_EXPLANATION_LENGTH = 200;
const CONTENT_TYPE: Readonly<Record<BodyEncoding, string>> = {
  protobuf: "application/x-protobuf",
  json: "application/json",
};

export function createHttpTransport(destination: HttpDestination, signal: OtlpSignal, userAgent: string): Transport {
  const agent = createAgent(destination);
  const encoding = destination.protocol === "http/json" ? "json" : "protobuf";
  const suspicion = createTlsSuspicion(destination);
  const redact = (text: string): string => redactSecrets(destination, text);
  const options: RequestOptions = {
    agent,
    host: destination.host,
    port: destination.port,
    path: destination.path,
    method: "POST",
    headers: {
      ...revealHeaders(destination),
      "content-type": CONTENT_TYPE[encoding],
      "user-agent": userAgent,
      ...(destination.compression === "gzip" ? { "content-encoding": "gzip" } : {}),
    },
  };

  async function attempt(bytes: Uint8Array, abort: AbortSignal): Promise<SendOutcome> {
    const message = encoding === "json" ? encodeJson(signal, bytes) : bytes;
    const body = destination.compression === "gzip" ? await gzip(message, GZIP_OPTIONS) : message;
    const response = await post(destination.secure, options, body, abort);
    const answer = await readBounded(response);
    return interpret(signal, response, answer);
  }

  return {
    async send(bytes, abort) {
      const timeout = AbortSignal.timeout(destination.timeoutMs);
      try {
        return redactOutcome(await attempt(bytes, AbortSignal.any([abort, timeout])), redact);
      } catch (error) {
        if (abort.aborted) return connectionOutcome({ code: "cancelled", message: "" });
        if (timeout.aborted) {
          return connectionOutcome({ code: "timeout", message: `${destination.timeoutMs} ms` });
        }
        return suspicion.explain(redactOutcome(connectionOutcome(describeError(error)), redact), abort);
      }
    },
    close: () => agent.destroy(),
  };
}

function createAgent(destination: HttpDestination): HttpAgent {
  const { certificateAuthorities, clientCertificate, clientKey } = destination.tls;
  // One for what is fresh, one for what is replayed.
  const shared = { keepAlive: true, maxSockets: 2 };
  if (!destination.secure) return new HttpAgent(shared);
  return new HttpsAgent({
    ...shared,
    ...(certificateAuthorities === undefined ? {} : { ca: certificateAuthorities }),
    ...(clientCertificate === undefined ? {} : { cert: clientCertificate }),
    ...(clientKey === undefined ? {} : { key: clientKey.reveal() }),
  });
}

/** What every request to it carries, secrets included. */
export function revealHeaders(destination: Pick<HttpDestination, "headers">): Record<string, string> {
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
  if (body === undefined) {
    return refusedAnswer("response_too_large", `HTTP ${statusCode} with more than ${MAXIMUM_RESPONSE_BYTES} bytes`);
  }
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

function interpretSuccess(signal: OtlpSignal, response: IncomingMessage, body: Buffer): SendOutcome {
  const contentType = response.headers["content-type"] ?? "";
  if (contentType.startsWith("text/html")) {
    // A web page says yes to anything: this is no OTLP receiver, and silence would hide it.
    return refusedAnswer("response_not_otlp", "a web page");
  }
  const encoding = encodingOf(contentType);
  if (encoding === undefined) {
    const odd = `the answer is not an OTLP response, but ${contentType === "" ? "bytes of no type" : contentType}`;
    return body.length === 0
      ? { kind: "accepted" }
      : { kind: "accepted", note: odd.slice(0, MAXIMUM_EXPLANATION_LENGTH) };
  }
  try {
    return parseExportResponse(signal, body, encoding);
  } catch {
    return { kind: "accepted", note: "the answer is not an OTLP response" };
  }
}

function encodingOf(contentType: string): BodyEncoding | undefined {
  if (contentType.startsWith(CONTENT_TYPE.protobuf)) return "protobuf";
  return contentType.startsWith(CONTENT_TYPE.json) ? "json" : undefined;
}

/** Failures carry a `google.rpc.Status`, or text from something in between. */
function explanationOf(response: IncomingMessage, body: Buffer): string {
  const encoding = encodingOf(response.headers["content-type"] ?? "");
  const message = encoding === "protobuf" ? parseRpcStatus(body)?.message : parseRpcStatusMessage(body);
  const text = message ?? (encoding === "protobuf" ? "" : body.toString("utf8", 0, 4 * MAXIMUM_EXPLANATION_LENGTH));
  return text.trim().slice(0, MAXIMUM_EXPLANATION_LENGTH);
}

function describeError(error: unknown): ConnectionError {
  if (!(error instanceof Error)) return { code: "connection_error", message: String(error) };
  const code = "code" in error && typeof error.code === "string" ? error.code : "connection_error";
  const rawPacket = "rawPacket" in error && error.rawPacket instanceof Uint8Array ? error.rawPacket : undefined;
  return { code, message: error.message, rawPacket };
}
