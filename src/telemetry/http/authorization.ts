/**
 * Who may read the metrics. A client certificate, where one is asked for, and one of the
 * credentials, where any are set. Credentials are compared in constant time, and as digests,
 * so that their lengths do not show either. Sources: RFC 7617 (Basic), RFC 6750 (Bearer).
 */
import { hash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import type { Secret } from "#model/secret.ts";

export interface AuthorizationOptions {
  /** The client must show a certificate that the authorities of the listener have signed. */
  readonly clientCertificate: boolean;
  readonly basicAuth?: { readonly username: string; readonly password: Secret } | undefined;
  readonly bearerToken?: Secret | undefined;
}

export interface Refusal {
  readonly status: 401 | 403;
  /** Values of WWW-Authenticate. */
  readonly challenges: readonly string[];
  readonly message: string;
}

const REALM = 'realm="blixard metrics"';
const MAXIMUM_CREDENTIALS_LENGTH = 8_192;

/** Undefined: it may. */
export function createAuthorization(
  options: AuthorizationOptions,
): (request: Pick<IncomingMessage, "headers" | "socket">) => Refusal | undefined {
  const { basicAuth, bearerToken } = options;
  const challenges: string[] = [];
  const accepted: { readonly scheme: string; readonly digest: Buffer }[] = [];
  if (basicAuth !== undefined) {
    challenges.push(`Basic ${REALM}, charset="UTF-8"`);
    accepted.push({ scheme: "basic", digest: digestOf(`${basicAuth.username}:${basicAuth.password.reveal()}`) });
  }
  if (bearerToken !== undefined) {
    challenges.push(`Bearer ${REALM}`);
    accepted.push({ scheme: "bearer", digest: digestOf(bearerToken.reveal()) });
  }
  return ({ headers, socket }) => {
    if (options.clientCertificate && !hasTrustedCertificate(socket)) {
      return { status: 403, challenges: [], message: "a client certificate of a trusted authority is needed" };
    }
    if (accepted.length === 0) return undefined;
    const given = parseCredentials(headers.authorization);
    const right = accepted.some(({ scheme, digest }) => scheme === given?.scheme && isEqual(digest, given.credentials));
    return right ? undefined : { status: 401, challenges, message: "credentials are needed" };
  };
}

function hasTrustedCertificate(socket: unknown): boolean {
  // Never without a certificate, whatever a resumed session is taken for.
  return socket instanceof TLSSocket && socket.authorized && socket.getPeerX509Certificate() !== undefined;
}

function parseCredentials(header: string | undefined): { scheme: string; credentials: string } | undefined {
  if (header === undefined || header.length > MAXIMUM_CREDENTIALS_LENGTH) return undefined;
  const [, name = "", value = ""] = /^([A-Za-z]+) +(\S+) *$/.exec(header) ?? [];
  const scheme = name.toLowerCase();
  return { scheme, credentials: scheme === "basic" ? Buffer.from(value, "base64").toString("utf8") : value };
}

function isEqual(digest: Buffer, text: string): boolean {
  return timingSafeEqual(digest, digestOf(text));
}

function digestOf(text: string): Buffer {
  return hash("sha256", text, "buffer");
}
