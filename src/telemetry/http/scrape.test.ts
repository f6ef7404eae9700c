import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { telemetryScrapeRejected, vmUptime } from "#gen/telemetry/metrics.ts";
import { countOf, fillWithSeries, get, openSlowScrape, serve, type Served } from "#test/support/metrics-listener.ts";
import { readPage } from "#test/support/openmetrics-validator.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createMetricsEngine } from "../metrics/metrics-engine.ts";
import type { MetricsSource } from "../metrics/snapshot.ts";

const LARGE = 50_000;

/** Counts how often all families are asked for: once for each rendering. */
function counted(source: MetricsSource): { source: MetricsSource; readonly renderings: number } {
  let renderings = 0;
  return {
    source: {
      families() {
        renderings++;
        return source.families();
      },
      createReader: () => source.createReader(),
    },
    get renderings() {
      return renderings;
    },
  };
}

/** A listener whose pages are counted, over an engine of its own. */
async function serveCounted(joinMs: number): Promise<{ served: Served; readonly renderings: () => number }> {
  const engine = createMetricsEngine({
    clock: { now: () => Date.now(), monotonicMs: () => performance.now(), delay: () => Promise.resolve() },
  });
  const pages = counted(engine);
  const served = { ...(await serve({ source: pages.source, limits: { joinMs } })), engine };
  fillWithSeries(served, 2_000);
  return { served, renderings: () => pages.renderings };
}

/** Reads on without storing: the page is longer than anybody buffers. */
async function readSlowly(socket: Socket, bytes: number, ended: () => boolean): Promise<void> {
  while (!ended() && !socket.destroyed) {
    socket.read(bytes);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("scrapes at the same time", () => {
  test("share one rendering when they want the same", async () => {
    const { served, renderings } = await serveCounted(60_000);
    await using _served = served;
    const options = { headers: { accept: "application/openmetrics-text", "accept-encoding": "gzip" } };
    const answers = await Promise.all([1, 2, 3, 4].map(() => get(served, "/metrics", options)));
    assert.equal(renderings(), 1);
    for (const { body } of answers) {
      const family = readPage(gunzipSync(body).toString(), "openmetrics").find(
        ({ name }) => name === vmUptime.prometheusName,
      );
      assert.equal(family?.samples.length, 2_000);
    }
  });

  test("each get their own when they want different formats or codings", async () => {
    const { served, renderings } = await serveCounted(60_000);
    await using _served = served;
    await Promise.all([
      get(served, "/metrics"),
      get(served, "/metrics", { headers: { accept: "application/openmetrics-text" } }),
      get(served, "/metrics", { headers: { "accept-encoding": "gzip" } }),
    ]);
    assert.equal(renderings(), 3);
  });

  test("one after the other never share: what is gone is gone at the next scrape", async () => {
    const { served, renderings } = await serveCounted(60_000);
    await using _served = served;
    const cell = served.engine.bind(vmUptime, { "blixard.vm.id": "gone", "blixard.vm.name": "gone" });
    cell.set(1);
    assert.match((await get(served, "/metrics")).body.toString(), /"gone"/);
    cell.remove();
    assert.doesNotMatch((await get(served, "/metrics")).body.toString(), /"gone"/);
    assert.equal(renderings(), 2);
  });

  test("a HEAD renders nothing", async () => {
    const { served, renderings } = await serveCounted(0);
    await using _served = served;
    await get(served, "/metrics", { method: "HEAD" });
    assert.equal(renderings(), 0);
  });
});

describe("a hostile scraper", () => {
  test("that reads a byte now and then is cut at the deadline, and counted", async () => {
    await using served = await serve({ limits: { scrapeTimeoutMs: 300 } });
    fillWithSeries(served, LARGE);
    const socket = openSlowScrape(served);
    const cut = (): boolean => countOf(served.engine, telemetryScrapeRejected, "timeout") === 1;
    await Promise.all([waitFor("the cut", cut), readSlowly(socket, 1, cut)]);
    socket.destroy();
  });

  test("is given no more time than it says it has", async () => {
    await using served = await serve();
    fillWithSeries(served, LARGE);
    const socket = openSlowScrape(served, undefined, "X-Prometheus-Scrape-Timeout-Seconds: 0.2\r\n");
    await waitFor("the cut", () => countOf(served.engine, telemetryScrapeRejected, "timeout") === 1);
    socket.destroy();
  });

  test("that fills all places loses one as soon as another client needs it", async () => {
    await using served = await serve({ limits: { maximumScrapes: 3, maximumScrapesPerClient: 3, stallMs: 50 } });
    fillWithSeries(served, LARGE);
    const hostile = [1, 2, 3].map(() => openSlowScrape(served, "127.0.0.2"));
    await Promise.all(hostile.map((socket) => once(socket, "readable")));
    await waitFor("the page for another client", async () => {
      const answer = await get(served, "/metrics", { localAddress: "127.0.0.3" });
      return answer.status === 200;
    });
    assert.ok(countOf(served.engine, telemetryScrapeRejected, "stalled") >= 1);
    for (const socket of hostile) socket.destroy();
  });

  test("cannot take all places with one address", async () => {
    await using served = await serve({ limits: { maximumScrapes: 3, maximumScrapesPerClient: 2, stallMs: 60_000 } });
    fillWithSeries(served, LARGE);
    const hostile = [1, 2].map(() => openSlowScrape(served, "127.0.0.2"));
    await Promise.all(hostile.map((socket) => once(socket, "readable")));
    assert.equal((await get(served, "/metrics", { localAddress: "127.0.0.2" })).status, 503);
    assert.equal((await get(served, "/metrics", { localAddress: "127.0.0.3" })).status, 200);
    for (const socket of hostile) socket.destroy();
  });

  test("that shares a page does not slow down the others", async () => {
    await using served = await serve({ limits: { joinMs: 60_000, scrapeTimeoutMs: 60_000 } });
    fillWithSeries(served, LARGE);
    const slow = openSlowScrape(served);
    await once(slow, "readable");
    const { body } = await get(served, "/metrics");
    assert.ok(body.length > 10_000_000);
    slow.destroy();
  });

  test("that shares a page and falls far behind is cut", async () => {
    await using served = await serve({
      limits: { joinMs: 60_000, scrapeTimeoutMs: 60_000, maximumLagBytes: 1_000_000 },
    });
    fillWithSeries(served, LARGE);
    const slow = openSlowScrape(served);
    await once(slow, "readable");
    assert.equal((await get(served, "/metrics")).status, 200);
    await waitFor("the cut", () => countOf(served.engine, telemetryScrapeRejected, "timeout") === 1);
    slow.destroy();
  });

  test("cannot take all connections with one address", async () => {
    await using served = await serve({ limits: { maximumConnections: 4, maximumConnectionsPerClient: 2 } });
    const hostile = [1, 2].map(() => openSlowScrape(served, "127.0.0.2"));
    await Promise.all(hostile.map((socket) => once(socket, "readable")));
    await assert.rejects(get(served, "/healthz", { localAddress: "127.0.0.2" }));
    assert.equal((await get(served, "/healthz", { localAddress: "127.0.0.3" })).status, 200);
    assert.equal(countOf(served.engine, telemetryScrapeRejected, "busy"), 1);
    for (const socket of hostile) socket.destroy();
  });
});
