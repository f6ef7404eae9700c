/**
 * Rules between keys: what is fine alone and wrong together. Each looks at the
 * complete configuration and blames one key, at the place that set it.
 */
import { isIP } from "node:net";
import type { Config } from "./schema.ts";
import { formatSocketAddress, type SocketAddress } from "./value-kinds.ts";

export interface RuleViolation {
  /** The key to blame; its place is where it was set. */
  readonly path: string;
  readonly message: string;
}

export function checkRules(config: Config): readonly RuleViolation[] {
  return [
    ...checkListeners(config),
    ...checkMetricsPage(config),
    ...checkCapacity(config),
    ...checkStore(config),
    ...checkOtlp(config),
  ];
}

function* checkListeners({ node, observability }: Config): Iterable<RuleViolation> {
  if (!isLoopback(node.bind) && !node.allowInsecureBind) {
    yield {
      path: "node.bind",
      message: `${formatSocketAddress(node.bind)} can be reached by other machines, and the API is not encrypted there: use 127.0.0.1, or set node.allow_insecure_bind = true`,
    };
  }
  const { httpServer } = observability.metrics;
  if (
    httpServer.enabled &&
    node.bind.port !== 0 &&
    node.bind.port === httpServer.bind.port &&
    overlap(node.bind, httpServer.bind)
  ) {
    yield {
      path: "observability.metrics.http_server.bind",
      message: `is the same port as node.bind (${formatSocketAddress(node.bind)})`,
    };
  }
}

function* checkMetricsPage({ observability }: Config): Iterable<RuleViolation> {
  const path = "observability.metrics.http_server";
  const { basicAuth, bearerToken, certificateFile, clientCaFile, keyFile } = observability.metrics.httpServer;
  yield* checkPair(`${path}.certificate_file`, certificateFile, `${path}.key_file`, keyFile);
  yield* checkPair(
    `${path}.basic_auth.username`,
    basicAuth.username,
    `${path}.basic_auth.password`,
    basicAuth.password,
  );
  if (clientCaFile !== undefined && certificateFile === undefined)
    yield {
      path: `${path}.client_ca_file`,
      message: `needs ${path}.certificate_file too: without TLS nobody shows one`,
    };
  if (basicAuth.username !== undefined && bearerToken !== undefined)
    yield { path: `${path}.bearer_token`, message: `is another way to authenticate than ${path}.basic_auth: keep one` };
}

/** What works and is seldom wanted. */
export function checkAdvice({ observability: { enabled, metrics } }: Config): readonly string[] {
  const { basicAuth, bearerToken, bind, certificateFile, clientCaFile, enabled: served } = metrics.httpServer;
  const authenticated = basicAuth.username !== undefined || bearerToken !== undefined || clientCaFile !== undefined;
  if (!enabled || !served || isLoopback(bind) || (certificateFile !== undefined && authenticated)) return [];
  return [
    `observability.metrics.http_server.bind: other machines can reach ${formatSocketAddress(bind)}, ${
      certificateFile === undefined
        ? "and the metrics are neither encrypted nor limited to known scrapers there: set certificate_file and key_file, and bearer_token or basic_auth"
        : "and anybody may read the metrics there: set bearer_token, basic_auth or client_ca_file"
    }`,
  ];
}

function* checkCapacity({ node: { capacity, reserved } }: Config): Iterable<RuleViolation> {
  const pairs = [
    ["vcpus", capacity.vcpus, reserved.vcpus],
    ["memory", capacity.memoryBytes, reserved.memoryBytes],
    ["disk", capacity.diskBytes, reserved.diskBytes],
  ] as const;
  for (const [key, available, kept] of pairs) {
    if (available !== undefined && kept >= available) {
      yield {
        path: `node.capacity.${key}`,
        message: `nothing is left for guests: node.reserved.${key} is as much or more`,
      };
    }
  }
}

function* checkStore({ store }: Config): Iterable<RuleViolation> {
  if (store.endpoints?.length === 0)
    yield {
      path: "store.endpoints",
      message: "expected at least one endpoint; leave it out for an etcd of the node's own",
    };
  if (store.endpoints === undefined) {
    for (const [key, value] of [
      ["ca_file", store.caFile],
      ["certificate_file", store.certificateFile],
      ["key_file", store.keyFile],
    ] as const) {
      if (value !== undefined) yield { path: `store.${key}`, message: "has a meaning only with store.endpoints" };
    }
  }
  yield* checkPair("store.certificate_file", store.certificateFile, "store.key_file", store.keyFile);
}

function* checkOtlp({ observability, otelFile }: Config): Iterable<RuleViolation> {
  // The destinations are of the file then, and the keys of the sections are reset.
  if (otelFile !== undefined) return;
  const { tracing, metrics, logging } = observability;
  if (tracing.enabled && tracing.otlpEndpoint === undefined) yield withoutEndpoint("observability.tracing", "enabled");
  if (metrics.otlpEnabled && metrics.otlpEndpoint === undefined)
    yield withoutEndpoint("observability.metrics", "otlp_enabled");
  if (logging.otlpEnabled && logging.otlpEndpoint === undefined)
    yield withoutEndpoint("observability.logging", "otlp_enabled");
  for (const [section, signal] of [
    ["tracing", tracing],
    ["metrics", metrics],
    ["logging", logging],
  ] as const) {
    const path = `observability.${section}`;
    const { basicAuth, headers, otlpEndpoint, protocol } = signal;
    yield* checkPair(
      `${path}.basic_auth.username`,
      basicAuth.username,
      `${path}.basic_auth.password`,
      basicAuth.password,
    );
    yield* checkPair(
      `${path}.client_certificate_file`,
      signal.clientCertificateFile,
      `${path}.client_key_file`,
      signal.clientKeyFile,
    );
    if (
      basicAuth.username !== undefined &&
      Object.keys(headers ?? {}).some((name) => name.toLowerCase() === "authorization")
    ) {
      yield { path: `${path}.headers`, message: `has Authorization, which ${path}.basic_auth sets too: keep one` };
    }
    if (otlpEndpoint !== undefined && !/^https?:\/\//.test(otlpEndpoint) && protocol?.startsWith("http/") === true) {
      yield { path: `${path}.otlp_endpoint`, message: `needs http:// or https:// with protocol = "${protocol}"` };
    }
  }
}

function withoutEndpoint(section: string, key: string): RuleViolation {
  return { path: `${section}.${key}`, message: `is true, but there is no ${section}.otlp_endpoint to export to` };
}

function* checkPair(firstPath: string, first: unknown, secondPath: string, second: unknown): Iterable<RuleViolation> {
  if (first !== undefined && second === undefined) yield { path: firstPath, message: `needs ${secondPath} too` };
  if (second !== undefined && first === undefined) yield { path: secondPath, message: `needs ${firstPath} too` };
}

export function isLoopback({ host }: SocketAddress): boolean {
  if (host.toLowerCase() === "localhost") return true;
  return isIP(host) === 4 ? host.startsWith("127.") : host === "::1" || host === "0:0:0:0:0:0:0:1";
}

function overlap(left: SocketAddress, right: SocketAddress): boolean {
  const every = ["0.0.0.0", "::"];
  return (
    left.host === right.host ||
    every.includes(left.host) ||
    every.includes(right.host) ||
    (isLoopback(left) && isLoopback(right) && isIP(left.host) === isIP(right.host))
  );
}
