/**
 * The control plane as a node of this very process sees it: the agent's port, served
 * over the store. On other nodes the mesh will serve the same port from afar.
 *
 * It adds nothing of its own: what is stored is the agent's word, what is assigned is
 * the leader's. Reports of VMs that the store no longer knows vanish without an error.
 */
import type { AssignmentEvent, ControlPlane, Heartbeat } from "#agent/control-plane.ts";
import { BlixardError } from "#model/errors.ts";
import type { AssignmentChange, AssignmentRepository } from "#store/assignment-repository.ts";
import type { ImageRepository } from "#store/image-repository.ts";
import type { NodeRepository, NodeSession } from "#store/node-repository.ts";
import type { StatusRepository } from "#store/status-repository.ts";

export interface NodeGatewayOptions {
  readonly nodeId: string;
  /** Fresh for every start of the daemon. */
  readonly instanceId: string;
  readonly nodes: Pick<NodeRepository, "register">;
  readonly assignments: Pick<AssignmentRepository, "watch">;
  readonly statuses: StatusRepository;
  readonly images: Pick<ImageRepository, "get">;
  /** Default 15 s; the store may grant more. */
  readonly leaseTtlMs?: number;
}

const DEFAULT_LEASE_TTL_MS = 15_000;

export function createNodeGateway(options: NodeGatewayOptions): ControlPlane {
  const { nodeId, instanceId, nodes, assignments, statuses, images } = options;
  const leaseTtlMs = options.leaseTtlMs ?? DEFAULT_LEASE_TTL_MS;
  let session: NodeSession | undefined;

  async function toEvent(change: AssignmentChange): Promise<AssignmentEvent> {
    switch (change.kind) {
      case "snapshot":
        return { kind: "snapshot", assignments: change.assignments, statuses: await statuses.list(nodeId) };
      case "assigned":
        return { kind: "assigned", assignment: change.assignment };
      case "withdrawn":
        return { kind: "withdrawn", vmId: change.vmId };
    }
  }

  return {
    async register(registration): Promise<Heartbeat> {
      session = await nodes.register({ registration, instanceId, leaseTtlMs });
      return { sentTimeMs: session.sentTimeMs, ttlMs: session.ttlMs };
    },
    async heartbeat() {
      if (session === undefined) throw new BlixardError("LEASE_LOST", `node ${nodeId} has not registered`);
      return session.heartbeat();
    },
    async *watchAssignments(signal) {
      for await (const change of assignments.watch(nodeId, signal)) yield await toEvent(change);
    },
    async reportStatus(status, signal) {
      await statuses.report({ ...status, nodeId }, signal === undefined ? {} : { signal });
    },
    async resolveImage(name) {
      const image = await images.get(name);
      if (image !== undefined) return image.value;
      throw new BlixardError("IMAGE_NOT_FOUND", `there is no image named ${name}`, {
        hint: "See `blixard image list`.",
      });
    },
    async deregister() {
      await session?.end();
      session = undefined;
    },
  };
}
