/**
 * The store of this node: an etcd of its own on unix sockets, or one that exists
 * already; the client, the repositories on it and the cache that follows it.
 */
import { readFile } from "node:fs/promises";
import type { Config } from "#config/config.ts";
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import { Secret } from "#model/secret.ts";
import { findTool } from "#process/find-tool.ts";
import { createClusterRepository } from "#store/cluster-repository.ts";
import { createEtcdConnection, type EtcdConnection } from "#store/etcd/connection.ts";
import { endpointAddress, type EtcdEndpoint, type EtcdTls, parseEtcdEndpoint } from "#store/etcd/endpoint.ts";
import { createEtcdKeyValueStore } from "#store/etcd/etcd-key-value-store.ts";
import { createEtcdMaintenance, type EtcdMaintenance } from "#store/etcd/etcd-maintenance.ts";
import { registerRaftMetrics } from "#store/etcd/member-facts.ts";
import { createMemberExitReporter } from "#store/etcd/member-signals.ts";
import { createSpaceKeeper } from "#store/etcd/space-keeper.ts";
import { createEtcdSupervisor } from "#store/etcd/supervisor.ts";
import { createInstrumentedKeyValueStore, createWatchResumeCounter } from "#store/instrumented-key-value-store.ts";
import type { KeyValueStore } from "#store/key-value-store.ts";
import { createWatchCache, type WatchCache } from "#store/watch-cache.ts";
import type { Telemetry } from "#telemetry/port.ts";
import { reportCertificates } from "./certificate-expirations.ts";
import type { NodeEnvironment } from "./node-environment.ts";
import type { Lifecycle } from "./lifecycle.ts";

export interface NodeStore {
  readonly store: KeyValueStore;
  readonly cache: WatchCache;
  readonly maintenance: EtcdMaintenance;
  readonly kind: "embedded" | "external";
}

type StoreEnvironment = NodeEnvironment & { readonly telemetry: Telemetry };

/** etcd has 5 s after SIGTERM before it is killed. */
const MEMBER_STOP_TIMEOUT_MS = 8_000;
const CLIENT_STOP_TIMEOUT_MS = 2_000;

/** @throws BlixardError TOOL_MISSING, TOOL_TOO_OLD, DATA_DIRECTORY_CORRUPT, DISK_FULL, STORE_UNAVAILABLE, CANCELLED */
export async function startStore(
  environment: StoreEnvironment,
  lifecycle: Lifecycle,
  signal: AbortSignal,
): Promise<NodeStore> {
  const { config, clock, random, telemetry } = environment;
  const external = config.store.endpoints !== undefined;
  const endpoints = external ? externalEndpoints(config) : [await startMember(environment, lifecycle, signal)];
  const tls = external ? await readTls(config) : undefined;
  reportCertificates(telemetry.metrics, "store_client", [tls?.clientCertificate]);
  reportCertificates(telemetry.metrics, "store_ca", [tls?.certificateAuthorities]);
  const connection = createEtcdConnection({
    endpoints,
    ...(tls === undefined ? {} : { tls }),
    // A store of others has no use for what callers sent along.
    traceHeaders: () => telemetry.tracing.inject(external ? "stranger" : "ours"),
    userAgent: `blixard/${environment.version}`,
  });
  const onWatchResume = createWatchResumeCounter(telemetry.metrics);
  const store = createInstrumentedKeyValueStore(createEtcdKeyValueStore({ connection, clock, random, onWatchResume }), {
    telemetry,
    clock,
    endpoint: () => connection.endpoint,
  });
  lifecycle.started({
    name: "store client",
    stop: async () => {
      await store.close();
      connection.close();
    },
    stopTimeoutMs: CLIENT_STOP_TIMEOUT_MS,
  });
  const proposed = { id: environment.identity.clusterId, name: config.cluster.name, createTimeMs: clock.now() };
  const cluster = await createClusterRepository(store).ensure(proposed);
  checkCluster(cluster.id, environment);
  const cache = createWatchCache({ store, clock, random, logger: telemetry.logger });
  lifecycle.started({ name: "watch cache", stop: () => cache.stop(), stopTimeoutMs: CLIENT_STOP_TIMEOUT_MS });
  // It follows the store for as long as the node runs: no part of the trace of the start.
  await telemetry.tracing.run(undefined, () => cache.start(signal));
  const maintenance = createEtcdMaintenance(connection);
  if (!external) watchMember(environment, maintenance, connection, lifecycle);
  return { store, cache, maintenance, kind: external ? "external" : "embedded" };
}

/** The member is this node's own: it is measured here, and kept from running full for good. */
function watchMember(
  { clock, telemetry, identity }: StoreEnvironment,
  maintenance: EtcdMaintenance,
  { endpoint }: EtcdConnection,
  lifecycle: Lifecycle,
): void {
  const keeper = createSpaceKeeper({ maintenance, clock, logger: telemetry.logger });
  const socketPath = endpointAddress(endpoint);
  const metrics = telemetry.tracing.run(undefined, () => {
    keeper.start();
    return registerRaftMetrics(telemetry, { nodeId: identity.nodeId, maintenance, socketPath });
  });
  const stop = async (): Promise<void> => {
    metrics[Symbol.dispose]();
    await keeper.stop();
  };
  lifecycle.started({ name: "member metrics", stop, stopTimeoutMs: CLIENT_STOP_TIMEOUT_MS });
}

async function startMember(
  environment: StoreEnvironment,
  lifecycle: Lifecycle,
  signal: AbortSignal,
): Promise<EtcdEndpoint> {
  const { config, clock, random, runDirectory, telemetry } = environment;
  const member = createEtcdSupervisor({
    etcdPath: findTool(config.store.etcdBinary, environment.tools),
    dataDir: config.node.dataDir,
    runDir: runDirectory,
    clock,
    random,
    logger: telemetry.logger,
    onExit: createMemberExitReporter(telemetry, environment.identity.nodeId),
  });
  await member.start(signal);
  lifecycle.started({ name: "etcd", stop: () => member.stop(), stopTimeoutMs: MEMBER_STOP_TIMEOUT_MS });
  return member.endpoint;
}

/** The cluster behind `[store] endpoints`, asked before telemetry runs because every signal names it. */
export async function learnClusterId(
  config: Config,
  proposed: string,
  clock: Clock,
  random: () => number,
): Promise<string> {
  const tls = await readTls(config);
  const connection = createEtcdConnection({
    endpoints: externalEndpoints(config),
    ...(tls === undefined ? {} : { tls }),
  });
  const store = createEtcdKeyValueStore({ connection, clock, random });
  try {
    const cluster = { id: proposed, name: config.cluster.name, createTimeMs: clock.now() };
    return (await createClusterRepository(store).ensure(cluster)).id;
  } finally {
    await store.close();
    connection.close();
  }
}

function externalEndpoints(config: Config): EtcdEndpoint[] {
  return (config.store.endpoints ?? []).map(parseEtcdEndpoint);
}

async function readTls({ store }: Config): Promise<EtcdTls | undefined> {
  const [authorities, certificate, key] = await Promise.all(
    [store.caFile, store.certificateFile, store.keyFile].map(async (path) =>
      path === undefined ? undefined : readFile(path, "utf8"),
    ),
  );
  if (authorities === undefined && certificate === undefined) return undefined;
  return {
    ...(authorities === undefined ? {} : { certificateAuthorities: authorities }),
    ...(certificate === undefined ? {} : { clientCertificate: certificate }),
    ...(key === undefined ? {} : { clientKey: new Secret(key) }),
  };
}

function checkCluster(clusterId: string, { identity, config }: NodeEnvironment): void {
  if (clusterId === identity.clusterId) return;
  throw new BlixardError(
    "CONFIG_INVALID",
    `${config.node.dataDir} belongs to cluster ${identity.clusterId}, the store to ${clusterId}`,
    {
      hint: "Use the data directory with its own store, or start this node with an empty one.",
    },
  );
}
