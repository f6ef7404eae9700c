/** OTLP over gRPC: one unary call a request, bytes in and bytes out. */
import { checkServerIdentity } from "node:tls";
import {
  Client,
  compressionAlgorithms,
  credentials,
  Metadata,
  status,
  type ChannelCredentials,
  type ChannelOptions,
  type ServiceError,
} from "@grpc/grpc-js";
import { Secret } from "#model/secret.ts";
import { isAddress, isLoopback, redactSecrets, type GrpcDestination, type OtlpSignal } from "./destination.ts";
import { MAXIMUM_RESPONSE_BYTES, parseExportResponse, parseRpcStatus } from "./export-response.ts";
import { grpcOutcome, redactOutcome, type SendOutcome, type Transport } from "./send-outcome.ts";
import { createTlsSuspicion } from "./tls-suspicion.ts";

const METHOD: Readonly<Record<OtlpSignal, string>> = {
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

/** Sent as TLS server name where the target is an address: addresses are not allowed there. */
const SERVER_NAME_OF_ADDRESSES = "localhost";

const passBytes = (bytes: Buffer): Buffer => bytes;

export function createGrpcTransport(destination: GrpcDestination, signal: OtlpSignal, userAgent: string): Transport {
  const host = destination.host.includes(":") ? `[${destination.host}]` : destination.host;
  const client = new Client(
    `${host}:${destination.port}`,
    channelCredentials(destination),
    channelOptions(destination, userAgent),
  );
  const suspicion = createTlsSuspicion(destination);
  const redact = (text: string): string => redactSecrets(destination, text);
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(destination.headers)) {
    metadata.set(name, value instanceof Secret ? value.reveal() : value);
  }
  return {
    send: (bytes, abort) =>
      new Promise<SendOutcome>((resolve) => {
        const deadline = Date.now() + destination.timeoutMs;
        const answer = (error: ServiceError | null, response?: Buffer): void => {
          abort.removeEventListener("abort", cancel);
          const outcome = error === null ? successOutcome(signal, response) : failureOutcome(error);
          resolve(suspicion.explain(redactOutcome(outcome, redact), abort));
        };
        const call = client.makeUnaryRequest(
          METHOD[signal],
          passBytes,
          passBytes,
          Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length),
          metadata,
          { deadline },
          answer,
        );
        const cancel = (): void => call.cancel();
        abort.addEventListener("abort", cancel, { once: true });
        if (abort.aborted) cancel();
      }),
    close: () => client.close(),
  };
}

function channelOptions(destination: GrpcDestination, userAgent: string): ChannelOptions {
  return {
    "grpc.primary_user_agent": userAgent,
    "grpc.enable_retries": 0, // Retries are ours: the library's do not know RetryInfo.
    // A connection of its own: what is shared stalls together, and tells only the first of several why it failed.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_send_message_length": -1,
    "grpc.max_receive_message_length": MAXIMUM_RESPONSE_BYTES,
    "grpc.default_compression_algorithm":
      destination.compression === "gzip" ? compressionAlgorithms.gzip : compressionAlgorithms.identity,
    // A proxy from the environment is for the world outside.
    "grpc.enable_http_proxy": isLoopback(destination) ? 0 : 1,
    "grpc.initial_reconnect_backoff_ms": 500,
    "grpc.max_reconnect_backoff_ms": 5_000,
    ...(destination.secure && isAddress(destination)
      ? { "grpc.ssl_target_name_override": SERVER_NAME_OF_ADDRESSES }
      : {}),
  };
}

function channelCredentials(destination: GrpcDestination): ChannelCredentials {
  if (!destination.secure) return credentials.createInsecure();
  const { certificateAuthorities, clientCertificate, clientKey } = destination.tls;
  const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));
  return credentials.createSsl(
    pem(certificateAuthorities),
    pem(clientKey?.reveal()),
    pem(clientCertificate),
    // The certificate is checked against the address, not against the name sent in its place.
    isAddress(destination)
      ? {
          checkServerIdentity: (_name, certificate) =>
            checkServerIdentity(destination.host, certificate as Parameters<typeof checkServerIdentity>[1]),
        }
      : {},
  );
}

function successOutcome(signal: OtlpSignal, response: Buffer | undefined): SendOutcome {
  try {
    return parseExportResponse(signal, response ?? Buffer.alloc(0));
  } catch {
    return { kind: "accepted", note: "the answer is not an OTLP response" };
  }
}

function failureOutcome(error: ServiceError): SendOutcome {
  const [details] = error.metadata.get("grpc-status-details-bin");
  const retryDelayMs = details instanceof Buffer ? parseRpcStatus(details)?.retryDelayMs : undefined;
  return grpcOutcome(error.code ?? status.UNKNOWN, error.details, retryDelayMs);
}
