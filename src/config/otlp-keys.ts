/**
 * The keys that say where a signal goes by OTLP: the same for traces, metrics and
 * logs. Metrics and logs go where traces go, with the same credentials, unless
 * they are told an endpoint of their own: then nothing secret follows there.
 */
import { map } from "./collection-kinds.ts";
import {
  following,
  optional,
  section,
  withComputedDefault,
  withDefault,
  type DefaultContext,
  type Key,
} from "./schema-types.ts";
import {
  boolean,
  choice,
  duration,
  endpoint,
  headerText,
  path,
  secretText,
  text,
  type ValueKind,
} from "./value-kinds.ts";

const TRACING = "observability.tracing";

const headers = map(headerText, {
  keyPattern:
    /^(?!(?:content-(?:type|length|encoding)|host|te|connection)$|grpc-|.*-bin$)[a-z0-9!#$%&'*+.^_`|~-]{1,256}$/i,
  keyExpectation: "expected a header name (letters, digits and -) that exports do not set by themselves",
});
const protocol = choice("grpc", "http/protobuf", "http/json");
const compression = choice("gzip", "none");
const timeout = duration({ minimumMs: 100, maximumMs: 600_000 });

/** By which other sources of destinations are read too. */
export const otlpKinds = { headers };

const descriptions = {
  otlp_endpoint_exact: "Use the endpoint as it is, without the signal's path (`/v1/traces` …) appended over HTTP.",
  protocol: "Default: by the endpoint (port 4318 or a path means HTTP, known vendors have their own, otherwise gRPC).",
  headers: "Sent with every export. Values are secrets: they are never shown.",
  basic_auth: "HTTP basic authentication at the endpoint.",
  username: "User name, at Grafana Cloud the instance's number.",
  password: 'Password or token. Take it from the environment: `"${env:NAME}"`.',
  timeout: "Deadline of one export.",
  compression: "How exports are compressed.",
  insecure: "For an endpoint without a scheme: plain text instead of TLS.",
  ca_file: "PEM file of the authorities to trust; default: the system's.",
  client_certificate_file: "PEM file of the client's certificate, for mutual TLS.",
  client_key_file: "PEM file of that certificate's key.",
} as const;

/** Keys of `[observability.tracing]`, which the other signals follow. */
export const tracingOtlpKeys = {
  otlp_endpoint: optional(endpoint, "Where traces go, e.g. `http://localhost:4317`. Metrics and logs follow."),
  otlp_endpoint_exact: withDefault(boolean, false, descriptions.otlp_endpoint_exact),
  protocol: optional(protocol, descriptions.protocol),
  headers: optional(headers, descriptions.headers),
  basic_auth: section(descriptions.basic_auth, {
    username: optional(text({ maximumLength: 512 }), descriptions.username),
    password: optional(secretText, descriptions.password),
  }),
  timeout: withDefault(timeout, 10_000, descriptions.timeout),
  compression: withDefault(compression, "gzip", descriptions.compression),
  insecure: withDefault(boolean, false, descriptions.insecure),
  ca_file: optional(path, descriptions.ca_file),
  client_certificate_file: optional(path, descriptions.client_certificate_file),
  client_key_file: optional(path, descriptions.client_key_file),
};

/** Keys of a signal whose section is `sectionPath`. */
export function followingOtlpKeys(sectionPath: string, signal: "metrics" | "logs") {
  const goesWhereTracesGo = ({ get }: DefaultContext): boolean =>
    get(`${sectionPath}.otlp_endpoint`) === get(`${TRACING}.otlp_endpoint`) &&
    get(`${sectionPath}.otlp_endpoint_exact`) === get(`${TRACING}.otlp_endpoint_exact`);
  const follow = <T, Unit extends string>(
    kind: ValueKind<T, Unit>,
    key: string,
    description: string,
  ): Key<T | undefined, Unit> =>
    following(kind, { path: `${TRACING}.${key}`, otherwise: undefined, when: goesWhereTracesGo }, description);
  const followOr = <T, Unit extends string>(
    kind: ValueKind<T, Unit>,
    key: string,
    otherwise: T,
    description: string,
  ): Key<T, Unit> => following(kind, { path: `${TRACING}.${key}`, otherwise, when: goesWhereTracesGo }, description);
  return {
    otlp_enabled: withComputedDefault(
      boolean,
      "true when it has an endpoint",
      ({ get }) => get(`${sectionPath}.otlp_endpoint`) !== undefined,
      `Whether ${signal} are exported by OTLP.`,
    ),
    otlp_endpoint: following(
      endpoint,
      {
        path: `${TRACING}.otlp_endpoint`,
        otherwise: undefined,
        // An endpoint that was given for traces alone, with their path, cannot serve another signal.
        when: ({ get }) => get(`${TRACING}.otlp_endpoint_exact`) !== true,
      },
      `Where ${signal} go.`,
    ),
    otlp_endpoint_exact: withDefault(boolean, false, descriptions.otlp_endpoint_exact),
    protocol: follow(protocol, "protocol", descriptions.protocol),
    headers: follow(headers, "headers", descriptions.headers),
    basic_auth: section(descriptions.basic_auth, {
      username: follow(text({ maximumLength: 512 }), "basic_auth.username", descriptions.username),
      password: follow(secretText, "basic_auth.password", descriptions.password),
    }),
    timeout: followOr(timeout, "timeout", 10_000, descriptions.timeout),
    compression: followOr(compression, "compression", "gzip", descriptions.compression),
    insecure: followOr(boolean, "insecure", false, descriptions.insecure),
    ca_file: follow(path, "ca_file", descriptions.ca_file),
    client_certificate_file: follow(path, "client_certificate_file", descriptions.client_certificate_file),
    client_key_file: follow(path, "client_key_file", descriptions.client_key_file),
  };
}
