/**
 * What telemetry costs a caller: unary calls against two nodes that differ in
 * nothing else, in strictly alternating blocks.
 *
 * The first pair compares a node that exports everything to a collector that
 * answers with one that records nothing; the second compares a collector that
 * answers with one that accepts connections and never says a word.
 */
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { VmService } from "#gen/api/blixard/v1/vm_pb.ts";
import { TestNode } from "#test/support/test-node.ts";
import { connectToNode } from "./connect-to-node.ts";
import type { BenchmarkRow } from "./report.ts";
import { bootstrap, median, quantile } from "./statistics.ts";

const BLOCKS = 30;
const WARM_UP_BLOCKS = 4;
const CALLS_A_BLOCK = 1_000;
const CONCURRENCY = 8;

interface Variant {
  readonly node: TestNode;
  readonly client: Client<typeof VmService>;
}

interface Block {
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export async function benchApiThroughput(): Promise<BenchmarkRow[]> {
  await using collector = await startAnsweringCollector();
  await using hole = await startBlackHole();
  await using off = await startVariant("[observability]\nenabled = false\n");
  await using on = await startVariant(tracingTo(collector.url));
  await using blackHoled = await startVariant(tracingTo(hole.url));
  const telemetry = await alternate(on, off);
  const outage = await alternate(blackHoled, on);
  const ratios = (pairs: readonly (readonly [Block, Block])[], of: keyof Block): number[] =>
    pairs.map(([left, right]) => left[of] / right[of]);
  return [
    {
      what: "unary API throughput, telemetry on / off",
      unit: "×",
      interval: bootstrap(ratios(telemetry, "callsPerSecond"), median),
      budget: { atLeast: 0.95 },
      observations: BLOCKS,
    },
    {
      what: "call latency with a black-holed collector, p50",
      unit: "×",
      interval: bootstrap(ratios(outage, "p50Ms"), median),
      budget: { atMost: 1.05 },
      observations: BLOCKS,
    },
    {
      what: "call latency with a black-holed collector, p99",
      unit: "×",
      interval: bootstrap(ratios(outage, "p99Ms"), median),
      budget: { atMost: 1.25 },
      observations: BLOCKS,
    },
  ];
}

/** Pairs of blocks; which variant goes first alternates too. */
async function alternate(left: Variant, right: Variant): Promise<(readonly [Block, Block])[]> {
  const pairs: (readonly [Block, Block])[] = [];
  for (let block = -WARM_UP_BLOCKS; block < BLOCKS; block++) {
    const leftFirst = block % 2 === 0;
    const first = await runBlock(leftFirst ? left : right);
    const second = await runBlock(leftFirst ? right : left);
    if (block >= 0) pairs.push(leftFirst ? [first, second] : [second, first]);
  }
  return pairs;
}

async function runBlock({ client }: Variant): Promise<Block> {
  const latencies: number[] = [];
  let remaining = CALLS_A_BLOCK;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      while (remaining-- > 0) {
        const sent = performance.now();
        await client.getVm({ vm: "probe" });
        latencies.push(performance.now() - sent);
      }
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  return { callsPerSecond: CALLS_A_BLOCK / seconds, p50Ms: median(latencies), p99Ms: quantile(latencies, 0.99) };
}

async function startVariant(toml: string): Promise<Variant & AsyncDisposable> {
  const node = await TestNode.start({
    toml:
      `[node]\nid = "bench"\nbind = "127.0.0.1:0"\n[runtime]\ndriver = "simulated"\n` +
      `[observability.metrics.http_server]\nenabled = true\nbind = "127.0.0.1:0"\n${toml}`,
  });
  const client = createClient(VmService, createGrpcTransport(await connectToNode(node)));
  await importTinyImage(node);
  await client.createVm({ name: "probe", spec: { image: "tiny" } });
  return { node, client, [Symbol.asyncDispose]: () => node[Symbol.asyncDispose]() };
}

function tracingTo(url: string): string {
  return `[observability.tracing]\nenabled = true\notlp_endpoint = "${url}"\nprotocol = "http/protobuf"\nsampling_ratio = 1.0\n`;
}

async function importTinyImage(node: TestNode): Promise<void> {
  const { demoImage } = await import("#test/support/demo-image.ts");
  const image = await demoImage();
  await node.json(["image", "import", "tiny", "--kernel", image.kernelPath, "--initrd", image.initrdPath]);
}

async function startAnsweringCollector(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createHttpServer((request, response) => {
    request.resume();
    request.on("end", () => response.writeHead(200, { "content-type": "application/x-protobuf" }).end());
  });
  const url = await listen(server);
  return { url, [Symbol.asyncDispose]: async () => void server.close() };
}

async function startBlackHole(): Promise<AsyncDisposable & { readonly url: string }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  });
  const url = await listen(server);
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return `http://127.0.0.1:${address.port}`;
}
