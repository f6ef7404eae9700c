/**
 * Who may call what on which listener. Pure.
 *
 *   unix socket   0600: whoever can open it is trusted
 *   TCP           a token; Host must be an address or localhost (a web page cannot have
 *                 its own name resolved to the node), Origin must be the node's own.
 *                 Health alone answers without a token.
 */
import { isIP } from "node:net";
import { BlixardError } from "#model/errors.ts";

export interface GuardedRequest {
  /** `:authority` or `Host`. */
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** Full name of the service asked for, as the path has it. */
  readonly service: string;
  readonly hasToken: boolean;
}

export interface GuardPolicy {
  /** Names that resolve to this node for its users. */
  readonly allowedHosts: readonly string[];
  readonly tokenFile: string;
}

const OPEN_SERVICES: ReadonlySet<string> = new Set(["grpc.health.v1.Health"]);

/** Why the request is refused, or undefined. */
export function refuseRequest(request: GuardedRequest, policy: GuardPolicy): BlixardError | undefined {
  const name = hostNameOf(request.host ?? "");
  if (name === undefined || !isOwnName(name, policy.allowedHosts)) {
    return new BlixardError("PERMISSION_DENIED", "the request names another host", {
      hint: "Call the node by an address, as localhost, or by a name that [api] allowed_hosts lists.",
    });
  }
  if (request.origin !== undefined && !isOwnOrigin(request.origin, request.host ?? "")) {
    return new BlixardError("PERMISSION_DENIED", "the request comes from a web page of another origin", {
      hint: "Web pages may call only the node that served them.",
    });
  }
  if (request.hasToken || OPEN_SERVICES.has(request.service)) return undefined;
  return new BlixardError("UNAUTHENTICATED", "the request carries no valid token", {
    hint: `Send the header "Authorization: Bearer TOKEN" with the token in ${policy.tokenFile}, or use the unix socket.`,
  });
}

function hostNameOf(host: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@\s]+))(?::\d{1,5})?$/i.exec(host);
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

function isOwnName(name: string, allowedHosts: readonly string[]): boolean {
  return isIP(name) !== 0 || name === "localhost" || allowedHosts.some((allowed) => allowed.toLowerCase() === name);
}

function isOwnOrigin(origin: string, host: string): boolean {
  return origin.toLowerCase() === `http://${host.toLowerCase()}`;
}
