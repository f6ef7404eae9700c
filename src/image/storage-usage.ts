/** How much disk space this node's images take, measured in the background. */
import { imageStorageUsage } from "#gen/telemetry/metrics.ts";
import type { Metrics } from "#telemetry/port.ts";
import type { ChunkStore } from "./chunk-store.ts";
import type { FileStore } from "./file-store.ts";

const INTERVAL_MS = 60_000;
const TIMEOUT_MS = 10_000;

export function observeStorage(
  metrics: Metrics,
  { chunks, files }: { readonly chunks: ChunkStore; readonly files: FileStore },
): Disposable {
  return metrics.observeGroup({
    name: "image_storage",
    metrics: [imageStorageUsage],
    intervalMs: INTERVAL_MS,
    timeoutMs: TIMEOUT_MS,
    async collect(observer) {
      const [chunkBytes, fileBytes] = await Promise.all([chunks.usedBytes(), files.usedBytes()]);
      observer.observe(imageStorageUsage, chunkBytes, { "blixard.image.storage_kind": "chunks" });
      observer.observe(imageStorageUsage, fileBytes, { "blixard.image.storage_kind": "files" });
    },
  });
}
