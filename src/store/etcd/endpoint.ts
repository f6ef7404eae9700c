/** Where an etcd member listens. */
import { isIP } from "node:net";
import { BlixardError } from "#model/errors.ts";
import type { Secret } from "#model/secret.ts";

export type EtcdEndpoint =
  /** `path` of the socket: absolute, at most 107 bytes. */
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly secure: boolean };

/** PEM texts. */
export interface EtcdTls {
  readonly certificateAuthorities?: string;
  readonly clientCertificate?: string;
  readonly clientKey?: Secret;
}

const MAXIMUM_SOCKET_PATH_BYTES = 107;
const DEFAULT_PORT = 2379;

/** `http://host[:port]` or `https://host[:port]`. @throws BlixardError CONFIG_INVALID */
export function parseEtcdEndpoint(text: string): EtcdEndpoint {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain =
    url !== undefined && url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
  if (!plain || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new BlixardError("CONFIG_INVALID", `${JSON.stringify(text)} is not the endpoint of an etcd member`, {
      hint: 'Use "http://host:2379" or "https://host:2379".',
    });
  }
  // The URL class leaves out a port that is its scheme's default, so it is looked for in the text.
  const explicitPort = /:(\d+)\/?$/.exec(text)?.[1];
  return {
    kind: "tcp",
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: explicitPort === undefined ? DEFAULT_PORT : Number(explicitPort),
    secure: url.protocol === "https:",
  };
}

/** @throws BlixardError DATA_DIRECTORY_UNUSABLE when the path is too long for a socket */
export function unixEndpoint(path: string): EtcdEndpoint {
  if (Buffer.byteLength(path) > MAXIMUM_SOCKET_PATH_BYTES) {
    throw new BlixardError(
      "DATA_DIRECTORY_UNUSABLE",
      `the socket path ${path} is longer than ${MAXIMUM_SOCKET_PATH_BYTES} bytes`,
      {
        hint: "Use a run directory with a shorter path.",
      },
    );
  }
  return { kind: "unix", path };
}

export function isAddress(host: string): boolean {
  return isIP(host) !== 0;
}

/** For logs and `server.address`. */
export function endpointAddress(endpoint: EtcdEndpoint): string {
  return endpoint.kind === "unix" ? endpoint.path : endpoint.host;
}

export function describeEndpoint(endpoint: EtcdEndpoint): string {
  if (endpoint.kind === "unix") return `unix:${endpoint.path}`;
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  return `${endpoint.secure ? "https" : "http"}://${host}:${endpoint.port}`;
}
