/**
 * What one failed attempt says about what stands in the way: pure. The words of Node.js,
 * OpenSSL and grpc-js are read here and nowhere else; `network-problem.test.ts` holds them
 * as they really are.
 */
import { status } from "@grpc/grpc-js";
import type { NetworkProblem } from "./send-outcome.ts";

/** As much of an error as is looked at. */
export interface ConnectionError {
  /** Of Node.js or OpenSSL, e.g. `ECONNREFUSED`. */
  readonly code: string;
  readonly message: string;
  /** What an HTTP/1 parser could not read. */
  readonly rawPacket?: Uint8Array | undefined;
}

type Rule = readonly [pattern: RegExp, problem: NetworkProblem];

/** On codes and messages alike; the first that fits. */
const connectionRules: readonly Rule[] = [
  // Our own codes.
  [/^cancelled\b/, "cancelled"],
  [/^timeout\b/, "timeout"],
  [/\b(ENOTFOUND|EAI_AGAIN|EAI_NODATA|EAI_NONAME)\b|Name resolution failed/, "name_not_found"],
  [/\bECONNREFUSED\b/, "connection_refused"],
  [/\b(EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|ENETDOWN|EHOSTDOWN|EACCES)\b/, "unreachable"],
  [/\bETIMEDOUT\b|\bABORT_ERR\b/, "timeout"],
  [/DEPTH_ZERO_SELF_SIGNED_CERT|self-signed certificate(?! in certificate chain)/, "certificate_self_signed"],
  [
    /SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT)|self-signed certificate in certificate chain|unable to (verify the first certificate|get (local )?issuer certificate)|CERT_UNTRUSTED|INVALID_CA/,
    "certificate_untrusted",
  ],
  [/CERT_HAS_EXPIRED|certificate has expired/, "certificate_expired"],
  [/CERT_NOT_YET_VALID|certificate is not yet valid/, "certificate_not_yet_valid"],
  [/ERR_TLS_CERT_ALTNAME|does not match certificate's altnames/, "certificate_wrong_host"],
  // Alerts that speak of our certificate: 42 to 46, 48, 116.
  [
    /alert (bad certificate|unsupported certificate|certificate (revoked|expired|unknown|required)|unknown ca)\b|ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(REVOKED|EXPIRED|UNKNOWN|REQUIRED)|UNKNOWN_CA)/i,
    "client_certificate_refused",
  ],
  [/wrong version number|WRONG_VERSION_NUMBER|packet length too long|PACKET_LENGTH_TOO_LONG/, "tls_to_plaintext_port"],
  [/\bEPROTO\b|SSL routines|ERR_SSL_|ERR_TLS_|handshake failure/i, "tls_failed"],
  [
    /\b(ECONNRESET|EPIPE|ECONNABORTED)\b|socket hang up|socket disconnected|Connection dropped|Failed to connect/,
    "connection_reset",
  ],
];

function firstOf(rules: readonly Rule[], text: string): NetworkProblem | undefined {
  return rules.find(([pattern]) => pattern.test(text))?.[1];
}

const SETTINGS_FRAME = 4;

/** Over HTTP: the connection failed, or what came is not HTTP. */
export function problemOfConnection({ code, message, rawPacket }: ConnectionError): NetworkProblem {
  if (code.startsWith("HPE_") || code === "ERR_HTTP_INVALID_HEADER_VALUE") {
    if (rawPacket !== undefined && rawPacket[0] === 0x15 && rawPacket[1] === 0x03) return "plaintext_to_tls_port";
    // A server that speaks HTTP/2 greets with a SETTINGS frame of stream 0 (RFC 9113, 3.4).
    if (rawPacket !== undefined && rawPacket.length >= 9 && rawPacket[0] === 0 && rawPacket[3] === SETTINGS_FRAME) {
      return "http_to_grpc_port";
    }
    return code === "HPE_HEADER_OVERFLOW" ? "response_too_large" : "response_not_otlp";
  }
  if (/alert no application protocol|ALERT_NO_APPLICATION_PROTOCOL/i.test(message)) return "http_to_grpc_port";
  return firstOf(connectionRules, `${code} ${message}`) ?? "other";
}

/** Servers say so themselves, in one way or another (Go, nginx, Apache, Envoy). */
const PLAINTEXT_TO_TLS = /HTTP request (was sent )?to (an )?HTTPS (server|port)|speaking plain HTTP to an SSL-enabled/i;
const HTTP1_TO_GRPC = /Missing ALPN Protocol, expected `h2`/;

/** Over HTTP: the server answered, and not with 2xx. */
export function problemOfHttpStatus(statusCode: number, explanation: string): NetworkProblem {
  if (PLAINTEXT_TO_TLS.test(explanation)) return "plaintext_to_tls_port";
  if (HTTP1_TO_GRPC.test(explanation)) return "http_to_grpc_port";
  if (statusCode >= 300 && statusCode < 400) return "redirected";
  switch (statusCode) {
    case 401:
    case 407:
      return "unauthenticated";
    case 403:
      return "forbidden";
    case 404:
      return "signal_not_taken";
    case 413:
      return "request_too_large";
    // gRPC servers answer HTTP/1.1 and its content type so.
    case 415:
      return /grpc/i.test(explanation) ? "http_to_grpc_port" : "request_refused";
    case 426:
    case 505:
      return "http_to_grpc_port";
    case 429:
      return "throttled";
    case 502:
    case 503:
    case 504:
      return "server_unavailable";
    default:
      return statusCode >= 500 ? "server_error" : "request_refused";
  }
}

/** grpc-js, of what it received; Go servers say it of what they received, in other words. */
const RESPONSE_TOO_LARGE = /^Received message (?:larger than max \((\d+) vs \d+\)|that decompresses to a size larger)/;
const REQUEST_TOO_LARGE = /larger than max|message size|too large|exceeds maximum/i;
const NOT_GRPC =
  /content-type|without gRPC status|No message received|parsing error|Failed to decompress|Protocol error/i;

/** Over gRPC: a code, of the server or of grpc-js, with its details. */
export function problemOfGrpc(code: number, details: string): NetworkProblem {
  const httpStatus = /^Received HTTP status code (\d{3})/.exec(details)?.[1];
  // 200 here means an answer without a status of gRPC.
  if (httpStatus === "200") return "response_not_otlp";
  if (httpStatus !== undefined) return problemOfHttpStatus(Number(httpStatus), "");
  switch (code) {
    case status.UNAVAILABLE:
      return problemOfUnavailable(details);
    case status.DEADLINE_EXCEEDED:
      return "timeout";
    case status.CANCELLED:
      return "cancelled";
    case status.UNAUTHENTICATED:
      return "unauthenticated";
    case status.PERMISSION_DENIED:
      return "forbidden";
    case status.UNIMPLEMENTED:
      return "signal_not_taken";
    case status.RESOURCE_EXHAUSTED:
      if (RESPONSE_TOO_LARGE.test(details)) return problemOfLargeResponse(details);
      return REQUEST_TOO_LARGE.test(details) ? "request_too_large" : "throttled";
    case status.INVALID_ARGUMENT:
    case status.NOT_FOUND:
    case status.ALREADY_EXISTS:
    case status.FAILED_PRECONDITION:
    case status.OUT_OF_RANGE:
      return "request_refused";
    case status.ABORTED:
      return "server_unavailable";
    default:
      return NOT_GRPC.test(details) ? "response_not_otlp" : "server_error";
  }
}

/** A text that is read as gRPC has four letters for its length: `<html` is 1.7 GB long. */
function problemOfLargeResponse(details: string): NetworkProblem {
  const length = Number(RESPONSE_TOO_LARGE.exec(details)?.[1] ?? 0);
  const bytes = [24, 16, 8, 0].map((shift) => (length >>> shift) & 0xff);
  return bytes.every((byte) => byte >= 0x20 && byte < 0x7f) ? "response_not_otlp" : "response_too_large";
}

/** The words with which grpc-js tells of its own connections; anything else is the server's. */
const GRPC_JS_WORDS =
  /^No connection established\b|^Name resolution failed\b|^Connection dropped$|\b(read|write) E[A-Z]+/;

function problemOfUnavailable(details: string): NetworkProblem {
  if (!GRPC_JS_WORDS.test(details)) return "server_unavailable";
  // HTTP/1 answers the greeting of HTTP/2 in its own words, or refuses it within TLS.
  if (/alert no application protocol|\bProtocol error\b/i.test(details)) return "grpc_to_http1_port";
  return firstOf(connectionRules, details) ?? "other";
}

/** For people: what it means, not whose words it was. */
const WORDS: Readonly<Record<NetworkProblem, string>> = {
  name_not_found: "its name cannot be resolved",
  connection_refused: "nobody listens there",
  unreachable: "there is no way to it",
  connection_reset: "it closed the connection without an answer",
  timeout: "no answer in time",
  certificate_self_signed: "its certificate is self-signed, and not among the trusted ones",
  certificate_untrusted: "its certificate is from an authority that is not trusted",
  certificate_expired: "its certificate has expired",
  certificate_not_yet_valid: "its certificate is not valid yet",
  certificate_wrong_host: "its certificate is for another host",
  client_certificate_refused: "it asks for a client certificate, or refuses ours",
  tls_to_plaintext_port: "TLS was spoken to a port of plain text",
  plaintext_to_tls_port: "plain text was spoken to a port of TLS",
  tls_failed: "TLS could not be agreed on",
  grpc_to_http1_port: "gRPC was spoken to a port that does not speak HTTP/2",
  http_to_grpc_port: "HTTP/1.1 was spoken to a port of gRPC",
  unauthenticated: "it does not know who we are",
  forbidden: "it does not allow this",
  signal_not_taken: "it does not take this signal there",
  redirected: "it points elsewhere",
  throttled: "it asks for less",
  server_unavailable: "it cannot take anything now",
  server_error: "it failed",
  request_refused: "it refuses what was sent",
  request_too_large: "the request is too large for it",
  response_not_otlp: "it does not answer as an OTLP receiver does",
  response_too_large: "its answer is too large",
  cancelled: "given up",
  other: "it cannot be reached",
};

const MAXIMUM_DETAIL_LENGTH = 200;

/** One sentence: the problem, and what was said about it, cleaned of addresses in memory and times. */
export function describeProblem(problem: NetworkProblem, detail: string): string {
  const cleaned = cleanDetail(detail);
  return cleaned === "" ? WORDS[problem] : `${WORDS[problem]} (${cleaned})`;
}

/** The same failure must read the same each time, in one line. */
function cleanDetail(detail: string): string {
  return detail
    .slice(0, 4_096)
    .replace(/^No connection established\. Last error: (?:Error: |null\b\.?)?/, "")
    .replace(/\s*\(\d{4}-\d\d-\d\dT[\d:.]+Z\)/g, "")
    .replace(/\s*\.? Resolution note:\s*$/, "")
    .replace(/(?:write EPROTO )?[0-9A-F]{8,}:error:[0-9A-F]+:SSL routines:[^:]*:([^:]*):[^\n]*/g, "$1")
    .replace(/; if the root CA is installed locally.*$/s, "")
    .replace(/Deadline exceeded after [\d.]+s.*$/s, "deadline exceeded")
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim()
    .slice(0, MAXIMUM_DETAIL_LENGTH)
    .replace(/[.\s]+$/, "");
}
