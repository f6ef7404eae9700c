import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { nodeCertificateExpirationTimestamp } from "#gen/telemetry/metrics.ts";
import { Secret } from "#model/secret.ts";
import { loopbackCertificate, loopbackKey } from "#test/support/loopback-certificate.ts";
import { createMemoryTelemetry, type MemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { createManualClock } from "#test/support/manual-clock.ts";
import { oddKey, strangersCertificate } from "#test/support/odd-certificates.ts";
import { serve } from "#test/support/metrics-listener.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { readinessOf } from "#telemetry/http/readiness.ts";
import { type MetricsListener, startMetricsListener } from "./metrics-listener.ts";

let directory: string;
let lines: string[];
let telemetry: MemoryTelemetry;
const clock = createManualClock();

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "blixard-listener-"));
  lines = [];
  telemetry = createMemoryTelemetry();
  await write("server.pem", loopbackCertificate);
  await write("server.key", loopbackKey);
});
afterEach(() => rm(directory, { recursive: true }));

/** Replaces a file as a whole, as those who renew certificates do. */
async function write(name: string, text: string): Promise<void> {
  await writeFile(join(directory, `${name}.new`), text);
  await rename(join(directory, `${name}.new`), join(directory, name));
}

function start(clientCaFile?: string): Promise<MetricsListener> {
  return startMetricsListener({
    config: {
      enabled: true,
      bind: { host: "127.0.0.1", port: 0 },
      advertise: undefined,
      certificateFile: join(directory, "server.pem"),
      keyFile: join(directory, "server.key"),
      clientCaFile,
      basicAuth: { username: undefined, password: undefined },
      bearerToken: new Secret("t0ken"),
      scopeLabels: false,
      created: false,
    },
    telemetry: {
      startMetricsServer: async ({ bind, readiness, tls, bearerToken }) =>
        (await serve({ bind, readiness, tls, bearerToken })).server,
      metrics: telemetry.metrics,
      logger: {
        debug() {},
        info: (message) => void lines.push(message),
        warn: (message) => void lines.push(message),
        error() {},
        event() {},
      },
    },
    clock,
    readiness: () => readinessOf([]),
    knownNodes: () => undefined,
  });
}

function expirationSeconds(): number | undefined {
  return telemetry.value(nodeCertificateExpirationTimestamp, { "blixard.certificate.role": "metrics_server" });
}

/** The subject of the certificate that is shown, and the answer to a scrape with the token. */
async function ask({ url }: MetricsListener): Promise<{ subject: string; status: number }> {
  const headers = { authorization: "Bearer t0ken" };
  const call = request(url, { headers, rejectUnauthorized: false, agent: false });
  call.end();
  const [response] = await once(call, "response");
  response.resume();
  return { subject: response.socket.getPeerX509Certificate().subject, status: response.statusCode };
}

test("certificates that are renewed on disk are taken up, half-renewed ones are not", async () => {
  const listener = await start();
  try {
    assert.match(listener.url, /^https:\/\/127\.0\.0\.1:\d+\/metrics$/);
    assert.deepEqual(await ask(listener), { subject: "CN=localhost", status: 200 });
    assert.equal(expirationSeconds(), Date.UTC(2126, 9, 29, 21, 25, 54) / 1_000);

    await write("server.pem", strangersCertificate);
    await clock.advance(10_000);
    await waitFor("the complaint", async () => {
      await clock.advance(10_000);
      return lines.length > 0;
    });
    assert.deepEqual(await ask(listener), { subject: "CN=localhost", status: 200 });
    // What is in use counts, not what lies there.
    assert.equal(expirationSeconds(), Date.UTC(2126, 9, 29, 21, 25, 54) / 1_000);

    await write("server.key", oddKey);
    await waitFor("the new certificate", async () => {
      await clock.advance(10_000);
      return (await ask(listener)).subject === "CN=collector.example";
    });
    assert.equal(expirationSeconds(), Date.UTC(2126, 9, 30, 0, 14, 12) / 1_000);
    // Said once each, however often it was looked at.
    assert.deepEqual(lines, [
      "the metrics listener keeps its old certificate",
      "the metrics listener has taken up its renewed certificate",
    ]);
  } finally {
    await listener.close();
  }
  assert.equal(clock.pending, 0);
});

test("a file that cannot be read is a clear error at start", async () => {
  await assert.rejects(start(join(directory, "missing.pem")), { code: "CONFIG_UNREADABLE", message: /missing\.pem/ });
});
