/** images/<name> between model and wire. */
import { create } from "@bufbuild/protobuf";
import { DiskFormat as DiskFormatEnum } from "#gen/api/blixard/v1/image_pb.ts";
import {
  type ImageFileRecord,
  ImageFileRecordSchema,
  type ImageRecord,
  ImageRecordSchema,
} from "#gen/store/blixard/store/v1/records_pb.ts";
import type { ImageFile, ImageManifest } from "#model/image.ts";
import { timeFromMessage, timeToMessage } from "./common-codec.ts";
import { diskFormatCodec, imageFileRoleCodec } from "./enum-codec.ts";
import { createRecordCodec, keepUnknown, restoreUnknown } from "./record-codec.ts";

export const imageCodec = createRecordCodec(ImageRecordSchema, imageFromMessage, imageToMessage);

function imageFromMessage(message: ImageRecord): ImageManifest {
  return {
    name: message.name,
    digest: message.digest,
    files: message.files.map(fileFromMessage),
    commandLine: message.commandLine,
    guestAgent: message.guestAgent,
    createTimeMs: timeFromMessage(message.createTime),
    operationId: message.operationId,
  };
}

function imageToMessage(image: ImageManifest): ImageRecord {
  return create(ImageRecordSchema, {
    name: image.name,
    digest: image.digest,
    files: image.files.map(fileToMessage),
    commandLine: image.commandLine,
    createTime: timeToMessage(image.createTimeMs),
    guestAgent: image.guestAgent,
    operationId: image.operationId,
  });
}

function fileFromMessage(message: ImageFileRecord): ImageFile {
  const role = imageFileRoleCodec.fromWire(message.role);
  if (role === undefined) throw new Error(`unknown role ${message.role} of an image file`);
  const file: ImageFile = {
    role,
    sizeBytes: Number(message.sizeBytes),
    sha256: hexOf(message.sha256),
    diskFormat: diskFormatCodec.fromWire(message.diskFormat),
    chunkSizeBytes: message.chunkSizeBytes,
    chunkSha256: message.chunkSha256.map(hexOf),
  };
  return keepUnknown(file, message);
}

function fileToMessage(file: ImageFile): ImageFileRecord {
  const message = create(ImageFileRecordSchema, {
    role: imageFileRoleCodec.toWire(file.role),
    sizeBytes: BigInt(file.sizeBytes),
    sha256: Buffer.from(file.sha256, "hex"),
    diskFormat: file.diskFormat === undefined ? DiskFormatEnum.UNSPECIFIED : diskFormatCodec.toWire(file.diskFormat),
    chunkSizeBytes: file.chunkSizeBytes,
    chunkSha256: file.chunkSha256.map((sum) => Buffer.from(sum, "hex")),
  });
  return restoreUnknown(file, message);
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
