/**
 * What a node observed of its VMs. Each status has one writer, its node; the last report wins.
 *
 * A report compares the revision of the report before it (remembered per VM, learnt from the first
 * refusal), so that a write whose answer was lost cannot arrive late and overwrite a newer one. A report
 * for a VM that the store no longer knows is dropped: nothing may be left behind after a removal.
 */
import type { VmStatus } from "#model/vm.ts";
import { settle } from "./compare-and-swap.ts";
import { statusKey, statusPrefix, vmKey } from "./keys.ts";
import type { CallOptions, KeyValue, KeyValueStore } from "./key-value-store.ts";
import { carryUnknown, type Versioned } from "./records/record-codec.ts";
import { vmStatusCodec } from "./records/vm-status-codec.ts";

export interface StatusRepository {
  /**
   * `status.nodeId` says whose report it is. Undefined: there is no such VM any more.
   * @throws BlixardError STORE_*
   */
  report(status: VmStatus & { readonly nodeId: string }, options?: CallOptions): Promise<bigint | undefined>;
  /** All statuses that the node has reported and the store still holds. */
  list(nodeId: string, options?: CallOptions): Promise<readonly VmStatus[]>;
}

export function createStatusRepository(store: KeyValueStore): StatusRepository {
  // Bounded by the VMs that exist: an entry goes with its VM.
  const lastReports = new Map<string, Versioned<VmStatus>>();

  function learn(key: string, entry: KeyValue | undefined): void {
    if (entry === undefined) lastReports.delete(key);
    else lastReports.set(key, vmStatusCodec.decode(entry));
  }

  return {
    report: (status, options) =>
      settle(`report the status of VM ${status.vmId}`, async () => {
        const key = statusKey(status.nodeId, status.vmId);
        const last = lastReports.get(key);
        const next = carryUnknown(last?.value, status);
        const result = await store.transact(
          {
            compare: [
              { kind: "exists", key: vmKey(status.vmId) },
              { kind: "modRevision", key, equals: last?.modRevision ?? 0n },
            ],
            success: [{ kind: "put", key, value: vmStatusCodec.encode(next) }],
            failure: [
              { kind: "get", key: vmKey(status.vmId) },
              { kind: "get", key },
            ],
          },
          options,
        );
        if (result.succeeded) {
          lastReports.set(key, { value: next, modRevision: result.revision });
          return { value: result.revision };
        }
        const [vmEntry, statusEntry] = result.gets;
        if (vmEntry === undefined) {
          lastReports.delete(key);
          return { value: undefined };
        }
        learn(key, statusEntry);
        return undefined;
      }),
    async list(nodeId, options) {
      const { entries } = await store.range(statusPrefix(nodeId), options);
      return entries.map((entry) => {
        learn(entry.key, entry);
        return vmStatusCodec.decode(entry).value;
      });
    },
  };
}
