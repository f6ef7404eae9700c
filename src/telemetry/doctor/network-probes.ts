/**
 * Looks at the way to a destination step by step: its addresses, the port, TLS, and what
 * the port speaks. Each probe opens a connection of its own, ends it, and never rejects.
 */
import { lookup } from "node:dns/promises";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls, type PeerCertificate, type TLSSocket } from "node:tls";
import type { Destination } from "../otlp/destination.ts";
import type {
  ConnectObservation,
  PeerLanguage,
  ProbeFailure,
  ResolveObservation,
  TlsObservation,
} from "./observations.ts";
import { codeOf } from "./http-request.ts";

export interface NetworkProbes {
  resolve(host: string, signal: AbortSignal): Promise<ResolveObservation>;
  connect(destination: Destination, signal: AbortSignal): Promise<ConnectObservation>;
  tls(destination: Destination, signal: AbortSignal): Promise<TlsObservation>;
  /** What the port speaks beneath TLS, or with `inTls` within it. */
  language(destination: Destination, inTls: boolean, signal: AbortSignal): Promise<PeerLanguage>;
}

/** Client preface and an empty SETTINGS frame (RFC 9113, 3.4 and 6.5). */
const HTTP2_GREETING = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);
const SETTINGS_FRAME = 4;
const MAXIMUM_ANSWER_BYTES = 4_096;

export function createNetworkProbes(): NetworkProbes {
  return {
    async resolve(host, signal) {
      if (isIP(host) !== 0) return { kind: "resolved", addresses: [host] };
      try {
        const addresses = await untilAborted(lookup(host, { all: true }), signal);
        return { kind: "resolved", addresses: addresses.map(({ address }) => address) };
      } catch (error) {
        return failure(error);
      }
    },
    async connect(destination, signal) {
      try {
        const socket = await openSocket(destination, signal);
        socket.destroy();
        return { kind: "connected" };
      } catch (error) {
        return failure(error);
      }
    },
    async tls(destination, signal) {
      try {
        const socket = await openTls(destination, signal);
        const observation = describeTls(socket);
        socket.destroy();
        return observation;
      } catch (error) {
        return failure(error);
      }
    },
    language: (destination, inTls, signal) => findLanguage(destination, inTls, signal),
  };
}

interface Greeting {
  readonly bytes: Buffer;
  /** What TLS is told of it. */
  readonly application: "h2" | "http/1.1";
}

async function findLanguage(destination: Destination, inTls: boolean, signal: AbortSignal): Promise<PeerLanguage> {
  const http1: Greeting = {
    bytes: Buffer.from(`GET / HTTP/1.1\r\nHost: ${destination.host}\r\nConnection: close\r\n\r\n`),
    application: "http/1.1",
  };
  const http2: Greeting = { bytes: HTTP2_GREETING, application: "h2" };
  // Gateways speak both within TLS: what we speak comes first there.
  const greetings = inTls && destination.protocol !== "grpc" ? [http1, http2] : [http2, http1];
  let last: PeerLanguage = { kind: "silent" };
  for (const greeting of greetings) {
    // What is silent to one may answer the other.
    const answer = await converse(destination, inTls, greeting, signal);
    const language = Buffer.isBuffer(answer) ? interpret(answer) : answer;
    if (!isOpen(language)) return language;
    last = language;
  }
  if (inTls) return last;
  const handshake = await openTls(destination, limited(signal)).then(
    (socket) => socket.destroy(),
    (error: unknown) => error,
  );
  // Alerts are spoken by those who speak TLS; a refused certificate is not looked at here.
  return handshake instanceof Error && !/ALERT/.test(codeOf(handshake)) ? last : { kind: "tls" };
}

function isOpen({ kind }: PeerLanguage): boolean {
  return kind === "silent" || kind === "closed" || kind === "other";
}

const CONVERSATION_MS = 2_000;

function limited(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(CONVERSATION_MS)]);
}

/** Alerts about our certificate, or that there is none. */
const CLIENT_CERTIFICATE_ALERT = /ALERT_(?:\w*CERTIFICATE|UNKNOWN_CA)/;

/** The beginning of the answer, empty when it ended without one; or what else there is to say. */
async function converse(
  destination: Destination,
  inTls: boolean,
  greeting: Greeting,
  signal: AbortSignal,
): Promise<Buffer | PeerLanguage> {
  const until = limited(signal);
  try {
    const connection = inTls ? openTls(destination, until, [greeting.application]) : openSocket(destination, until);
    using socket = disposable(await connection);
    socket.write(greeting.bytes);
    const chunks: Buffer[] = [];
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      if (saysEnough(Buffer.concat(chunks))) break;
    }
    return Buffer.concat(chunks);
  } catch (error) {
    if (codeOf(error) === "timeout" || until.aborted) return { kind: "silent" };
    return CLIENT_CERTIFICATE_ALERT.test(codeOf(error)) ? { kind: "client_certificate_refused" } : Buffer.alloc(0);
  }
}

/** A head of HTTP/1 is read to its end, for the status and the content type. */
function saysEnough(answer: Buffer): boolean {
  if (answer.length >= MAXIMUM_ANSWER_BYTES) return true;
  return answer.toString("latin1", 0, 5) === "HTTP/" ? answer.includes("\r\n\r\n") : answer.length >= 9;
}

function interpret(answer: Buffer): PeerLanguage {
  if (answer.length === 0) return { kind: "closed" };
  const text = answer.toString("latin1");
  const http1 = /^HTTP\/1\.[01] (\d{3})/.exec(text);
  if (http1 !== null) {
    const contentType = /\r\ncontent-type: *([^\r\n]*)/i.exec(text)?.[1] ?? "";
    return { kind: "http1", statusCode: Number(http1[1]), contentType: contentType.toLowerCase() };
  }
  if (answer.length >= 9 && answer[3] === SETTINGS_FRAME && answer.readUIntBE(0, 3) % 6 === 0) return { kind: "http2" };
  // An alert or a handshake record of TLS 1.x.
  if ((answer[0] === 0x15 || answer[0] === 0x16) && answer[1] === 0x03) return { kind: "tls" };
  return { kind: "other" };
}

// --- Connections -------------------------------------------------------------

function openSocket({ host, port }: Destination, signal: AbortSignal): Promise<Socket> {
  return opened(connect({ host, port, signal }), "connect", signal);
}

/** Whoever it is: what is wrong with the certificate is looked at afterwards. */
function openTls(
  destination: Destination,
  signal: AbortSignal,
  applications: readonly string[] = destination.protocol === "grpc" ? ["h2", "http/1.1"] : ["http/1.1"],
): Promise<TLSSocket> {
  const { host, port, tls } = destination;
  const socket = connectTls({
    host,
    port,
    rejectUnauthorized: false,
    ALPNProtocols: [...applications],
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(tls.certificateAuthorities === undefined ? {} : { ca: tls.certificateAuthorities }),
    ...(tls.clientCertificate === undefined ? {} : { cert: tls.clientCertificate }),
    ...(tls.clientKey === undefined ? {} : { key: tls.clientKey.reveal() }),
  });
  return opened(socket, "secureConnect", signal);
}

function opened<S extends Socket>(socket: S, event: "connect" | "secureConnect", signal: AbortSignal): Promise<S> {
  return new Promise((resolve, reject) => {
    const abort = (): void => void socket.destroy(asError(signal.reason));
    signal.addEventListener("abort", abort, { once: true });
    // A conversation that is cut off by the deadline ends with this error, too.
    socket.once("close", () => signal.removeEventListener("abort", abort));
    socket.once(event, () => resolve(socket));
    socket.on("error", (error) => reject(signal.aborted ? asError(signal.reason) : error));
    socket.once("close", () => reject(signal.aborted ? asError(signal.reason) : new ConnectionEndedError()));
    if (signal.aborted) abort();
  });
}

class ConnectionEndedError extends Error {
  readonly code = "ECONNRESET";

  constructor() {
    super("the connection was ended");
  }
}

function describeTls(socket: TLSSocket): TlsObservation {
  const certificate = socket.getPeerCertificate();
  // Typed as an error; Node.js sets the code of why it does not trust.
  const problem: unknown = socket.authorized ? undefined : socket.authorizationError;
  return {
    kind: "established",
    version: socket.getProtocol() ?? "TLS",
    application: typeof socket.alpnProtocol === "string" ? socket.alpnProtocol : undefined,
    problem: problem === undefined || problem === null ? undefined : textOf(problem),
    certificate: {
      subject: nameOf(certificate.subject),
      issuer: nameOf(certificate.issuer),
      names: (certificate.subjectaltname ?? "").slice(0, 200),
      validFrom: certificate.valid_from ?? "",
      validTo: certificate.valid_to ?? "",
    },
  };
}

function textOf(problem: unknown): string {
  return problem instanceof Error ? codeOf(problem) : typeof problem === "string" ? problem : "unknown";
}

/** Also of a certificate that has no such part. */
function nameOf(entity: PeerCertificate["subject"] | undefined): string {
  return String(entity?.CN ?? entity?.O ?? "").slice(0, 200);
}

function disposable(socket: Socket): Socket & Disposable {
  return Object.assign(socket, { [Symbol.dispose]: () => void socket.destroy() });
}

function failure(error: unknown): ProbeFailure {
  const message = error instanceof Error ? error.message : String(error);
  return { kind: "failed", code: codeOf(error), message: message.slice(0, 200) };
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** Name look-ups cannot be cancelled; nobody waits for them any longer. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(asError(signal.reason));
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    if (signal.aborted) abort();
  });
}
