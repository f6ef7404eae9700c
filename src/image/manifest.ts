/** The manifest's own rules: how files are cut, and what an image's digest covers. */
import { createHash } from "node:crypto";
import type { ImageFile, ImageManifest } from "#model/image.ts";

/** Of every chunk but a file's last. */
export const CHUNK_SIZE_BYTES = 4 * 2 ** 20;

const SHA256 = /^[0-9a-f]{64}$/;

export function isSha256(text: string): boolean {
  return SHA256.test(text);
}

/** `sha256:` and hex, over the files' roles, formats and sums, the command line and the agent flag. */
export function digestOfImage(image: Pick<ImageManifest, "files" | "commandLine" | "guestAgent">): string {
  const covered = {
    files: image.files.map((file) => [file.role, file.diskFormat ?? "", file.sizeBytes, file.sha256]),
    commandLine: image.commandLine,
    guestAgent: image.guestAgent,
  };
  return `sha256:${createHash("sha256").update(JSON.stringify(covered)).digest("hex")}`;
}

/** Where a file's chunks lie and how long each is. */
export function chunksOf(file: ImageFile): readonly { sha256: string; offset: number; sizeBytes: number }[] {
  return file.chunkSha256.map((sha256, index) => {
    const offset = index * file.chunkSizeBytes;
    return { sha256, offset, sizeBytes: Math.min(file.chunkSizeBytes, file.sizeBytes - offset) };
  });
}
