/**
 * The images of this node: content-addressed chunks, and whole files made from them
 * for hypervisors. The API imports into it and has what nobody needs removed; the
 * agent materializes from it; peers will read its chunks. It knows nothing of the
 * store: manifests come and go as values, and whether an image is used is decided
 * elsewhere.
 *
 *   <directory>/chunks/<2>/<sha256>   what imports bring, 0700
 *   <directory>/files/<sha256>        whole files, readable by an unprivileged QEMU
 *   <directory>/temporary/            what is being written; emptied at start
 *
 * Whatever has its final name is whole: it was forced to the disk before it got it.
 */
import { randomUUID } from "node:crypto";
import { chmod, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { imageImportDuration, imageImportIo, imageMaterializationDuration } from "#gen/telemetry/metrics.ts";
import { imageDelete, imageImport, imageMaterialize } from "#gen/telemetry/spans.ts";
import { BlixardError, toBlixardError, withContext } from "#model/errors.ts";
import type { ImageFile, ImageManifest, MaterializedImage } from "#model/image.ts";
import type { Telemetry } from "#telemetry/port.ts";
import { createChunkStore } from "./chunk-store.ts";
import { createDurableFiles, toStorageError, type OpenFile } from "./durable-file.ts";
import { createFileStore } from "./file-store.ts";
import { createGarbageCollector } from "./garbage-collector.ts";
import { parseImageHeader, type ImageHeader, type ImageHeaderInput } from "./image-header.ts";
import { createImageReceiver } from "./image-receiver.ts";
import { digestOfImage } from "./manifest.ts";
import { createSharedWork } from "./shared-work.ts";
import { observeStorage } from "./storage-usage.ts";

export interface ImageStore {
  /** Makes the directories and removes what a crash left half-written. Must be called first. */
  start(): Promise<void>;
  /**
   * Keeps an image's bytes: the files follow each other in the order of the header. What it
   * brought is safe from collection until the result is disposed of: do that when the
   * manifest is in the store, or will not be.
   * @throws BlixardError INVALID_ARGUMENT (the header), IMAGE_INVALID (the bytes), DISK_FULL, TOO_MANY_REQUESTS,
   * CANCELLED; nothing is kept then
   */
  import(header: ImageHeaderInput, data: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<ImportedImage>;
  /**
   * The image as whole files on this node; callers at the same time share the work.
   * @throws BlixardError IMAGE_CORRUPT naming the chunk, DISK_FULL; the reason of `signal`
   */
  materialize(manifest: ImageManifest, signal: AbortSignal): Promise<MaterializedImage>;
  /** After an image's manifest has left the store: removes what no other image needs, now or when imports have ended. */
  remove(image: Pick<ImageManifest, "name" | "digest">): Promise<void>;
  /** Removes what no manifest needs, e.g. what a crash left behind. Call when the store can be read. */
  collectGarbage(): Promise<void>;
  hasChunk(sha256: string): Promise<boolean>;
  /** @throws BlixardError IMAGE_CORRUPT */
  readChunk(sha256: string): Promise<Uint8Array>;
  stop(): Promise<void>;
}

export interface ImportedImage extends Disposable {
  readonly manifest: ImageManifest;
}

export interface ImageStoreOptions {
  /** `<data directory>/images`. */
  readonly directory: string;
  /** Every manifest that there is, read from the store itself and not from a cache: what it omits is removed. */
  readonly listManifests: () => Promise<readonly ImageManifest[]>;
  readonly telemetry: Telemetry;
  /** Unix time in ms. */
  readonly now: () => number;
  /** Default 4. */
  readonly maximumImports?: number;
  /** For tests: how files are opened for writing. */
  readonly open?: OpenFile;
}

const DEFAULT_MAXIMUM_IMPORTS = 4;

export function createImageStore(options: ImageStoreOptions): ImageStore {
  const { directory, telemetry, now } = options;
  const temporaryDirectory = join(directory, "temporary");
  const durableFiles = createDurableFiles({
    temporaryDirectory,
    randomId: randomUUID,
    ...(options.open === undefined ? {} : { open: options.open }),
  });
  const chunks = createChunkStore(join(directory, "chunks"), durableFiles);
  const files = createFileStore({ directory: join(directory, "files"), chunks, files: durableFiles });
  const receiver = createImageReceiver({ chunks, files });
  const assembling = createSharedWork<void>();
  const collector = createGarbageCollector(sweep, telemetry.logger);
  const maximumImports = options.maximumImports ?? DEFAULT_MAXIMUM_IMPORTS;
  const importedBytes = telemetry.metrics.bind(imageImportIo, {});
  let imports = 0;
  let usage: Disposable | undefined;

  async function sweep(): Promise<void> {
    const manifests = await options.listManifests();
    const referenced = manifests.flatMap((manifest) => manifest.files);
    const fileSums = new Set(referenced.map((file) => file.sha256));
    const chunkSums = new Set(referenced.flatMap((file) => file.chunkSha256));
    const removed = await files.removeUnless((sha256) => fileSums.has(sha256));
    const removedChunks = await chunks.removeUnless((sha256) => chunkSums.has(sha256));
    if (removed.count + removedChunks.count === 0) return;
    telemetry.logger.info(`removed ${removedChunks.count} chunks and ${removed.count} files that no image needs`);
  }

  async function receive(
    header: ImageHeader,
    data: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<ImageManifest> {
    const content = {
      files: await receiver.receive(header.files, data, signal),
      commandLine: header.commandLine,
      guestAgent: header.guestAgent,
    };
    return {
      name: header.name,
      digest: digestOfImage(content),
      ...content,
      createTimeMs: now(),
      operationId: header.operationId,
    };
  }

  /** Whatever of the import is in no manifest by now is removed. */
  function release(hold: Disposable): void {
    void collector.request();
    hold[Symbol.dispose]();
  }

  /** Counts imports from their first byte, so that not more run than the disk and the memory bear. */
  async function measureImport(header: ImageHeader, work: () => Promise<ImageManifest>): Promise<ImageManifest> {
    if (imports >= maximumImports) {
      throw new BlixardError("TOO_MANY_REQUESTS", `${imports} images are being imported already`, {
        hint: "Try again when one of them is done.",
      });
    }
    const startMs = now();
    let failure: BlixardError | undefined;
    imports++;
    try {
      return await work();
    } catch (error) {
      failure = toBlixardError(error);
      throw withContext(error, `cannot import image "${header.name}"`);
    } finally {
      imports--;
      const attributes = failure === undefined ? {} : { "error.type": failure.code };
      telemetry.metrics.bind(imageImportDuration, attributes).record((now() - startMs) / 1000);
    }
  }

  async function assemble(manifest: ImageManifest, signal: AbortSignal): Promise<"hit" | "miss"> {
    let result: "hit" | "miss" = "hit";
    for (const file of manifest.files) {
      if (await files.has(file)) continue;
      result = "miss";
      await assembling.run(file.sha256, signal, (shared) => files.assemble(file, shared));
    }
    return result;
  }

  async function measureAssembly(manifest: ImageManifest, signal: AbortSignal): Promise<"hit" | "miss"> {
    const startMs = now();
    const record = (attributes: { "blixard.image.cache_result": "hit" | "miss"; "error.type"?: string }): void =>
      telemetry.metrics.bind(imageMaterializationDuration, attributes).record((now() - startMs) / 1000);
    try {
      const result = await assemble(manifest, signal);
      record({ "blixard.image.cache_result": result });
      return result;
    } catch (error) {
      if (signal.aborted) throw error;
      record({ "blixard.image.cache_result": "miss", "error.type": toBlixardError(error).code });
      throw withContext(error, `cannot make image "${manifest.name}" whole on this node`);
    }
  }

  return {
    async start() {
      try {
        await rm(temporaryDirectory, { recursive: true, force: true });
        await mkdir(temporaryDirectory, { recursive: true, mode: 0o700 });
        await chmod(directory, 0o711);
        await chunks.start();
        await files.start();
      } catch (error) {
        throw withContext(toStorageError(error), `cannot use the image directory ${directory}`);
      }
      usage = observeStorage(telemetry.metrics, { chunks, files });
    },

    async import(input, data, signal) {
      const header = parseImageHeader(input);
      const hold = await collector.hold();
      try {
        const attributes = { "blixard.image.name": header.name, "blixard.operation.id": header.operationId };
        const manifest = await telemetry.tracing.span(imageImport, { attributes }, async (span) => {
          const received = await measureImport(header, () => receive(header, data, signal));
          span.setAttributes({
            "blixard.image.digest": received.digest,
            "blixard.image.size": sizeOf(received),
            "blixard.image.chunk_count": received.files.reduce((count, file) => count + file.chunkSha256.length, 0),
          });
          return received;
        });
        importedBytes.add(sizeOf(manifest));
        return { manifest, [Symbol.dispose]: () => release(hold) };
      } catch (error) {
        release(hold);
        throw error;
      }
    },

    async materialize(manifest, signal) {
      using _hold = await collector.hold();
      const attributes = {
        "blixard.image.digest": manifest.digest,
        "blixard.image.name": manifest.name,
        "blixard.image.size": sizeOf(manifest),
      };
      await telemetry.tracing.span(imageMaterialize, { attributes }, async (span) => {
        const result = await measureAssembly(manifest, signal);
        span.setAttributes({ "blixard.image.cache_result": result });
      });
      return toMaterialized(manifest, (file) => files.pathOf(file));
    },

    async remove(image) {
      const attributes = { "blixard.image.name": image.name, "blixard.image.digest": image.digest };
      await telemetry.tracing.span(imageDelete, { attributes }, () => collector.request());
    },

    collectGarbage: () => collector.request(),
    hasChunk: (sha256) => chunks.has(sha256),
    readChunk: (sha256) => chunks.read(sha256),

    async stop() {
      usage?.[Symbol.dispose]();
      await collector.stop();
    },
  };
}

function toMaterialized(manifest: ImageManifest, pathOf: (file: ImageFile) => string): MaterializedImage {
  const byRole = new Map(manifest.files.map((file) => [file.role, file]));
  const pathOfRole = (role: "kernel" | "initrd"): string | undefined => {
    const file = byRole.get(role);
    return file === undefined ? undefined : pathOf(file);
  };
  const disk = byRole.get("disk");
  return {
    digest: manifest.digest,
    kernelPath: pathOfRole("kernel"),
    initrdPath: pathOfRole("initrd"),
    disk: disk === undefined ? undefined : { path: pathOf(disk), format: disk.diskFormat ?? "raw" },
    commandLine: manifest.commandLine,
    guestAgent: manifest.guestAgent,
  };
}

function sizeOf(manifest: ImageManifest): number {
  return manifest.files.reduce((bytes, file) => bytes + file.sizeBytes, 0);
}
