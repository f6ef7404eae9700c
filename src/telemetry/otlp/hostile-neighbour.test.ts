// A node with two destinations, of which one misbehaves: the other gets everything, and
// stderr gets one line for each signal.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { vmRestarts } from "#gen/telemetry/metrics.ts";
import { vmStart } from "#gen/telemetry/spans.ts";
import { startOtlpReceiver } from "#test/support/otlp-receiver.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createTelemetry } from "../create-telemetry.ts";
import { resolveDestination } from "./destination.ts";
import { createTransport } from "./signal-sender.ts";

const HTTP_HEAD = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n";

/** What the hostile one does with each connection, once it has been greeted. */
const behaviours: Readonly<Record<string, (socket: Socket) => void>> = {
  "resets every connection": (socket) => void socket.resetAndDestroy(),
  "never answers": (socket) => void socket.resume(),
  "answers garbage": (socket) => void socket.end("\u0000\u0001garbage\r\n\r\n"),
  "answers without end": (socket) => {
    socket.write(`${HTTP_HEAD}content-length: 1000000000\r\n\r\n`);
    const more = (): void => {
      while (!socket.destroyed) if (!socket.write(Buffer.alloc(64 * 1024))) return void socket.once("drain", more);
    };
    more();
  },
  "resets half-way": (socket) => {
    socket.write(`${HTTP_HEAD}content-length: 100\r\n\r\nhalf`, () => void socket.resetAndDestroy());
  },
  "points elsewhere": (socket) =>
    void socket.end("HTTP/1.1 308 Permanent Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
  "is a web page": (socket) => {
    const page = "<html>Welcome</html>";
    socket.end(`HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: ${page.length}\r\n\r\n${page}`);
  },
};

async function listen(t: TestContext, behave: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.once("data", () => behave(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const SPANS = 20;
const signals = ["traces", "metrics", "logs"] as const;

for (const [what, behave] of Object.entries(behaviours)) {
  for (const protocol of ["grpc", "http/protobuf"] as const) {
    test(`${protocol}: beside a collector that ${what}, the other gets everything, and one line says so for each signal`, async (t) => {
      const good = await startOtlpReceiver();
      t.after(() => good[Symbol.asyncDispose]());
      const hostile = await listen(t, behave);
      const destinations = [
        { endpoint: hostile, protocol, timeoutMs: 300 },
        { endpoint: good.grpcEndpoint, protocol: "grpc" },
      ] as const;
      const batch = { scheduleDelayMs: 10 };
      const lines: string[] = [];
      const identity = { clusterName: "test", clusterId: "cluster-1", nodeId: "node-1" };
      const telemetry = createTelemetry({
        resource: { serviceName: "blixard", serviceVersion: "0.1.0", ...identity },
        tracing: { enabled: true, samplingRatio: 1, destinations, batch },
        metrics: { enabled: true, runtimeMetrics: false, destinations, exportIntervalMs: 100 },
        logging: { level: "info", format: "json", colour: false, destinations, batch },
        writeLog: (line) => lines.push(line),
      });
      t.after(() => telemetry.shutdown(100));
      const restarts = telemetry.metrics.bind(vmRestarts, { "blixard.vm.exit_cause": "crash" });
      for (let index = 0; index < SPANS; index++) {
        await telemetry.tracing.span(vmStart, { attributes: { "blixard.vm.id": "vm-1" } }, async () => {
          telemetry.logger.info(`log ${index}`);
        });
        restarts.add(1);
      }
      await good.waitFor(
        ({ spans, logs, points }) =>
          spans.length === SPANS &&
          logs.filter(({ body }) => String(body).startsWith("log ")).length === SPANS &&
          points.some(({ name, value }) => name === vmRestarts.name && value === SPANS),
        30_000,
      );
      const said = (signal: string): string[] =>
        lines.filter((line) => line.includes(`cannot export ${signal} to`) && line.includes(hostile.slice(7)));
      await waitFor("a line for each signal", () => signals.every((signal) => said(signal).length > 0));
      // Several attempts later it is still the one line.
      const seen = good.points.length;
      await good.waitFor(({ points }) => points.length > seen);
      for (const signal of signals) assert.equal(said(signal).length, 1, said(signal).join());
      assert.ok(lines.every((line) => line.length < 4_096));
    });
  }
}

test("grpc: where nobody listens, each signal is told why", async (t) => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  server.close();
  await once(server, "close");
  for (const signal of signals) {
    const transport = createTransport(resolveDestination({ endpoint, protocol: "grpc" }, signal), signal, "test");
    t.after(() => transport.close());
    const outcome = await transport.send(new Uint8Array(), new AbortController().signal);
    assert.equal("cause" in outcome && outcome.cause, "connection_refused", signal);
  }
});
