/** One daemon, put together as the composition root does, over a faulty store and a fake host. */
import { createAgent, type Agent } from "#agent/agent.ts";
import { createAdmission, type Admission } from "#control/admission.ts";
import { createAssignmentReconciler } from "#control/assignment-reconciler.ts";
import { createControlLoop } from "#control/control-loop.ts";
import { createDeletionReconciler } from "#control/deletion-reconciler.ts";
import { createNodeGateway } from "#control/node-gateway.ts";
import { createPlacementReconciler } from "#control/placement-reconciler.ts";
import type { Clock } from "#model/clock.ts";
import type { ImageManifest, MaterializedImage } from "#model/image.ts";
import type { Runtime, RuntimeCapabilities } from "#runtime/runtime.ts";
import { createAssignmentRepository } from "#store/assignment-repository.ts";
import { createImageRepository } from "#store/image-repository.ts";
import type { KeyValueStore } from "#store/key-value-store.ts";
import { createLeadership } from "#store/leadership.ts";
import { createNodeRepository } from "#store/node-repository.ts";
import { createPlacementRepository } from "#store/placement-repository.ts";
import { createStatusRepository } from "#store/status-repository.ts";
import { createVmRepository } from "#store/vm-repository.ts";
import { createWatchCache, type WatchCache } from "#store/watch-cache.ts";
import type { Telemetry } from "#telemetry/port.ts";
import { aRegistration } from "#test/support/store-fixtures.ts";

export interface SimulatedNodeOptions {
  readonly nodeId: string;
  readonly instanceId: string;
  readonly store: KeyValueStore;
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly random: () => number;
  readonly telemetry: Telemetry;
  readonly capabilities?: RuntimeCapabilities;
  readonly materialize?: (manifest: ImageManifest, signal: AbortSignal) => Promise<MaterializedImage>;
}

export interface SimulatedNode {
  readonly agent: Agent;
  readonly admission: Admission;
  readonly cache: WatchCache;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const simulatedCapabilities: RuntimeCapabilities = {
  driver: "simulated",
  accelerator: "none",
  acceleratorReason: "simulated",
  kvmUsable: undefined,
  hypervisorVersion: "simulated",
  machineType: "none",
};

export function createSimulatedNode(options: SimulatedNodeOptions): SimulatedNode {
  const { nodeId, instanceId, store, runtime, clock, random, telemetry } = options;
  const { logger } = telemetry;
  const vms = createVmRepository(store);
  const nodes = createNodeRepository(store);
  const assignments = createAssignmentRepository(store);
  const cache = createWatchCache({ store, clock, random, logger });
  let counter = 0;
  const fresh = (kind: string) => (): string => `${kind}-${instanceId}-${counter++}`;
  const controlLoop = createControlLoop({
    cache,
    clock,
    telemetry,
    reconcilers: [
      createPlacementReconciler({ placements: createPlacementRepository(store), clock, telemetry }),
      createAssignmentReconciler({ assignments, clock, telemetry }),
      createDeletionReconciler({ vms, telemetry }),
    ],
  });
  const leadership = createLeadership({ store, clock, random, logger, nodeId, instanceId });
  const agent = createAgent({
    registration: aRegistration({ id: nodeId, driver: "simulated", accelerator: "none" }),
    capabilities: options.capabilities ?? simulatedCapabilities,
    runtime,
    images: { materialize: options.materialize ?? (async (manifest) => materialized(manifest)) },
    controlPlane: createNodeGateway({
      nodeId,
      instanceId,
      nodes,
      assignments,
      statuses: createStatusRepository(store),
      images: createImageRepository(store),
    }),
    clock,
    random,
    newInstanceId: fresh("run"),
    telemetry,
  });
  return {
    agent,
    cache,
    admission: createAdmission({ vms, nodes, cache, clock, newOperationId: fresh("operation"), telemetry }),
    async start() {
      await cache.start();
      leadership.start((term) => controlLoop.act(term));
      await agent.start();
    },
    async stop() {
      await agent.stop({ timeoutMs: 1000 });
      await leadership.stop();
      await cache.stop();
    },
  };
}

function materialized({ digest, commandLine, guestAgent }: ImageManifest): MaterializedImage {
  return { digest, kernelPath: "/kernel", initrdPath: undefined, disk: undefined, commandLine, guestAgent };
}
