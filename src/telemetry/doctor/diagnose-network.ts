/** From what the probes saw on the way to a destination to a finding: pure. */
import { isIP } from "node:net";
import { found, type Subject } from "./findings.ts";
import { ok, type Verdict } from "./check.ts";
import type {
  CertificateObservation,
  ConnectObservation,
  PeerLanguage,
  ResolveObservation,
  TlsObservation,
} from "./observations.ts";

const MAXIMUM_NAMED = 3;

export function diagnoseResolve(observation: ResolveObservation, subject: Subject): Verdict {
  if (observation.kind === "resolved") {
    const { addresses } = observation;
    if (addresses[0] === subject.host) return ok("an address: there is no name to look up");
    const named = addresses.slice(0, MAXIMUM_NAMED).join(", ");
    return ok(`${subject.host} is ${named}${addresses.length > MAXIMUM_NAMED ? ", …" : ""}`);
  }
  const why = observation.code === "timeout" ? "the name service does not answer" : observation.code;
  return found("name_unknown", `${subject.host} has no address (${why})`, subject);
}

const UNREACHABLE = new Set(["EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "EACCES", "EPERM", "EHOSTDOWN"]);

export function diagnoseConnect(observation: ConnectObservation, subject: Subject): Verdict {
  const where = `${subject.host}:${subject.port}`;
  if (observation.kind === "connected") return ok(`connected to port ${subject.port}`);
  const { code, message } = observation;
  if (code === "ECONNREFUSED") return found("connection_refused", `nothing listens at ${where}`, subject);
  if (code === "timeout" || code === "ETIMEDOUT") {
    return found("egress_blocked", `packets to ${where} are not answered: egress is blocked`, subject);
  }
  if (UNREACHABLE.has(code)) return found("egress_blocked", `${where} cannot be reached from here (${code})`, subject);
  return found("connection_lost", `no connection to ${where}: ${message}`, subject);
}

const UNTRUSTED = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_UNTRUSTED",
]);
const CLIENT_CERTIFICATE = /CERTIFICATE_REQUIRED|ALERT_BAD_CERTIFICATE|UNKNOWN_CA|certificate required/i;
/** OpenSSL's words for an answer that is no TLS. */
const NOT_TLS = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|RECORD_LAYER|UNEXPECTED_MESSAGE|wrong version number/i;
const NO_APPLICATION_PROTOCOL = /NO_APPLICATION_PROTOCOL/;
const UNRECOGNIZED_NAME = /UNRECOGNIZED_NAME/;

/** @param language what the port speaks without TLS; asked for when the handshake failed */
export function diagnoseTls(observation: TlsObservation, subject: Subject, language?: PeerLanguage): Verdict {
  const where = `${subject.host}:${subject.port}`;
  if (observation.kind === "established") {
    const { problem, certificate, version } = observation;
    return problem === undefined
      ? ok(`${version}, certificate of ${certificate.subject} valid until ${day(certificate.validTo)}`)
      : diagnoseCertificate(problem, certificate, subject);
  }
  const { code, message } = observation;
  if (NOT_TLS.test(code) || language?.kind === "http1" || language?.kind === "http2") {
    return found("tls_to_plaintext_port", `${where} answers in plain text, not in TLS`, subject);
  }
  if (CLIENT_CERTIFICATE.test(code)) {
    return found("client_certificate_required", `${where} wants another client certificate (${code})`, subject);
  }
  if (NO_APPLICATION_PROTOCOL.test(code)) {
    return subject.protocol === "grpc"
      ? found("grpc_to_http_gateway", `${where} does not speak HTTP/2, which gRPC needs`, subject)
      : found("http_to_grpc_port", `${where} speaks HTTP/2 only, as gRPC does`, subject);
  }
  if (code === "timeout") return found("no_answer", `${where} accepts connections and does not begin TLS`, subject);
  if (code === "ECONNRESET" || code === "EPIPE") {
    return found("connection_lost", `${where} ends the connection when TLS begins`, subject);
  }
  if (UNRECOGNIZED_NAME.test(code)) {
    const name = isIP(subject.host) === 0 ? `the name ${subject.host}` : "an address for a name";
    return found("server_name_unknown", `${where} does not know ${name}`, subject);
  }
  const why = code.startsWith("ERR_SSL_") ? code : message;
  return found("tls_failed", `the TLS handshake with ${where} failed: ${why}`, subject);
}

function diagnoseCertificate(problem: string, certificate: CertificateObservation, subject: Subject): Verdict {
  const { subject: owner, issuer, names, validFrom, validTo } = certificate;
  const where = `${subject.host}:${subject.port}`;
  if (problem === "CERT_HAS_EXPIRED") {
    return found("certificate_expired", `the certificate of ${where} expired on ${day(validTo)}`, subject);
  }
  if (problem === "CERT_NOT_YET_VALID") {
    return found(
      "certificate_not_yet_valid",
      `the certificate of ${where} is valid from ${day(validFrom)} on`,
      subject,
    );
  }
  if (problem === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return found(
      "certificate_name_mismatch",
      `the certificate is for ${names || owner}, not for ${subject.host}`,
      subject,
      names || owner,
    );
  }
  if (UNTRUSTED.has(problem)) {
    const signer =
      problem === "DEPTH_ZERO_SELF_SIGNED_CERT" || owner === issuer ? "itself" : issuer || "an unknown authority";
    return found(
      "certificate_untrusted",
      `the certificate of ${where} is signed by ${signer}, whom this node does not trust`,
      subject,
    );
  }
  return found("tls_failed", `the certificate of ${where} is not accepted (${problem})`, subject);
}

/** `2027-01-31` of OpenSSL's `Jan 31 12:00:00 2027 GMT`. */
function day(date: string): string {
  const timeMs = Date.parse(date);
  return Number.isNaN(timeMs) ? date : new Date(timeMs).toISOString().slice(0, 10);
}
