/** An etcd that exists already, over TCP, with and without TLS, one endpoint of several dead. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { BlixardError, causeChain } from "#model/errors.ts";
import { spawnProcess } from "#process/spawn.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { createEtcdConnection, type EtcdConnectionOptions } from "#store/etcd/connection.ts";
import { parseEtcdEndpoint } from "#store/etcd/endpoint.ts";
import { createEtcdKeyValueStore } from "#store/etcd/etcd-key-value-store.ts";
import type { KeyValueStore } from "#store/key-value-store.ts";
import { findTestEtcd } from "#test/support/etcd.ts";
import { loopbackCertificate, loopbackKey } from "#test/support/loopback-certificate.ts";
import { waitFor } from "#test/support/wait-for.ts";

async function startExternalEtcd(t: TestContext, scheme: "http" | "https"): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "blixard-external-"));
  await writeFile(join(folder, "cert.pem"), loopbackCertificate);
  await writeFile(join(folder, "key.pem"), loopbackKey);
  const tls = scheme === "https" ? ["--cert-file=cert.pem", "--key-file=key.pem"] : [];
  const child = await spawnProcess({
    command: findTestEtcd(),
    args: [
      "--name=external",
      "--data-dir=data",
      `--listen-client-urls=${scheme}://127.0.0.1:0`,
      `--advertise-client-urls=${scheme}://127.0.0.1:0`,
      "--listen-peer-urls=unix://localhost:2380",
      "--initial-advertise-peer-urls=unix://localhost:2380",
      "--initial-cluster=external=unix://localhost:2380",
      "--logger=zap",
      "--log-outputs=stderr",
      ...tls,
    ],
    cwd: folder,
    stderr: "pipe",
    parentDeathSignal: "KILL",
  });
  let log = "";
  child.stderr?.on("data", (chunk: Buffer) => (log += chunk.toString()));
  t.after(async () => {
    child.kill("SIGKILL");
    await child.exited;
    await rm(folder, { recursive: true });
  });
  const port = await waitFor(
    "the port it listens on",
    () => /serving client traffic[^}]*"address":"127\.0\.0\.1:(\d+)"/.exec(log)?.[1],
  );
  return Number(port);
}

function open(t: TestContext, options: EtcdConnectionOptions): KeyValueStore {
  const connection = createEtcdConnection(options);
  const store = createEtcdKeyValueStore({
    connection,
    clock: createSystemClock(),
    random: Math.random,
    timeoutMs: 3000,
  });
  t.after(() => store.close());
  return store;
}

const put = { kind: "put", key: "/a", value: Buffer.from("x") } as const;

test("a plain endpoint serves", async (t) => {
  const port = await startExternalEtcd(t, "http");
  const store = open(t, { endpoints: [parseEtcdEndpoint(`http://localhost:${port}`)] });
  assert.equal((await store.transact({ compare: [], success: [put] })).succeeded, true);
  assert.notEqual(await store.get("/a"), undefined);
});

test("a dead endpoint beside a living one is no outage", async (t) => {
  const port = await startExternalEtcd(t, "http");
  // Port 1 of the loopback: nobody listens there.
  for (const endpoints of [
    ["http://127.0.0.1:1", `http://127.0.0.1:${port}`],
    [`http://127.0.0.1:${port}`, "http://127.0.0.1:1"],
  ]) {
    const store = open(t, { endpoints: endpoints.map(parseEtcdEndpoint) });
    assert.equal((await store.transact({ compare: [], success: [put] })).succeeded, true);
  }
});

test("TLS serves by name and by address, and only with a certificate that is trusted", async (t) => {
  const port = await startExternalEtcd(t, "https");
  const tls = { certificateAuthorities: loopbackCertificate };
  for (const host of ["localhost", "127.0.0.1"]) {
    const store = open(t, { endpoints: [parseEtcdEndpoint(`https://${host}:${port}`)], tls });
    assert.equal((await store.transact({ compare: [], success: [put] })).succeeded, true, host);
  }
  const distrustful = open(t, { endpoints: [parseEtcdEndpoint(`https://127.0.0.1:${port}`)] });
  await assert.rejects(distrustful.get("/a", { timeoutMs: 1000 }), isUnavailable);
});

test("an endpoint where nobody listens is named in the error", async (t) => {
  const store = open(t, { endpoints: [parseEtcdEndpoint("http://127.0.0.1:1")] });
  await assert.rejects(
    store.get("/a", { timeoutMs: 300 }),
    (error) => isUnavailable(error) && causeChain(error).some((message) => message.includes("http://127.0.0.1:1")),
  );
});

function isUnavailable(error: unknown): boolean {
  return error instanceof BlixardError && error.code === "STORE_UNAVAILABLE";
}
