/** A real etcd for tests: one member on unix sockets in temporary directories, ended with the test. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCacheDir, findTool } from "#process/find-tool.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import { createEtcdConnection, type EtcdConnection } from "#store/etcd/connection.ts";
import type { EtcdEndpoint } from "#store/etcd/endpoint.ts";
import { createEtcdKeyValueStore, type EtcdKeyValueStoreOptions } from "#store/etcd/etcd-key-value-store.ts";
import { createEtcdSupervisor, type EtcdSupervisor, type EtcdSupervisorOptions } from "#store/etcd/supervisor.ts";
import type { KeyValueStore } from "#store/key-value-store.ts";
import { createMemoryTelemetry, type MemoryTelemetry } from "#test/support/memory-telemetry.ts";

export interface TestEtcd extends AsyncDisposable {
  readonly supervisor: EtcdSupervisor;
  readonly endpoint: EtcdEndpoint;
  readonly telemetry: MemoryTelemetry;
  /** Below the system's temporary directory. */
  readonly dataDir: string;
  readonly runDir: string;
  readonly options: EtcdSupervisorOptions;
  connect(endpoint?: EtcdEndpoint): EtcdConnection;
  /** A store on a connection of its own; closed with the etcd. */
  store(options?: Partial<EtcdKeyValueStoreOptions>): KeyValueStore;
}

/** The etcd that set-up provides; `BLIXARD_TEST_ETCD` names another, to run the suites against other versions. */
export function findTestEtcd(): string {
  return findTool(process.env["BLIXARD_TEST_ETCD"] ?? "etcd", {
    path: process.env["PATH"] ?? "",
    cacheDir: findCacheDir(process.env),
  });
}

/** A stopped member, with its directories. */
export async function prepareTestEtcd(overrides: Partial<EtcdSupervisorOptions> = {}): Promise<TestEtcd> {
  const root = await mkdtemp(join(tmpdir(), "blixard-etcd-"));
  const runDir = await mkdtemp(join(tmpdir(), "blixard-run-"));
  const telemetry = createMemoryTelemetry();
  const options: EtcdSupervisorOptions = {
    etcdPath: findTestEtcd(),
    dataDir: root,
    runDir,
    clock: createSystemClock(),
    random: Math.random,
    logger: telemetry.logger,
    ...overrides,
  };
  const supervisor = createEtcdSupervisor(options);
  const opened: { close(): unknown }[] = [];
  const connect = (endpoint = supervisor.endpoint): EtcdConnection => {
    const connection = createEtcdConnection({ endpoints: [endpoint] });
    opened.push(connection);
    return connection;
  };
  return {
    supervisor,
    endpoint: supervisor.endpoint,
    telemetry,
    dataDir: root,
    runDir,
    options,
    connect,
    store: (storeOptions) =>
      createEtcdKeyValueStore({
        connection: storeOptions?.connection ?? connect(),
        clock: createSystemClock(),
        random: Math.random,
        ...storeOptions,
      }),
    async [Symbol.asyncDispose]() {
      for (const connection of opened) connection.close();
      await supervisor.stop();
      await rm(root, { recursive: true, force: true });
      await rm(runDir, { recursive: true, force: true });
    },
  };
}

export async function startTestEtcd(overrides: Partial<EtcdSupervisorOptions> = {}): Promise<TestEtcd> {
  const etcd = await prepareTestEtcd(overrides);
  try {
    await etcd.supervisor.start();
    return etcd;
  } catch (error) {
    await etcd[Symbol.asyncDispose]();
    throw error;
  }
}
