/**
 * Nodes: what they say of themselves (`nodes`), what operators say of them
 * (`node-policies`), and whether they live (`live`, under one lease per node).
 */
import type { NodeRegistration } from "#model/node.ts";
import { settle } from "./compare-and-swap.ts";
import { livenessKey, nodeKey, nodePolicyKey } from "./keys.ts";
import type { CallOptions, KeyValueStore } from "./key-value-store.ts";
import { leaseHolderCodec, nodeCodec, nodePolicyCodec } from "./records/node-codec.ts";
import { carryUnknown } from "./records/record-codec.ts";

export interface RegisterNode {
  readonly registration: NodeRegistration;
  /** Fresh for every start of the daemon. */
  readonly instanceId: string;
  /** Asked for; the store may grant more. */
  readonly leaseTtlMs: number;
}

export interface NodeSession {
  readonly leaseId: string;
  /** When the registration that was confirmed was sent (by the store's clock), and the TTL granted. */
  readonly sentTimeMs: number;
  readonly ttlMs: number;
  /** Of the registration, for `WatchCache.waitForRevision`. */
  readonly revision: bigint;
  /** @throws BlixardError LEASE_LOST: register again; STORE_UNAVAILABLE */
  heartbeat(): Promise<{ readonly sentTimeMs: number; readonly ttlMs: number }>;
  /** Ends the lease on purpose: the node is down at once. */
  end(): Promise<void>;
}

export interface NodeRepository {
  /** Under a fresh lease; an earlier lease of the node is revoked after the new one took over, so it never looks dead in between. */
  register(request: RegisterNode, options?: CallOptions): Promise<NodeSession>;
  /** Undefined: there is no such node. */
  setCordoned(nodeId: string, cordoned: boolean, options?: CallOptions): Promise<bigint | undefined>;
}

export function createNodeRepository(store: KeyValueStore): NodeRepository {
  async function register(request: RegisterNode, options?: CallOptions): Promise<NodeSession> {
    const { registration, instanceId, leaseTtlMs } = request;
    const nodeId = registration.id;
    const lease = await store.grantLease(leaseTtlMs, options);
    try {
      const { revision, previousLeaseId } = await settle(`register node ${nodeId}`, async () => {
        const [node, liveness] = await Promise.all([
          store.get(nodeKey(nodeId), options),
          store.get(livenessKey(nodeId), options),
        ]);
        const previous = node === undefined ? undefined : nodeCodec.decode(node).value;
        const result = await store.transact(
          {
            compare: [
              { kind: "modRevision", key: nodeKey(nodeId), equals: node?.modRevision ?? 0n },
              { kind: "modRevision", key: livenessKey(nodeId), equals: liveness?.modRevision ?? 0n },
            ],
            success: [
              { kind: "put", key: nodeKey(nodeId), value: nodeCodec.encode(carryUnknown(previous, registration)) },
              {
                kind: "put",
                key: livenessKey(nodeId),
                value: leaseHolderCodec.encode({ nodeId, instanceId }),
                leaseId: lease.id,
              },
            ],
          },
          options,
        );
        if (!result.succeeded) return undefined;
        return { value: { revision: result.revision, previousLeaseId: liveness?.leaseId } };
      });
      if (previousLeaseId !== undefined && previousLeaseId !== lease.id) {
        await store.revokeLease(previousLeaseId, options);
      }
      const renewal = await lease.keepAlive();
      return {
        leaseId: lease.id,
        sentTimeMs: renewal.sentTimeMs,
        ttlMs: renewal.ttlMs,
        revision,
        heartbeat: () => lease.keepAlive(),
        end: () => lease.revoke(),
      };
    } catch (error) {
      // The lease would end by itself; ending it now keeps a failed registration from looking alive.
      await lease.revoke().catch(() => undefined);
      throw error;
    }
  }

  return {
    register,
    setCordoned: (nodeId, cordoned, options) =>
      settle(`change the policy of node ${nodeId}`, async () => {
        const key = nodePolicyKey(nodeId);
        const entry = await store.get(key, options);
        const previous = entry === undefined ? undefined : nodePolicyCodec.decode(entry).value;
        const result = await store.transact(
          {
            compare: [
              { kind: "exists", key: nodeKey(nodeId) },
              { kind: "modRevision", key, equals: entry?.modRevision ?? 0n },
            ],
            success: [{ kind: "put", key, value: nodePolicyCodec.encode({ ...previous, cordoned }) }],
            failure: [{ kind: "get", key: nodeKey(nodeId) }],
          },
          options,
        );
        if (result.succeeded) return { value: result.revision };
        return result.gets[0] === undefined ? { value: undefined } : undefined;
      }),
  };
}
