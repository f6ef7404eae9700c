/**
 * The VMs as they are, then every change. Nothing is queued per watcher but ids, merged
 * by the change feed: who reads slowly gets each VM's latest state, and loses only what
 * was overtaken.
 */
import type { Vm } from "#model/vm.ts";
import type { StoreChange, StoreView } from "#store/store-view.ts";
import type { WatchCache } from "#store/watch-cache.ts";

export type VmWatchEvent =
  | { readonly kind: "changed"; readonly vm: Vm }
  | { readonly kind: "deleted"; readonly vmId: string }
  /** Everything that existed has been told. */
  | { readonly kind: "synced" };

/** A VM that stops matching is told as deleted: it is gone from what was asked for. */
export async function* watchVms(
  cache: Pick<WatchCache, "snapshot" | "subscribe">,
  matches: (vm: Vm) => boolean,
  signal: AbortSignal,
): AsyncGenerator<VmWatchEvent> {
  const told = new Map<string, Vm>();
  let synced = false;
  for await (const change of cache.subscribe(signal)) {
    for (const vmId of idsToLookAt(change, cache.snapshot(), told)) {
      // Looked up again for each: the reader may have taken its time with the one before.
      const vm = cache.snapshot().vm(vmId);
      if (vm !== undefined && matches(vm)) {
        if (told.get(vmId) === vm) continue;
        told.set(vmId, vm);
        yield { kind: "changed", vm };
      } else if (told.delete(vmId)) {
        yield { kind: "deleted", vmId };
      }
    }
    if (!synced) yield { kind: "synced" };
    synced = true;
  }
}

function idsToLookAt(change: StoreChange, view: StoreView, told: ReadonlyMap<string, Vm>): Iterable<string> {
  return change.everything ? new Set([...view.intents.keys(), ...told.keys()]) : change.vmIds;
}
