/** Cuts a stream of bytes into the announced files and their chunks, and keeps them. */
import { createHash, hash } from "node:crypto";
import { BlixardError } from "#model/errors.ts";
import type { ImageFile } from "#model/image.ts";
import { approximateSize } from "#model/quantity.ts";
import { createByteReader, type ByteReader } from "./byte-reader.ts";
import type { ChunkStore } from "./chunk-store.ts";
import type { FileStore } from "./file-store.ts";
import type { AnnouncedFile } from "./image-header.ts";
import { inspectFile } from "./inspect-file.ts";
import { CHUNK_SIZE_BYTES } from "./manifest.ts";

export interface ImageReceiver {
  /** @throws BlixardError IMAGE_INVALID, DISK_FULL, CANCELLED */
  receive(
    announced: readonly AnnouncedFile[],
    data: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<ImageFile[]>;
}

export function createImageReceiver({ chunks, files }: { chunks: ChunkStore; files: FileStore }): ImageReceiver {
  async function receiveFile(announced: AnnouncedFile, reader: ByteReader, buffer: Buffer): Promise<ImageFile> {
    const sum = createHash("sha256");
    const chunkSha256: string[] = [];
    let facts: ReturnType<typeof inspectFile> = { diskFormat: undefined };
    let replaced = false;
    for (let offset = 0; offset < announced.sizeBytes; offset += CHUNK_SIZE_BYTES) {
      const chunk = buffer.subarray(0, Math.min(CHUNK_SIZE_BYTES, announced.sizeBytes - offset));
      await fill(chunk, reader, announced, offset);
      if (offset === 0) facts = inspectFile(announced.role, chunk);
      sum.update(chunk);
      const sha256 = hash("sha256", chunk, "hex");
      if ((await chunks.put(sha256, chunk)) === "replaced") replaced = true;
      chunkSha256.push(sha256);
    }
    await chunks.sync(chunkSha256);
    const sha256 = sum.digest("hex");
    // A chunk was broken, so what was made of it may be too; it is made again when it is needed.
    if (replaced) await files.discard(sha256);
    return {
      role: announced.role,
      sizeBytes: announced.sizeBytes,
      sha256,
      diskFormat: facts.diskFormat,
      chunkSizeBytes: CHUNK_SIZE_BYTES,
      chunkSha256,
    };
  }

  return {
    async receive(announced, data, signal) {
      const reader = createByteReader(data, signal);
      const buffer = Buffer.allocUnsafe(CHUNK_SIZE_BYTES);
      const received: ImageFile[] = [];
      try {
        for (const file of announced) received.push(await receiveFile(file, reader, buffer));
        if ((await reader.read(1)) === undefined) return received;
      } catch (error) {
        throw signal.aborted ? new BlixardError("CANCELLED", "the import was cancelled", { cause: error }) : error;
      } finally {
        reader.close();
      }
      throw new BlixardError("IMAGE_INVALID", "more bytes came than the header announced", {
        hint: "Announce each file's exact size, and do not change the files while they are sent.",
      });
    },
  };
}

async function fill(chunk: Buffer, reader: ByteReader, file: AnnouncedFile, offset: number): Promise<void> {
  for (let filled = 0; filled < chunk.length;) {
    const piece = await reader.read(chunk.length - filled);
    if (piece === undefined) {
      throw new BlixardError(
        "IMAGE_INVALID",
        `the ${file.role} ended after ${approximateSize(offset + filled)} of ${approximateSize(file.sizeBytes)}`,
        { hint: "Announce each file's exact size, and do not change the files while they are sent." },
      );
    }
    chunk.set(piece, filled);
    filled += piece.length;
  }
}
