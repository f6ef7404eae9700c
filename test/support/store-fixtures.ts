/** Values for this room's tests. */
import type { ImageManifest } from "#model/image.ts";
import type { NodeRegistration } from "#model/node.ts";
import type { VmSpec, VmStatus } from "#model/vm.ts";
import { parseVmSpec } from "#model/vm-spec.ts";
import type { CreateVm } from "#store/vm-repository.ts";

export function anImage(overrides: Partial<ImageManifest> = {}): ImageManifest {
  return {
    name: "demo",
    digest: `sha256:${"ab".repeat(32)}`,
    files: [
      {
        role: "kernel",
        sizeBytes: 5,
        sha256: "cd".repeat(32),
        diskFormat: undefined,
        chunkSizeBytes: 4_194_304,
        chunkSha256: ["cd".repeat(32)],
      },
    ],
    commandLine: "console=ttyS0",
    guestAgent: true,
    createTimeMs: 1_700_000_000_000,
    operationId: "import-1",
    ...overrides,
  };
}

export function aSpec(overrides: Partial<VmSpec> = {}): VmSpec {
  return { ...parseVmSpec({ image: "demo" }), ...overrides };
}

export function aCreateVm(overrides: Partial<CreateVm> = {}): CreateVm {
  return {
    name: "web-1",
    spec: aSpec(),
    desiredState: "running",
    operationId: "operation-1",
    requestDigest: "12".repeat(32),
    timeMs: 1_700_000_000_000,
    trace: { traceId: "1".repeat(32), spanId: "2".repeat(16), sampled: true },
    ...overrides,
  };
}

export function aRegistration(overrides: Partial<NodeRegistration> = {}): NodeRegistration {
  return {
    id: "node-1",
    capacity: { vcpus: 8, memoryBytes: 8 * 1024 ** 3, diskBytes: 100 * 1024 ** 3 },
    version: "0.1.0",
    driver: "qemu",
    accelerator: "tcg",
    acceleratorReason: "there is no /dev/kvm",
    hypervisorVersion: "7.2.0",
    startTimeMs: 1_700_000_000_000,
    server: true,
    metrics: {
      address: "node-1:9090",
      scheme: "http",
      path: "/metrics",
      job: "blixard/blixard",
      instance: "627cc493-f310-47de-96bd-71410b7dec09",
    },
    ...overrides,
  };
}

export function aStatus(overrides: Partial<VmStatus> = {}): VmStatus & { readonly nodeId: string } {
  return {
    vmId: "vm-1",
    state: "running",
    reason: "guest_ready",
    message: "the guest reported ready",
    stateTimeMs: 1_700_000_000_000,
    observedGeneration: 1,
    observedRestartGeneration: 0,
    restarts: 0,
    driver: "qemu",
    accelerator: "tcg",
    readiness: "guest",
    startTimeMs: 1_700_000_000_000,
    publishedPorts: [],
    lastExit: undefined,
    nextRestartTimeMs: undefined,
    errorCode: undefined,
    removed: false,
    ...overrides,
    nodeId: overrides.nodeId ?? "node-1",
  };
}
