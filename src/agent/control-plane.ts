/**
 * The control plane as an agent sees it. On a server `control/node-gateway.ts`
 * serves it in process; elsewhere the mesh will. The agent never sees the store.
 */
import type { ImageManifest } from "#model/image.ts";
import type { NodeRegistration } from "#model/node.ts";
import type { VmAssignment, VmStatus } from "#model/vm.ts";

export interface Heartbeat {
  /** When the confirmed heartbeat was sent, by the caller's clock, and the TTL granted. */
  readonly sentTimeMs: number;
  readonly ttlMs: number;
}

export type AssignmentEvent =
  /** All assignments of the node: first, and again whenever the stream had to start anew. */
  | { readonly kind: "snapshot"; readonly assignments: readonly VmAssignment[]; readonly statuses: readonly VmStatus[] }
  | { readonly kind: "assigned"; readonly assignment: VmAssignment }
  /** The assignment is gone: whatever the node still has of the VM must go, without a report. */
  | { readonly kind: "withdrawn"; readonly vmId: string };

export interface ControlPlane {
  /** Announces the node under a fresh lease; earlier leases of the node are revoked. */
  register(registration: NodeRegistration): Promise<Heartbeat>;
  /** @throws BlixardError LEASE_LOST: register again. */
  heartbeat(): Promise<Heartbeat>;
  watchAssignments(signal: AbortSignal): AsyncIterable<AssignmentEvent>;
  /** Last writer per VM wins; resolves when it is stored. */
  reportStatus(status: VmStatus, signal?: AbortSignal): Promise<void>;
  /** @throws BlixardError IMAGE_NOT_FOUND */
  resolveImage(name: string): Promise<ImageManifest>;
  /** Ends the node's lease on purpose. */
  deregister(): Promise<void>;
}
