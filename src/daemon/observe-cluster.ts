/** Figures of the cluster that the watch cache knows: images, and the peers of this node. */
import { imageCount, peerCount } from "#gen/telemetry/metrics.ts";
import type { WatchCache } from "#store/watch-cache.ts";
import type { Telemetry } from "#telemetry/port.ts";

const INTERVAL_MS = 5_000;

/** A single node has no peers: the zeros are true, and what watches them works before the first one joins. */
export function observeCluster({
  cache,
  telemetry,
}: {
  readonly cache: Pick<WatchCache, "snapshot">;
  readonly telemetry: Telemetry;
}): Disposable {
  return telemetry.metrics.observeGroup({
    name: "cluster",
    metrics: [imageCount, peerCount],
    intervalMs: INTERVAL_MS,
    timeoutMs: INTERVAL_MS,
    collect: async (observer) => {
      observer.observe(imageCount, cache.snapshot().images.size, {});
      for (const state of peerCount.attributes["blixard.peer.state"].values) {
        observer.observe(peerCount, 0, { "blixard.peer.state": state });
      }
    },
  });
}
