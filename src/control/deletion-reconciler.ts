/**
 * The end of a VM: once its node says that it has removed everything (or no node ever
 * had it), all that the store has of it goes in one transaction.
 */
import type { StoreView } from "#store/store-view.ts";
import type { VmRepository } from "#store/vm-repository.ts";
import type { Telemetry } from "#telemetry/port.ts";
import { newestOperation } from "./plan-assignment.ts";
import { type Reconciler, vmIdsOf } from "./reconciler.ts";

export interface DeletionReconcilerOptions {
  readonly vms: VmRepository;
  readonly telemetry: Telemetry;
}

const CONCURRENT_REMOVALS = 16;

export function createDeletionReconciler(options: DeletionReconcilerOptions): Reconciler {
  const { vms, telemetry } = options;
  return {
    name: "deletion",
    async reconcile(pass) {
      const { term, view } = pass;
      const due = [...vmIdsOf(pass)].filter((vmId) => isDue(view(), vmId)).values();
      let revision: bigint | undefined;

      async function removeNext(): Promise<void> {
        for (const vmId of due) {
          const vm = view().intents.get(vmId);
          if (vm === undefined || !isDue(view(), vmId)) continue;
          const removed = await telemetry.tracing.run(newestOperation(vm.value).trace, () =>
            vms.remove(term, vm, view().nodeIdsHolding(vmId), { signal: term.signal }),
          );
          if (removed !== undefined && (revision === undefined || removed > revision)) revision = removed;
        }
      }

      // Workers share one iterator: each takes the next VM.
      await Promise.all(Array.from({ length: CONCURRENT_REMOVALS }, removeNext));
      return revision;
    },
  };
}

/** Nothing of the VM is left, or can be, on any node. */
function isDue(view: StoreView, vmId: string): boolean {
  if (view.intents.get(vmId)?.value.desiredState !== "deleted") return false;
  const nodeId = view.placements.get(vmId)?.value.nodeId;
  if (nodeId === undefined) return true;
  // A node that is no longer part of the cluster has nothing to say.
  if (!view.registrations.has(nodeId)) return true;
  return view.status(nodeId, vmId)?.value.removed === true;
}
