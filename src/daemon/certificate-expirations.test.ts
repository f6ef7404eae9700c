import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeCertificateExpirationTimestamp } from "#gen/telemetry/metrics.ts";
import { loopbackCertificate } from "#test/support/loopback-certificate.ts";
import { createMemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { expiredCertificate } from "#test/support/odd-certificates.ts";
import { reportCertificates } from "./certificate-expirations.ts";

const EXPIRED = Date.UTC(2020, 1, 1) / 1_000;
const VALID = Date.UTC(2126, 9, 29, 21, 25, 54) / 1_000;

function reported(role: Parameters<typeof reportCertificates>[1], ...texts: (string | undefined)[]) {
  const telemetry = createMemoryTelemetry();
  reportCertificates(telemetry.metrics, role, texts);
  return telemetry.value(nodeCertificateExpirationTimestamp, { "blixard.certificate.role": role });
}

test("a chain expires with the first of its certificates, wherever it stands in the file", () => {
  assert.equal(reported("metrics_server", loopbackCertificate), VALID);
  assert.equal(reported("metrics_server", `${loopbackCertificate}${expiredCertificate}`), EXPIRED);
  assert.equal(reported("otlp_client", `${expiredCertificate}\r\nwords\r\n${loopbackCertificate}`), EXPIRED);
});

test("authorities expire with the last of them: while one replaces another both are there", () => {
  assert.equal(reported("otlp_ca", `${expiredCertificate}${loopbackCertificate}`), VALID);
});

test("of several destinations the one whose certificate expires first is told", () => {
  assert.equal(reported("otlp_client", loopbackCertificate, undefined, expiredCertificate), EXPIRED);
});

test("nothing is told where there is no certificate", () => {
  const broken = "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n";
  for (const text of [undefined, "", "no certificate", broken]) {
    assert.equal(reported("store_ca", text), undefined);
  }
  assert.equal(reported("store_ca", `${broken}${loopbackCertificate}`), VALID);
});
