/** The real API on real sockets over the memory store, and plain ways to call it. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { randomUUID } from "node:crypto";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { createApiServer, type ApiAddresses, type ApiLimits, type ApiServer } from "#api/api-server.ts";
import { createApiServices } from "#api/api-services.ts";
import type { LogLevelControl } from "#api/handlers/log-level-handler.ts";
import type { CardinalityReader, ConsensusReader, LocalMachines, TelemetryDoctor, TraceReader } from "#api/ports.ts";
import { createAdmission } from "#control/admission.ts";
import { createTraceRules } from "#control/trace-rules.ts";
import { createImageStore, type ImageStore } from "#image/image-store.ts";
import { BlixardError } from "#model/errors.ts";
import type { PropagatorName } from "#model/propagation/propagators.ts";
import type { RecordedSpan } from "#model/recorded-span.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { createImageRepository, type ImageRepository } from "#store/image-repository.ts";
import { createMemoryKeyValueStore, type MemoryKeyValueStore } from "#store/memory/memory-key-value-store.ts";
import { createNodeRepository, type NodeRepository } from "#store/node-repository.ts";
import { createTraceRuleRepository } from "#store/trace-rule-repository.ts";
import { createVmRepository, type VmRepository } from "#store/vm-repository.ts";
import { createWatchCache, type WatchCache } from "#store/watch-cache.ts";
import type { LogLevel } from "#telemetry/port.ts";
import { createMemoryTelemetry, type MemoryTelemetry } from "./memory-telemetry.ts";

export interface ApiFixture {
  readonly directory: string;
  readonly server: ApiServer;
  readonly addresses: ApiAddresses & { readonly tcp: string };
  readonly token: string;
  readonly telemetry: MemoryTelemetry;
  readonly store: MemoryKeyValueStore;
  readonly cache: WatchCache;
  readonly vms: VmRepository;
  readonly nodes: NodeRepository;
  readonly manifests: ImageRepository;
  readonly images: ImageStore;
  /** What `TelemetryService` reads; recordSpans adds to it. */
  readonly traces: Map<string, RecordedSpan[]>;
}

export interface ApiFixtureOptions {
  readonly limits?: Partial<ApiLimits>;
  readonly machines?: LocalMachines;
  readonly propagators?: readonly PropagatorName[];
  readonly doctor?: TelemetryDoctor;
  readonly cardinality?: CardinalityReader;
}

export const noMachines: LocalMachines = {
  readLog: () => {
    throw new BlixardError("VM_NOT_ON_NODE", "the VM is not on this node");
  },
  openConsole: () => Promise.reject(new BlixardError("VM_NOT_ON_NODE", "the VM is not on this node")),
};

const noDoctor: TelemetryDoctor = {
  async *diagnose() {
    yield { kind: "summary", summary: { outcome: "ok", ok: 0, warnings: 0, failed: 0, skipped: 0, traceId: "" } };
  },
};

const noSeries: CardinalityReader = {
  read: () => ({
    metrics: [],
    series: 0,
    samples: 0,
    vms: 0,
    forecast: { seriesWithAdditionalVms: 0, seriesWithAdditionalAttribute: 0, vmsUntilLimit: undefined },
  }),
};

const oneMember: ConsensusReader = {
  kind: "embedded",
  members: () =>
    Promise.resolve([
      {
        memberId: "8e9e05c52164694d",
        name: "node-1",
        leader: true,
        learner: false,
        healthy: true,
        version: "3.4.23",
        raftTerm: 2n,
        raftIndex: 10n,
        raftAppliedIndex: 10n,
        databaseSizeBytes: 20_480n,
        alarms: [],
      },
    ]),
};

export async function startApi(
  context: Pick<TestContext, "after">,
  options: ApiFixtureOptions = {},
): Promise<ApiFixture> {
  const directory = await mkdtemp(join(tmpdir(), "blixard-api-"));
  const telemetry = createMemoryTelemetry(
    options.propagators === undefined ? {} : { propagators: options.propagators },
  );
  const clock = createSystemClock();
  const store = createMemoryKeyValueStore({ clock });
  const cache = createWatchCache({ store, clock, random: () => 0.5, logger: telemetry.logger });
  await cache.start();
  const vms = createVmRepository(store);
  const nodes = createNodeRepository(store);
  const manifests = createImageRepository(store);
  const images = createImageStore({
    directory: join(directory, "images"),
    listManifests: async () => (await manifests.list()).map((image) => image.value),
    telemetry,
    now: () => clock.now(),
  });
  await images.start();
  const traces = new Map<string, RecordedSpan[]>();
  const newOperationId = (): string => randomUUID();
  const admission = createAdmission({ vms, nodes, cache, clock, newOperationId, telemetry });
  const server = createApiServer({
    socketPath: join(directory, "run", "api.sock"),
    tcp: { host: "127.0.0.1", port: 0, tokenFile: join(directory, "token") },
    services: createApiServices({
      admission,
      cache,
      images,
      manifests,
      machines: options.machines ?? noMachines,
      traces: traceReaderOf(traces),
      traceRules: createTraceRules({
        repository: createTraceRuleRepository(store),
        cache,
        clock,
        newRuleId: () => randomUUID(),
        tracing: telemetry.tracing,
      }),
      logLevel: createLogLevel(),
      doctor: options.doctor ?? noDoctor,
      cardinality: options.cardinality ?? noSeries,
      consensus: oneMember,
      clock,
      newOperationId,
    }),
    telemetry,
    clock,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  const addresses = await server.start();
  server.setServing(true);
  context.after(async () => {
    await server.stop({ timeoutMs: 1000 });
    await images.stop();
    await cache.stop();
    await store.close();
    await rm(directory, { recursive: true, force: true });
  });
  return {
    directory,
    server,
    addresses: { unix: addresses.unix, tcp: addresses.tcp ?? "" },
    token: (await readFile(join(directory, "token"), "utf8")).trim(),
    telemetry,
    store,
    cache,
    vms,
    nodes,
    manifests,
    images,
    traces,
  };
}

function createLogLevel(): LogLevelControl {
  let level: LogLevel = "info";
  return { logLevel: () => level, setLogLevel: (next) => void (level = next) };
}

function traceReaderOf(traces: Map<string, RecordedSpan[]>): TraceReader {
  return {
    trace(traceId) {
      const spans = traces.get(traceId);
      return spans === undefined ? undefined : { spans, droppedSpans: 0, exported: true };
    },
    ingest(spans, { serviceName }) {
      for (const span of spans) {
        const named = { ...span, resource: { attributes: { "service.name": serviceName } } };
        traces.set(span.traceId, [...(traces.get(span.traceId) ?? []), named]);
      }
      return { accepted: spans.length };
    },
  };
}

export interface PlainAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The body as JSON; undefined when it is none. */
  readonly json: Record<string, unknown> | undefined;
}

export interface PlainCall {
  /** `blixard.v1.VmService/GetVm`, or any path without its slash. */
  readonly method: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly httpMethod?: string;
}

/** One HTTP/1.1 request on a connection of its own: a socket's path, or `host:port`. */
export async function callPlain(address: string, call: PlainCall): Promise<PlainAnswer> {
  const target = address.startsWith("/")
    ? { socketPath: address }
    : { host: address.split(":")[0] ?? "", port: Number(address.split(":")[1]) };
  return await new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        ...target,
        method: call.httpMethod ?? "POST",
        path: `/${call.method}`,
        headers: { "content-type": "application/json", ...call.headers },
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const body = Buffer.concat(chunks);
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body, json: parseJson(body) });
        });
      },
    );
    request.on("error", reject);
    request.end(call.body ?? "{}");
  });
}

/** The same over HTTP/2 without TLS. */
export async function callHttp2(address: string, call: PlainCall): Promise<PlainAnswer> {
  const session = address.startsWith("/")
    ? connectHttp2("http://localhost", { createConnection: () => connect(address) })
    : connectHttp2(`http://${address}`);
  try {
    return await new Promise((resolve, reject) => {
      session.on("error", reject);
      const stream = session.request(
        {
          ":method": call.httpMethod ?? "POST",
          ":path": `/${call.method}`,
          "content-type": "application/json",
          ...call.headers,
        },
        { endStream: false },
      );
      const chunks: Buffer[] = [];
      let headers: IncomingHttpHeaders = {};
      stream.on("response", (received) => (headers = { ...received } as IncomingHttpHeaders));
      // A gRPC status comes here.
      stream.on("trailers", (received) => Object.assign(headers, received));
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", reject);
      stream.on("close", () => {
        const body = Buffer.concat(chunks);
        resolve({ status: Number(headers[":status"] ?? 0), headers, body, json: parseJson(body) });
      });
      stream.end(call.body ?? "{}");
    });
  } finally {
    session.destroy();
  }
}

function parseJson(body: Buffer): Record<string, unknown> | undefined {
  try {
    return JSON.parse(body.toString("utf8")) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** A message with the head that streams have. */
export function envelope(message: string | Uint8Array, flags = 0): Buffer {
  const body = Buffer.from(message);
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

/** The messages of a stream's body, with their flags. */
export function openEnvelopes(body: Buffer): { readonly flags: number; readonly data: Buffer }[] {
  const messages: { flags: number; data: Buffer }[] = [];
  for (let offset = 0; offset + 5 <= body.length;) {
    const end = offset + 5 + body.readUInt32BE(offset + 1);
    messages.push({ flags: body.readUInt8(offset), data: body.subarray(offset + 5, end) });
    offset = end;
  }
  return messages;
}

/** A bare connection, for what no proper client does. */
export async function openSocket(address: string): Promise<Socket> {
  const socket = address.startsWith("/")
    ? connect(address)
    : connect({ host: address.split(":")[0] ?? "", port: Number(address.split(":")[1]) });
  socket.on("error", () => undefined);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", () => resolve());
    socket.once("error", reject);
  });
  return socket;
}
