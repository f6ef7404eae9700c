/**
 * A virtual machine as the domain sees it: what is wanted (`VmIntent`), what the
 * scheduler decided (`VmPlacement`), what the node must bring about
 * (`VmAssignment`), and what it observed (`VmStatus`). Plain values; the wire
 * forms live in proto/ and are converted at the borders (store, api).
 */
import type { TraceContext } from "./trace-context.ts";

export const vmStates = [
  "pending",
  "scheduled",
  "preparing",
  "starting",
  "running",
  "stopping",
  "stopped",
  "paused",
  "migrating",
  "failed",
  "lost",
] as const;
export type VmState = (typeof vmStates)[number];

export type DesiredVmState = "running" | "stopped" | "paused" | "deleted";
export type RestartPolicy = "never" | "on-failure" | "always";
export type NodeLossPolicy = "restart" | "hold";

export interface VmSpec {
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly image: string;
  readonly commandLine: string;
  readonly network: VmNetwork;
  readonly disks: readonly VmDisk[];
  readonly onNodeLoss: NodeLossPolicy;
  readonly acceptDiskLoss: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly restartPolicy: RestartPolicy;
  readonly bootTimeoutMs: number;
  readonly stopTimeoutMs: number;
  /** undefined: as the image says. */
  readonly guestAgent: boolean | undefined;
}

export type VmNetwork =
  | { readonly kind: "none" }
  | { readonly kind: "user"; readonly ports: readonly PublishedPort[]; readonly egress: boolean }
  | { readonly kind: "bridge"; readonly bridge: string; readonly macAddress: string | undefined };

export interface PublishedPort {
  readonly hostAddress: string;
  /** 0: the node chooses; a status carries the port chosen. */
  readonly hostPort: number;
  readonly guestPort: number;
  readonly protocol: "tcp" | "udp";
}

export interface VmDisk {
  readonly name: string;
  readonly sizeBytes: number;
  readonly kind: "ephemeral" | "persistent";
}

export const vmOperationKinds = ["create", "start", "stop", "restart", "pause", "resume", "delete"] as const;
export type VmOperationKind = (typeof vmOperationKinds)[number];

export interface VmOperation {
  readonly operationId: string;
  readonly kind: VmOperationKind;
  /** Context of the RPC server span that accepted it. */
  readonly trace: TraceContext | undefined;
  readonly timeMs: number;
}

/** vms/<id>. */
export interface VmIntent {
  readonly id: string;
  readonly name: string;
  readonly spec: VmSpec;
  readonly desiredState: DesiredVmState;
  readonly generation: number;
  readonly restartGeneration: number;
  readonly force: boolean;
  readonly createTimeMs: number;
  readonly origin: TraceContext | undefined;
  /** Newest first, at most `MAXIMUM_OPERATIONS`. */
  readonly operations: readonly VmOperation[];
  readonly createOperationId: string;
  /** Hex. */
  readonly createRequestDigest: string;
  readonly imageDigest: string;
}
export const MAXIMUM_OPERATIONS = 16;

/** placements/<id>. */
export interface VmPlacement {
  readonly vmId: string;
  /** undefined while pending. */
  readonly nodeId: string | undefined;
  readonly refusals: readonly PlacementRefusal[];
  readonly timeMs: number;
  readonly attempts: number;
}

export interface PlacementRefusal {
  readonly nodeId: string;
  readonly reason: PlacementRefusalReason;
  readonly message: string;
}
export const placementRefusalReasons = [
  "no_nodes",
  "not_alive",
  "cordoned",
  "insufficient_vcpus",
  "insufficient_memory",
  "insufficient_disk",
  "too_many_vms",
] as const;
export type PlacementRefusalReason = (typeof placementRefusalReasons)[number];

/** assign/<node>/<vm>. */
export interface VmAssignment {
  readonly vmId: string;
  readonly vmName: string;
  readonly spec: VmSpec;
  readonly desiredState: DesiredVmState;
  readonly generation: number;
  readonly restartGeneration: number;
  readonly force: boolean;
  /** The span that caused this version. */
  readonly cause: TraceContext | undefined;
  /** The trace of the VM's creation, to link later work to. */
  readonly origin: TraceContext | undefined;
  readonly operationId: string;
  readonly operationKind: VmOperationKind;
  /** When the operation was accepted. */
  readonly operationTimeMs: number;
  readonly imageDigest: string;
}

export type VmExitCause =
  | "shutdown"
  | "panic"
  | "crash"
  | "killed"
  | "boot_timeout"
  | "guardian_lost"
  | "host_rebooted"
  | "start_failed";

export interface VmExit {
  readonly cause: VmExitCause;
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly timeMs: number;
  /** The end of the hypervisor's stderr, at most 4 KiB. */
  readonly detail: string;
}

/** status/<node>/<vm>, and for VMs without a node the same shape made by the reader. */
export interface VmStatus {
  readonly vmId: string;
  readonly nodeId: string | undefined;
  readonly state: VmState;
  /** Machine-readable, e.g. "guest_ready", "insufficient_memory", "guest_exited". */
  readonly reason: string;
  readonly message: string;
  readonly stateTimeMs: number;
  readonly observedGeneration: number;
  readonly observedRestartGeneration: number;
  readonly restarts: number;
  readonly driver: RuntimeDriver | undefined;
  readonly accelerator: Accelerator | undefined;
  readonly readiness: "guest" | "hypervisor" | undefined;
  readonly startTimeMs: number | undefined;
  readonly publishedPorts: readonly PublishedPort[];
  readonly lastExit: VmExit | undefined;
  readonly nextRestartTimeMs: number | undefined;
  readonly errorCode: string | undefined;
  /** The node has removed everything it had of this VM. */
  readonly removed: boolean;
}

export type RuntimeDriver = "qemu" | "simulated";
export type Accelerator = "kvm" | "tcg" | "none";

/** The whole picture of one VM, joined by the reader. */
export interface Vm {
  readonly intent: VmIntent;
  readonly placement: VmPlacement | undefined;
  readonly status: VmStatus;
}
