import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { httpServerRequestDuration, telemetryScrapeRejected } from "#gen/telemetry/metrics.ts";
import { Secret } from "#model/secret.ts";
import { countOf, get, serve } from "#test/support/metrics-listener.ts";
import { aRegistration } from "#test/support/store-fixtures.ts";
import type { KnownNodes } from "./prometheus-discovery.ts";

const PATH = "/discovery/prometheus";
const knownNodes = (): KnownNodes => ({
  cluster: undefined,
  ownNodeId: "node-1",
  nodes: [{ ...aRegistration(), alive: true, cordoned: false }],
  confirmedTimeMs: Date.now() - 60_000,
});

describe("GET /discovery/prometheus", () => {
  test("answers as http_sd reads it, with the age of what it knows", async () => {
    await using served = await serve({ knownNodes });
    const { status, headers, body } = await get(served, PATH, { headers: { accept: "application/json" } });
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "application/json");
    assert.ok(Number(headers.age) >= 60);
    assert.deepEqual(JSON.parse(body.toString())[0].targets, ["node-1:9090"]);
    assert.equal(countOf(served.engine, httpServerRequestDuration, PATH), 1);
  });

  test("gives HEAD the same head", async () => {
    await using served = await serve({ knownNodes });
    const { status, headers, body } = await get(served, PATH, { method: "HEAD" });
    assert.equal(status, 200);
    assert.ok(Number(headers["content-length"]) > 100);
    assert.equal(body.length, 0);
    assert.equal((await get(served, PATH, { method: "POST" })).status, 405);
  });

  test("is an error before the cluster is known, never an empty list, which would end all targets", async () => {
    await using served = await serve({ knownNodes: () => undefined });
    const { status, headers, body } = await get(served, PATH);
    assert.equal(status, 503);
    assert.equal(headers["retry-after"], "1");
    assert.match(body.toString(), /does not know/);
  });

  test("asks for the credentials of the page", async () => {
    await using served = await serve({ knownNodes, bearerToken: new Secret("t0ken") });
    assert.equal((await get(served, PATH)).status, 401);
    assert.equal((await get(served, PATH, { headers: { authorization: "Bearer t0ken" } })).status, 200);
    assert.equal(countOf(served.engine, telemetryScrapeRejected, "auth"), 1);
  });
});
