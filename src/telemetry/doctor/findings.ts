/**
 * Everything the doctor can find: a stable id, how bad it is, and the fix in the words of
 * the configuration. What was seen stands in the check's message; here stands what to do.
 */
import type { OtlpSignal } from "../otlp/destination.ts";
import type { CheckOutcome, Verdict } from "./check.ts";

/** What a fix speaks of: a destination, or as much of it as the check concerns. */
export interface Subject {
  /** Signals that go there. */
  readonly signals: readonly OtlpSignal[];
  /** In whose section of the configuration the destination stands. */
  readonly section: OtlpSignal;
  /** `http://host:4318`; no path, no credentials. */
  readonly origin: string;
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly protocol: "grpc" | "http";
  /** HTTP only. */
  readonly path: string;
}

interface Finding {
  readonly severity: Extract<CheckOutcome, "warning" | "failed">;
  /** An imperative sentence. `detail`: what the check knows beyond the subject. */
  readonly fix: (subject: Subject, detail: string) => string;
}

const sections: Readonly<Record<OtlpSignal, string>> = {
  traces: "[observability.tracing]",
  metrics: "[observability.metrics]",
  logs: "[observability.logging]",
};

const set = (subject: Subject, setting: string): string => `Set ${setting} in ${sections[subject.section]}.`;
const swapScheme = (subject: Subject): string =>
  subject.secure ? `http://${subject.host}:${subject.port}` : `https://${subject.host}:${subject.port}`;
const otherPort = (subject: Subject, from: number, to: number): string =>
  subject.port === from ? ` (usually port ${to})` : "";
const usualPorts = "Backends take OTLP at ports of their own, usually 4317 (gRPC) and 4318 (HTTP).";

export const findings = {
  // The way there
  name_unknown: {
    severity: "failed",
    fix: (subject) => `Correct the host name ${subject.host} in otlp_endpoint, or mend the name service of this node.`,
  },
  connection_refused: {
    severity: "failed",
    fix: (subject) =>
      `Start the collector at ${subject.host}:${subject.port}, or correct otlp_endpoint (4317 is gRPC's usual port, 4318 that of HTTP). A receiver that listens on localhost only is not reached from another machine.`,
  },
  egress_blocked: {
    severity: "failed",
    fix: (subject) =>
      `Let this node out to ${subject.host} port ${subject.port}/tcp: a firewall, security group or network policy drops the packets, or there is no route.`,
  },
  no_answer: {
    severity: "failed",
    fix: (subject) =>
      `Look at what accepts connections at ${subject.host}:${subject.port}: it takes them and says nothing. A proxy in between, or a receiver that hangs.`,
  },
  connection_lost: {
    severity: "failed",
    fix: (subject) =>
      `Look at what listens at ${subject.host}:${subject.port}: it ends connections without an answer.${subject.secure ? " Some servers do so when no client certificate, or a wrong one, is shown (client_certificate_file)." : ""}`,
  },
  // TLS
  tls_to_plaintext_port: {
    severity: "failed",
    fix: (subject) =>
      `${set(subject, `otlp_endpoint = "${swapScheme(subject)}"`)} http:// means plain text, with gRPC too.`,
  },
  plaintext_to_tls_port: {
    severity: "failed",
    fix: (subject) => set(subject, `otlp_endpoint = "${swapScheme(subject)}"`),
  },
  certificate_untrusted: {
    severity: "failed",
    fix: (subject) => set(subject, `ca_file = "…" with the certificate of the authority that signed the collector's`),
  },
  certificate_expired: {
    severity: "failed",
    fix: (subject) => `Renew the certificate of ${subject.host}:${subject.port}.`,
  },
  certificate_not_yet_valid: {
    severity: "failed",
    fix: () => "Set the clock of this node, or wait until the certificate is valid.",
  },
  certificate_name_mismatch: {
    severity: "failed",
    fix: (_subject, names) =>
      `Use a name in otlp_endpoint that the certificate holds (${names}), or issue one for this name.`,
  },
  client_certificate_required: {
    severity: "failed",
    fix: (subject) => set(subject, "client_certificate_file and client_key_file"),
  },
  server_name_unknown: {
    severity: "failed",
    fix: (subject) =>
      `Use the name in otlp_endpoint under which ${subject.host}:${subject.port} serves: it chooses by that name, and has nothing for another.`,
  },
  tls_failed: {
    severity: "failed",
    fix: (subject) =>
      `Compare the TLS versions and ciphers that ${subject.host}:${subject.port} allows with Node.js's: it refuses the handshake.`,
  },
  // The protocol
  grpc_to_http_gateway: {
    severity: "failed",
    fix: (subject, base) =>
      base === ""
        ? `${set(subject, 'protocol = "http/protobuf"')} This endpoint speaks OTLP over HTTP${otherPort(subject, 4317, 4318)}.`
        : set(subject, `protocol = "http/protobuf" and otlp_endpoint = "${subject.origin}${base}"`),
  },
  http_to_grpc_port: {
    severity: "failed",
    fix: (subject) =>
      `${set(subject, 'protocol = "grpc"')} Or use the port of OTLP over HTTP${otherPort(subject, 4317, 4318)}.`,
  },
  otlp_path_missing: {
    severity: "failed",
    fix: (subject, base) => set(subject, `otlp_endpoint = "${subject.origin}${base}"`),
  },
  receiver_switched_off: {
    severity: "failed",
    fix: (subject, flag) =>
      `Start what serves at ${subject.host}:${subject.port} with ${flag}: its OTLP receiver is off.`,
  },
  signal_path_missing: {
    severity: "failed",
    fix: (subject) =>
      `Append the signal's path: ${subject.origin}/v1/${subject.signals[0] ?? "traces"}. An endpoint of one signal alone is used as it is.`,
  },
  signal_path_twice: {
    severity: "failed",
    fix: (subject) => {
      const base = subject.path.replace(/(?:\/v1\/[a-z]+){2}$/, "");
      return `${set(subject, `otlp_endpoint = "${subject.origin}${base}"`)} The signal's path is appended to it.`;
    },
  },
  path_not_found: {
    severity: "failed",
    fix: (subject) =>
      `Correct the path in otlp_endpoint, or its port: ${subject.origin} has nothing at ${subject.path}. ${usualPorts}`,
  },
  not_otlp: {
    severity: "failed",
    fix: (subject) =>
      `Point otlp_endpoint to an OTLP receiver: what answers at ${subject.host}:${subject.port} is something else, such as a proxy, a log-in page, or a backend's port for its pages and queries. ${usualPorts}`,
  },
  redirected: {
    severity: "failed",
    fix: (_subject, location) => `Set otlp_endpoint to where it points (${location}): redirects are not followed.`,
  },
  signal_unsupported: {
    severity: "warning",
    fix: (subject) => {
      const signal = subject.signals[0] ?? "logs";
      return `This backend does not take ${signal}. Give them an otlp_endpoint of their own in ${sections[signal]}, or set ${signal === "traces" ? "enabled" : "otlp_enabled"} = false there.`;
    },
  },
  // Credentials
  proxy_in_between: {
    severity: "failed",
    fix: (subject) =>
      `Let this node reach ${subject.host}:${subject.port} without the proxy, or give the proxy what it asks for: headers = { proxy-authorization = … } in ${sections[subject.section]}. basic_auth is for the destination.`,
  },
  credentials_missing: {
    severity: "failed",
    fix: (subject) => set(subject, "basic_auth, or headers = { authorization = … },"),
  },
  credentials_refused: {
    severity: "failed",
    fix: (subject) =>
      `Give the right token or password in ${sections[subject.section]}: the credentials arrive, and are refused. They may be expired, of another tenant, or not allowed to write this signal.`,
  },
  tenant_missing: {
    severity: "failed",
    fix: (subject) =>
      `${set(subject, 'headers = { "X-Scope-OrgID" = "…" }')} The backend keeps tenants apart, and wants to be told whose this is.`,
  },
  header_malformed: {
    severity: "failed",
    fix: (_subject, what) => what,
  },
  // What comes of the canary
  encoding_refused: {
    severity: "failed",
    fix: (subject) =>
      `${set(subject, 'another protocol, "http/protobuf" or "http/json",')} If what answers takes neither, it is no OTLP receiver.`,
  },
  request_too_large: {
    severity: "failed",
    fix: () =>
      "Raise the largest request that the receiver, or the proxy before it, takes: even the canary is too large.",
  },
  throttled: {
    severity: "warning",
    fix: () => "Raise the quota of this tenant, or send less: a longer export_interval, a smaller sampling_ratio.",
  },
  delta_refused: {
    severity: "failed",
    fix: () => 'Set temporality = "cumulative" in [observability.metrics]: this backend does not take deltas.',
  },
  canary_rejected: {
    severity: "failed",
    fix: () => "Look into the backend's log for why it takes the request and rejects what is in it.",
  },
  backend_failing: {
    severity: "failed",
    fix: (subject) => `Look into the log of what answers at ${subject.host}:${subject.port}: the trouble is there.`,
  },
  export_refused: {
    severity: "failed",
    fix: (subject) => `Look into the log of ${subject.host}:${subject.port} for why it refuses valid OTLP.`,
  },
  odd_answer: {
    severity: "warning",
    fix: (subject) =>
      `Make sure that ${subject.origin} is an OTLP receiver: it says yes, but not in the way a receiver does.`,
  },
  not_read_back: {
    severity: "failed",
    fix: (_subject, backend) =>
      `Follow the way from the collector to ${backend}: the canary was acknowledged and is not there. Its exporters, its pipelines (a receiver without a pipeline swallows), sampling, and whether this is the same backend and tenant.`,
  },
  backend_unreachable: {
    severity: "failed",
    fix: (_subject, backend) => `Correct the URL of ${backend} in [observability.doctor], or let this node reach it.`,
  },
  // The scrape
  page_unreachable: {
    severity: "failed",
    fix: (_subject, url) => `Look into this node's log: its own metrics page ${url} does not answer.`,
  },
  page_invalid: {
    severity: "failed",
    fix: () => "Report this as a defect of Blixard, with the page attached.",
  },
  scrape_and_push: {
    severity: "failed",
    fix: () =>
      "Choose one way: remove this node from the scrape configuration (or the prometheus receiver from the collector's pipeline), or set otlp_enabled = false in [observability.metrics].",
  },
  scraped_twice: {
    severity: "failed",
    fix: () => "Keep one of the two targets: every sum over nodes counts this one twice.",
  },
  not_scraped: {
    severity: "warning",
    fix: (_subject, discoveryUrl) =>
      `Let Prometheus find this node by http_sd_configs: [{ url: "${discoveryUrl}" }]. If it does already, its page Status → Targets says why it gets nothing; a node that has just started is scraped within an interval.`,
  },
  scrape_labels_differ: {
    severity: "warning",
    fix: (_subject, discoveryUrl) =>
      `Let Prometheus find this node by http_sd_configs: [{ url: "${discoveryUrl}" }], which gives targets these labels, or set job and instance as labels of its target: without them traces and logs do not lead to its metrics.`,
  },
  // The node
  clock_skew: {
    severity: "failed",
    fix: () => "Set the clock of this node, or that of the backend: run NTP (chrony, systemd-timesyncd) on both.",
  },
  delivery_failing: {
    severity: "failed",
    fix: (subject) => `Mend what the last export to ${subject.origin} failed of; until then signals wait and are lost.`,
  },
  queue_nearly_full: {
    severity: "warning",
    fix: () => "Mend the destination, or let batches leave sooner: signals will soon be dropped.",
  },
  spool_nearly_full: {
    severity: "warning",
    fix: () => "Mend the destination, or give the spool more room: the oldest signals are dropped next.",
  },
  spool_in_use: {
    severity: "warning",
    fix: () => "Nothing, if the destination was down: what was kept is being sent. Otherwise see the other findings.",
  },
  signals_dropped: {
    severity: "warning",
    fix: () =>
      "Look at otel_sdk_exporter_*_exported_total and otel_sdk_processor_*_processed_total by error_type for when and why.",
  },
  cardinality_exceeded: {
    severity: "failed",
    fix: () =>
      "Run `blixard telemetry cardinality`, then raise cardinality_limit in [observability.metrics] or run fewer VMs on this node.",
  },
  cardinality_near_limit: {
    severity: "warning",
    fix: () =>
      "Run `blixard telemetry cardinality` to see who costs what, and raise cardinality_limit in [observability.metrics] in time.",
  },
  no_destination: {
    severity: "warning",
    fix: () => "Set otlp_endpoint in [observability.tracing]: nothing leaves this node but by its metrics page.",
  },
  destination_invalid: {
    severity: "failed",
    fix: () => "Correct the destination in the configuration: it cannot work as it is.",
  },
  deadline_exceeded: {
    severity: "failed",
    fix: () => "Give the diagnosis more time (--timeout), or begin with the first finding.",
  },
} as const satisfies Readonly<Record<string, Finding>>;

export type FindingId = keyof typeof findings;

/** For findings that concern no destination. */
export const noSubject: Subject = {
  signals: [],
  section: "traces",
  origin: "",
  host: "",
  port: 0,
  secure: false,
  protocol: "http",
  path: "",
};

/** @param detail what the fix speaks of beyond the subject */
export function found(finding: FindingId, message: string, subject: Subject = noSubject, detail = ""): Verdict {
  const definition: Finding = findings[finding];
  return { outcome: definition.severity, message, finding, fix: definition.fix(subject, detail) };
}
