/** A metrics listener for tests, over an engine of its own, and clients good and bad. */
import { once } from "node:events";
import { type IncomingHttpHeaders, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { vmCount, vmUptime } from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import { createMetricsServer, type MetricsServer, type MetricsServerOptions } from "#telemetry/http/metrics-server.ts";
import { readinessOf } from "#telemetry/http/readiness.ts";
import { createMetricsEngine, type MetricsEngine } from "#telemetry/metrics/metrics-engine.ts";
import type { MetricDescriptor } from "#telemetry/port.ts";

const clock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  delay: (delayMs, signal) => delay(delayMs, undefined, { signal }),
};

export interface Served extends AsyncDisposable {
  readonly engine: MetricsEngine;
  readonly server: MetricsServer;
}

export async function serve(options: Partial<MetricsServerOptions> = {}): Promise<Served> {
  const engine = createMetricsEngine({ clock, seriesLimit: 100_000 });
  engine.bind(vmCount, { "blixard.vm.state": "running" }).add(1);
  const server = await createMetricsServer({
    bind: { host: "127.0.0.1", port: 0 },
    source: engine,
    metrics: engine,
    clock,
    resource: { "service.name": "blixard" },
    readiness: () => readinessOf([{ name: "store", ready: true }]),
    ...options,
  });
  return { engine, server, [Symbol.asyncDispose]: () => server.close(0) };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface GetOptions {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  /** Which of this machine's addresses calls. */
  readonly localAddress?: string;
  /** For a listener with TLS; PEM texts. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export async function get(
  { server }: Pick<Served, "server">,
  path: string,
  { method = "GET", headers = {}, ...connection }: GetOptions = {},
): Promise<Answer> {
  const { host, port } = server.address;
  const options = { host, port, path, method, headers: { connection: "close", ...headers }, ...connection };
  const call = server.scheme === "https" ? httpsRequest({ ...options, agent: false }) : httpRequest(options);
  call.end();
  const [response] = await once(call, "response");
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) };
}

/** Fills the page beyond what sockets and streams buffer. */
export function fillWithSeries({ engine }: Served, count: number): void {
  for (let index = 0; index < count; index++) {
    engine
      .bind(vmUptime, { "blixard.vm.id": `vm-${index}`, "blixard.vm.name": `${"x".repeat(200)}${index}` })
      .set(index);
  }
}

/** Asks for the page and does not read it. `headers`: lines. */
export function openSlowScrape({ server }: Served, localAddress?: string, headers = ""): Socket {
  const { host, port } = server.address;
  const socket = connect({ host, port, ...(localAddress === undefined ? {} : { localAddress }) });
  socket.pause();
  socket.on("error", () => {});
  socket.write(`GET /metrics HTTP/1.1\r\nHost: test\r\n${headers}\r\n`);
  return socket;
}

/** What a counter or histogram has counted in all series with this attribute value. */
export function countOf(engine: MetricsEngine, descriptor: MetricDescriptor, value: string): number {
  const family = engine.families().find((candidate) => candidate.descriptor.name === descriptor.name);
  const series = family?.series.filter((candidate) => candidate.attributes.some((pair) => pair[1] === value)) ?? [];
  return series.reduce((sum, one) => sum + (one.kind === "number" ? one.value : one.count), 0);
}
