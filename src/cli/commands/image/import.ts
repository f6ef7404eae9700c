/** `blixard image import` */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import {
  ImageFileRole,
  ImageService,
  type ImportImageRequest,
  ImportImageRequestSchema,
  ImportImageResponseSchema,
} from "#gen/api/blixard/v1/image_pb.ts";
import { BlixardError } from "#model/errors.ts";
import { approximateSize } from "#model/quantity.ts";
import { anyText, defineCommand, flag, option, usageError } from "../../command.ts";
import { nodeOptions } from "../../node-options.ts";
import { createProgress, type Progress } from "../../output/progress.ts";
import { printable } from "../../output/text.ts";

const PIECE_BYTES = 1024 * 1024;

export const imageImport = defineCommand({
  description:
    "Either --kernel and --initrd, or --disk. What the node has already is not kept twice; every byte is verified by its sha256.",
  arguments: { name: { description: "Name of the image: lower-case letters, digits, '-', '_' and '.'." } },
  options: {
    kernel: option("FILE", "Kernel: vmlinux (starts fastest) or bzImage.", anyText, { short: "k", complete: "file" }),
    initrd: option("FILE", "Initial ramdisk.", anyText, { short: "i", complete: "file" }),
    disk: option("FILE", "Disk, raw or qcow2.", anyText, { short: "d", complete: "file" }),
    cmdline: option("TEXT", "Kernel command line of every VM with this image.", anyText),
    guestAgent: flag("The image runs Blixard's guest agent."),
    operationId: option("ID", "The same id with the same request is done once.", anyText),
    ...nodeOptions,
  },
  examples: [
    {
      command: "blixard image import demo --kernel vmlinux --initrd initrd.cpio.gz --guest-agent",
      explanation: "A kernel and its initrd",
    },
    { command: "blixard image import debian --disk debian.qcow2", explanation: "A disk" },
  ],
  run: async (context, { name }, options) => {
    const { node, io, printer, signal, trace } = context;
    const files = await findFiles(options);
    trace.setAttribute("blixard.image.name", name);
    const header = create(ImportImageRequestSchema, {
      message: {
        case: "header",
        value: {
          name,
          files: files.map(({ role, sizeBytes }) => ({ role, sizeBytes: BigInt(sizeBytes) })),
          commandLine: options.cmdline ?? "",
          guestAgent: options.guestAgent,
          operationId: options.operationId ?? io.randomHex(16),
        },
      },
    });
    const images = await node.client(ImageService);
    const progress = createProgress(io, name);
    try {
      const response = await images.importImage(readPieces(header, files, progress), { signal, timeoutMs: 0 });
      progress.end();
      await printer.message(ImportImageResponseSchema, response, () => [
        printable(
          `${name} is imported: ${approximateSize(Number(response.image?.sizeBytes ?? 0n))}, ${response.image?.digest ?? ""}`,
        ),
      ]);
    } finally {
      progress.end();
    }
  },
});

interface ImportFile {
  readonly role: ImageFileRole;
  readonly path: string;
  readonly sizeBytes: number;
}

async function findFiles({
  kernel,
  initrd,
  disk,
}: {
  readonly kernel: string | undefined;
  readonly initrd: string | undefined;
  readonly disk: string | undefined;
}): Promise<readonly ImportFile[]> {
  if (disk === undefined && kernel === undefined)
    usageError("there is nothing to import", "Give --kernel and --initrd, or --disk.");
  if (disk !== undefined && (kernel !== undefined || initrd !== undefined))
    usageError("--disk does not go together with --kernel and --initrd");
  const wanted = [
    [ImageFileRole.KERNEL, kernel],
    [ImageFileRole.INITRD, initrd],
    [ImageFileRole.DISK, disk],
  ] as const;
  const found: ImportFile[] = [];
  for (const [role, path] of wanted) {
    if (path !== undefined) found.push({ role, path, sizeBytes: await sizeOf(path) });
  }
  return found;
}

async function sizeOf(path: string): Promise<number> {
  try {
    const status = await stat(path);
    if (status.isFile() && status.size > 0) return status.size;
  } catch (error) {
    throw new BlixardError("IMAGE_INVALID", `${path} cannot be read`, {
      cause: error,
      hint: "Check the path and its permissions.",
    });
  }
  throw new BlixardError("IMAGE_INVALID", `${path} is no file with content`, {
    hint: "Give a kernel, an initrd or a disk.",
  });
}

async function* readPieces(
  header: ImportImageRequest,
  files: readonly ImportFile[],
  progress: Progress,
): AsyncIterable<ImportImageRequest> {
  yield header;
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let [sentBytes, shownTenths] = [0, -1];
  for (const { path, sizeBytes } of files) {
    // A file that grows meanwhile must not break the order of the files.
    for await (const piece of createReadStream(path, { highWaterMark: PIECE_BYTES, end: sizeBytes - 1 })) {
      const value: Uint8Array<ArrayBuffer> = piece;
      yield create(ImportImageRequestSchema, { message: { case: "data", value } });
      sentBytes += value.length;
      const tenths = Math.floor((sentBytes / totalBytes) * 10);
      if (tenths !== shownTenths)
        progress.update("importing", `${approximateSize(sentBytes)} of ${approximateSize(totalBytes)}`);
      shownTenths = tenths;
    }
  }
  progress.update("importing", "the node verifies and stores it");
}
