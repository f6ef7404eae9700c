/**
 * Calls to one of several etcd members, over grpc-js.
 *
 * A call is sent only on a connection that stands, so that "it was never sent"
 * can be told from "it may have arrived". It does not retry; `retry.ts` does.
 * With several endpoints the first that connects is used until it gives trouble.
 */
import { checkServerIdentity } from "node:tls";
import {
  type DescMessage,
  type DescMethodBiDiStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  connectivityState,
  credentials,
  Metadata,
} from "@grpc/grpc-js";
import { BlixardError } from "#model/errors.ts";
import { NotSentError } from "./call-failure.ts";
import { describeEndpoint, type EtcdEndpoint, type EtcdTls, isAddress } from "./endpoint.ts";

export interface EtcdConnectionOptions {
  /** At least one; the members of one cluster. */
  readonly endpoints: readonly EtcdEndpoint[];
  readonly tls?: EtcdTls;
  /** What tells of the span under which a call is made; etcd >= 3.5 continues W3C's. */
  readonly traceHeaders?: () => Readonly<Record<string, string>>;
  readonly userAgent?: string;
}

export interface UnaryOptions {
  /** Wait for a connection and the answer together at most this long. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** A member without a leader refuses at once, instead of letting the call hang. Default true. */
  readonly requireLeader?: boolean;
}

export interface EtcdConnection {
  /** @throws NotSentError, ServiceError, BlixardError CANCELLED when aborted before it was sent */
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageShape<I>,
    options: UnaryOptions,
  ): Promise<MessageShape<O>>;
  /** A stream that a member without a leader ends. The caller must `cancel()` it. @throws NotSentError, CANCELLED */
  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodBiDiStreaming<I, O>,
    options: UnaryOptions,
  ): Promise<ClientDuplexStream<MessageShape<I>, MessageShape<O>>>;
  /** Prefers another endpoint from now on. */
  reportTrouble(): void;
  readonly endpoint: EtcdEndpoint;
  close(): void;
}

/** Answers may be larger than the 4 MiB that grpc-js takes by default; pages adapt above this. */
const MAXIMUM_ANSWER_BYTES = 16 * 1024 * 1024;

/** Not below 6 s: members close connections that ping more often than every 5 s (their default). */
const KEEPALIVE_MS = 6000;
const KEEPALIVE_TIMEOUT_MS = 4000;

/** Sent as TLS server name for addresses, which are not allowed there; the certificate is checked against the address. */
const SERVER_NAME_OF_ADDRESSES = "localhost";

export function createEtcdConnection(options: EtcdConnectionOptions): EtcdConnection {
  const members = options.endpoints.map((endpoint) => ({ endpoint, client: createClient(endpoint, options) }));
  const [first] = members;
  if (first === undefined) throw new BlixardError("CONFIG_INVALID", "no etcd endpoint is given");
  const openCalls = new Set<{ cancel(): void }>();
  let current = first;
  let closed = false;

  function metadataOf(requireLeader: boolean): Metadata {
    const metadata = new Metadata();
    if (requireLeader) metadata.set("hasleader", "true");
    for (const [name, value] of Object.entries(options.traceHeaders?.() ?? {})) metadata.set(name, value);
    return metadata;
  }

  /** A client whose connection stands. */
  async function readyClient({ timeoutMs, signal }: UnaryOptions, deadline: number): Promise<Client> {
    if (signal?.aborted === true) throw cancelled();
    if (closed) throw new BlixardError("STORE_UNAVAILABLE", "the store is closed");
    if (isReady(current.client)) return current.client;
    const ready = members.map(async (member) => {
      await waitForReady(member.client, deadline);
      return member;
    });
    try {
      current = await unlessAborted(Promise.any(ready), signal);
    } catch (error) {
      if (error instanceof BlixardError) throw error;
      const where = members.map(({ endpoint }) => describeEndpoint(endpoint)).join(", ");
      throw new NotSentError(`no connection to etcd at ${where} within ${timeoutMs} ms`, { cause: error });
    }
    return current.client;
  }

  return {
    async unary(method, request, callOptions) {
      // gRPC deadlines are the machine's wall clock, whatever clock the rest is given.
      const deadline = Date.now() + callOptions.timeoutMs;
      const client = await readyClient(callOptions, deadline);
      const { signal } = callOptions;
      // It may have been aborted while this waited; the listener below would never hear of it.
      if (signal?.aborted === true) throw cancelled();
      return await new Promise((resolve, reject) => {
        const call = client.makeUnaryRequest(
          pathOf(method),
          serializerOf(method.input),
          deserializerOf(method.output),
          request,
          metadataOf(callOptions.requireLeader ?? true),
          { deadline },
          (error, response) => {
            openCalls.delete(call);
            signal?.removeEventListener("abort", cancel);
            if (error !== null) reject(error);
            else if (response === undefined) reject(new Error(`${method.name}: an empty answer`));
            else resolve(response);
          },
        );
        const cancel = (): void => call.cancel();
        signal?.addEventListener("abort", cancel, { once: true });
        openCalls.add(call);
      });
    },
    async stream(method, callOptions) {
      const client = await readyClient(callOptions, Date.now() + callOptions.timeoutMs);
      const stream = client.makeBidiStreamRequest(
        pathOf(method),
        serializerOf(method.input),
        deserializerOf(method.output),
        metadataOf(callOptions.requireLeader ?? true),
      );
      // Whoever reads the stream sees its error; one that comes after the last read must not be thrown into the void.
      stream.on("error", () => undefined);
      stream.once("status", () => openCalls.delete(stream));
      openCalls.add(stream);
      return stream;
    },
    reportTrouble() {
      const next = members[(members.indexOf(current) + 1) % members.length];
      if (next !== undefined) current = next;
    },
    get endpoint() {
      return current.endpoint;
    },
    close() {
      closed = true;
      for (const call of openCalls) call.cancel();
      for (const { client } of members) client.close();
    },
  };
}

function createClient(endpoint: EtcdEndpoint, options: EtcdConnectionOptions): Client {
  const target = endpoint.kind === "unix" ? `unix:${endpoint.path}` : tcpTarget(endpoint.host, endpoint.port);
  const overrideName = endpoint.kind === "tcp" && endpoint.secure && isAddress(endpoint.host);
  const channelOptions: ChannelOptions = {
    "grpc.enable_retries": 0,
    "grpc.max_receive_message_length": MAXIMUM_ANSWER_BYTES,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
    // Every client its own connections: a shared one would outlive this room's close().
    "grpc.use_local_subchannel_pool": 1,
    ...(options.userAgent === undefined ? {} : { "grpc.primary_user_agent": options.userAgent }),
    ...(overrideName
      ? {
          "grpc.ssl_target_name_override": SERVER_NAME_OF_ADDRESSES,
          "grpc.default_authority": SERVER_NAME_OF_ADDRESSES,
        }
      : {}),
  };
  return new Client(target, channelCredentials(endpoint, options.tls ?? {}), channelOptions);
}

function channelCredentials(endpoint: EtcdEndpoint, tls: EtcdTls): ChannelCredentials {
  if (endpoint.kind === "unix" || !endpoint.secure) return credentials.createInsecure();
  const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));
  return credentials.createSsl(
    pem(tls.certificateAuthorities),
    pem(tls.clientKey?.reveal()),
    pem(tls.clientCertificate),
    isAddress(endpoint.host)
      ? {
          checkServerIdentity: (_name, certificate) => checkServerIdentity(endpoint.host, certificate),
        }
      : {},
  );
}

function tcpTarget(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function isReady(client: Client): boolean {
  return client.getChannel().getConnectivityState(false) === connectivityState.READY;
}

function waitForReady(client: Client, deadline: number): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(deadline, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

function cancelled(): BlixardError {
  return new BlixardError("CANCELLED", "the call was cancelled before it was sent");
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(cancelled());
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

function pathOf(method: DescMethodUnary | DescMethodBiDiStreaming): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function serializerOf<D extends DescMessage>(schema: D): (message: MessageShape<D>) => Buffer {
  return (message) => {
    const bytes = toBinary(schema, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function deserializerOf<D extends DescMessage>(schema: D): (bytes: Buffer) => MessageShape<D> {
  return (bytes) => fromBinary(schema, bytes);
}
