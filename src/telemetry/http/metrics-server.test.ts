import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import {
  httpServerRequestDuration,
  telemetryScrapeDuration,
  telemetryScrapeRejected,
  vmUptime,
} from "#gen/telemetry/metrics.ts";
import { BlixardError } from "#model/errors.ts";
import { countOf, fillWithSeries, get, openSlowScrape, serve } from "#test/support/metrics-listener.ts";
import { readPage } from "#test/support/openmetrics-validator.ts";
import { readProtobufPage } from "#test/support/prometheus-protobuf.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { readinessOf } from "./readiness.ts";

describe("GET /metrics", () => {
  test("plain curl gets text 0.0.4", async () => {
    await using served = await serve();
    const { status, headers, body } = await get(served, "/metrics", { headers: { accept: "*/*" } });
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert.equal(headers.vary, "Accept, Accept-Encoding");
    const family = readPage(body.toString(), "prometheus_text").find(({ name }) => name === "blixard_vm_count");
    assert.equal(family?.samples[0]?.value, 1);
  });

  test("OpenMetrics is given to those who ask for it", async () => {
    await using served = await serve();
    const { headers, body } = await get(served, "/metrics", { headers: { accept: "application/openmetrics-text" } });
    assert.match(headers["content-type"] ?? "", /^application\/openmetrics-text; version=1\.0\.0; charset=utf-8$/);
    readPage(body.toString(), "openmetrics");
  });

  test("Prometheus 3's own header gets the names of every other page", async () => {
    await using served = await serve();
    const accept =
      "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5," +
      "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    const { headers, body } = await get(served, "/metrics", { headers: { accept } });
    assert.equal(
      headers["content-type"],
      "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
    );
    const family = readPage(body.toString(), "openmetrics").find(({ name }) => name === "blixard_vm_count");
    assert.equal(family?.samples[0]?.labels.get("blixard_vm_state"), "running");
  });

  test("protobuf with native histograms is given to those who ask for it", async () => {
    await using served = await serve();
    served.engine.bind(telemetryScrapeDuration, { "blixard.telemetry.format": "openmetrics" }).record(0.25);
    const accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    const { headers, body } = await get(served, "/metrics", { headers: { accept, "accept-encoding": "gzip" } });
    assert.equal(
      headers["content-type"],
      "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
    );
    const families = readProtobufPage(gunzipSync(body));
    assert.ok(families.some(({ name }) => name === telemetryScrapeDuration.prometheusName));
  });

  test("gzip gives the same page in fewer bytes", async () => {
    await using served = await serve();
    fillWithSeries(served, 500);
    const accept = "application/openmetrics-text";
    const { headers, body } = await get(served, "/metrics", { headers: { accept, "accept-encoding": "gzip" } });
    assert.equal(headers["content-encoding"], "gzip");
    const page = gunzipSync(body).toString();
    assert.ok(body.length < page.length / 5);
    const uptime = readPage(page, "openmetrics").find(({ name }) => name === vmUptime.prometheusName);
    assert.equal(uptime?.samples.length, 500);
  });

  test("a client that half-closes after its request gets the whole page", async () => {
    await using served = await serve();
    fillWithSeries(served, 20_000);
    const socket = connect({ ...served.server.address, allowHalfOpen: true });
    socket.end("GET /metrics HTTP/1.0\r\nAccept: application/openmetrics-text\r\n\r\n");
    const chunks: Buffer[] = [];
    for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
    assert.equal(Buffer.concat(chunks).toString().slice(-6), "# EOF\n");
  });

  test("a whole URL in the request is as good as its path", async () => {
    await using served = await serve();
    assert.equal((await get(served, "http://node.example:9090/metrics?x=1")).status, 200);
    assert.equal((await get(served, "http://node.example/metrics/more")).status, 404);
  });

  test("a query changes nothing", async () => {
    await using served = await serve();
    assert.equal((await get(served, "/metrics?name[]=x")).status, 200);
  });

  test("HEAD has the same headers and no body", async () => {
    await using served = await serve();
    const { status, headers, body } = await get(served, "/metrics", { method: "HEAD" });
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert.equal(body.length, 0);
  });

  test("many scrapes at once beyond the limit get 503 at once, and are counted", async () => {
    await using served = await serve({ limits: { maximumScrapes: 1 } });
    fillWithSeries(served, 50_000);
    const slow = openSlowScrape(served);
    const busy = await waitFor("a refusal", async () => {
      const answer = await get(served, "/metrics");
      return answer.status === 503 ? answer : undefined;
    });
    assert.equal(busy.headers["retry-after"], "1");
    assert.ok(countOf(served.engine, telemetryScrapeRejected, "busy") >= 1);
    slow.destroy();
    await waitFor("room for the next scrape", async () => (await get(served, "/metrics")).status === 200);
    assert.ok(countOf(served.engine, telemetryScrapeRejected, "aborted") >= 1);
  });

  test("one who does not read is cut off in time, and counted", async () => {
    await using served = await serve({ limits: { scrapeTimeoutMs: 100 } });
    fillWithSeries(served, 50_000);
    const slow = openSlowScrape(served);
    await waitFor("the cut", () => countOf(served.engine, telemetryScrapeRejected, "timeout") === 1);
    slow.destroy();
  });

  test("a scrape measures itself", async () => {
    await using served = await serve();
    await get(served, "/metrics");
    await waitFor("the measurement", () => countOf(served.engine, telemetryScrapeDuration, "prometheus_text") === 1);
    await waitFor("the request", () => countOf(served.engine, httpServerRequestDuration, "/metrics") === 1);
  });
});

describe("health", () => {
  test("/healthz says ok", async () => {
    await using served = await serve();
    const { status, body } = await get(served, "/healthz");
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(body.toString()), { status: "ok" });
  });

  test("/readyz says what is not ready, and changes its mind", async () => {
    let ready = false;
    await using served = await serve({
      readiness: () =>
        readinessOf([
          { name: "api", ready: true },
          { name: "store", ready, message: "no leader yet" },
        ]),
    });
    const before = await get(served, "/readyz");
    assert.equal(before.status, 503);
    assert.deepEqual(JSON.parse(before.body.toString()), {
      ready: false,
      checks: [
        { name: "api", ready: true },
        { name: "store", ready: false, message: "no leader yet" },
      ],
    });
    ready = true;
    assert.equal((await get(served, "/readyz")).status, 200);
  });

  test("a readiness check that throws is not ready", async () => {
    await using served = await serve({
      readiness() {
        throw new Error("broken");
      },
    });
    const { status, body } = await get(served, "/readyz");
    assert.equal(status, 503);
    assert.match(body.toString(), /broken/);
  });
});

describe("everything else", () => {
  for (const path of ["/", "/metric", "/metrics/", "//metrics", "/../metrics", "/%6detrics"]) {
    test(`${path} is not found`, async () => {
      await using served = await serve();
      assert.equal((await get(served, path)).status, 404);
    });
  }

  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"]) {
    test(`${method} is not allowed`, async () => {
      await using served = await serve();
      const { status, headers } = await get(served, "/metrics", { method });
      assert.equal(status, 405);
      assert.equal(headers.allow, "GET, HEAD");
    });
  }

  test("an unknown method is measured as _OTHER", async () => {
    await using served = await serve();
    await get(served, "/metrics", { method: "PROPFIND" });
    await waitFor("the request", () => countOf(served.engine, httpServerRequestDuration, "_OTHER") === 1);
  });

  test("headers that are too large are refused, and the listener goes on", async () => {
    await using served = await serve({ limits: { maximumHeaderBytes: 2_048 } });
    const { status } = await get(served, "/metrics", { headers: { "x-large": "x".repeat(4_096) } });
    assert.equal(status, 431);
    assert.equal((await get(served, "/healthz")).status, 200);
  });

  test("one who never ends the headers is cut off", async () => {
    await using served = await serve({ limits: { headersTimeoutMs: 100 } });
    const socket = connect({ host: served.server.address.host, port: served.server.address.port });
    socket.write("GET /metrics HTTP/1.1\r\nHost: te");
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk);
    assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1\.1 408 /);
  });

  test("connections beyond the limit are closed, and there is room again afterwards", async () => {
    await using served = await serve({ limits: { maximumConnections: 2 } });
    const { host, port } = served.server.address;
    const held = [connect({ host, port }), connect({ host, port })];
    for (const socket of held) await once(socket, "connect");
    const refused = connect({ host, port });
    refused.on("error", () => {});
    await once(refused, "close");
    for (const socket of held) socket.destroy();
    await waitFor("room", async () => {
      try {
        return (await get(served, "/healthz")).status === 200;
      } catch {
        return false;
      }
    });
  });

  test("a taken port is a clear error that says what to do", async () => {
    await using served = await serve();
    await assert.rejects(serve({ bind: served.server.address }), (error: unknown) => {
      assert.ok(error instanceof BlixardError);
      assert.equal(error.code, "PORT_TAKEN");
      assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${served.server.address.port}`));
      assert.match(error.hint ?? "", /bind/);
      return true;
    });
  });

  test("an address of another machine is a configuration error", async () => {
    await assert.rejects(serve({ bind: { host: "192.0.2.1", port: 0 } }), { code: "CONFIG_INVALID" });
  });

  test("closing does not wait for those who hold a connection", async () => {
    const served = await serve();
    fillWithSeries(served, 50_000);
    const slow = openSlowScrape(served);
    const idle = connect({ host: served.server.address.host, port: served.server.address.port });
    await once(idle, "connect");
    await served.server.close(50);
    slow.destroy();
    idle.destroy();
  });
});
