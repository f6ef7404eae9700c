/**
 * When the certificates that this process uses expire, as a metric. What counts is what is
 * in use, not what lies on disk: a file that was renewed and is not taken up still alerts.
 */
import { X509Certificate } from "node:crypto";
import { nodeCertificateExpirationTimestamp } from "#gen/telemetry/metrics.ts";
import type { Metrics } from "#telemetry/port.ts";

type CertificateRole =
  (typeof nodeCertificateExpirationTimestamp)["attributes"]["blixard.certificate.role"]["values"][number];

/** @param texts PEM; undefined ones are not configured. Of several the first that expires is told. */
export function reportCertificates(
  metrics: Metrics,
  role: CertificateRole,
  texts: readonly (string | undefined)[],
): void {
  const expirations = texts.flatMap((text) => (text === undefined ? [] : (expirationSeconds(text, role) ?? [])));
  if (expirations.length === 0) return;
  metrics.bind(nodeCertificateExpirationTimestamp, { "blixard.certificate.role": role }).set(Math.min(...expirations));
}

/**
 * A chain breaks with the first of its certificates. Of a bundle of authorities some are old
 * and some are new while they are being replaced: it is over when none is left.
 */
function expirationSeconds(pem: string, role: CertificateRole): number | undefined {
  const times = pem
    .match(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g)
    ?.flatMap((text) => timeOf(text) ?? []);
  if (times === undefined || times.length === 0) return undefined;
  return (role.endsWith("_ca") ? Math.max(...times) : Math.min(...times)) / 1_000;
}

/** Unix ms; undefined for what is no certificate, which whoever uses it complains of. */
function timeOf(pem: string): number | undefined {
  try {
    return new X509Certificate(pem).validToDate.getTime();
  } catch {
    return undefined;
  }
}
