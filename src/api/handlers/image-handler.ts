/** ImageService: bytes to this node's image store, manifests to the cluster's. */
import type { ServiceImpl } from "@connectrpc/connect";
import type { ImageService, ImportImageHeader, ImportImageRequest } from "#gen/api/blixard/v1/image_pb.ts";
import type { Clock } from "#model/clock.ts";
import { BlixardError, errorCodes } from "#model/errors.ts";
import { parseImageName, parseOperationId } from "#model/names.ts";
import type { ImageRepository } from "#store/image-repository.ts";
import type { WatchCache } from "#store/watch-cache.ts";
import { imageHeaderInputFromMessage, imageToMessage } from "../codec/image-message.ts";
import type { ImageKeeper } from "../ports.ts";
import { parsePageRequest, selectPage } from "./pages.ts";
import { readBack } from "./read-back.ts";

export interface ImageHandlerOptions {
  readonly images: ImageKeeper;
  readonly manifests: Pick<ImageRepository, "create" | "delete">;
  readonly cache: Pick<WatchCache, "snapshot" | "waitForRevision">;
  readonly clock: Clock;
  readonly newOperationId: () => string;
}

const MAXIMUM_PIECE_BYTES = 2 ** 20;
/** How long a write whose outcome is unknown may take to show in the store. */
const UNKNOWN_OUTCOME_MS = 60_000;
/** An image may be used by very many; the answer names these and no more. */
const MAXIMUM_USERS = 100;

export function createImageHandler(options: ImageHandlerOptions): ServiceImpl<typeof ImageService> {
  const { images, manifests, cache, clock } = options;

  function usersOf(name: string): string[] {
    const view = cache.snapshot();
    const ids = view.imageUsers(name).values().take(MAXIMUM_USERS);
    return ids
      .map((id) => view.vm(id)?.intent.name ?? id)
      .toArray()
      .toSorted();
  }

  return {
    async importImage(requests, { signal }) {
      const input = requests[Symbol.asyncIterator]();
      const header = await readHeader(input);
      const operationId = parseOperationId(header.operationId, "header.operationId") ?? options.newOperationId();
      const imported = await images.import(imageHeaderInputFromMessage(header, operationId), piecesOf(input), signal);
      let releaseAfterMs = 0;
      try {
        const { image, revision } = await manifests.create(imported.manifest, { signal });
        await readBack(cache, clock, revision, signal);
        return { image: imageToMessage(image.value, usersOf(image.value.name)) };
      } catch (error) {
        if (mayHaveHappened(error)) releaseAfterMs = UNKNOWN_OUTCOME_MS;
        throw error;
      } finally {
        void clock.delay(releaseAfterMs).then(() => imported[Symbol.dispose]());
      }
    },
    getImage(request) {
      const name = parseImageName(request.name);
      const image = cache.snapshot().images.get(name);
      if (image !== undefined) return { image: imageToMessage(image.value, usersOf(name)) };
      throw imageNotFound(name);
    },
    listImages(request) {
      const all = cache.snapshot().images.values();
      const page = selectPage(all, parsePageRequest(request), (image) => image.value.name);
      return {
        images: page.items.map((image) => imageToMessage(image.value, usersOf(image.value.name))),
        nextPageToken: page.nextToken,
      };
    },
    async deleteImage(request, { signal }) {
      const name = parseImageName(request.name);
      parseOperationId(request.operationId);
      const digest = cache.snapshot().images.get(name)?.value.digest ?? "";
      const revision = await manifests.delete(name, { signal });
      await images.remove({ name, digest });
      await readBack(cache, clock, revision, signal);
      return {};
    },
  };
}

async function readHeader(input: AsyncIterator<ImportImageRequest>): Promise<ImportImageHeader> {
  const first = await input.next();
  if (first.done !== true && first.value.message.case === "header") return first.value.message.value;
  throw new BlixardError("INVALID_ARGUMENT", "the first message is not the header", {
    field: "header",
    hint: "Send the header first, then the files' bytes in its order.",
  });
}

async function* piecesOf(input: AsyncIterator<ImportImageRequest>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const next = await input.next();
    if (next.done === true) return;
    const { message } = next.value;
    if (message.case !== "data") {
      throw new BlixardError("INVALID_ARGUMENT", "only the first message is a header", { hint: "Send data." });
    }
    if (message.value.length > MAXIMUM_PIECE_BYTES) {
      throw new BlixardError("REQUEST_TOO_LARGE", `a piece of ${message.value.length} bytes is too large`, {
        field: "data",
        hint: `Send at most ${MAXIMUM_PIECE_BYTES} bytes in one message.`,
      });
    }
    yield message.value;
  }
}

/** Then the manifest may be there, or come: the chunks must not be taken for garbage yet. */
function mayHaveHappened(error: unknown): boolean {
  return !(error instanceof BlixardError) || errorCodes[error.code].fault === "system";
}

function imageNotFound(name: string): BlixardError {
  return new BlixardError("IMAGE_NOT_FOUND", `there is no image ${name}`, {
    field: "name",
    hint: "See `blixard image list`.",
  });
}
