/**
 * One HTTP/2 connection to the node, opened by the first call: gRPC over its unix
 * socket, or over TCP with a token. Every call is a span of the command's trace.
 */
import { connect } from "node:net";
import type { DescService } from "@bufbuild/protobuf";
import type { Client, Interceptor, StreamResponse, Transport, UnaryResponse } from "@connectrpc/connect";
import type { Http2SessionManager } from "@connectrpc/connect-node";
import type { CalledServer, CallSpan, CommandTrace } from "../trace/command-trace.ts";
import type { NodeAddress } from "./find-node.ts";

/** Deadline of calls that answer once. */
const UNARY_TIMEOUT_MS = 30_000;
/** Calls about traces would only clutter them; those that change something are traced like any other. */
const UNTRACED_METHOD = /^blixard\.v1\.TelemetryService\/(?!(Create|Delete|Set)[A-Z])/;
const MAXIMUM_MESSAGE_BYTES = 64 * 1024 * 1024;

export class NodeConnection implements AsyncDisposable {
  readonly #find: () => Promise<NodeAddress>;
  readonly #trace: CommandTrace;
  #opened: Promise<OpenConnection> | undefined;

  /** @param find where the node is; asked once, before the first call */
  constructor(find: () => Promise<NodeAddress>, trace: CommandTrace) {
    this.#find = find;
    this.#trace = trace;
  }

  /** @throws BlixardError NODE_UNREACHABLE when it is not known where the node is. */
  async client<S extends DescService>(service: S): Promise<Client<S>> {
    this.#opened ??= openConnection(await this.#find(), this.#trace);
    const { transport, createClient } = await this.#opened;
    return createClient(service, transport);
  }

  /** Whether anything was called or tried. */
  get isOpen(): boolean {
    return this.#opened !== undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    opened?.session.abort();
  }
}

interface OpenConnection {
  readonly transport: Transport;
  readonly session: Http2SessionManager;
  readonly createClient: <S extends DescService>(service: S, transport: Transport) => Client<S>;
}

async function openConnection(address: NodeAddress, trace: CommandTrace): Promise<OpenConnection> {
  // Loaded here, because commands without a call should not pay for it.
  const [{ Code, ConnectError, createClient }, { createGrpcTransport, Http2SessionManager }] = await Promise.all([
    import("@connectrpc/connect"),
    import("@connectrpc/connect-node"),
  ]);
  const baseUrl = address.kind === "unix" ? "http://localhost" : address.url;
  const session = new Http2SessionManager(
    baseUrl,
    {},
    address.kind === "unix" ? { createConnection: () => connect(address.path) } : {},
  );
  const statusOf = (error: unknown): string => statusName(Code[ConnectError.from(error).code]);
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager: session,
    readMaxBytes: MAXIMUM_MESSAGE_BYTES,
    // On the same machine compressing costs more than it saves.
    acceptCompression: [],
    interceptors: [
      tracingInterceptor(trace, serverOf(address), statusOf),
      ...(address.kind === "tcp" && address.token !== undefined ? [tokenInterceptor(address.token.reveal())] : []),
    ],
    defaultTimeoutMs: UNARY_TIMEOUT_MS,
  });
  return { transport, session, createClient };
}

function tokenInterceptor(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}

function serverOf(address: NodeAddress): CalledServer {
  if (address.kind === "unix") return { transport: "unix", address: address.path };
  const { hostname, port, protocol } = new URL(address.url);
  const defaultPort = protocol === "https:" ? 443 : 80;
  return {
    transport: "tcp",
    address: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? defaultPort : Number(port),
  };
}

function tracingInterceptor(
  trace: CommandTrace,
  server: CalledServer,
  statusOf: (error: unknown) => string,
): Interceptor {
  return (next) => async (request) => {
    const method = `${request.service.typeName}/${request.method.name}`;
    if (UNTRACED_METHOD.test(method)) return next(request);
    const span = trace.startCall(method, server);
    for (const [name, value] of Object.entries(span.headers)) request.header.set(name, value);
    try {
      const response = await next(request);
      if (!response.stream) span.end({ status: "OK" });
      return response.stream ? endedWithStream(response, span, statusOf) : response;
    } catch (error) {
      endWithError(span, error, statusOf);
      throw error;
    }
  };
}

/** The span ends when the last message was read, or the reader lets go. */
function endedWithStream(
  response: StreamResponse,
  span: CallSpan,
  statusOf: (error: unknown) => string,
): UnaryResponse | StreamResponse {
  const messages = response.message;
  async function* observed(): typeof messages extends AsyncIterable<infer M> ? AsyncGenerator<M> : never {
    try {
      yield* messages;
    } catch (error) {
      endWithError(span, error, statusOf);
      throw error;
    } finally {
      span.end({ status: "OK" });
    }
  }
  return { ...response, message: observed() };
}

function endWithError(span: CallSpan, error: unknown, statusOf: (error: unknown) => string): void {
  span.end({ status: statusOf(error), errorMessage: error instanceof Error ? error.message : String(error) });
}

/** `InvalidArgument` → `INVALID_ARGUMENT`, as gRPC names it. */
function statusName(codeName: string | undefined): string {
  if (codeName === undefined) return "UNKNOWN";
  return codeName === "Canceled" ? "CANCELLED" : codeName.replaceAll(/(?<!^)([A-Z])/g, "_$1").toUpperCase();
}
