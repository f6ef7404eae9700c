/** The manifests of images. Their bytes live on the nodes; the store only says what there is and who uses it. */
import { BlixardError } from "#model/errors.ts";
import type { ImageManifest } from "#model/image.ts";
import { settle } from "./compare-and-swap.ts";
import { imageKey, imageUserPrefix, kindPrefix, parseKey } from "./keys.ts";
import type { CallOptions, KeyValueStore } from "./key-value-store.ts";
import { imageCodec } from "./records/image-codec.ts";
import type { Versioned } from "./records/record-codec.ts";

export interface ImageWritten {
  readonly image: Versioned<ImageManifest>;
  /** False when an image of this name with the same content was there already. */
  readonly created: boolean;
  readonly revision: bigint;
}

export interface ImageRepository {
  /**
   * The same name with the same digest is success: what was asked for is there.
   * @throws BlixardError IMAGE_NAME_TAKEN, OPERATION_ID_REUSED, STORE_*
   */
  create(image: ImageManifest, options?: CallOptions): Promise<ImageWritten>;
  get(name: string, options?: CallOptions): Promise<Versioned<ImageManifest> | undefined>;
  list(
    options?: CallOptions & { readonly limit?: number; readonly startAfter?: string },
  ): Promise<readonly Versioned<ImageManifest>[]>;
  /** Ids of VMs whose spec names the image. */
  users(name: string, options?: CallOptions & { readonly limit?: number }): Promise<readonly string[]>;
  /** @throws BlixardError IMAGE_IN_USE, IMAGE_NOT_FOUND, STORE_* */
  delete(name: string, options?: CallOptions): Promise<bigint>;
}

const USERS_IN_MESSAGE = 3;

export function createImageRepository(store: KeyValueStore): ImageRepository {
  async function users(name: string, options?: CallOptions & { readonly limit?: number }): Promise<string[]> {
    const { entries } = await store.range(imageUserPrefix(name), options);
    return entries.flatMap((entry) => parseKey(entry.key)?.parts[1] ?? []);
  }

  return {
    create: (image, options) =>
      settle<ImageWritten>(`create image ${image.name}`, async () => {
        const key = imageKey(image.name);
        const result = await store.transact(
          {
            compare: [{ kind: "modRevision", key, equals: 0n }],
            success: [{ kind: "put", key, value: imageCodec.encode(image) }],
            failure: [{ kind: "get", key }],
          },
          options,
        );
        const { revision } = result;
        if (result.succeeded)
          return { value: { image: { value: image, modRevision: revision }, created: true, revision } };
        const entry = result.gets[0];
        if (entry === undefined) return undefined;
        const existing = imageCodec.decode(entry);
        checkSameImage(existing.value, image);
        return { value: { image: existing, created: false, revision: existing.modRevision } };
      }),
    async get(name, options) {
      const entry = await store.get(imageKey(name), options);
      return entry === undefined ? undefined : imageCodec.decode(entry);
    },
    async list(options = {}) {
      const { startAfter, ...rest } = options;
      const { entries } = await store.range(kindPrefix("images"), {
        ...rest,
        ...(startAfter === undefined ? {} : { startAfter: imageKey(startAfter) }),
      });
      return entries.map((entry) => imageCodec.decode(entry));
    },
    users,
    delete: (name, options) =>
      settle(`delete image ${name}`, async ({ afterUnknownOutcome }) => {
        const result = await store.transact(
          {
            compare: [
              { kind: "exists", key: imageKey(name) },
              { kind: "prefixEmpty", prefix: imageUserPrefix(name) },
            ],
            success: [{ kind: "delete", key: imageKey(name) }],
            failure: [{ kind: "get", key: imageKey(name) }],
          },
          options,
        );
        if (result.succeeded) return { value: result.revision };
        if (result.gets[0] !== undefined)
          throw imageInUse(name, await users(name, { ...options, limit: USERS_IN_MESSAGE + 1 }));
        if (afterUnknownOutcome) return { value: result.revision };
        throw new BlixardError("IMAGE_NOT_FOUND", `there is no image named ${name}`, {
          hint: "See `blixard image list`.",
        });
      }),
  };
}

function checkSameImage(existing: ImageManifest, wanted: ImageManifest): void {
  if (existing.digest === wanted.digest) return;
  if (wanted.operationId !== "" && existing.operationId === wanted.operationId) {
    throw new BlixardError(
      "OPERATION_ID_REUSED",
      `operation id ${wanted.operationId} was already used to import image ${existing.name} with other content`,
      { field: "operationId", hint: "Use a fresh operation id for every new request." },
    );
  }
  throw new BlixardError("IMAGE_NAME_TAKEN", `an image named ${existing.name} with other content already exists`, {
    field: "name",
    hint: "Choose another name, or delete the image first.",
  });
}

function imageInUse(name: string, vmIds: readonly string[]): BlixardError {
  const shown = vmIds.slice(0, USERS_IN_MESSAGE).join(", ");
  const more = vmIds.length > USERS_IN_MESSAGE ? " and others" : "";
  return new BlixardError("IMAGE_IN_USE", `image ${name} is used by VM ${shown}${more}`, {
    hint: "Delete these VMs first.",
  });
}
