/** From what came of a canary to a finding: pure. */
import type { NetworkProblem, SendOutcome } from "../otlp/send-outcome.ts";
import { ok, type Verdict } from "./check.ts";
import { found, type FindingId, type Subject } from "./findings.ts";
import type { HeaderShape, SendObservation } from "./observations.ts";

type Failure = Extract<SendOutcome, { readonly errorType: string }>;

const UNAUTHENTICATED = new Set(["401", "403", "407", "UNAUTHENTICATED", "PERMISSION_DENIED"]);
const DELTA = /delta|temporality/i;
/** Tempo's, Loki's and Mimir's words for a request without a tenant; as what code, that varies. */
const NO_TENANT = /\bno org id\b/i;
/** TLS 1.3 tells it only after the handshake. */
const CLIENT_CERTIFICATE = /alert (certificate required|bad certificate|unknown ca)/i;
/** What grpc-js says of an answer that is HTTP and not gRPC. */
const GRPC_GOT_HTTP = /HTTP status code|content-type|content type/i;

/** Whether the request got there, in the protocol that was meant. */
export function diagnoseSend(observation: SendObservation, subject: Subject): Verdict {
  const { outcome } = observation;
  if (!isFailure(outcome) || UNAUTHENTICATED.has(outcome.errorType))
    return ok(`sent to ${subject.path || subject.origin}`);
  if (observation.language?.kind === "client_certificate_refused")
    return found("client_certificate_required", outcome.reason, subject);
  const protocol = diagnoseProtocol(observation, outcome, subject);
  if (protocol !== undefined) return protocol;
  const { errorType, reason, cause } = outcome;
  if (errorType === "404") return diagnoseNotFound(observation, reason, subject);
  if (outcome.kind === "unsupported") return unsupported(reason, subject);
  if (/^3\d\d$/.test(errorType)) return found("redirected", reason, subject, locationOf(reason, subject));
  if (errorType === "405") return found("not_otlp", `nothing can be posted to ${subject.path}: ${reason}`, subject);
  if (isWebPage(observation, outcome)) return found("not_otlp", `a web page answers: ${reason}`, subject);
  const way = cause === undefined ? undefined : wayProblems[cause];
  if (way !== undefined) return found(way, reason, subject);
  if (CLIENT_CERTIFICATE.test(reason)) return found("client_certificate_required", reason, subject);
  if (isTimeout(outcome)) {
    return found("no_answer", `${subject.origin} accepts the connection and does not answer`, subject);
  }
  // It was answered: the rest is the acknowledgement's.
  if (/^\d{3}$/.test(errorType)) return ok(`sent to ${subject.path}`);
  if (subject.protocol === "http") return found("connection_lost", `no answer: ${reason}`, subject);
  return errorType === "UNAVAILABLE" && observation.language?.kind !== "http2"
    ? found("connection_lost", `no answer: ${reason}`, subject)
    : ok(`sent to ${subject.origin}`);
}

/** Whether the credentials, or their absence, are good enough. */
export function diagnoseAuthentication({ outcome, authorization }: SendObservation, subject: Subject): Verdict {
  if (isFailure(outcome) && NO_TENANT.test(outcome.reason)) return found("tenant_missing", outcome.reason, subject);
  if (!isFailure(outcome) || !UNAUTHENTICATED.has(outcome.errorType)) {
    return ok(authorization === "absent" ? "no credentials are asked for" : "the credentials are accepted");
  }
  if (outcome.errorType === "407") return found("proxy_in_between", `a proxy answers: ${outcome.reason}`, subject);
  const refusal = `the destination refuses us: ${outcome.reason}`;
  if (authorization === "absent") return found("credentials_missing", `${refusal}; no credentials were sent`, subject);
  const misshapen = headerProblems[authorization];
  if (misshapen !== undefined)
    return found("header_malformed", `${refusal}; ${misshapen.seen}`, subject, misshapen.fix);
  return found("credentials_refused", refusal, subject);
}

const headerProblems: Readonly<Partial<Record<HeaderShape, { readonly seen: string; readonly fix: string }>>> = {
  percent_encoded: {
    seen: "a header's value arrives percent-encoded, such as Basic%20…",
    fix: "Write the value plainly in headers of the configuration (a space, not %20); in OTEL_EXPORTER_OTLP_HEADERS encode it once, not twice.",
  },
  quoted: {
    seen: "a header's value arrives with quotation marks around it",
    fix: "Remove the quotation marks inside the value: neither OTEL_EXPORTER_OTLP_HEADERS nor a file takes them off.",
  },
  basic_not_base64: {
    seen: "Basic is not followed by the base64 of user:password",
    fix: "Use basic_auth = { username = …, password = … }, or encode user:password with base64; in OTEL_EXPORTER_OTLP_HEADERS its = is %3D.",
  },
  scheme_missing: {
    seen: "the authorization header holds one word, without Bearer or Basic before it",
    fix: "Write the scheme before the token, as in Bearer …; in OTEL_EXPORTER_OTLP_HEADERS the space is %20.",
  },
  scheme_twice: {
    seen: "the authorization header names its scheme twice, as in Bearer Bearer …",
    fix: "Remove one of the two: the token's variable or file holds the scheme already.",
  },
  token_missing: {
    seen: "the authorization header holds a scheme and no token",
    fix: "Set the token: the variable or file that it comes from is empty.",
  },
};

/** Whether the canary was taken. */
export function diagnoseAcknowledgement(observation: SendObservation, subject: Subject): Verdict {
  const { outcome, delta } = observation;
  if (outcome.kind === "accepted") {
    return outcome.note === undefined ? ok("acknowledged") : found("odd_answer", outcome.note, subject);
  }
  if (outcome.kind === "partial") {
    const id = delta && DELTA.test(outcome.reason) ? "delta_refused" : "canary_rejected";
    if (outcome.rejectedItems > 0) return found(id, `taken, but the canary is rejected: ${outcome.reason}`, subject);
    return ok(`acknowledged, with a remark: ${outcome.reason}`);
  }
  const { errorType, reason } = outcome;
  if (delta && DELTA.test(reason)) return found("delta_refused", reason, subject);
  if (errorType === "415") return found("encoding_refused", reason, subject);
  if (errorType === "413") return found("request_too_large", reason, subject);
  if (errorType === "429" || errorType === "RESOURCE_EXHAUSTED") return found("throttled", reason, subject);
  if (/^5\d\d$/.test(errorType) || outcome.kind === "retry" || errorType === "INTERNAL") {
    return found("backend_failing", reason, subject);
  }
  return found("export_refused", reason, subject);
}

export function isFailure(outcome: SendOutcome): outcome is Failure {
  return "errorType" in outcome;
}

/** Whether it stays open what stands at the other end. */
export function leavesLanguageOpen(outcome: SendOutcome): boolean {
  return isFailure(outcome) && !/^\d{3}$/.test(outcome.errorType) && !UNAUTHENTICATED.has(outcome.errorType);
}

/** Whether gRPC was spoken to a port of HTTP: which paths it has is the next question. */
export function hasMetHttp({ outcome, language, application }: SendObservation, subject: SubjectOfProtocol): boolean {
  if (subject.protocol !== "grpc" || !leavesLanguageOpen(outcome) || !isFailure(outcome)) return false;
  return (
    outcome.cause === "grpc_to_http1_port" ||
    language?.kind === "http1" ||
    (subject.secure && application !== "h2") ||
    GRPC_GOT_HTTP.test(outcome.reason)
  );
}

type SubjectOfProtocol = Pick<Subject, "protocol" | "secure">;

/** gRPC where HTTP is spoken, HTTP where gRPC is, plain text where TLS is. */
function diagnoseProtocol(observation: SendObservation, outcome: Failure, subject: Subject): Verdict | undefined {
  const { language } = observation;
  const where = `${subject.host}:${subject.port}`;
  const { cause } = outcome;
  if (!subject.secure && (cause === "plaintext_to_tls_port" || language?.kind === "tls")) {
    return found("plaintext_to_tls_port", `${where} speaks TLS, and is spoken to in plain text`, subject);
  }
  if (hasMetHttp(observation, subject)) return diagnoseHttpPort(observation, subject);
  if (subject.protocol === "http" && (cause === "http_to_grpc_port" || language?.kind === "http2")) {
    return found("http_to_grpc_port", `${where} speaks gRPC, and is spoken to in HTTP/1.1`, subject);
  }
  return undefined;
}

/** What was spoken to in gRPC is a gateway of OTLP over HTTP, or another port of a backend: its pages, its queries. */
function diagnoseHttpPort({ paths }: SendObservation, subject: Subject): Verdict {
  const where = `${subject.host}:${subject.port}`;
  const gateway = (base: string): Verdict =>
    found("grpc_to_http_gateway", `${where} is an HTTP gateway, and is spoken to in gRPC`, subject, base);
  if (paths === undefined || [paths.own, ...paths.otherSignals].includes("there")) return gateway("");
  if (paths.belowOtlp === "there") return gateway("/otlp");
  if (paths.belowPrometheus === "there") {
    return subject.signals.includes("metrics")
      ? gateway(PROMETHEUS_BASE)
      : unsupported(`${where} is Prometheus`, subject);
  }
  if (paths.own !== "missing") return gateway("");
  return found("not_otlp", `${where} speaks HTTP, not gRPC, and takes no OTLP at ${signalPaths(subject)}`, subject);
}

function signalPaths({ signals }: Subject): string {
  return signals.map((signal) => `/v1/${signal}`).join(", ");
}

/** Where Prometheus takes OTLP. */
export const PROMETHEUS_BASE = "/api/v1/otlp";
/** Prometheus's words while it does not. */
const SWITCHED_OFF = /needs to be enabled with (--[a-z0-9.-]+)/;

const TWO_SIGNAL_PATHS = /(?:\/v1\/(?:traces|metrics|logs)){2}$/;

/** A 404 over HTTP: the base path is missing, the signal is not taken, or nothing is there. */
function diagnoseNotFound(observation: SendObservation, reason: string, subject: Subject): Verdict {
  const { paths } = observation;
  const flag = SWITCHED_OFF.exec(reason)?.[1];
  if (flag !== undefined) return found("receiver_switched_off", reason, subject, flag);
  if (paths?.otherSignals.includes("there") === true) return unsupported(reason, subject);
  if (paths?.belowOtlp === "there") {
    return found("otlp_path_missing", `${subject.path} is not there, and /otlp${subject.path} is`, subject, "/otlp");
  }
  if (paths?.belowPrometheus === "there") {
    // Prometheus, which has metrics only.
    if (!subject.signals.includes("metrics")) return unsupported(reason, subject);
    const seen = `${subject.path} is not there, and ${PROMETHEUS_BASE}${subject.path} is`;
    return found("otlp_path_missing", seen, subject, PROMETHEUS_BASE);
  }
  if (subject.path === "/" || subject.path === "") {
    return found("signal_path_missing", "the endpoint has no path, and nothing is at /", subject);
  }
  // The endpoint of all signals may have the path of one of them.
  if (TWO_SIGNAL_PATHS.test(subject.path)) {
    return found("signal_path_twice", `nothing is at ${subject.path}: a signal's path is there twice`, subject);
  }
  return found("path_not_found", `nothing is at ${subject.path}: ${reason}`, subject);
}

function unsupported(reason: string, subject: Subject): Verdict {
  return found("signal_unsupported", `${subject.signals.join(", ")} are not taken: ${reason}`, subject);
}

/** What the transport has recognized by itself. */
const wayProblems: Readonly<Partial<Record<NetworkProblem, FindingId>>> = {
  name_not_found: "name_unknown",
  connection_refused: "connection_refused",
  unreachable: "egress_blocked",
  certificate_self_signed: "certificate_untrusted",
  certificate_untrusted: "certificate_untrusted",
  certificate_expired: "certificate_expired",
  certificate_not_yet_valid: "certificate_not_yet_valid",
  certificate_wrong_host: "certificate_name_mismatch",
  client_certificate_refused: "client_certificate_required",
  tls_to_plaintext_port: "tls_to_plaintext_port",
  tls_failed: "tls_failed",
  response_too_large: "not_otlp",
};

function isWebPage({ language }: SendObservation, { errorType, cause }: Failure): boolean {
  if (cause === "response_not_otlp" || errorType === "invalid_response") return true;
  return language?.kind === "http1" && language.contentType.startsWith("text/html");
}

function isTimeout({ errorType, cause }: Failure): boolean {
  return cause === "timeout" || errorType === "timeout" || errorType === "DEADLINE_EXCEEDED";
}

/** The endpoint that the redirect's target would be: without the signal's path, which is appended. */
function locationOf(reason: string, subject: Subject): string {
  const location = /where it points \((.*?)\)\)?$/.exec(reason)?.[1] ?? "";
  const url = URL.parse(location, subject.origin);
  if (url === null || location === "") return "see the message";
  const base = `${url.origin}${url.pathname}`;
  const own = subject.signals.map((signal) => `/v1/${signal}`).find((path) => base.endsWith(path));
  return own === undefined ? base : base.slice(0, -own.length);
}
