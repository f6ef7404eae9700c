/** Images as an agent needs them: whole files on this node. The image room serves it. */
import type { ImageManifest, MaterializedImage } from "#model/image.ts";

export interface ImageSource {
  /**
   * Makes the image's files whole on this node, fetching what is missing. Concurrent
   * calls for one digest share the work.
   * @throws BlixardError IMAGE_CORRUPT, IMAGE_NOT_FOUND, DISK_FULL; the reason of `signal`
   */
  materialize(manifest: ImageManifest, signal: AbortSignal): Promise<MaterializedImage>;
}
