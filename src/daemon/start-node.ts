/**
 * The composition root: everything a node is made of, in the order in which it
 * starts. What is started is handed to the lifecycle at once and stops in reverse:
 *
 *   data directory, lock ─► telemetry, metrics listener ─► etcd, client, cache ─┐
 *                                             runtime (guardian, probe) ────────┤
 *       ready ◄─ endpoints.json ◄─ API ◄─ agent ◄─ control loops ◄─ images ◄────┘
 *
 * Starting is one trace. A start that fails or is cancelled stops what had started.
 * Guests are never stopped from here: they belong to the guardian.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { createApiServer } from "#api/api-server.ts";
import { createApiServices } from "#api/api-services.ts";
import type { Config } from "#config/config.ts";
import { nodeReady } from "#gen/telemetry/events.ts";
import { nodeStart, nodeStartListen, nodeStartProbe, nodeStartStore } from "#gen/telemetry/spans.ts";
import { BlixardError } from "#model/errors.ts";
import { findCacheDir } from "#process/find-tool.ts";
import { readIdentity } from "#process/identity.ts";
import { acquireLock } from "#process/lock-file.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { createConsensusReader } from "./consensus-reader.ts";
import { ensureDataDirectory, ensureNodeIdentity } from "./data-directory.ts";
import { writeEndpointsFile } from "./endpoints-file.ts";
import { ensureRunDirectory } from "./guardian-program.ts";
import { createKnownNodesBoard, type KnownNodesBoard } from "./known-nodes.ts";
import { Lifecycle, type StopFailure } from "./lifecycle.ts";
import type { NodeEnvironment } from "./node-environment.ts";
import { createReadinessBoard, startObservability, type Observability } from "./start-observability.ts";
import { startRuntime } from "./start-runtime.ts";
import { learnClusterId, startStore } from "./start-store.ts";
import { startWork } from "./start-work.ts";
import { createCardinalityReader } from "./telemetry-inspection.ts";

export interface StartNodeOptions {
  readonly config: Config;
  readonly version: string;
  readonly warnings: readonly string[];
  /** Aborted: the start is given up. */
  readonly signal: AbortSignal;
}

export interface RunningNode {
  /** The one line that the node prints. */
  readonly readyLine: string;
  stop(): Promise<readonly StopFailure[]>;
}

const API_STOP_MARGIN_MS = 3_000;

/** Undefined when the start was cancelled. @throws BlixardError when it failed; nothing is left running but guests */
export async function startNode(options: StartNodeOptions): Promise<RunningNode | undefined> {
  const clock = createSystemClock();
  const lifecycle = new Lifecycle({ delay: (durationMs, signal) => clock.delay(durationMs, signal) });
  try {
    const environment = await prepareHost(options, lifecycle, clock);
    const board = createReadinessBoard();
    board.waitingFor("node", "the node is starting");
    const known = createKnownNodesBoard();
    const observability = await startObservability({ ...environment, board, knownNodes: known.read }, lifecycle);
    const { telemetry } = observability;
    for (const warning of options.warnings) telemetry.logger.warn(warning);
    const startedMs = clock.monotonicMs();
    const { addresses, facts, context } = await telemetry.tracing.span(
      nodeStart,
      { parent: null, attributes: { "blixard.node.id": environment.identity.nodeId } },
      async (span) => {
        const started = await startParts(environment, { ...observability, known }, lifecycle, options.signal);
        span.setAttributes(started.facts);
        return { ...started, context: span.context };
      },
    );
    board.done("node");
    const durationMs = clock.monotonicMs() - startedMs;
    telemetry.tracing.run(context, () =>
      telemetry.logger.event(nodeReady, "the node serves", {
        "blixard.node.id": environment.identity.nodeId,
        "blixard.node.start_duration": durationMs / 1000,
        ...facts,
      }),
    );
    const stop = async (): Promise<readonly StopFailure[]> => {
      board.waitingFor("node", "the node is stopping");
      const failures = await lifecycle.stop();
      for (const { part, error } of failures) process.stderr.write(`stopping ${part}: ${String(error)}\n`);
      return failures;
    };
    return { readyLine: describeReady(environment, addresses, durationMs), stop };
  } catch (error) {
    await lifecycle.stop();
    if (options.signal.aborted) return undefined;
    throw error;
  }
}

async function prepareHost(
  { config, version }: StartNodeOptions,
  lifecycle: Lifecycle,
  clock: NodeEnvironment["clock"],
): Promise<NodeEnvironment> {
  const { dataDir } = config.node;
  await ensureDataDirectory(dataDir);
  const own = readIdentity(process.pid);
  if (own === undefined) throw new BlixardError("INTERNAL", "this process has no entry in /proc");
  const lock = await acquireLock({
    lockDir: join(dataDir, "lock"),
    identity: own,
    description: `node ${config.node.id}`,
  });
  lifecycle.started({ name: "data directory", stop: () => lock.release(), stopTimeoutMs: 1_000 });
  const runDirectory = await ensureRunDirectory(config);
  const random = Math.random;
  const newClusterId =
    config.store.endpoints === undefined
      ? async () => randomUUID()
      : () => learnClusterId(config, randomUUID(), clock, random);
  return {
    config,
    version,
    identity: await ensureNodeIdentity(dataDir, config.node.id, newClusterId),
    instanceId: randomUUID(),
    runDirectory,
    tools: { path: process.env["PATH"] ?? "", cacheDir: findCacheDir(process.env) },
    clock,
    random,
  };
}

interface Addresses {
  readonly unix: string;
  readonly tcp: string | undefined;
  readonly metrics: string | undefined;
}

interface Started {
  readonly addresses: Addresses;
  readonly facts: ReturnType<typeof describeParts>;
}

async function startParts(
  base: NodeEnvironment,
  observability: Observability & { readonly known: KnownNodesBoard },
  lifecycle: Lifecycle,
  signal: AbortSignal,
): Promise<Started> {
  const { telemetry, metricsUrl, metricsEndpoint, known } = observability;
  const environment = { ...base, telemetry, metricsEndpoint };
  const { tracing } = telemetry;
  const nodeId = base.identity.nodeId;
  const attributes = { "blixard.node.id": nodeId };
  // Both settle before either failure is told: what one has started must be in the lifecycle to be stopped.
  const [storeResult, runtimeResult] = await Promise.allSettled([
    tracing.span(nodeStartStore, { attributes }, async (span) => {
      const started = await startStore(environment, lifecycle, signal);
      span.setAttributes({ "blixard.store.kind": started.kind });
      return started;
    }),
    tracing.span(nodeStartProbe, { attributes }, async (span) => {
      const started = await startRuntime(environment, lifecycle);
      span.setAttributes(describeRuntime(started));
      return started;
    }),
  ]);
  if (storeResult.status === "rejected") throw storeResult.reason;
  if (runtimeResult.status === "rejected") throw runtimeResult.reason;
  const [nodeStore, nodeRuntime] = [storeResult.value, runtimeResult.value];
  signal.throwIfAborted();
  const work = await startWork(environment, { ...nodeStore, ...nodeRuntime }, lifecycle, signal);
  known.follow({
    nodeId,
    view: () => nodeStore.cache.snapshot(),
    confirmedTimeMs: () => work.agent.lastHeartbeat?.sentTimeMs,
  });
  const addresses = await tracing.span(nodeStartListen, { attributes }, async () => {
    const services = createApiServices({
      ...work,
      cache: nodeStore.cache,
      machines: work.agent,
      manifests: work.images.repository,
      images: work.images.store,
      traces: telemetry.recorder,
      logLevel: telemetry,
      doctor: observability.doctor,
      cardinality: createCardinalityReader(telemetry, () => work.agent.vms.length),
      consensus: createConsensusReader(nodeStore.kind, nodeStore.maintenance),
      clock: base.clock,
      newOperationId: randomUUID,
    });
    return startApi(environment, services, lifecycle);
  });
  signal.throwIfAborted();
  const endpoints = { unix: addresses.unix, tcp: addresses.tcp, metrics: metricsUrl };
  const file = await writeEndpointsFile(base.runDirectory, {
    nodeId,
    pid: process.pid,
    startTime: String(readIdentity(process.pid)?.startTicks ?? ""),
    api: { unix: addresses.unix, tcp: addresses.tcp ?? "" },
    ...(metricsUrl === undefined ? {} : { metrics: metricsUrl }),
    tokenFile: tokenFileOf(base.config),
  });
  lifecycle.started({ name: "endpoints file", stop: () => file.remove(), stopTimeoutMs: 1_000 });
  return { addresses: endpoints, facts: describeParts(nodeStore, nodeRuntime) };
}

type StartedRuntime = Awaited<ReturnType<typeof startRuntime>>;

function describeRuntime({ capabilities }: StartedRuntime) {
  return {
    "blixard.runtime.driver": capabilities.driver,
    "blixard.runtime.accelerator": capabilities.accelerator,
    "blixard.runtime.accelerator_reason": capabilities.acceleratorReason,
  };
}

function describeParts({ kind }: Awaited<ReturnType<typeof startStore>>, runtime: StartedRuntime) {
  return { ...describeRuntime(runtime), "blixard.store.kind": kind };
}

async function startApi(
  environment: NodeEnvironment & Pick<Observability, "telemetry">,
  services: ReturnType<typeof createApiServices>,
  lifecycle: Lifecycle,
): Promise<{ readonly unix: string; readonly tcp: string | undefined }> {
  const { config, telemetry, clock, runDirectory } = environment;
  const server = createApiServer({
    socketPath: join(runDirectory, "api.sock"),
    tcp: { ...config.node.bind, tokenFile: tokenFileOf(config), allowedHosts: config.api.allowedHosts },
    services,
    telemetry,
    clock,
    limits: { maximumMessageBytes: config.api.maxRequestSizeBytes, maximumCalls: config.api.maxConcurrentCalls },
  });
  const addresses = await server.start();
  const timeoutMs = config.api.drainTimeoutMs;
  lifecycle.started({
    name: "api",
    stop: () => server.stop({ timeoutMs }),
    stopTimeoutMs: timeoutMs + API_STOP_MARGIN_MS,
  });
  server.setServing(true);
  return addresses;
}

function tokenFileOf(config: Config): string {
  return join(config.node.dataDir, "api-token");
}

function describeReady({ identity, version }: NodeEnvironment, addresses: Addresses, durationMs: number): string {
  const parts = [
    `blixard ${version} node ${identity.nodeId} ready in ${(durationMs / 1000).toFixed(2)} s`,
    `api unix:${addresses.unix}`,
    ...(addresses.tcp === undefined ? [] : [`http://${addresses.tcp}`]),
    ...(addresses.metrics === undefined ? [] : [`metrics ${addresses.metrics}`]),
  ];
  return parts.join(" · ");
}
