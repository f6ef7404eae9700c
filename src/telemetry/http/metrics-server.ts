/**
 * The node's HTTP listener for those who watch it: `/metrics`, `/healthz`, `/readyz`.
 *
 * The daemon opens it early, so that `/readyz` can say what the node waits for. It
 * reads, never changes anything, and treats every client as hostile: few methods,
 * small headers, deadlines on headers, requests and pages, a limit on connections.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { httpServerRequestDuration } from "#gen/telemetry/metrics.ts";
import { BlixardError } from "#model/errors.ts";
import type { Metrics } from "../port.ts";
import type { Readiness } from "./readiness.ts";
import { createScraper, type ScrapeOptions } from "./scrape.ts";

export interface MetricsServerOptions extends Omit<ScrapeOptions, "maximumScrapes" | "scrapeTimeoutMs"> {
  /** Port 0 lets the system choose. */
  readonly bind: { readonly host: string; readonly port: number };
  readonly readiness: () => Readiness;
  readonly limits?: Partial<MetricsServerLimits>;
}

export interface MetricsServerLimits {
  readonly maximumConnections: number;
  readonly maximumScrapes: number;
  readonly scrapeTimeoutMs: number;
  readonly maximumHeaderBytes: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

export interface MetricsServer extends AsyncDisposable {
  /** As bound. */
  readonly address: { readonly host: string; readonly port: number };
  /** Takes no more connections, lets pages end for `graceMs` (default 1,000), then closes all. */
  close(graceMs?: number): Promise<void>;
}

const DEFAULT_LIMITS: MetricsServerLimits = {
  maximumConnections: 64,
  maximumScrapes: 4,
  scrapeTimeoutMs: 30_000,
  maximumHeaderBytes: 16_384,
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
};
const CONNECTIONS_CHECK_MS = 1_000;
const DEFAULT_GRACE_MS = 1_000;
const routes = ["/metrics", "/healthz", "/readyz"] as const;
type Route = (typeof routes)[number];

/** @throws BlixardError PORT_TAKEN; CONFIG_INVALID when the address is none of this machine's or may not be used */
export async function createMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const scraper = createScraper({ ...options, ...limits });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const route = routeOf(request.url);
    response.setHeader("X-Content-Type-Options", "nosniff");
    if (route === undefined) {
      sendText(request, response, 404, `not found: this listener has ${routes.join(", ")}\n`);
    } else if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("Allow", "GET, HEAD");
      sendText(request, response, 405, `${request.method} is not allowed here\n`);
    } else if (route === "/metrics") {
      await scraper.answer(request, response);
    } else if (route === "/healthz") {
      sendJson(request, response, 200, { status: "ok" });
    } else {
      const readiness = readinessNow(options.readiness);
      sendJson(request, response, readiness.ready ? 200 : 503, readiness);
    }
  }

  const server = createServer(
    {
      maxHeaderSize: limits.maximumHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
    },
    (request, response) => {
      recordDuration(options, request, response);
      // A body is never read: without this the connection would wait for it.
      request.resume();
      answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
    },
  );
  server.maxConnections = limits.maximumConnections;
  await listen(server, options.bind);
  const { address, port } = server.address() as AddressInfo;
  const close = (graceMs = DEFAULT_GRACE_MS): Promise<void> => closeServer(server, graceMs);
  return { address: { host: address, port }, close, [Symbol.asyncDispose]: () => close() };
}

function routeOf(url: string | undefined): Route | undefined {
  const path = url?.split("?", 1)[0];
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
  sendBody(request, response, status, "text/plain; charset=utf-8", text);
}

function sendJson(request: IncomingMessage, response: ServerResponse, status: number, value: object): void {
  response.setHeader("Cache-Control", "no-store");
  sendBody(request, response, status, "application/json", `${JSON.stringify(value)}\n`);
}

function sendBody(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  type: string,
  text: string,
): void {
  response.writeHead(status, { "Content-Type": type, "Content-Length": Buffer.byteLength(text) });
  response.end(request.method === "HEAD" ? undefined : text);
}

const knownMethods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] as const;

function recordDuration(
  { metrics, clock }: { readonly metrics: Metrics; readonly clock: MetricsServerOptions["clock"] },
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
        "url.scheme": "http",
        "http.route": routeOf(request.url),
        "http.response.status_code": status,
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

function closeServer(server: Server, graceMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  server.close(() => {
    clearTimeout(timer);
    resolve();
  });
  server.closeIdleConnections();
  return promise;
}
