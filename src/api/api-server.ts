/**
 * The node's API: gRPC, gRPC-web and Connect (JSON) on a unix socket and, if wanted,
 * on one TCP port, HTTP/1.1 and HTTP/2 alike. Made and started last by the composition
 * root, stopped first. It decides who may call and what is counted; what a call does
 * is in `handlers/`, which only translate between messages and the ports they are given.
 *
 *   created ─start─► listening (health: NOT_SERVING) ─setServing─► serving
 *      serving ─stop─► draining (no new calls, streams end) ─► deadline ─► closed
 */
import type { Socket } from "node:net";
import type { Clock } from "#model/clock.ts";
import type { Telemetry } from "#telemetry/port.ts";
import { createCallTelemetry } from "./call/call-telemetry.ts";
import { createDispatcher, type CallLimits, type ListenerView } from "./call/dispatcher.ts";
import { createRoutes, type ServedService } from "./routes.ts";
import { ensureTokenFile } from "./transport/bearer-token.ts";
import { createHttpFront, type HttpFront, type HttpFrontLimits } from "./transport/http-front.ts";
import { listenOnSocket, listenOnTcp, type Listener } from "./transport/listen.ts";
import { createSocketView, createTcpView } from "./transport/listener-view.ts";

export interface ApiLimits extends CallLimits, HttpFrontLimits {
  /** Of one message, as sent and unpacked. */
  readonly maximumMessageBytes: number;
}

export const defaultApiLimits: ApiLimits = {
  maximumMessageBytes: 4 * 2 ** 20,
  maximumCalls: 512,
  maximumStreamingCalls: 256,
  unaryTimeoutMs: 60_000,
  uploadTimeoutMs: 3_600_000,
  requestIdleTimeoutMs: 30_000,
  responseStallTimeoutMs: 60_000,
  maximumConnections: 512,
  maximumStreamsPerConnection: 128,
  maximumHeaderBytes: 16 * 1024,
  headerTimeoutMs: 10_000,
  idleTimeoutMs: 300_000,
};

export interface ApiServerOptions {
  /** At most 107 bytes. Made 0600; its directory, if missing, 0700. */
  readonly socketPath: string;
  readonly tcp?: ApiTcpOptions;
  /** From `createApiServices`. */
  readonly services: readonly ServedService[];
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly limits?: Partial<ApiLimits>;
}

export interface ApiTcpOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Made with a fresh token, 0600, if there is none. */
  readonly tokenFile: string;
  /** Names beside addresses and `localhost` by which callers may call the node. */
  readonly allowedHosts?: readonly string[];
}

export interface ApiAddresses {
  readonly unix: string;
  /** `host:port`, or undefined without a TCP listener. */
  readonly tcp: string | undefined;
}

export interface ApiServer {
  /** @throws BlixardError PORT_TAKEN, CONFIG_INVALID, DATA_DIRECTORY_UNUSABLE; nothing listens then */
  start(): Promise<ApiAddresses>;
  /** What the health service answers; false until told otherwise. */
  setServing(serving: boolean): void;
  /** Takes no new calls, ends streams with UNAVAILABLE, waits for the other calls for at most `timeoutMs`. */
  stop(options: { readonly timeoutMs: number }): Promise<void>;
}

/** How long calls that were cut off may take to tell their callers. */
const FAREWELL_MS = 500;

export function createApiServer(options: ApiServerOptions): ApiServer {
  const { telemetry, clock, socketPath } = options;
  const limits: ApiLimits = { ...defaultApiLimits, ...options.limits };
  const { maximumMessageBytes } = limits;
  const routes = createRoutes({ services: options.services, maximumMessageBytes, logger: telemetry.logger });
  const callTelemetry = createCallTelemetry(telemetry, () => clock.monotonicMs());
  const dispatcher = createDispatcher({ ...routes, telemetry, callTelemetry, limits });
  const listeners: Listener[] = [];
  const fronts: HttpFront[] = [];

  function createAccept(view: ListenerView, host?: string): (socket: Socket) => void {
    const front = createHttpFront({
      limits,
      ...(host === undefined ? {} : { host }),
      onRequest: (request, response) => dispatcher.dispatch(view, request, response),
      onOverload: () => callTelemetry.rejected("overload"),
    });
    fronts.push(front);
    return (socket) => front.accept(socket);
  }

  async function listenTcp(tcp: ApiTcpOptions): Promise<string> {
    const token = await ensureTokenFile(tcp.tokenFile);
    const policy = { allowedHosts: tcp.allowedHosts ?? [], tokenFile: tcp.tokenFile };
    const listener = await listenOnTcp(tcp, createAccept(createTcpView(token, policy)));
    listeners.push(listener);
    return `${tcp.host.includes(":") ? `[${tcp.host}]` : tcp.host}:${listener.port}`;
  }

  async function stopListening(): Promise<void> {
    await Promise.all(listeners.splice(0).map((listener) => listener.close()));
  }

  return {
    async start() {
      try {
        listeners.push(await listenOnSocket(socketPath, createAccept(createSocketView(), "localhost")));
        return { unix: socketPath, tcp: options.tcp === undefined ? undefined : await listenTcp(options.tcp) };
      } catch (error) {
        await stopListening();
        throw error;
      }
    },
    setServing: (serving) => routes.health.setServing(serving),
    async stop({ timeoutMs }) {
      routes.health.setServing(false);
      // `close` resolves when the last connection has ended: it is waited for at the end.
      const closed = stopListening();
      dispatcher.drain();
      for (const front of fronts) front.drain();
      await atMost(dispatcher.idle(), timeoutMs);
      dispatcher.abort();
      await atMost(Promise.all(fronts.map((front) => front.closed())), FAREWELL_MS);
      for (const front of fronts) front.destroy();
      await closed;
    },
  };

  async function atMost(work: Promise<unknown>, timeoutMs: number): Promise<void> {
    const enough = new AbortController();
    const timeout = clock.delay(timeoutMs, enough.signal).catch(() => undefined);
    await Promise.race([work, timeout]);
    enough.abort();
  }
}
