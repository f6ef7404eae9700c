/** What a node does: images, the control loops when it leads, its own guests. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { createAgent, type Agent } from "#agent/agent.ts";
import { observeNode } from "#agent/node-metrics.ts";
import { measureNodeResources, type MeasuredResources } from "#agent/node-resources.ts";
import { observeVmUsage } from "#agent/vm-usage-metrics.ts";
import { type Admission, createAdmission } from "#control/admission.ts";
import { createAssignmentReconciler } from "#control/assignment-reconciler.ts";
import { createControlLoop } from "#control/control-loop.ts";
import { createDeletionReconciler } from "#control/deletion-reconciler.ts";
import { createNodeGateway } from "#control/node-gateway.ts";
import { createPlacementReconciler } from "#control/placement-reconciler.ts";
import { createTraceRules, type TraceRules } from "#control/trace-rules.ts";
import { createImageStore, type ImageStore } from "#image/image-store.ts";
import type { MetricsEndpoint, NodeRegistration } from "#model/node.ts";
import type { Runtime, RuntimeCapabilities } from "#runtime/runtime.ts";
import { createAssignmentRepository } from "#store/assignment-repository.ts";
import { createImageRepository, type ImageRepository } from "#store/image-repository.ts";
import type { KeyValueStore } from "#store/key-value-store.ts";
import { createLeadership } from "#store/leadership.ts";
import { createNodeRepository } from "#store/node-repository.ts";
import { createPlacementRepository } from "#store/placement-repository.ts";
import { createStatusRepository } from "#store/status-repository.ts";
import { createTraceRuleRepository } from "#store/trace-rule-repository.ts";
import { createVmRepository } from "#store/vm-repository.ts";
import type { WatchCache } from "#store/watch-cache.ts";
import type { TelemetryRuntime } from "#telemetry/create-telemetry.ts";
import { followTraceRules } from "./follow-trace-rules.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { NodeEnvironment } from "./node-environment.ts";
import { observeCluster } from "./observe-cluster.ts";

export interface NodeWork {
  readonly admission: Admission;
  readonly traceRules: TraceRules;
  readonly agent: Agent;
  readonly images: { readonly store: ImageStore; readonly repository: ImageRepository };
}

interface WorkParts {
  readonly store: KeyValueStore;
  readonly cache: WatchCache;
  readonly runtime: Runtime;
  readonly capabilities: RuntimeCapabilities;
}

type WorkEnvironment = NodeEnvironment & {
  readonly telemetry: TelemetryRuntime;
  readonly metricsEndpoint: MetricsEndpoint | undefined;
};

const AGENT_STOP_TIMEOUT_MS = 5_000;

export async function startWork(
  environment: WorkEnvironment,
  parts: WorkParts,
  lifecycle: Lifecycle,
  signal: AbortSignal,
): Promise<NodeWork> {
  const { clock, telemetry } = environment;
  const { store, cache } = parts;
  const images = await startImages(environment, store, lifecycle);
  const vms = createVmRepository(store);
  const nodes = createNodeRepository(store);
  const admission = createAdmission({ vms, nodes, cache, clock, telemetry, newOperationId: randomUUID });
  const traceRules = createTraceRules({
    repository: createTraceRuleRepository(store),
    cache,
    clock,
    newRuleId: randomUUID,
    tracing: telemetry.tracing,
  });
  startTraceRules(environment, cache, lifecycle);
  startControl(environment, parts, lifecycle);
  const resources = await measureResources(environment);
  const agent = createAgent({
    registration: registrationOf(environment, parts.capabilities, resources),
    capabilities: parts.capabilities,
    runtime: parts.runtime,
    images: images.store,
    controlPlane: createNodeGateway({
      nodeId: environment.identity.nodeId,
      instanceId: environment.instanceId,
      nodes,
      assignments: createAssignmentRepository(store),
      statuses: createStatusRepository(store),
      images: images.repository,
    }),
    clock,
    random: environment.random,
    newInstanceId: randomUUID,
    telemetry,
  });
  lifecycle.started({
    name: "agent",
    stop: () => agent.stop({ timeoutMs: AGENT_STOP_TIMEOUT_MS }),
    stopTimeoutMs: AGENT_STOP_TIMEOUT_MS + 1_000,
  });
  await agent.start(signal);
  telemetry.tracing.run(undefined, () => observe(environment, parts, { agent, resources }, lifecycle));
  return { admission, traceRules, agent, images };
}

async function startImages(
  environment: WorkEnvironment,
  store: KeyValueStore,
  lifecycle: Lifecycle,
): Promise<NodeWork["images"]> {
  const repository = createImageRepository(store);
  const imageStore = createImageStore({
    directory: join(environment.config.node.dataDir, "images"),
    listManifests: async () => (await repository.list()).map(({ value }) => value),
    telemetry: environment.telemetry,
    now: () => environment.clock.now(),
  });
  await imageStore.start();
  lifecycle.started({ name: "images", stop: () => imageStore.stop(), stopTimeoutMs: 5_000 });
  // What a crash left behind takes its time to find; nothing waits for it.
  imageStore
    .collectGarbage()
    .catch((error: unknown) => environment.telemetry.logger.warn("images could not be cleaned up", {}, error));
  return { store: imageStore, repository };
}

function startControl(environment: WorkEnvironment, { store, cache }: WorkParts, lifecycle: Lifecycle): void {
  const { clock, random, telemetry, config, identity, instanceId } = environment;
  const vms = createVmRepository(store);
  const loop = createControlLoop({
    cache,
    clock,
    telemetry,
    reconcilers: [
      createPlacementReconciler({
        placements: createPlacementRepository(store),
        clock,
        telemetry,
        maximumVmsPerNode: config.node.maxVms,
      }),
      createAssignmentReconciler({ assignments: createAssignmentRepository(store), clock, telemetry }),
      createDeletionReconciler({ vms, telemetry }),
    ],
  });
  const leadership = createLeadership({
    store,
    clock,
    random,
    logger: telemetry.logger,
    nodeId: identity.nodeId,
    instanceId,
  });
  // Loops outlive the start: what they do belongs to no trace, or to that of the operation they serve.
  telemetry.tracing.run(undefined, () => leadership.start((term) => loop.act(term)));
  lifecycle.started({ name: "control loops", stop: () => leadership.stop(), stopTimeoutMs: 5_000 });
}

async function measureResources({ config }: NodeEnvironment): Promise<MeasuredResources> {
  const { capacity, reserved, vcpuOvercommit, dataDir } = config.node;
  const measured = await measureNodeResources({
    dataDirectory: dataDir,
    vcpusPerProcessor: vcpuOvercommit,
    reservedMemoryBytes: reserved.memoryBytes,
    reservedDiskBytes: reserved.diskBytes,
    ...(capacity.vcpus === undefined ? {} : { processors: capacity.vcpus }),
  });
  return {
    reserved: measured.reserved,
    capacity: {
      vcpus: Math.max(1, measured.capacity.vcpus - Math.floor(reserved.vcpus * vcpuOvercommit)),
      memoryBytes:
        capacity.memoryBytes === undefined
          ? measured.capacity.memoryBytes
          : Math.max(0, capacity.memoryBytes - reserved.memoryBytes),
      diskBytes:
        capacity.diskBytes === undefined
          ? measured.capacity.diskBytes
          : Math.max(0, capacity.diskBytes - reserved.diskBytes),
    },
  };
}

function registrationOf(
  environment: WorkEnvironment,
  capabilities: RuntimeCapabilities,
  resources: MeasuredResources,
): NodeRegistration {
  return {
    id: environment.identity.nodeId,
    capacity: resources.capacity,
    version: environment.version,
    driver: capabilities.driver,
    accelerator: capabilities.accelerator,
    acceleratorReason: capabilities.acceleratorReason,
    hypervisorVersion: capabilities.hypervisorVersion,
    startTimeMs: environment.clock.now(),
    server: true,
    metrics: environment.metricsEndpoint,
  };
}

function observe(
  { clock, telemetry, identity }: WorkEnvironment,
  { cache, capabilities }: WorkParts,
  { agent, resources }: { readonly agent: Agent; readonly resources: MeasuredResources },
  lifecycle: Lifecycle,
): void {
  const groups = new DisposableStack();
  const vms = (): Agent["vms"] => agent.vms;
  groups.use(observeVmUsage({ vms, clock, telemetry }));
  groups.use(
    observeNode({
      resources,
      kvmUsable: capabilities.kvmUsable,
      vms,
      lastHeartbeat: () => agent.lastHeartbeat,
      state: () => "ready",
      schedulable: () => {
        const node = cache.snapshot().node(identity.nodeId);
        return node === undefined ? undefined : !node.cordoned;
      },
      clock,
      telemetry,
    }),
  );
  groups.use(observeCluster({ cache, telemetry }));
  lifecycle.started({ name: "node metrics", stop: () => groups.dispose(), stopTimeoutMs: 1_000 });
}

function startTraceRules({ telemetry }: WorkEnvironment, cache: WatchCache, lifecycle: Lifecycle): void {
  const stopping = new AbortController();
  const { recorder } = telemetry;
  const following = telemetry.tracing
    .run(undefined, () => followTraceRules({ cache, recorder }, stopping.signal))
    .catch((error: unknown) => telemetry.logger.error("trace rules are no longer followed", {}, error));
  const stop = async (): Promise<void> => {
    stopping.abort();
    await following;
  };
  lifecycle.started({ name: "trace rules", stop, stopTimeoutMs: 1_000 });
}
