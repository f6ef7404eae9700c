/**
 * Where a signal goes and how: pure, from the operator's options.
 *
 * Protocol: as told; else by vendor (Grafana Cloud's gateway takes HTTP only, below
 * `/otlp`); else by endpoint: port 4318 or a path means HTTP/protobuf, otherwise gRPC.
 * Over HTTP the signal's path is appended to a base endpoint; an exact one is used as
 * it is. `http://` is plain text, `https://` is TLS; without a scheme TLS, unless
 * `insecure`. Source: OTLP exporter specification 1.x.
 */
import { isIP } from "node:net";
import { BlixardError } from "#model/errors.ts";
import { otlpVendorOfHost } from "#model/otlp-vendors.ts";
import { Secret } from "#model/secret.ts";
import type { OtlpOptions, OtlpProtocol, OtlpTlsOptions } from "../telemetry-options.ts";
import { MAXIMUM_REQUEST_BYTES, type RequestLimits } from "./encoded-request.ts";

export const otlpSignals = ["traces", "metrics", "logs"] as const;
export type OtlpSignal = (typeof otlpSignals)[number];

interface DestinationBase {
  readonly secure: boolean;
  /** Without the brackets of IPv6. */
  readonly host: string;
  readonly port: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | Secret>>;
  readonly compression: "gzip" | "none";
  readonly timeoutMs: number;
  readonly tls: OtlpTlsOptions;
  readonly requestLimits: RequestLimits;
  /** For people and logs: no secret in it. */
  readonly display: string;
}

export interface GrpcDestination extends DestinationBase {
  readonly protocol: "grpc";
}

export interface HttpDestination extends DestinationBase {
  readonly protocol: "http/protobuf" | "http/json";
  /** Path and query. */
  readonly path: string;
}

export type Destination = GrpcDestination | HttpDestination;

const DEFAULT_TIMEOUT_MS = 10_000;
const MINIMUM_REQUEST_BYTES = 64 * 1024;
/** A request becomes JSON in one go: a larger one would hold the node up. */
const JSON_TARGET_BYTES = 128 * 1024;
const GRPC_PORT = 4317;
const HTTP_PORT = 4318;

const HEADER_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
/** Printable ASCII: anything else is refused by gRPC, and CR or LF would forge headers. */
const HEADER_VALUE = /^[\u0020-\u007e]*$/;
/** Set by the transports. */
const RESERVED_HEADERS = new Set(["content-type", "content-length", "content-encoding", "host", "te", "connection"]);

/** Fails with CONFIG_INVALID when the options make no destination. */
export function resolveDestination(options: OtlpOptions, signal: OtlpSignal): Destination {
  const { url, secure } = parseEndpoint(options);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const vendor = otlpVendorOfHost(host);
  const protocol = options.protocol ?? vendor?.protocol ?? protocolOf(url);
  const base = {
    secure,
    host,
    headers: resolveHeaders(options),
    compression: options.compression ?? "gzip",
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    tls: options.tls ?? {},
    requestLimits: requestLimitsOf(options, protocol),
  } as const;
  const scheme = secure ? "https" : "http";
  if (protocol === "grpc") {
    const port = portOf(options, url, secure ? 443 : GRPC_PORT);
    return { ...base, protocol, port, display: `grpc ${scheme}://${url.hostname}:${port}` };
  }
  const port = portOf(options, url, secure ? 443 : 80);
  const path = httpPath(options, url, signal, vendor?.basePath);
  return { ...base, protocol, port, path, display: `${scheme}://${url.hostname}:${port}${path.split("?", 1)[0]}` };
}

function requestLimitsOf(options: OtlpOptions, protocol: OtlpProtocol): RequestLimits {
  const maximumBytes = options.maximumRequestBytes ?? MAXIMUM_REQUEST_BYTES;
  if (!Number.isSafeInteger(maximumBytes) || maximumBytes < MINIMUM_REQUEST_BYTES) {
    throw invalid("The largest OTLP request is too small for any.", "Allow 64 KiB or more.");
  }
  const targetBytes = protocol === "http/json" ? Math.min(JSON_TARGET_BYTES, maximumBytes) : maximumBytes;
  return { maximumBytes, targetBytes };
}

function parseEndpoint(options: OtlpOptions): { readonly url: URL; readonly secure: boolean } {
  const text = options.endpoint.trim();
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
  if (!hasScheme && options.protocol !== undefined && options.protocol !== "grpc") {
    throw invalid(`The OTLP endpoint ${quote(text)} has no scheme.`, "Write http:// or https:// in front of it.");
  }
  const url = URL.parse(hasScheme ? text : `${options.insecure === true ? "http" : "https"}://${text}`);
  if (url === null || url.hostname === "") {
    throw invalid(`The OTLP endpoint ${quote(text)} is not a URL.`, "Write it like http://localhost:4317.");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw invalid(
      `The OTLP endpoint ${quote(text)} is neither http:// nor https://.`,
      "Use http:// for plain text and https:// for TLS, with gRPC too.",
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw invalid(
      "The OTLP endpoint holds a user name or a password.",
      "Move them to basic_auth: endpoints are shown in logs.",
    );
  }
  return { url, secure: url.protocol === "https:" };
}

function protocolOf(url: URL): OtlpProtocol {
  const hasPath = url.pathname !== "/" && url.pathname !== "";
  return url.port === String(HTTP_PORT) || hasPath ? "http/protobuf" : "grpc";
}

/** `URL` hides a port that is its scheme's default even where it was written. */
function portOf(options: OtlpOptions, url: URL, fallback: number): number {
  if (url.port !== "") return Number(url.port);
  const written = /^(?:[a-z]+:\/\/)?(?:\[[^\]]*\]|[^/:?#]*):(\d+)/i.exec(options.endpoint.trim())?.[1];
  return written === undefined ? fallback : Number(written);
}

function httpPath(options: OtlpOptions, url: URL, signal: OtlpSignal, vendorBasePath: string | undefined): string {
  if (options.endpointKind === "exact") return `${url.pathname}${url.search}`;
  const given = url.pathname.replace(/\/+$/, "");
  const basePath = given === "" ? (vendorBasePath ?? "") : given;
  return `${basePath}/v1/${signal}${url.search}`;
}

function resolveHeaders(options: OtlpOptions): Record<string, string | Secret> {
  const headers: Record<string, string | Secret> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    const key = name.toLowerCase();
    if (!HEADER_NAME.test(key) || RESERVED_HEADERS.has(key) || key.startsWith("grpc-") || key.endsWith("-bin")) {
      throw invalid(`${quote(name)} cannot be an OTLP header.`, "Remove it.");
    }
    if (!HEADER_VALUE.test(value instanceof Secret ? value.reveal() : value)) {
      throw invalid(
        `The value of the OTLP header ${quote(name)} has characters that HTTP does not allow.`,
        "Use printable ASCII.",
      );
    }
    headers[key] = value;
  }
  if (options.basicAuth !== undefined) {
    if (headers["authorization"] !== undefined) {
      throw invalid("Both basic_auth and an authorization header are set for OTLP.", "Keep one of them.");
    }
    const { username, password } = options.basicAuth;
    if (username.includes(":"))
      throw invalid("The user name of basic_auth holds a colon.", "Basic authentication cannot carry it.");
    headers["authorization"] = new Secret(
      `Basic ${Buffer.from(`${username}:${password.reveal()}`).toString("base64")}`,
    );
  }
  return headers;
}

/** Takes the operator's secrets out of a text that came from a receiver: it may repeat what it was sent. */
export function redactSecrets(destination: Destination, text: string): string {
  let redacted = text;
  for (const value of Object.values(destination.headers)) {
    if (!(value instanceof Secret)) continue;
    const revealed = value.reveal();
    // The scheme in front of a token, `Basic` or `Bearer`, is no secret.
    for (const secret of [revealed, revealed.slice(revealed.indexOf(" ") + 1)]) {
      if (secret.length >= MINIMUM_SECRET_LENGTH) redacted = redacted.replaceAll(secret, "[redacted]");
    }
  }
  return redacted;
}

/** Shorter ones would take half of every text with them. */
const MINIMUM_SECRET_LENGTH = 4;

/** Whether certificates are checked against an address instead of a name. */
export function isAddress(destination: Destination): boolean {
  return isIP(destination.host) !== 0;
}

export function isLoopback({ host }: Destination): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}

function invalid(message: string, hint: string): BlixardError {
  return new BlixardError("CONFIG_INVALID", message, { hint });
}
