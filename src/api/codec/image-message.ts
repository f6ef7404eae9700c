/** Images between model and the API's messages. */
import { create } from "@bufbuild/protobuf";
import {
  DiskFormat,
  ImageSchema,
  type Image as ImageMessage,
  type ImportImageHeader,
} from "#gen/api/blixard/v1/image_pb.ts";
import type { ImageManifest } from "#model/image.ts";
import { timeToMessage } from "#store/records/common-codec.ts";
import { diskFormatCodec, imageFileRoleCodec } from "#store/records/enum-codec.ts";
import type { ImageHeaderInput } from "../ports.ts";

/** @param usedBy names of VMs */
export function imageToMessage(image: ImageManifest, usedBy: readonly string[]): ImageMessage {
  return create(ImageSchema, {
    name: image.name,
    digest: image.digest,
    files: image.files.map((file) => ({
      role: imageFileRoleCodec.toWire(file.role),
      sizeBytes: BigInt(file.sizeBytes),
      sha256: file.sha256,
      diskFormat: file.diskFormat === undefined ? DiskFormat.UNSPECIFIED : diskFormatCodec.toWire(file.diskFormat),
      chunkCount: file.chunkSha256.length,
    })),
    commandLine: image.commandLine,
    sizeBytes: BigInt(image.files.reduce((bytes, file) => bytes + file.sizeBytes, 0)),
    createTime: timeToMessage(image.createTimeMs),
    guestAgent: image.guestAgent,
    usedBy: [...usedBy],
  });
}

export function imageHeaderInputFromMessage(message: ImportImageHeader, operationId: string): ImageHeaderInput {
  return {
    name: message.name,
    files: message.files.map((file) => ({
      role: imageFileRoleCodec.fromWire(file.role) ?? String(file.role),
      sizeBytes: file.sizeBytes,
    })),
    commandLine: message.commandLine,
    guestAgent: message.guestAgent,
    operationId,
  };
}
