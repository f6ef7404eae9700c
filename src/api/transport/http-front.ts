/**
 * HTTP/1.1 and HTTP/2 without TLS on one listener. A connection is what its first
 * bytes say; Node's servers never listen themselves, so that their own timers and
 * `closeAllConnections` do nothing: this file tracks every socket and holds the
 * timers that end those that dawdle.
 *
 *   accepted ─preface─► HTTP/1.1 │ HTTP/2 ─► calls … ─► idle ─► closed
 *      └──── header timeout ────────┘            idle timeout ──┘
 */
import { createServer as createHttp1Server, type IncomingMessage, type ServerResponse } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type Http2Session,
} from "node:http2";
import type { Socket } from "node:net";

export type HttpRequest = IncomingMessage | Http2ServerRequest;
export type HttpResponse = ServerResponse | Http2ServerResponse;

export interface HttpFrontLimits {
  readonly maximumConnections: number;
  /** Concurrent HTTP/2 streams of one connection. */
  readonly maximumStreamsPerConnection: number;
  readonly maximumHeaderBytes: number;
  /** From accepting a connection to the end of its first request's headers. */
  readonly headerTimeoutMs: number;
  /** From the end of the last call to the end of the next one's headers. */
  readonly idleTimeoutMs: number;
}

export interface HttpFrontOptions {
  readonly limits: HttpFrontLimits;
  /**
   * Stands for whatever host the requests name. On a unix socket that name means nothing and
   * may be none at all: gRPC's C core sends the socket's path, percent-encoded.
   */
  readonly host?: string;
  /** Must not throw. */
  readonly onRequest: (request: HttpRequest, response: HttpResponse) => void;
  /** A connection was refused because there are too many. */
  readonly onOverload: () => void;
}

export interface HttpFront {
  accept(socket: Socket): void;
  /** Ends idle connections now and the others after their last call. */
  drain(): void;
  /** Ends every connection, whatever it does. */
  destroy(): void;
  /** Resolves when there is no connection left. */
  closed(): Promise<void>;
}

interface Connection {
  readonly socket: Socket;
  activeCalls: number;
  session: Http2Session | undefined;
  timer: NodeJS.Timeout | undefined;
}

const HTTP2_PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
const MAXIMUM_INVALID_FRAMES = 50;
const MAXIMUM_REJECTED_STREAMS = 50;
const MAXIMUM_HEADERS = 100;

export function createHttpFront({ limits, host, onRequest, onOverload }: HttpFrontOptions): HttpFront {
  const connections = new Map<Socket, Connection>();
  const bySession = new WeakMap<Http2Session, Connection>();
  const emptied: (() => void)[] = [];
  let draining = false;
  /** Node announces a session while it takes over the socket, in the same call. */
  let takenOver: Connection | undefined;

  const http1 = createHttp1Server({
    maxHeaderSize: limits.maximumHeaderBytes,
    keepAliveTimeout: 0,
    headersTimeout: 0,
    requestTimeout: 0,
  });
  http1.maxHeadersCount = MAXIMUM_HEADERS;
  const http2 = createHttp2Server({
    settings: {
      maxConcurrentStreams: limits.maximumStreamsPerConnection,
      maxHeaderListSize: limits.maximumHeaderBytes,
      enableConnectProtocol: false,
    },
    maxHeaderListPairs: MAXIMUM_HEADERS,
    maxSessionInvalidFrames: MAXIMUM_INVALID_FRAMES,
    maxSessionRejectedStreams: MAXIMUM_REJECTED_STREAMS,
  });

  function arm(connection: Connection, timeoutMs: number): void {
    clearTimeout(connection.timer);
    if (connection.socket.destroyed) return;
    connection.timer = setTimeout(() => connection.socket.destroy(), timeoutMs);
    connection.timer.unref();
  }

  function callStarted(connection: Connection): void {
    connection.activeCalls++;
    clearTimeout(connection.timer);
  }

  function callEnded(connection: Connection): void {
    connection.activeCalls--;
    if (connection.activeCalls > 0) return;
    if (draining && connection.session === undefined) connection.socket.destroySoon();
    else arm(connection, limits.idleTimeoutMs);
  }

  function handOver(connection: Connection, server: typeof http1 | typeof http2, seen: Buffer): void {
    const { socket } = connection;
    socket.pause();
    socket.unshift(seen);
    takenOver = connection;
    server.emit("connection", socket);
    takenOver = undefined;
    if (server === http1) socket.resume();
  }

  http2.on("session", (session: Http2Session) => {
    if (takenOver === undefined) return;
    takenOver.session = session;
    bySession.set(session, takenOver);
    if (draining) session.close();
  });
  http2.on("request", (request, response) => {
    const connection = request.stream.session === undefined ? undefined : bySession.get(request.stream.session);
    if (connection !== undefined) {
      callStarted(connection);
      request.stream.once("close", () => callEnded(connection));
    }
    if (host !== undefined) request.headers[":authority"] = host;
    onRequest(request, response);
  });
  http1.on("request", (request, response) => {
    const connection = connections.get(request.socket);
    if (connection !== undefined) {
      callStarted(connection);
      response.once("close", () => callEnded(connection));
    }
    if (draining) response.setHeader("Connection", "close");
    if (host !== undefined) request.headers.host = host;
    onRequest(request, response);
  });

  return {
    accept(socket) {
      if (draining || connections.size >= limits.maximumConnections) {
        onOverload();
        socket.destroy();
        return;
      }
      const connection: Connection = { socket, activeCalls: 0, session: undefined, timer: undefined };
      connections.set(socket, connection);
      socket.once("close", () => {
        clearTimeout(connection.timer);
        connections.delete(socket);
        if (connections.size === 0) for (const resolve of emptied.splice(0)) resolve();
      });
      // A broken connection says so by closing; there is nobody to tell.
      socket.on("error", () => undefined);
      arm(connection, limits.headerTimeoutMs);
      readPreface(socket, (protocol, seen) => handOver(connection, protocol === "http2" ? http2 : http1, seen));
    },
    drain() {
      draining = true;
      for (const { socket, session, activeCalls } of connections.values()) {
        if (session !== undefined) session.close();
        else if (activeCalls === 0) socket.destroy();
      }
    },
    destroy() {
      draining = true;
      for (const { socket, session } of connections.values()) {
        session?.destroy();
        socket.destroy();
      }
    },
    closed() {
      if (connections.size === 0) return Promise.resolve();
      return new Promise((resolve) => void emptied.push(resolve));
    },
  };
}

/** Calls back once the first bytes tell the protocol; whatever is not HTTP/2 is left to the HTTP/1.1 parser. */
function readPreface(socket: Socket, decided: (protocol: "http1" | "http2", seen: Buffer) => void): void {
  let seen = Buffer.alloc(0);
  const read = (data: Buffer): void => {
    seen = Buffer.concat([seen, data]);
    const expected = HTTP2_PREFACE.subarray(0, seen.length);
    const begins = seen.subarray(0, expected.length).equals(expected);
    if (begins && seen.length < HTTP2_PREFACE.length) return;
    socket.off("data", read);
    decided(begins ? "http2" : "http1", seen);
  };
  socket.on("data", read);
}
