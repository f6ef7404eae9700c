/**
 * The node's HTTP listener for those who watch it: `/metrics`, `/discovery/prometheus`,
 * `/healthz`, `/readyz`.
 *
 * The daemon opens it early, so that `/readyz` can say what the node waits for. It
 * reads, never changes anything, and treats every client as hostile: few methods,
 * small headers, deadlines on handshakes, headers, requests and pages, limits on
 * connections and pages, for each client too.
 *
 * With certificates all of it is under TLS. Credentials and client certificates guard
 * all but health: load balancers and supervisors have none when they ask for it, and its
 * answers tell nothing that they don't need.
 */
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { httpServerRequestDuration, telemetryScrapeRejected } from "#gen/telemetry/metrics.ts";
import { BlixardError } from "#model/errors.ts";
import type { Secret } from "#model/secret.ts";
import type { Metrics } from "../port.ts";
import { type AuthorizationOptions, createAuthorization, type Refusal } from "./authorization.ts";
import { type ConnectionLimits, type Connections, limitConnections } from "./connection-limits.ts";
import { createDiscovery, DISCOVERY_PATH, type KnownNodes } from "./prometheus-discovery.ts";
import type { Readiness } from "./readiness.ts";
import { createScraper, type ScrapeLimits, type ScrapeOptions } from "./scrape.ts";

export interface MetricsServerOptions extends ScrapeOptions, Omit<AuthorizationOptions, "clientCertificate"> {
  /** Port 0 lets the system choose. */
  readonly bind: { readonly host: string; readonly port: number };
  readonly readiness: () => Readiness;
  /** Whom Prometheus may find here; absent, or undefined, as long as that is not known. */
  readonly knownNodes?: (() => KnownNodes | undefined) | undefined;
  /** Absent: plain HTTP. */
  readonly tls?: MetricsServerTls | undefined;
  readonly limits?: Partial<MetricsServerLimits>;
}

/** PEM texts. */
export interface MetricsServerTls {
  /** The chain, the server's own first. */
  readonly certificate: string;
  readonly key: Secret;
  /** When given, who reads more than health must show a certificate that one of them signed. */
  readonly clientAuthorities?: string | undefined;
}

export interface MetricsServerLimits extends ScrapeLimits, ConnectionLimits {
  readonly maximumHeaderBytes: number;
  readonly handshakeTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

export interface MetricsServer extends AsyncDisposable {
  /** As bound. */
  readonly address: { readonly host: string; readonly port: number };
  readonly scheme: "http" | "https";
  /**
   * For connections from now on: certificates that were renewed.
   * @throws BlixardError CONFIG_INVALID when they cannot be used; the ones in use stay
   */
  renewTls(tls: MetricsServerTls): void;
  /** Takes no more connections, lets pages end for `graceMs` (default 1,000), then closes all. */
  close(graceMs?: number): Promise<void>;
}

const DEFAULT_LIMITS: MetricsServerLimits = {
  maximumConnections: 64,
  maximumConnectionsPerClient: 32,
  maximumScrapes: 8,
  maximumScrapesPerClient: 4,
  scrapeTimeoutMs: 30_000,
  stallMs: 1_000,
  joinMs: 100,
  maximumLagBytes: 16 * 1024 * 1024,
  maximumHeaderBytes: 16_384,
  handshakeTimeoutMs: 5_000,
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
};
const CONNECTIONS_CHECK_MS = 1_000;
const DEFAULT_GRACE_MS = 1_000;
const RETRY_AFTER_SECONDS = "1";
const routes = ["/metrics", DISCOVERY_PATH, "/healthz", "/readyz"] as const;
type Route = (typeof routes)[number];

/** @throws BlixardError PORT_TAKEN; CONFIG_INVALID when address or certificates cannot be used */
export async function createMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const { tls } = options;
  const scheme = tls === undefined ? "http" : "https";
  const scraper = createScraper({ ...options, ...limits });
  const discovery = createDiscovery(options.knownNodes ?? (() => undefined), options.clock);
  const refusalOf = createAuthorization({ ...options, clientCertificate: tls?.clientAuthorities !== undefined });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const route = routeOf(request.url);
    response.setHeader("X-Content-Type-Options", "nosniff");
    if (route === undefined) {
      sendText(request, response, 404, `not found: this listener has ${routes.join(", ")}\n`);
    } else if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("Allow", "GET, HEAD");
      sendText(request, response, 405, `${request.method} is not allowed here\n`);
    } else if (route === "/healthz") {
      sendJson(request, response, 200, { status: "ok" });
    } else if (route === "/readyz") {
      const readiness = readinessNow(options.readiness);
      sendJson(request, response, readiness.ready ? 200 : 503, readiness);
    } else {
      const refusal = refusalOf(request);
      if (refusal !== undefined) refuse(options.metrics, request, response, refusal);
      else if (route === "/metrics") await scraper.answer(request, response);
      else answerDiscovery(request, response);
    }
  }

  function answerDiscovery(request: IncomingMessage, response: ServerResponse): void {
    const answer = discovery.answer();
    if (answer === undefined) {
      response.setHeader("Retry-After", RETRY_AFTER_SECONDS);
      sendText(request, response, 503, "this node does not know the nodes of its cluster yet\n");
      return;
    }
    // As scrapes, whoever reads slowly: what is not taken by then is not wanted.
    const timer = setTimeout(() => response.destroy(), limits.scrapeTimeoutMs);
    response.once("close", () => clearTimeout(timer));
    response.setHeader("Age", answer.ageSeconds);
    response.setHeader("Cache-Control", "no-store");
    sendBody(request, response, 200, "application/json", answer.body);
  }

  const server = createListener(tls, limits, (request, response) => {
    recordDuration(options, scheme, request, response);
    // A body is never read: without this the connection would wait for it.
    request.resume();
    answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  // Who has sent its request and says that nothing follows still wants the whole answer.
  Object.assign(server, { httpAllowHalfOpen: true });
  const connections = limitConnections(server, limits, () => countRejected(options.metrics, "busy"));
  await listen(server, options.bind);
  const { address, port } = server.address() as AddressInfo;
  const close = (graceMs = DEFAULT_GRACE_MS): Promise<void> => closeServer(server, connections, graceMs);
  return {
    address: { host: address, port },
    scheme,
    renewTls(renewed) {
      if ("setSecureContext" in server) applyTls(() => server.setSecureContext(secureContextOf(renewed)));
    },
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

function createListener(
  tls: MetricsServerTls | undefined,
  limits: MetricsServerLimits,
  listener: Listener,
): Server | TlsServer {
  const http: ServerOptions = {
    maxHeaderSize: limits.maximumHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
  };
  if (tls === undefined) return createServer(http, listener);
  return applyTls(() =>
    createTlsServer(
      {
        ...http,
        ...secureContextOf(tls),
        handshakeTimeout: limits.handshakeTimeoutMs,
        requestCert: tls.clientAuthorities !== undefined,
        // Decided for each request: health is for those without a certificate, too.
        rejectUnauthorized: false,
      },
      listener,
    ),
  );
}

function secureContextOf({ certificate, key, clientAuthorities }: MetricsServerTls): SecureContextOptions {
  return {
    cert: certificate,
    key: key.reveal(),
    minVersion: "TLSv1.2",
    ...(clientAuthorities === undefined ? {} : { ca: clientAuthorities }),
  };
}

function applyTls<T>(apply: () => T): T {
  try {
    return apply();
  } catch (error) {
    throw new BlixardError("CONFIG_INVALID", "the certificate or key of the metrics listener cannot be used", {
      cause: error,
      hint: "[observability.metrics.http_server] certificate_file, key_file and client_ca_file must be PEM files, the key that of the certificate and without a passphrase.",
    });
  }
}

function refuse(metrics: Metrics, request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  countRejected(metrics, "auth");
  if (refusal.challenges.length > 0) response.setHeader("WWW-Authenticate", [...refusal.challenges]);
  sendText(request, response, refusal.status, `${refusal.message}\n`);
}

function countRejected(metrics: Metrics, reason: "auth" | "busy"): void {
  metrics.bind(telemetryScrapeRejected, { "blixard.telemetry.rejection_reason": reason }).add(1);
}

/** Of a path, or of a whole URL, as it is sent to proxies and must be taken by every server. Source: RFC 9112 section 3.2.2. */
function routeOf(url: string | undefined): Route | undefined {
  const path = url?.replace(/^https?:\/\/[^/?]*/i, "").split("?", 1)[0];
  return routes.find((route) => route === path);
}

function readinessNow(readiness: () => Readiness): Readiness {
  try {
    return readiness();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ready: false, checks: [{ name: "readiness", ready: false, message }] };
  }
}

function sendText(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
  sendBody(request, response, status, "text/plain; charset=utf-8", Buffer.from(text));
}

function sendJson(request: IncomingMessage, response: ServerResponse, status: number, value: object): void {
  response.setHeader("Cache-Control", "no-store");
  sendBody(request, response, status, "application/json", Buffer.from(`${JSON.stringify(value)}\n`));
}

function sendBody(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  type: string,
  body: Buffer,
): void {
  response.writeHead(status, { "Content-Type": type, "Content-Length": body.length });
  response.end(request.method === "HEAD" ? undefined : body);
}

const knownMethods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] as const;

function recordDuration(
  { metrics, clock }: Pick<MetricsServerOptions, "metrics" | "clock">,
  scheme: MetricsServer["scheme"],
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const startedMs = clock.monotonicMs();
  response.once("close", () => {
    const status = response.statusCode;
    const failure = status >= 500 ? String(status) : response.writableFinished ? undefined : "aborted";
    metrics
      .bind(httpServerRequestDuration, {
        "http.request.method": knownMethods.find((method) => method === request.method) ?? "_OTHER",
        "url.scheme": scheme,
        "http.route": routeOf(request.url),
        "http.response.status_code": status,
        "network.protocol.version": request.httpVersion,
        "error.type": failure,
      })
      .record((clock.monotonicMs() - startedMs) / 1000);
  });
}

function listen(server: Server, bind: MetricsServerOptions["bind"]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", (error) => reject(listenError(error, bind)));
  server.listen({ host: bind.host, port: bind.port }, resolve);
  return promise;
}

function listenError(error: Error, { host, port }: MetricsServerOptions["bind"]): BlixardError {
  const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const code = "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") {
    return new BlixardError("PORT_TAKEN", `the address for metrics, ${address}, is taken`, {
      cause: error,
      hint: "Stop what listens there, or set [observability.metrics.http_server] bind to another address (port 0 lets the system choose).",
    });
  }
  return new BlixardError("CONFIG_INVALID", `the address for metrics, ${address}, cannot be used`, {
    cause: error,
    hint: "Set [observability.metrics.http_server] bind to an address of this machine and a port that this user may use.",
  });
}

function closeServer(server: Server, connections: Connections, graceMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => connections.destroyAll(), graceMs);
  server.close(() => {
    clearTimeout(timer);
    resolve();
  });
  server.closeIdleConnections();
  return promise;
}
